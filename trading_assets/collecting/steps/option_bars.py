"""Collecting `option_bars`: the selected contracts' missing sessions, expiring contracts first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.backoff import NO_BACKOFF, Backoff, backoff_of
from trading_assets.collecting.decode import (
    AGGREGATED_BAR_SIZE,
    aggregate_sessions,
    bar_coverage,
    bar_rows,
    lost_coverage,
)
from trading_assets.collecting.identity import hold_back
from trading_assets.collecting.recover import recover
from trading_assets.collecting.report import Collected, CollectionReport, Problem, ProblemKind
from trading_assets.collecting.steps.common import (
    SendRequests,
    held_sentence,
    known_underlyings,
    missing_prerequisite,
    outcomes_of,
    report_open_sessions,
    report_refused_bars,
    report_without_options,
    retries_for,
    settled_bars,
    within_allowance,
    without_options,
    without_selection,
)
from trading_assets.collecting.units import hold_units, without_stored
from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.planning.bars import LostOption, WantedOption, plan_option_bars
from trading_assets.planning.instruments import option_instruments
from trading_assets.repositories.catalog import query
from trading_assets.repositories.option_chains import choose_snapshot
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Condition
from trading_assets.repositories.views import DatasetView
from trading_assets.universe import UniverseEntry
from trading_assets.validation import blocked


def collect_option_bars(
    archive: Archive,
    entries: Sequence[UniverseEntry],
    sessions: Sequence[date],
    *,
    contracts: DatasetView,
    chains: DatasetView,
    bar_sizes: Sequence[str],
    con_ids: Sequence[int] | None = None,
    refresh: bool = False,
    max_requests: int | None = None,
    respect_backoff: bool = False,
    run_id: str = "",
) -> Collected:
    """Bars of `sessions` (those closed by now) for the contracts selected in the snapshot that answers for each
    session; with `con_ids` for these contracts of the symbols, selected or not.

    A symbol without contract, chain or equity bars, or with one that violates a rule that blocks, costs no request and
    is reported. `8 hours` bars are also aggregated into `1 day` bars by session. Contracts that expired before they
    were collected are recorded as lost. `max_requests` bounds what is asked, in the order of the plan; with
    `respect_backoff` what failed lately is left out. Raises `BrokerError` when the broker cannot be reached.
    """
    planned_at, now = archive.journal.now(), archive.now
    symbols = [entry.symbol for entry in entries]
    report = CollectionReport(OPTION_BARS.name, archive.calendar.current(now), sessions=list(sessions), symbols=symbols)
    symbols = hold_back(archive, symbols, report)
    ready = _ready(archive, symbols, sessions, contracts, chains, report, _which(con_ids))
    report_open_sessions(archive, report, sessions)
    ask: SendRequests = partial(archive.ask, report=report, planned_at=planned_at, run_id=run_id)
    bounded = within_allowance(ask, report, max_requests)
    recover(archive, OPTION_BARS, report, partial(_decoded, archive, report))
    backoff = backoff_of(archive.settings, symbols) if respect_backoff else NO_BACKOFF

    report.snapshots_used = _snapshots_used(chains, ready, sessions) if con_ids is None else {}
    results: list[Result] = []
    lost = [COVERAGE.schema.empty_table()]
    for bar_size in bar_sizes:
        rows = archive.lake.wanted(OPTION_BARS, bar_size, ready, sessions, con_ids)
        wanted = wanted_options(chains, rows, _which(con_ids))
        if not refresh:
            report_refused_bars(archive, report, rows)
        settled = {} if refresh else _settled(archive, rows, bar_size, backoff)
        plan = plan_option_bars(wanted, settled, now, archive.calendar, bar_size)
        report.saved += max(0, len(wanted) - len(plan.requests) - len(plan.lost))
        lost.append(lost_coverage(plan.lost, bar_size, now))
        _report_lost(report, plan.lost)
        results += bounded(plan.requests)
    report.fail(results, harmless=frozenset({OutcomeKind.EMPTY, OutcomeKind.EXPIRED}), delayed=archive.settings.delayed)
    collected = _decoded(archive, report, results)
    daily = collected.table.filter(pc.equal(collected.table["bar_size"], AGGREGATED_BAR_SIZE))
    again = aggregate_sessions(_not_aggregated(archive, ready, sessions, daily), archive.calendar)
    report.add_rows(again)
    table, coverage = pa.concat_tables([collected.table, again]), pa.concat_tables([collected.coverage, *lost])
    return replace(collected, table=table, coverage=coverage)


def _decoded(archive: Archive, report: CollectionReport, results: Sequence[Result]) -> Collected:
    """The rows and coverage of results; bars of `OPTION_BAR_SIZE` also as sums by session."""
    results = hold_units(archive, OPTION_BARS, report, results)
    finer = bar_rows(results, OPTION_BARS, archive.calendar)
    coverage = bar_coverage(
        results, finer, archive.calendar, retries=retries_for(archive, OPTION_BARS, outcomes_of(results))
    )
    coverage = without_stored(coverage, results)
    whole = _whole_sessions(finer.filter(pc.equal(finer["bar_size"], OPTION_BAR_SIZE)), coverage)
    table = pa.concat_tables([finer, aggregate_sessions(whole, archive.calendar)])
    report.add_rows(table)
    return Collected(OPTION_BARS, table, coverage, [result.request_id for result in results], report, archive.now)


def _whole_sessions(bars: pa.Table, coverage: pa.Table) -> pa.Table:
    """The bars without those of sessions of which a part is in quarantine: the sum of a part is no session."""
    partial = coverage.filter(
        pc.and_(
            pc.equal(coverage["condition"], str(Condition.PARTIAL)), pc.equal(coverage["bar_size"], OPTION_BAR_SIZE)
        )
    )
    if not partial.num_rows:
        return bars
    return (
        bars.join(partial.select(["con_id", "session"]), ["con_id", "session"], join_type="left anti")
        .select(bars.column_names)
        .cast(bars.schema)
    )


def _not_aggregated(archive: Archive, symbols: Sequence[str], sessions: Sequence[date], but: pa.Table) -> pa.Table:
    """Stored bars of `OPTION_BAR_SIZE` whose `1 day` bar is gone from the lake (a lost file): it is made again without
    a request.

    Those that `but` brings anew are left out, and so are sessions that are not whole.
    """
    # Nearly always there are none: a look at the stored bars alone, whose answer is remembered, says so.
    without = f"""bar_size = '{OPTION_BAR_SIZE}' and session between '{min(sessions)}' and '{max(sessions)}'
                  and (con_id, session) not in (
                      select (con_id, session) from option_bars where bar_size = '{AGGREGATED_BAR_SIZE}')"""
    if not archive.view(OPTION_BARS).table(symbols=symbols, columns=("con_id",), where=without).num_rows:
        return OPTION_BARS.schema.empty_table()
    sql = f"""select {", ".join(f'"{name}"' for name in OPTION_BARS.schema.names)}
              from (from option_bars where bar_size = $size and symbol in (select unnest($symbols::varchar[]))
                    and session between $first and $last)
              anti join (select con_id, session from option_bars
                         where bar_size = '{AGGREGATED_BAR_SIZE}') using (con_id, session)
              anti join (select con_id, session from coverage
                         where dataset = $dataset and bar_size = $size
                           and condition = 'partial') using (con_id, session)
              anti join (select unnest($con_ids::bigint[]) as con_id,
                                unnest($sessions::date[]) as session) using (con_id, session)"""
    values = {
        "dataset": OPTION_BARS.name,
        "size": OPTION_BAR_SIZE,
        "symbols": list(symbols),
        "first": min(sessions),
        "last": max(sessions),
        "con_ids": but["con_id"].to_pylist(),
        "sessions": but["session"].to_pylist(),
    }
    return query(archive.settings.data_dir, sql, values).cast(OPTION_BARS.schema)


def _which(con_ids: Sequence[int] | None) -> str:
    """The rows of a chain whose contracts are wanted, as a condition in SQL."""
    return "selected" if con_ids is None else f"con_id in ({', '.join(str(int(con_id)) for con_id in con_ids)})"


def _ready(
    archive: Archive,
    symbols: Sequence[str],
    sessions: Sequence[date],
    contracts: DatasetView,
    chains: DatasetView,
    report: CollectionReport,
    which: str,
) -> list[str]:
    """The symbols whose prerequisites hold; the others are reported, those without options as no failure. `which` is
    true of the rows of chains whose contracts are wanted."""
    underlyings = known_underlyings(archive, contracts, symbols)
    listed = chains.stored_sessions(symbols, where=which)
    with_bars = archive.lake.with_equity_bars(symbols)
    optionless = without_options(archive, symbols) & set(underlyings) - set(listed)
    report_without_options(report, optionless)
    unselected = {
        s: reason for s, reason in without_selection(archive, symbols).items() if s in underlyings and s not in listed
    }
    report.notes += unselected.values()
    wrong = blocked(
        archive.settings,
        (CONTRACTS.name, OPTION_CHAINS.name, EQUITY_BARS.name),
        symbols,
        first=min(sessions),
        last=max(sessions),
    )
    ready = []
    for symbol in [symbol for symbol in symbols if symbol not in optionless and symbol not in unselected]:
        if symbol not in underlyings:
            report.violation(symbol, missing_prerequisite(CONTRACTS.name, symbol))
        elif symbol not in listed:
            sentence = (
                f"{symbol} has no selected option contracts in the lake, so nothing was requested for it. Materialize"
                f" option_chains for {symbol} first."
            )
            report.violation(symbol, sentence)
        elif symbol not in with_bars:
            held = held_sentence(archive, symbol)
            report.violation(symbol, held or missing_prerequisite(EQUITY_BARS.name, symbol))
        elif symbol in wrong:
            report.violation(symbol, wrong[symbol])
        else:
            ready.append(symbol)
    return ready


def wanted_options(chains: DatasetView, rows: pa.Table, which: str = "selected") -> list[WantedOption]:
    """The contracts of `rows` (see `Lake.wanted`) with their sessions; their terms are those of the newest chain in
    which `which` (a condition in SQL) is true of them."""
    sessions: dict[int, list[date]] = {}
    newest: dict[int, date] = {}
    for con_id, session, snapshot in zip(
        *(rows[name].to_pylist() for name in ("con_id", "session", "snapshot")), strict=True
    ):
        sessions.setdefault(con_id, []).append(session)
        newest[con_id] = max(snapshot, newest.get(con_id, snapshot))
    if not newest:
        return []
    symbols, snapshots = rows["symbol"].unique().to_pylist(), sorted(set(newest.values()))
    terms = chains.table(sessions=snapshots, symbols=symbols, columns=OPTION_CHAINS.schema.names, where=which)
    chosen = [
        newest.get(con_id) == session
        for con_id, session in zip(terms["con_id"].to_pylist(), terms["session"].to_pylist(), strict=True)
    ]
    terms = terms.filter(pa.array(chosen, pa.bool_()))
    found = zip(option_instruments(terms), terms["expiry"].to_pylist(), strict=True)
    options = {each.con_id: WantedOption(each, expiry, sorted(set(sessions[each.con_id]))) for each, expiry in found}
    return list(options.values())


def _snapshots_used(chains: DatasetView, symbols: Sequence[str], sessions: Sequence[date]) -> dict[str, str]:
    """The session of the snapshot that answers, by session, where it is another than the session's own."""
    used = {}
    for stored in chains.stored_sessions(symbols, where="selected").values():
        for session in sessions:
            found = choose_snapshot(stored, session)
            if found is not None and found != session:
                used[session.isoformat()] = found.isoformat()
    return used


def _settled(archive: Archive, wanted: pa.Table, bar_size: str, backoff: Backoff) -> Mapping[int, set[date]]:
    settled = {con_id: days for (_, con_id), days in settled_bars(archive, OPTION_BARS, bar_size, wanted).items()}
    for con_id, session in backoff.contracts if bar_size == OPTION_BAR_SIZE else ():
        settled.setdefault(con_id, set()).add(session)
    return settled


def _report_lost(report: CollectionReport, lost: Sequence[LostOption]) -> None:
    contracts = Counter(option.instrument.symbol for option in lost)
    sessions = Counter[str]()
    for option in lost:
        sessions[option.instrument.symbol] += len(option.sessions)
    for symbol, count in sorted(contracts.items()):
        sentence = (
            f"{count} contract(s) expired before {sessions[symbol]} session(s) of theirs were collected; "
            "the broker keeps no history of expired options."
        )
        report.problems.append(
            Problem(ProblemKind.LOST, symbol, f"{count} contracts", sentence, outcome=str(OutcomeKind.EXPIRED))
        )
