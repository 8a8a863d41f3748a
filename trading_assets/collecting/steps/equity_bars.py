"""Collecting `equity_bars`: missing sessions only, restated histories anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.requests import BarsRequest
from trading_assets.collecting.archive import Archive, wall_clock
from trading_assets.collecting.decode import bar_coverage, bar_rows, restated
from trading_assets.collecting.identity import hold_back
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.collecting.resting import NOTHING, Resting, resting
from trading_assets.collecting.steps.common import (
    Ask,
    known_underlyings,
    missing_prerequisite,
    outcomes_of,
    retries_for,
    rows_by_symbol,
    settled_bars,
    tell_open_sessions,
    tell_refused_bars,
    within_allowance,
)
from trading_assets.instrument import Instrument
from trading_assets.planning.bars import plan_equity_bars, plan_redownload
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS
from trading_assets.repositories.views import DatasetView
from trading_assets.universe import UniverseEntry


def collect_equity_bars(
    archive: Archive,
    entries: Sequence[UniverseEntry],
    sessions: Sequence[date],
    *,
    contracts: DatasetView,
    bar_sizes: Sequence[str],
    refresh: bool = False,
    max_requests: int | None = None,
    leave_resting: bool = False,
    run_id: str = "",
) -> Collected:
    """Bars of `sessions` (those closed by now) for every symbol that has a contract; one request a symbol and missing span.

    First the answers that an interrupted run left in the journal are taken. A request reaches back to the last stored
    session where that costs nothing; when its prices come back changed by one ratio (a split), the whole stored
    history is asked for once more. `max_requests` bounds what is asked for missing sessions, in the order of the plan; with
    `leave_resting` what failed lately is left out. Raises `BrokerError` when the broker cannot be reached.
    """
    planned_at, now = wall_clock(), archive.now
    symbols = [entry.symbol for entry in entries]
    report = CollectionReport(EQUITY_BARS.name, archive.calendar.current(now), sessions=list(sessions), symbols=symbols)
    symbols = hold_back(archive, symbols, report)
    underlyings = known_underlyings(archive, contracts, symbols)
    for symbol in sorted(set(symbols) - set(underlyings)):
        report.violation(symbol, missing_prerequisite(CONTRACTS.name, symbol))
    tell_open_sessions(archive, report, sessions)
    ask: Ask = partial(archive.ask, report=report, planned_at=planned_at, run_id=run_id)
    bounded = within_allowance(ask, report, max_requests)
    rests = resting(archive.settings, symbols) if leave_resting else NOTHING

    results = archive.recovered([EQUITY_BARS.name])
    for bar_size in bar_sizes:
        results += _missing(archive, bounded, report, underlyings, sessions, bar_size, results, refresh, rests)
        results += _restated(archive, ask, underlyings, bar_size, results, report)
    table = _rows(archive, results)
    retries = retries_for(archive, EQUITY_BARS, outcomes_of(results))
    coverage = bar_coverage(results, table, archive.calendar, retries=retries)
    report.saved = max(0, len(underlyings) * len(bar_sizes) - report.planned - report.deferred)
    report.rows_by_symbol = rows_by_symbol(table)
    report.fail(results, harmless=frozenset({OutcomeKind.EMPTY}), delayed=archive.settings.delayed)
    return Collected(EQUITY_BARS, table, coverage, [result.request_id for result in results], report, now)


def _missing(
    archive: Archive,
    ask: Ask,
    report: CollectionReport,
    underlyings: Mapping[str, Instrument],
    sessions: Sequence[date],
    bar_size: str,
    recovered: Sequence[Result],
    refresh: bool,
    rests: Resting,
) -> list[Result]:
    """Ask for the sessions that neither the lake nor a recovered answer settles and that do not rest."""
    settled: Mapping[str, Collection[date]] = {}
    if not refresh:
        # The sessions between the wanted ones as well: a request may reach over those that are stored.
        span = archive.calendar.sessions(min(sessions), max(sessions))
        wanted_bars = archive.lake.wanted(EQUITY_BARS, bar_size, list(underlyings), span)
        tell_refused_bars(archive, report, wanted_bars.filter(pc.is_in(wanted_bars["session"], pa.array(sessions, pa.date32()))))
        known = settled_bars(archive, EQUITY_BARS, bar_size, wanted_bars, recovered, _rows(archive, recovered))
        settled = {symbol: known[symbol, 0] | rests.underlyings.get((symbol, bar_size), frozenset()) for symbol in underlyings}
    stored = archive.view(EQUITY_BARS).stored_sessions(underlyings, where=f"bar_size = '{bar_size}'")
    wanted = {symbol: (instrument, sessions) for symbol, instrument in underlyings.items()}
    # A request does not reach back over what rests: the session that cannot be answered would take the others with it.
    rested = {symbol for symbol, size in rests.underlyings if size == bar_size}
    last = {symbol: stored[symbol][-1] if symbol in stored and symbol not in rested else None for symbol in underlyings}
    return ask(plan_equity_bars(wanted, settled, last, bar_size, archive.now, archive.calendar))


def _restated(
    archive: Archive, ask: Ask, underlyings: Mapping[str, Instrument], bar_size: str, results: Sequence[Result], report: CollectionReport
) -> list[Result]:
    """Ask anew for the stored history of every symbol whose stored bars came back changed by one ratio."""
    new = _rows(archive, results)
    if not new.num_rows:
        return []
    view = archive.view(EQUITY_BARS)
    where = f"bar_size = '{bar_size}'"
    symbols = new["symbol"].unique().to_pylist()
    stored = view.table(sessions=new["session"].unique().to_pylist(), symbols=symbols, where=where)
    again = []
    for change in restated(new, stored):
        instrument = underlyings.get(change.symbol)
        if change.bar_size != bar_size or instrument is None:
            continue
        history = view.stored_sessions([change.symbol], where=where)[change.symbol]
        reached = min(r.request.first_session for r in results if isinstance(r.request, BarsRequest) and r.request.symbol == change.symbol)
        if not change.uniform or reached <= history[0]:
            report.notes.append(f"{change.symbol} {bar_size}: {change.bars} stored bar(s) were corrected by the broker.")
            continue
        report.notes.append(f"{change.symbol} {bar_size}: prices were restated by {change.ratio:.6g} (a split?); the stored history is read anew.")
        again += plan_redownload(instrument, bar_size, history[0], archive.calendar.last_closed(archive.now), archive.now, archive.calendar)
    return ask(again)


def _rows(archive: Archive, results: Sequence[Result]) -> pa.Table:
    settings = archive.settings
    return bar_rows(results, EQUITY_BARS, archive.calendar, stock_volume_unit=settings.stock_volume_unit)
