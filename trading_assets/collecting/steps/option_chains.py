"""Collecting `option_chains`: what is listed, what of it is selected, and its quotes at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

import pyarrow as pa

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import snapshot_coverage
from trading_assets.collecting.identity import hold_back
from trading_assets.collecting.recover import recover
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.collecting.steps.chain_knowledge import cost_from_nothing, doubled_terms, lists_nothing
from trading_assets.collecting.steps.chain_selection import unselected_meanwhile, unselected_sentence
from trading_assets.collecting.steps.chain_snapshot import ChainSnapshot
from trading_assets.collecting.steps.common import (
    HAS_SYMBOL,
    SendRequests,
    known_underlyings,
    missing_prerequisite,
    report_without_options,
    retries_for,
)
from trading_assets.collecting.steps.missed import missed_snapshots
from trading_assets.collecting.steps.recorded_chains import RecordedChains
from trading_assets.collecting.steps.unknown_symbols import without_chain
from trading_assets.repositories.schemas import CONTRACTS, OPTION_CHAINS
from trading_assets.repositories.views import DatasetView
from trading_assets.selection_rules import SelectionRules
from trading_assets.universe import UniverseEntry


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
    planned_at, now = archive.journal.now(), archive.now
    # After the close nothing fresher is available: a late run leaves alone what was quoted shortly before it.
    quoted_since = min(now, archive.calendar.closes_at(session)) - requote_after if requote_after is not None else None
    symbols = [entry.symbol for entry in entries]
    report = CollectionReport(OPTION_CHAINS.name, session, sessions=[session], symbols=symbols)
    symbols = hold_back(archive, symbols, report)
    underlyings = known_underlyings(archive, contracts, symbols)
    for symbol in sorted(set(symbols) - set(underlyings)):
        report.violation(symbol, missing_prerequisite(CONTRACTS.name, symbol))
    unknown = {} if refresh else without_chain(archive, underlyings, session)
    for symbol, outcome in unknown.items():
        report.violation(symbol, outcome.text)
    underlyings = {symbol: underlying for symbol, underlying in underlyings.items() if symbol not in unknown}
    ask: SendRequests = partial(archive.ask, report=report, planned_at=planned_at, run_id=run_id)
    recorded = RecordedChains(archive, session, rules, underlyings, refresh, quoted_since)
    snapshot = ChainSnapshot(archive, ask, report, rules, recorded)
    recover(archive, OPTION_CHAINS, report, snapshot.recover)
    snapshot.read_parameters()
    snapshot.list_expiries()
    snapshot.select()
    snapshot.quote()
    chains, outcomes, results = snapshot.chains, {**snapshot.outcomes, **unknown}, snapshot.results

    unselected = {
        symbol: unselected_sentence(symbol, rules, chain, session)
        for symbol, chain in chains.items()
        if symbol in outcomes
        and outcomes[symbol].kind is OutcomeKind.COMPLETE
        and not chain.selected
        and not chain.lacking
    }
    report.notes += unselected.values()
    doubled = {symbol: doubled_terms(chain.table) for symbol, chain in chains.items()}
    report.notes += [
        f"{symbol}: {count} contracts have the terms of another one; each is collected by its con_id."
        for symbol, count in doubled.items()
        if count
    ]
    renamed = {r.request.symbol: r.outcome.text for r in results if HAS_SYMBOL in r.outcome.text}
    for symbol, sentence in renamed.items():
        report.violation(symbol, sentence)
    report.fail(
        [r for r in results if not lists_nothing(r) and r.request.symbol not in renamed],
        harmless=frozenset({OutcomeKind.EMPTY}),
        delayed=archive.settings.delayed,
    )
    table = pa.concat_tables([OPTION_CHAINS.schema.empty_table(), *(chain.table for chain in chains.values())])
    report.add_rows(table)
    report.saved = max(
        0,
        cost_from_nothing(archive, session, underlyings, {symbol: chain.table for symbol, chain in chains.items()})
        - report.planned,
    )
    empty = {symbol for symbol, outcome in outcomes.items() if outcome.kind is OutcomeKind.EMPTY}
    report_without_options(report, empty & set(symbols))
    coverage = snapshot_coverage(
        OPTION_CHAINS.name,
        session,
        outcomes,
        now,
        retries=retries_for(archive, OPTION_CHAINS, outcomes.items()),
        partial={symbol: " ".join(chain.lacking) for symbol, chain in chains.items() if chain.lacking},
        again_at={
            symbol: chain.again_at for symbol, chain in chains.items() if chain.again_at and len(chain.lacking) == 1
        },
        request_ids={r.request.symbol: r.request_id for r in results if type(r.request).kind == "option_parameters"},
        unselected=unselected,
        codes={symbol: chain.code for symbol, chain in chains.items()},
    )
    ids = {result.request_id for result in [*results, *snapshot.bad]}

    def meanwhile(symbol: str, reason: str, day: date) -> str | None:
        listed = chains[symbol].parameters if symbol in chains else ()
        return unselected_meanwhile(reason, rules, day, listed, still=symbol in unselected)

    missed = missed_snapshots(archive, OPTION_CHAINS, outcomes, session, denied=empty, unselected=meanwhile)
    conditions = pa.concat_tables([missed, coverage])
    return Collected(OPTION_CHAINS, table, conditions, sorted(ids), report, now)
