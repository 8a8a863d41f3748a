"""The chains of one session: what is listed, what of it is selected, and its quotes, each asked for all symbols at
once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.quarantine import Entry
from trading_assets.broker.requests import OptionListingRequest, Request
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import (
    PARTIAL,
    carry_listing,
    lacking_sentence,
    listing_rows,
    option_parameters,
    spot_price,
    with_dividends,
    with_offered_class,
    with_quotes,
    with_selection,
    without_worse,
)
from trading_assets.collecting.recover import left_of_chains
from trading_assets.collecting.report import Collected, CollectionReport, Problem, ProblemKind
from trading_assets.collecting.steps.adjusted import selected_contracts, times_listed
from trading_assets.collecting.steps.chain import Chain
from trading_assets.collecting.steps.chain_knowledge import (
    ask_option_parameters,
    empty_listings,
    listed_underlyings,
    lists_nothing,
    of_another_underlying,
)
from trading_assets.collecting.steps.chain_selection import (
    NOT_BEFORE_ITS_TIME,
    dividends_of,
    without_price,
)
from trading_assets.collecting.steps.common import (
    SendRequests,
    answered_elsewhere,
    last_close,
    refusals,
    report_without_options,
    without_options,
)
from trading_assets.collecting.steps.listings import LISTING_FAILED, carriable, listed_in_part
from trading_assets.collecting.steps.partial_quotes import SETTLED_QUOTES, holds_no_market_data, report_partial, waiting
from trading_assets.collecting.steps.recorded_chains import RecordedChains
from trading_assets.collecting.steps.streamed_quotes import streamed_spots, take_streamed
from trading_assets.planning.chains import ChainPlan, ListingReason, plan_chain, plan_parameters, plan_quotes, plan_spot
from trading_assets.repositories.schemas import OPTION_CHAINS
from trading_assets.selection_rules import SelectionRules

_QUOTED = pa.array([OutcomeKind.COMPLETE.value, OutcomeKind.EMPTY.value, PARTIAL])


@dataclass
class ChainSnapshot:
    """The chains of a session while they are put together, of all symbols at once. Call its four questions in the order
    in which they stand.

    `recorded` is what the lake has of them. Afterwards `chains` and `outcomes` are what was found by symbol, `results`
    the answers to be stored, `bad` those that answer nothing (of a killed run, by id); what is missing stands in the
    report. A symbol whose chain another run has collected meanwhile is left to it.
    """

    archive: Archive
    ask: SendRequests
    report: CollectionReport
    rules: SelectionRules
    recorded: RecordedChains
    chains: dict[str, Chain] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    bad: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session, self.underlyings, self.refresh = (
            self.recorded.session,
            self.recorded.underlyings,
            self.recorded.refresh,
        )

    def recover(self, answers: Sequence[Result]) -> Collected:
        """What `recover` may write of answers that were left in the journal; the rest of them is answered to the
        questions of this snapshot."""
        bad = (
            result for result in answers if result.quarantined is not None and result.request.session == self.session
        )
        self.bad = [
            result for result in bad if result.request.symbol in self.underlyings.keys() - self.recorded.finished
        ]
        return left_of_chains(self.recorded, self.report, answers)

    def read_parameters(self) -> None:
        """Request what is listed, for symbols without a complete snapshot of the session, and begin the chains of those
        that answered."""
        settled, resumed = self._begun()
        requests = plan_parameters(self.underlyings.values(), self.session, settled=settled | resumed.keys())
        answers, by_id = ask_option_parameters(self.archive, self.ask, requests, self.session)
        self.results, self.bad = self.results + answers, self.bad + by_id
        self.outcomes |= {result.request.symbol: result.outcome for result in answers}
        parameters = option_parameters(answers)
        others = sorted(request.symbol for request in answered_elsewhere(requests, answers))
        self.report.notes += [f"{symbol}: another run has just collected it." for symbol in others]
        last = self.archive.view(OPTION_CHAINS).as_of(list(parameters), self.session)
        # a replay of the past must not know a later listing
        last = last.filter(pc.less_equal(last["session"], pa.scalar(self.session)))
        for symbol, records in parameters.items():
            chain = Chain(self.underlyings[symbol], carriable(last, self.underlyings[symbol]), records)
            chain.lacking += listed_in_part(answers, symbol)
            self.chains[symbol] = chain
        self._drop_foreign(
            {symbol: {record["underlying_con_id"] for record in records} for symbol, records in parameters.items()}
        )
        self.chains |= resumed
        self.outcomes |= dict.fromkeys(resumed, Outcome(OutcomeKind.COMPLETE))

    def list_expiries(self) -> None:
        """Request the listings that are new and carry the others forward."""
        new = {symbol: chain for symbol, chain in self.chains.items() if not chain.table.num_rows}
        due = self.archive.examiner.due_listings(new)
        plans: list[ChainPlan] = []
        for symbol, chain in new.items():
            listings = (
                r.request
                for r in self.bad
                if isinstance(r.request, OptionListingRequest) and r.request.symbol == symbol
            )
            chain.in_part = due.get(symbol, set()) | {listing.instrument.last_trade for listing in listings}
            chain.plan = self._plan(chain)
            plans.append(chain.plan)
            self.report.notes.append(f"{symbol}: {chain.plan.reason}")
        requests = [request for plan in plans for request in plan.listings]
        answers = self.ask(requests)
        self.results += answers
        self._leave_to_others(requests, answers)
        self._drop_foreign({symbol: listed_underlyings(answers, symbol) for symbol in new if symbol in self.chains})
        for plan in plans:
            if plan.symbol in self.chains:
                self._take_listings(
                    self.chains[plan.symbol], plan, [r for r in answers if r.request.symbol == plan.symbol]
                )

    def select(self) -> None:
        """Ask the underlyings' prices and mark the contracts that the rules select around them."""
        listed = {symbol: chain for symbol, chain in self.chains.items() if chain.table.num_rows and not chain.selected}
        streamed = streamed_spots(self.archive, listed.values(), self.session)
        requests = [plan_spot(chain.underlying, self.session) for name, chain in listed.items() if name not in streamed]
        answers = self.ask(requests)
        self.results += answers
        self._leave_to_others(requests, answers)
        said = {result.request.symbol: result.outcome for result in answers}
        spots = streamed | {
            result.request.symbol: spot_price(result.payload)
            for result in answers
            if result.outcome.kind is OutcomeKind.COMPLETE
        }
        dividends = dividends_of(answers, self.report)
        priced: dict[str, tuple[Chain, float | None]] = {}
        for symbol, chain in listed.items():
            if symbol not in self.chains:
                continue
            chain.table = with_dividends(chain.table, dividends.get(symbol))
            spot = spots.get(symbol) or last_close(self.archive, symbol)
            if spot is None and self.rules.needs_spot:
                self._report_without_price(chain, said.get(symbol))
                continue
            priced[symbol] = chain, spot
        found = selected_contracts(self.archive, priced, self.session, self.rules, self.report)
        for symbol, chosen in found.items():
            chain = self.chains[symbol]
            chain.selected, chain.table = chosen, with_selection(chain.table, chosen)

    def quote(self) -> None:
        """Quote the selected contracts that have no quote of this session yet (since `quoted_since`), of all symbols
        those that expire first.

        One contract that nobody bids for is knowledge; a chain of which no quote holds anything is none, and is
        requested again. A quote that lacks a value is requested again by later runs of the session (`partial_quotes`).
        """
        for chain in self.chains.values():
            self._keep_quotes(chain)
        take_streamed(self.archive, self.chains.values(), self.session, self.report)
        everything = pa.concat_tables(
            [OPTION_CHAINS.schema.empty_table(), *(chain.table for chain in self.chains.values())]
        )
        selected = {con_id for chain in self.chains.values() for con_id in chain.selected}
        quoted = {con_id for chain in self.chains.values() for con_id in chain.quoted}
        held = {} if self.refresh else self.archive.examiner.waiting_quotes(self.chains, self.session)
        requests = plan_quotes(everything, selected, self.session, quoted | {con_id for _, con_id in held})
        answers = self.ask(requests)
        self.results += answers
        elsewhere = {request.instrument.con_id for request in answered_elsewhere(requests, answers)}
        by_symbol: dict[str, list[Result]] = defaultdict(list)
        for answer in answers:
            by_symbol[answer.request.symbol].append(answer)
        for symbol, chain in self.chains.items():
            chain.table = chain.rows(elsewhere, others=True)  # those stand in the lake with their quotes
            bad = [entry for (name, con_id), entry in held.items() if name == symbol and con_id in chain.selected]
            self._take_quotes(chain, by_symbol[symbol], bad)

    # parameters

    def _begun(self) -> tuple[set[str], dict[str, Chain]]:
        """Symbols of which nothing is to be asked now, and the chains of this very session that lack quotes alone."""
        finished = self.recorded.finished
        self.report.notes += self.recorded.unselected.values()
        refused = (
            {}
            if self.refresh
            else refusals(self.archive, OPTION_CHAINS, sorted(self.underlyings.keys() - finished), self.archive.now)
        )
        optionless = without_options(self.archive, sorted(refused))
        report_without_options(self.report, optionless)
        for symbol in sorted(set(refused) - optionless):
            self.report.problems.append(Problem(ProblemKind.FAILED, symbol, "option_parameters", refused[symbol]))
        return finished | set(refused), self.recorded.resumed()

    # listings

    def _plan(self, chain: Chain) -> ChainPlan:
        plan = partial(
            plan_chain,
            *(chain.underlying, chain.parameters, chain.last, self.rules, self.session),
            relist_days=self.archive.settings.relist_days,
            in_part=chain.in_part,
        )
        found = plan(refresh=self.refresh)
        if found.reason is ListingReason.ADJUSTED:
            found = plan(times_listed=times_listed(self.archive, chain.underlying.symbol, self.session))
        if found.reason not in (ListingReason.ADJUSTED, ListingReason.REFRESH, ListingReason.NOTHING):
            return plan(empty=empty_listings(self.archive, found.listings, self.session))
        return found

    def _take_listings(self, chain: Chain, plan: ChainPlan, answers: Sequence[Result]) -> None:
        """The chain's rows: those listed now, and those carried on from the last snapshot."""
        symbol = plan.symbol
        without = [result for result in answers if result.outcome.kind is not OutcomeKind.COMPLETE]
        for result in without:
            expiry, outcome = result.request.instrument.last_trade, result.outcome
            if lists_nothing(result):
                self.report.notes.append(
                    f"{symbol}: the broker names the expiry {expiry} and lists nothing behind it; asked again with the"
                    " weekly listing."
                )
            else:
                chain.lacks(f"{LISTING_FAILED} {expiry}: {outcome.text or outcome.kind}", outcome)
        unread = {result.request.instrument.last_trade for result in without}
        stale = unread if plan.reason is ListingReason.AGED else unread & chain.in_part
        chain.lacking += listed_in_part(answers, symbol)
        fresh = with_offered_class(listing_rows(answers, {symbol: chain.underlying.con_id}), chain.parameters)
        chain.table = pa.concat_tables(
            [fresh, carry_listing(chain.last, [*plan.carried, *sorted(stale)], self.session, symbol=symbol)]
        )

    # selection

    def _report_without_price(self, chain: Chain, quote: Outcome | None) -> None:
        symbol = chain.underlying.symbol
        if quote is not None and quote.kind in NOT_BEFORE_ITS_TIME:  # the quote itself says so
            self.outcomes[symbol] = quote
            return
        sentence = without_price(symbol, quote, delayed=self.archive.settings.delayed)
        # a failed quote is reported as one
        if quote is None or quote.kind in (OutcomeKind.COMPLETE, OutcomeKind.EMPTY):
            self.report.problems.append(Problem(ProblemKind.FAILED, symbol, "quote", sentence))
        chain.lacks(sentence, quote)

    # quotes

    def _keep_quotes(self, chain: Chain) -> None:
        """Put the quotes of this session that are not to be requested again into the chain."""
        last = chain.last
        kept = last.filter(
            pc.and_(pc.equal(last["session"], pa.scalar(self.session)), pc.is_in(last["quote_outcome"], SETTLED_QUOTES))
        )
        kept = pa.concat_tables([kept, waiting(self.archive, last, self.session)])
        if self.recorded.quoted_since is not None:
            kept = kept.filter(
                pc.greater_equal(kept["quoted_at"], pa.scalar(self.recorded.quoted_since, kept["quoted_at"].type))
            )
        if holds_no_market_data(kept):
            kept = kept.slice(0, 0)
        chain.quoted = set(kept["con_id"].to_pylist()) & set(chain.table["con_id"].to_pylist())
        kept = kept.filter(pc.is_in(kept["con_id"], pa.array(sorted(chain.quoted), pa.int64())))
        chain.selected |= chain.quoted
        chain.table = with_selection(pa.concat_tables([chain.rows(chain.quoted, others=True), kept]), chain.selected)

    def _take_quotes(self, chain: Chain, answers: Sequence[Result], bad: Sequence[Entry]) -> None:
        """Put the answered quotes into the chain, and say what it lacks; `bad` are quotes in quarantine that are not
        due yet."""
        symbol, before = chain.underlying.symbol, chain.table
        failed = [r for r in answers if r.outcome.kind not in (OutcomeKind.COMPLETE, OutcomeKind.EMPTY)]
        earlier = set(before.filter(pc.is_in(before["quote_outcome"], _QUOTED))["con_id"].to_pylist())
        kept = {id(r) for r in failed if r.request.instrument.con_id in earlier}  # an older quote is better than none
        chain.table = with_quotes(before, without_worse(before, [r for r in answers if id(r) not in kept]))
        silent = bool(answers) and holds_no_market_data(chain.chosen)
        if silent and earlier:
            chain.table = before
        if failed or bad:
            first = failed[0].outcome if failed else Outcome(OutcomeKind.QUARANTINED, None, bad[0].reason)
            chain.lacks(
                f"{len(failed) + len(bad)} of {len(chain.selected)} quotes failed, the first with:"
                f" {first.text or first.kind}",
                first,
            )
            if all(result.quarantined is not None for result in failed):
                chain.again_at = min(
                    [entry.retry_after for entry in bad]
                    + [r.quarantined.retry_after for r in failed if r.quarantined is not None]
                )
        elif silent:
            sentence = (
                f"Not one of the {len(chain.selected)} quotes of {symbol} holds a value: the broker has no market data"
                f" of session {self.session}."
            )
            self.report.problems.append(
                Problem(ProblemKind.FAILED, symbol, "quote", f"{sentence} Run it again while the market is open.")
            )
            chain.lacks(sentence)
        if not silent and (partial := lacking_sentence(chain.chosen)):
            again_at = report_partial(self.archive, chain.table, symbol, self.session, partial, self.report)
            chain.again_at = again_at if not chain.lacking else None
            chain.lacks(partial)

    # symbols that are not to be stored here

    def _leave_to_others(self, requests: Sequence[Request], answers: Sequence[Result]) -> None:
        """Forget the symbols whose very chain another run is collecting and has stored: ours would repeat it and say
        less of it."""
        for symbol in {request.symbol for request in answered_elsewhere(requests, answers)}:
            del self.chains[symbol], self.outcomes[symbol]

    def _drop_foreign(self, named: Mapping[str, set[int]]) -> None:
        """Forget the symbols whose answers name another underlying (`named`: contract ids by symbol) than was asked
        about."""
        for symbol, denied in of_another_underlying(self.archive, self.underlyings, named, self.report).items():
            del self.chains[symbol], self.outcomes[symbol]
            if denied is not None:
                self.outcomes[symbol] = denied
