"""Collecting `equity_bars`: missing sessions only, restated histories anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.broker.requests import BarsRequest
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.backoff import NO_BACKOFF, Backoff, backoff_of
from trading_assets.collecting.decode import bar_coverage, bar_rows
from trading_assets.collecting.decode.arrow_tables import last_of_key
from trading_assets.collecting.decode.coverage_rows import whole_sessions
from trading_assets.collecting.identity import hold_back
from trading_assets.collecting.recover import recover
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.collecting.steps.basis import Restated, beside_a_jump, left_over, read_again, without
from trading_assets.collecting.steps.common import (
    SendRequests,
    known_underlyings,
    missing_prerequisite,
    outcomes_of,
    report_open_sessions,
    report_refused_bars,
    retries_for,
    settled_bars,
    within_allowance,
)
from trading_assets.collecting.steps.unknown_symbols import without_bars
from trading_assets.collecting.steps.whole_answers import with_earlier_sessions
from trading_assets.collecting.units import hold_units, without_stored
from trading_assets.instrument import Instrument
from trading_assets.planning.bars import plan_equity_bars
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
    respect_backoff: bool = False,
    run_id: str = "",
) -> Collected:
    """Bars of `sessions` (those closed by now) for every symbol that has a contract; one request a symbol and missing
    span.

    First the answers that an interrupted run left in the journal are written. A request reaches back over some stored
    sessions where that costs nothing; when their prices come back restated (a split), the whole stored history of all
    bar sizes is asked for once more (`steps.basis`). `max_requests` bounds what is asked for missing sessions, in the
    order of the plan; with `respect_backoff` what failed lately is left out. Raises `BrokerError` when the broker
    cannot be reached.
    """
    planned_at, now = archive.journal.now(), archive.now
    symbols = [entry.symbol for entry in entries]
    report = CollectionReport(EQUITY_BARS.name, archive.calendar.current(now), sessions=list(sessions), symbols=symbols)
    symbols = hold_back(archive, symbols, report)
    underlyings = known_underlyings(archive, contracts, symbols)
    for symbol in sorted(set(symbols) - set(underlyings)):
        report.violation(symbol, missing_prerequisite(CONTRACTS.name, symbol))
    unknown, as_refused = without_bars(archive, [] if refresh else list(underlyings), bar_sizes, sessions)
    for symbol, sentence in unknown.items():
        report.violation(symbol, sentence)
    underlyings = {symbol: underlying for symbol, underlying in underlyings.items() if symbol not in unknown}
    report_open_sessions(archive, report, sessions)
    ask: SendRequests = partial(archive.ask, report=report, planned_at=planned_at, run_id=run_id)
    decode = partial(_decoded, archive, ask, report, underlyings)
    recover(archive, EQUITY_BARS, report, lambda answers: decode(_whole(archive, sessions, answers)))
    bounded = within_allowance(ask, report, max_requests)
    backoff = backoff_of(archive.settings, symbols) if respect_backoff else NO_BACKOFF

    results: list[Result] = []
    for bar_size in bar_sizes:
        results += _missing(archive, bounded, report, underlyings, sessions, bar_size, refresh, backoff)
    results += bounded(left_over(archive, underlyings, backoff, results))
    report.fail(results, harmless=frozenset({OutcomeKind.EMPTY}), delayed=archive.settings.delayed)
    collected = decode(results)
    report.saved = max(0, len(underlyings) * len(bar_sizes) - report.planned - report.deferred)
    return replace(collected, coverage=pa.concat_tables([collected.coverage, as_refused]))


def _whole(archive: Archive, sessions: Collection[date], answers: Sequence[Result]) -> list[Result]:
    """The answers without windows of `1 secs` bars of one of `sessions` whose other windows are lacking: they are asked
    for together, and the journal answers those it knows, so that the session becomes whole and no window is asked for
    twice."""
    bars = [(answer, answer.request) for answer in answers if isinstance(answer.request, BarsRequest)]
    whole = whole_sessions(answers, archive.calendar)
    return [
        a for a, r in bars if not r.is_window or r.session not in sessions or (r.instrument.con_id, r.session) in whole
    ]


def _missing(
    archive: Archive,
    ask: SendRequests,
    report: CollectionReport,
    underlyings: Mapping[str, Instrument],
    sessions: Sequence[date],
    bar_size: str,
    refresh: bool,
    backoff: Backoff,
) -> list[Result]:
    """Request the sessions that the lake does not settle and that are not in backoff."""
    settled: Mapping[str, Collection[date]] = {}
    if not refresh:
        # The sessions between the wanted ones as well: a request may reach over those that are stored.
        span = archive.calendar.sessions(min(sessions), max(sessions))
        wanted_bars = archive.lake.wanted(EQUITY_BARS, bar_size, list(underlyings), span)
        report_refused_bars(
            archive, report, wanted_bars.filter(pc.is_in(wanted_bars["session"], pa.array(sessions, pa.date32())))
        )
        known = settled_bars(archive, EQUITY_BARS, bar_size, wanted_bars)
        settled = {
            symbol: known[symbol, 0] | backoff.underlyings.get((symbol, bar_size), frozenset())
            for symbol in underlyings
        }
    stored = archive.view(EQUITY_BARS).stored_sessions(underlyings, where=f"bar_size = '{bar_size}'")
    again = read_again(archive, stored, bar_size)
    wanted = {symbol: (instrument, sessions) for symbol, instrument in underlyings.items()}
    # A request does not reach back over a session in backoff: one that cannot be answered would take the others with
    # it.
    held = {symbol for symbol, size in backoff.underlyings if size == bar_size}
    last = {symbol: stored[symbol][-1] if symbol in stored and symbol not in held else None for symbol in underlyings}
    return ask(plan_equity_bars(wanted, settled, last, bar_size, archive.now, archive.calendar, again=again))


def _decoded(
    archive: Archive,
    ask: SendRequests,
    report: CollectionReport,
    underlyings: Mapping[str, Instrument],
    results: Sequence[Result],
) -> Collected:
    """The rows and coverage of results, with the stored history of every symbol whose stored bars were restated
    requested again, of all its bar sizes.

    It is asked for before the changed bars are written: killed in between, the next run finds the same difference
    between them and the lake. Restated bars of a symbol that is not among `underlyings` are left in the journal for a
    run that may ask for its history.
    """
    results = hold_units(archive, EQUITY_BARS, report, results)
    if beside := ask(beside_a_jump(archive, underlyings, _rows(archive, results))):
        results = hold_units(archive, EQUITY_BARS, report, [*results, *beside])
    asked = _rows(archive, results)
    found = Restated(archive, report, _rows(archive, with_earlier_sessions(archive, results)), asked)
    others = found.symbols - underlyings.keys()
    results = [result for result in results if result.request.symbol not in others]
    history = ask(found.requests(underlyings, results))
    report.fail(history, harmless=frozenset({OutcomeKind.EMPTY}), delayed=archive.settings.delayed)
    if history:
        results = hold_units(archive, EQUITY_BARS, report, [*results, *history])
    table = last_of_key(pa.concat_tables([found.corrected, _rows(archive, results)]), EQUITY_BARS.key)
    coverage = bar_coverage(
        results, table, archive.calendar, retries=retries_for(archive, EQUITY_BARS, outcomes_of(results))
    )
    reopened = found.left_behind(underlyings, coverage, table)
    coverage = without_stored(coverage, results)
    report.add_rows(table)
    return Collected(
        EQUITY_BARS,
        table,
        without(coverage, reopened),
        [result.request_id for result in results],
        report,
        archive.now,
        reopened,
    )


def _rows(archive: Archive, results: Sequence[Result]) -> pa.Table:
    return bar_rows(results, EQUITY_BARS, archive.calendar, stock_volume_unit=archive.settings.stock_volume_unit)
