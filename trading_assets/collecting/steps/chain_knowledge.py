"""What is known beside a chain's own answers: whose options they are, expiries behind which nothing is listed, what a
chain costs from nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.history import answered_with_nothing
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import OptionListingRequest, Request
from trading_assets.broker.wire_format import KINDS, OPTION_PARAMETERS_END
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.identity import revealed
from trading_assets.collecting.report import CollectionReport, Problem, ProblemKind
from trading_assets.collecting.steps.common import SendRequests
from trading_assets.collecting.steps.missed import last_denied
from trading_assets.collecting.steps.unknown_symbols import ByIds, ask_by_id
from trading_assets.instrument import Instrument
from trading_assets.planning.chains import listing_days
from trading_assets.repositories.schemas import OPTION_CHAINS

WITHOUT_PARAMETERS = "came without option parameters"
"""Words of the sentence about an underlying of which the broker names no options any more."""

_LISTED_NOTHING = (OutcomeKind.EMPTY, OutcomeKind.NO_CONTRACT)
"""Ends of a listing that say that the expiry has no contract: the broker names some expiries (holiday weeklies) before
it lists them."""


def of_another_underlying(
    archive: Archive, underlyings: Mapping[str, Instrument], named: Mapping[str, set[int]], report: CollectionReport
) -> dict[str, Outcome | None]:
    """Symbols whose answers all name another underlying than was asked about (`named`: contract ids by symbol; 0 names
    none): not to be stored.

    They are recorded as changed contracts, and have None. Where the contract details have denied that very change
    before, the answer is wrong and the contract is not: that is reported, only the chain fails, and they have the
    outcome that says so.
    """
    found: dict[str, Outcome | None] = {}
    for symbol, con_ids in named.items():
        underlying, others = underlyings[symbol], con_ids - {0}
        if not others or underlying.con_id in others:
            continue
        found[symbol] = None
        if not archive.changes.denied(symbol, min(others)):
            revealed(archive, underlying, min(others), report)
            continue
        sentence = (
            f"The option chain of {symbol} names contract {min(others)} as the underlying, its contract details name"
            f" {underlying.con_id}: nothing of that chain was stored. Compare both in TWS; `trading-assets update"
            f" {symbol} --refresh` requests it again at once."
        )
        again = archive.calendar.opens_at(archive.calendar.following(archive.calendar.current(archive.now)))
        found[symbol] = Outcome(OutcomeKind.REJECTED, None, sentence, again)
        report.problems.append(
            Problem(ProblemKind.FAILED, symbol, "option_parameters", sentence, outcome=str(OutcomeKind.REJECTED))
        )
    return found


def ask_option_parameters(
    archive: Archive, ask: SendRequests, requests: Sequence[Request], session: date
) -> tuple[list[Result], list[Result]]:
    """The answers to option parameters as what they say of the options, and those about contracts by their ids.

    One that says that there are none is `unreadable` where contracts of the symbol were listed lately and go on
    trading. "Lately" is the re-listing time: options that have really gone (a takeover) are believed to have gone after
    that; until then its contract is asked for by its id, and one that has another symbol now is `rejected` with the
    sentence that names it. One that says that there is no such underlying (200) is `rejected` too: it says nothing
    about options.
    """
    answers = ask(requests)
    without = {result.request.symbol for result in answers if result.outcome.kind is OutcomeKind.EMPTY}
    alive: Counter[str] = Counter()
    if without:
        sessions = archive.calendar.sessions(session - timedelta(days=archive.settings.relist_days), session)
        where = f"last_trade > '{session:%Y%m%d}'"
        listed = archive.view(OPTION_CHAINS).table(
            sessions=sessions, symbols=sorted(without), columns=["symbol", "con_id"], where=where
        )
        alive.update(listed.group_by(["symbol", "con_id"]).aggregate([])["symbol"].to_pylist())
    con_ids = {result.request.symbol: result.request.instrument.con_id for result in answers}
    vanished = without & set(alive) - last_denied(archive, without)
    by_id = ask_by_id(archive, ask, {symbol: con_ids[symbol] for symbol in vanished}, session)
    classified = [
        replace(result, outcome=_classified(result.outcome, result.request.symbol, alive[result.request.symbol], by_id))
        for result in answers
    ]
    return classified, by_id.results


def _classified(outcome: Outcome, symbol: str, alive: int, by_id: ByIds) -> Outcome:
    if outcome.kind is OutcomeKind.NO_CONTRACT:
        return replace(outcome, kind=OutcomeKind.REJECTED)
    if outcome.kind is not OutcomeKind.EMPTY or not alive:
        return outcome
    if symbol in by_id.renamed:
        return Outcome(OutcomeKind.REJECTED, None, by_id.renamed[symbol])
    sentence = (
        f"TWS's message {KINDS[OPTION_PARAMETERS_END]} about {symbol} {WITHOUT_PARAMETERS} before it,"
        f" although {alive} option contracts that were listed lately have not expired. This is not a statement that"
        f" {symbol} has no options."
    )
    if symbol in by_id.gone:
        sentence += " The broker does not know its contract any more either: it may have been delisted or taken over."
    return Outcome(OutcomeKind.UNREADABLE, None, sentence)


def listed_underlyings(answers: Iterable[Result], symbol: str) -> set[int]:
    """The contract ids that the listings of a symbol name as the underlying."""
    mine = [
        r
        for r in answers
        if r.request.symbol == symbol and r.outcome.kind is OutcomeKind.COMPLETE and r.payload is not None
    ]
    return {record["under_con_id"] for result in mine for record in result.payload["contracts"]}


def lists_nothing(result: Result) -> bool:
    """Whether the broker's answer to a listing is that the expiry has no contract."""
    return type(result.request).kind == "option_listing" and result.outcome.kind in _LISTED_NOTHING


def empty_listings(archive: Archive, listings: Sequence[OptionListingRequest], session: date) -> dict[str, date]:
    """The expiries (`YYYYMMDD`) of those listings that had no contract when they were asked within the re-listing time,
    each with the session."""
    since = session - timedelta(days=archive.settings.relist_days - 1)
    sessions = archive.calendar.sessions(since, session)
    earlier = [replace(listing, session=then) for then in sessions for listing in listings]
    return {
        request.instrument.last_trade: request.session for request in answered_with_nothing(archive.journal, earlier)
    }


def doubled_terms(chain: pa.Table) -> int:
    """Contracts of a chain that have the terms of another one too: two contract ids under one symbol, class, expiry,
    strike and right."""
    terms = chain.group_by(["trading_class", "expiry", "strike", "right", "multiplier"]).aggregate([([], "count_all")])[
        "count_all"
    ]
    return int(pc.sum(terms.filter(pc.greater(terms, 1))).as_py() or 0)


def cost_from_nothing(archive: Archive, session: date, symbols: Iterable[str], chains: Mapping[str, pa.Table]) -> int:
    """The requests that the snapshot of these symbols costs an empty archive: parameters, the underlying's price,
    expiries, quotes."""
    columns = ["symbol", "last_trade", "listed_expiry", "selected"]
    stored = archive.view(OPTION_CHAINS).table(
        sessions=[session], symbols=sorted(set(symbols) - set(chains)), columns=columns
    )
    rows = pa.concat_tables(
        [stored, *(table.select(columns) for table in chains.values())], promote_options="permissive"
    )
    rows = rows.set_column(1, "last_trade", listing_days(rows))
    found = rows.group_by("symbol").aggregate([("last_trade", "count_distinct"), ("selected", "sum")])
    return (
        2 * found.num_rows
        + sum(found["last_trade_count_distinct"].to_pylist())
        + sum(found["selected_sum"].to_pylist())
    )
