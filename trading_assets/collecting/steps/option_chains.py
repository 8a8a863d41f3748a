"""Collecting `option_chains`: what is listed, what of it is selected, and its quotes at this moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.collecting.archive import Archive, wall_clock
from trading_assets.collecting.decode import (
    PARTIAL,
    carry_listing,
    lacking_sentence,
    listing_rows,
    option_parameters,
    snapshot_coverage,
    with_quotes,
    with_selection,
    without_worse,
)
from trading_assets.collecting.decode.tables import last_of_key
from trading_assets.collecting.identity import hold_back
from trading_assets.collecting.report import Collected, CollectionReport, Problem, ProblemKind
from trading_assets.collecting.steps.chain import Chain, echoes, leave_to_others
from trading_assets.collecting.steps.chain_knowledge import (
    cost_from_nothing,
    doubled_terms,
    empty_listings,
    listed_underlyings,
    lists_nothing,
    of_another_underlying,
    said_of_options,
)
from trading_assets.collecting.steps.chain_selection import same_selection, select_and_mark, unselected_sentence
from trading_assets.collecting.steps.common import (
    Ask,
    known_underlyings,
    missing_prerequisite,
    refusals,
    retries_for,
    rows_by_symbol,
    tell_without_options,
    without_echoes,
    without_options,
)
from trading_assets.collecting.steps.interrupted_chains import interrupted_chains, stored_answers
from trading_assets.collecting.steps.listings import LISTING_FAILED, listed_in_part, may_be_resumed, still_lacking, without_expiries
from trading_assets.collecting.steps.missed import missed_snapshots
from trading_assets.collecting.steps.partial_quotes import SETTLED_QUOTES, quoted_before, says_nothing, tell_partial, waiting
from trading_assets.instrument import Instrument
from trading_assets.planning.chains import ChainPlan, ListingReason, plan_chain, plan_parameters, plan_quotes
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, OPTION_CHAINS, Condition
from trading_assets.repositories.validation import storable
from trading_assets.repositories.views import DatasetView
from trading_assets.selection_rules import SelectionRules
from trading_assets.universe import UniverseEntry

_QUOTED = pa.array([OutcomeKind.COMPLETE.value, OutcomeKind.EMPTY.value, PARTIAL])


def collect_option_chains(
    archive: Archive,
    entries: Sequence[UniverseEntry],
    session: date,
    *,
    contracts: DatasetView,
    rules: SelectionRules,
    refresh: bool = False,
    requote_after: timedelta | None = None,
    run_id: str = "",
) -> Collected:
    """The chain of `session` (the current one) for every symbol that has a contract and no complete snapshot yet.

    In order: what is listed (parameters), new expiries (listings), the underlying's price, the selected contracts'
    quotes; each is asked for all symbols at once. A symbol that fails leaves the others alone. With `requote_after` a
    complete snapshot of the session whose quotes are older than that has its selected contracts quoted again.
    Raises `BrokerError` when the broker cannot be reached.
    """
    planned_at, now = wall_clock(), archive.now
    # After the close nothing fresher can be had: a late run leaves alone what was quoted shortly before it.
    quoted_since = min(now, archive.calendar.closes_at(session)) - requote_after if requote_after is not None else None
    symbols = [entry.symbol for entry in entries]
    report = CollectionReport(OPTION_CHAINS.name, session, sessions=[session], symbols=symbols)
    symbols = hold_back(archive, symbols, report)
    underlyings = known_underlyings(archive, contracts, symbols)
    for symbol in sorted(set(symbols) - set(underlyings)):
        report.violation(symbol, missing_prerequisite(CONTRACTS.name, symbol))
    ask: Ask = partial(archive.ask, report=report, planned_at=planned_at, run_id=run_id)
    interrupted = interrupted_chains(archive, session, underlyings)

    results: list[Result] = []
    chains, outcomes = _parameters(archive, ask, underlyings, session, rules, report, results, refresh, quoted_since)
    plans = _list(archive, ask, chains, outcomes, session, rules, results, report, refresh, interrupted.in_part)
    select_and_mark(archive, ask, chains, outcomes, session, rules, results, report)
    _quote(archive, ask, chains, session, results, report, refresh, quoted_since)

    report.notes += [f"{plan.symbol}: {plan.reason}" for plan in plans]
    unselected = {
        symbol: unselected_sentence(symbol, rules, chain.expiries, chain.table.num_rows)
        for symbol, chain in chains.items()
        if symbol in outcomes and outcomes[symbol].kind is OutcomeKind.COMPLETE and not chain.selected and not chain.lacking
    }
    report.notes += unselected.values()
    doubled = {symbol: doubled_terms(chain.table) for symbol, chain in chains.items()}
    report.notes += [
        f"{symbol}: {count} contracts have the terms of another one; each is collected by its con_id." for symbol, count in doubled.items() if count
    ]
    report.fail([r for r in results if not lists_nothing(r)], harmless=frozenset({OutcomeKind.EMPTY}), delayed=archive.settings.delayed)
    stored, fresher = stored_answers(archive, session, sorted(set(symbols) - set(chains)))
    table = pa.concat_tables([OPTION_CHAINS.schema.empty_table(), *(chain.table for chain in chains.values()), interrupted.table, fresher])
    report.rows_by_symbol = rows_by_symbol(table)
    report.saved = max(
        0, cost_from_nothing(archive, session, underlyings, {symbol: chain.table for symbol, chain in chains.items()}) - report.planned
    )
    tell_without_options(report, {symbol for symbol, outcome in outcomes.items() if outcome.kind is OutcomeKind.EMPTY} & set(symbols))
    coverage = snapshot_coverage(
        OPTION_CHAINS.name,
        session,
        outcomes,
        now,
        retries=retries_for(archive, OPTION_CHAINS, outcomes.items()),
        partial={symbol: " ".join(chain.lacking) for symbol, chain in chains.items() if chain.lacking},
        again_at={symbol: chain.again_at for symbol, chain in chains.items() if chain.again_at and len(chain.lacking) == 1},
        request_ids={r.request.symbol: r.request_id for r in results if type(r.request).kind == "option_parameters"},
        unselected=unselected,
        codes={symbol: chain.code for symbol, chain in chains.items()},
    )
    ids = {result.request_id for result in results} | interrupted.request_ids | stored
    missed = missed_snapshots(archive, OPTION_CHAINS, outcomes, session)
    # What an interrupted run left comes last: of a session that was half taken it says more than that it was missed.
    told = last_of_key(pa.concat_tables([missed, coverage, interrupted.coverage]), COVERAGE.key)
    return Collected(OPTION_CHAINS, table, told, sorted(ids), report, now)


def _parameters(
    archive: Archive,
    ask: Ask,
    underlyings: Mapping[str, Instrument],
    session: date,
    rules: SelectionRules,
    report: CollectionReport,
    results: list[Result],
    refresh: bool,
    quoted_since: datetime | None,
) -> tuple[dict[str, Chain], dict[str, Outcome]]:
    """Ask what is listed, for symbols without a complete snapshot of the session; chains of those that answered."""
    known = archive.coverage.conditions(OPTION_CHAINS.name, "", list(underlyings), session, session).to_pylist()
    stored = archive.view(OPTION_CHAINS).table(sessions=[session], symbols=list(underlyings), columns=["symbol"])["symbol"].unique().to_pylist()
    done = set() if refresh else {row["symbol"] for row in known if row["condition"] == Condition.COMPLETE} & set(stored)
    outdated = quoted_before(archive, done, session, quoted_since)
    done -= outdated
    unselected = {row["symbol"]: row["reason"] for row in known if row["condition"] == Condition.NOTHING_SELECTED}
    report.notes += [] if refresh else [reason for reason in unselected.values() if same_selection(reason, rules)]
    done |= set() if refresh else {symbol for symbol, reason in unselected.items() if same_selection(reason, rules)}
    refused = {} if refresh else refusals(archive, OPTION_CHAINS, sorted(set(underlyings) - done), archive.now)
    optionless = without_options(archive, sorted(refused))
    tell_without_options(report, optionless)
    for symbol in sorted(set(refused) - optionless):
        report.problems.append(Problem(ProblemKind.FAILED, symbol, "option_parameters", refused[symbol]))
    resumed = {} if refresh else _resumed(archive, underlyings, session, known, outdated)
    answers = said_of_options(archive, ask(plan_parameters(underlyings.values(), session, settled=done | set(refused) | set(resumed))), session)
    results += without_echoes(answers)
    parameters = option_parameters(results)
    outcomes = {result.request.symbol: result.outcome for result in results}
    last = archive.view(OPTION_CHAINS).as_of(list(parameters), session)
    last = last.filter(pc.less_equal(last["session"], pa.scalar(session)))  # a replay of the past must not know a later listing
    named = {symbol: {record["underlying_con_id"] for record in records} for symbol, records in parameters.items()}
    for symbol, denied in of_another_underlying(archive, underlyings, named, report).items():
        del parameters[symbol], outcomes[symbol]
        if denied is not None:
            outcomes[symbol] = denied
    chains = {symbol: Chain(underlyings[symbol], _last_of(last, underlyings[symbol])) for symbol in parameters}
    report.notes += [
        f"{symbol}: another run has just collected it." for symbol in sorted({a.request.symbol for a in echoes(answers)} - set(outcomes))
    ]
    outcomes |= dict.fromkeys(resumed, Outcome(OutcomeKind.COMPLETE))
    for symbol, chain in chains.items():
        chain.lacking += listed_in_part(results, symbol)
    return chains | resumed, outcomes


def _last_of(last: pa.Table, underlying: Instrument) -> pa.Table:
    """The rows that may be carried on: of the underlying's contract, not of the one that its series had before, and of expiries without a
    row that cannot be stored."""
    own = pc.is_in(last["under_con_id"], pa.array([0, underlying.con_id], pa.int64()))
    rows = last.filter(pc.and_(pc.equal(last["symbol"], underlying.symbol), own))
    kept = storable(OPTION_CHAINS, rows)
    dropped = rows.filter(pc.invert(pc.is_in(rows["con_id"], kept["con_id"].combine_chunks())))
    return without_expiries(kept, set(dropped["last_trade"].to_pylist()))


def _resumed(
    archive: Archive, underlyings: Mapping[str, Instrument], session: date, known: Sequence[Mapping[str, object]], outdated: set[str]
) -> dict[str, Chain]:
    """Chains of this very session that lack nothing but (fresh) quotes: their listing and selection stand, nothing of it is asked again."""
    due = archive.examiner.due_listings(underlyings)
    reasons = {str(row["symbol"]): str(row["reason"]) for row in known}
    partial = [str(row["symbol"]) for row in known if may_be_resumed(row, due)]
    partial += sorted(outdated)
    stored = archive.view(OPTION_CHAINS).table(sessions=[session], symbols=partial).cast(OPTION_CHAINS.schema)
    chains = {}
    for symbol in stored["symbol"].unique().to_pylist():
        rows = stored.filter(pc.equal(stored["symbol"], symbol))
        selected = set(rows.filter(rows["selected"])["con_id"].to_pylist())
        if selected and storable(OPTION_CHAINS, rows).num_rows == rows.num_rows:
            chains[symbol] = Chain(underlyings[symbol], rows, rows, selected, lacking=still_lacking(reasons.get(symbol, "")))
    return chains


def _list(
    archive: Archive,
    ask: Ask,
    chains: dict[str, Chain],
    outcomes: dict[str, Outcome],
    session: date,
    rules: SelectionRules,
    results: list[Result],
    report: CollectionReport,
    refresh: bool,
    interrupted: Mapping[str, set[str]],
) -> list[ChainPlan]:
    """Read the listings that are new, carry the others forward, and put each symbol's chain together.

    `interrupted` are expiries by symbol that a killed run may have stored in part.
    """
    parameters = option_parameters(results)
    new = {symbol: chain for symbol, chain in chains.items() if not chain.table.num_rows}
    due = archive.examiner.due_listings(new)
    in_part = {symbol: due.get(symbol, set()) | interrupted.get(symbol, set()) for symbol in new}
    plans = {}
    for symbol, chain in new.items():
        last = without_expiries(chain.last, in_part[symbol])
        plan = partial(plan_chain, chain.underlying, parameters[symbol], last, rules, session, relist_days=archive.settings.relist_days)
        plans[symbol] = plan(refresh=refresh)
        chain.expiries = sorted([*plans[symbol].carried, *(request.instrument.last_trade for request in plans[symbol].listings)])
        if plans[symbol].reason in (ListingReason.FIRST, ListingReason.INCREMENT, ListingReason.AGED):
            plans[symbol] = plan(empty=empty_listings(archive, plans[symbol].listings, session))
    answers = ask([request for plan in plans.values() for request in plan.listings])
    results += without_echoes(answers)
    for symbol in leave_to_others(answers, chains, outcomes):
        del new[symbol]
    listed = {symbol: listed_underlyings(answers, symbol) for symbol in new}
    for symbol, denied in of_another_underlying(archive, {symbol: chain.underlying for symbol, chain in new.items()}, listed, report).items():
        del new[symbol], chains[symbol], outcomes[symbol]
        if denied is not None:
            outcomes[symbol] = denied
    under_con_ids = {symbol: chain.underlying.con_id for symbol, chain in chains.items()}
    for symbol, chain in new.items():
        mine = [result for result in without_echoes(answers) if result.request.symbol == symbol]
        without = [r for r in mine if r.outcome.kind is not OutcomeKind.COMPLETE]
        for result in without:
            expiry, outcome = result.request.instrument.last_trade, result.outcome
            if lists_nothing(result):
                report.notes.append(
                    f"{symbol}: the broker names the expiry {expiry} and lists nothing behind it; asked again with the weekly listing."
                )
            else:
                chain.lacks(f"{LISTING_FAILED} {expiry}: {outcome.text or outcome.kind}", outcome)
        unread = {result.request.instrument.last_trade for result in without}
        stale = unread if plans[symbol].reason is ListingReason.AGED else unread & in_part[symbol]
        carried = [*plans[symbol].carried, *sorted(stale)]
        chain.lacking += listed_in_part(mine, symbol)
        fresh = listing_rows(mine, under_con_ids)
        chain.table = pa.concat_tables([fresh, carry_listing(chain.last, carried, session, symbol=symbol)])
    return list(plans.values())


def _quote(
    archive: Archive,
    ask: Ask,
    chains: Mapping[str, Chain],
    session: date,
    results: list[Result],
    report: CollectionReport,
    refresh: bool,
    quoted_since: datetime | None = None,
) -> None:
    """Quote the selected contracts that have no quote of this session yet (since `quoted_since`), of all symbols those that expire first.

    One contract that nobody bids for is knowledge; a chain of which no quote holds anything is none, and is asked for again. A
    quote that lacks a value is asked for again by later runs of the session (`partial_quotes`).
    """
    for chain in chains.values():
        kept = chain.last.filter(pc.and_(pc.equal(chain.last["session"], pa.scalar(session)), pc.is_in(chain.last["quote_outcome"], SETTLED_QUOTES)))
        kept = pa.concat_tables([kept, waiting(archive, chain.last, session)])
        if quoted_since is not None:
            kept = kept.filter(pc.greater_equal(kept["quoted_at"], pa.scalar(quoted_since, kept["quoted_at"].type)))
        if says_nothing(kept):
            kept = kept.slice(0, 0)
        chain.quoted = set(kept["con_id"].to_pylist()) & set(chain.table["con_id"].to_pylist())
        kept = kept.filter(pc.is_in(kept["con_id"], pa.array(sorted(chain.quoted), pa.int64())))
        others = chain.table.filter(pc.invert(pc.is_in(chain.table["con_id"], pa.array(sorted(chain.quoted), pa.int64()))))
        chain.table = pa.concat_tables([others, kept])
        chain.selected |= chain.quoted
        chain.table = with_selection(chain.table, chain.selected)
    everything = pa.concat_tables([OPTION_CHAINS.schema.empty_table(), *(chain.table for chain in chains.values())])
    selected = {con_id for chain in chains.values() for con_id in chain.selected}
    quoted = {con_id for chain in chains.values() for con_id in chain.quoted}
    held = {} if refresh else archive.examiner.waiting_quotes(chains, session)
    everyones = ask(plan_quotes(everything, selected, session, quoted | {con_id for _, con_id in held}))
    answers = without_echoes(everyones)
    results += answers
    stored = pa.array(sorted({result.request.instrument.con_id for result in echoes(everyones)}), pa.int64())
    by_symbol: dict[str, list[Result]] = defaultdict(list)
    for answer in answers:
        by_symbol[answer.request.symbol].append(answer)
    for symbol, chain in chains.items():
        ours = chain.table.filter(pc.invert(pc.is_in(chain.table["con_id"], stored)))  # the others stand in the lake with their quotes
        failed = [r for r in by_symbol[symbol] if r.outcome.kind not in (OutcomeKind.COMPLETE, OutcomeKind.EMPTY)]
        earlier = set(ours.filter(pc.is_in(ours["quote_outcome"], _QUOTED))["con_id"].to_pylist())
        kept = {id(r) for r in failed if r.request.instrument.con_id in earlier}  # an older quote is better than none
        better = without_worse(ours, [r for r in by_symbol[symbol] if id(r) not in kept])
        chain.table = with_quotes(ours, better)
        silent = bool(by_symbol[symbol]) and says_nothing(chain.table.filter(chain.table["selected"]))
        if silent and earlier:
            chain.table = ours
        bad = [entry for (name, con_id), entry in held.items() if name == symbol and con_id in chain.selected]
        if failed or bad:
            first = failed[0].outcome if failed else Outcome(OutcomeKind.QUARANTINED, None, bad[0].reason)
            chain.lacks(f"{len(failed) + len(bad)} of {len(chain.selected)} quotes failed, the first with: {first.text or first.kind}", first)
            if all(result.quarantined is not None for result in failed):
                chain.again_at = min([entry.retry_after for entry in bad] + [r.quarantined.retry_after for r in failed if r.quarantined is not None])
        elif silent:
            sentence = f"Not one of the {len(chain.selected)} quotes of {symbol} holds a value: the broker has no market data of session {session}."
            report.problems.append(Problem(ProblemKind.FAILED, symbol, "quote", f"{sentence} Run it again while the market is open."))
            chain.lacks(sentence)
        if not silent and (partial := lacking_sentence(chain.table.filter(chain.table["selected"]))):
            again_at = tell_partial(archive, chain.table, symbol, session, partial, report)
            chain.again_at = again_at if not chain.lacking else None
            chain.lacks(partial)
