"""Benchmark of what schedules and sensors evaluate: 500 symbols with five years of coverage, every decision timed.

The demand is 2 s for each evaluation; the ratio of the slowest to it is printed, above 1 is well. Run: `python -m
benchmarks.sensors`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.automation.missed_runs import missed_schedules
from trading_assets.monitoring import agenda
from trading_assets.monitoring.gaps import find_gaps
from trading_assets.monitoring.watch import current_issues
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.conditions import count_conditions
from trading_assets.repositories.schemas import (
    CONTRACTS,
    COVERAGE,
    EQUITY_BARS,
    INSTANT,
    OPTION_BARS,
    OPTION_CHAINS,
    Dataset,
)
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.repositories.frames import bar, chain_row, contract_row, covered, option_bar, table

DEMANDED_SECONDS = 2.0
NOW = datetime(2024, 12, 31, 22, 45, tzinfo=UTC)
CONTRACTS_SELECTED = 40
"""Contracts selected of a symbol with options: the default selection has as many in one expiry."""
LISTED = 200
"""Contracts listed of a symbol in one session."""
DAYS_TO_EXPIRY = timedelta(days=45)
"""From the last session to the expiry of what is listed in it."""
CHAIN_SESSIONS = 64
"""Sessions with every listed contract; the older ones have a few, enough for what sensors ask of them."""
EQUITY_HOLE, OPTION_HOLE = 7, 11
"""Every so many symbols, one lacks bars."""


def _values(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments of `Settings`, whose `data_dir` is an alias."""
    return given


def repeated(dataset: Dataset, row: dict[str, Any], length: int, columns: dict[str, Any]) -> pa.Table:
    """`length` times the same row, some columns replaced."""
    one = table(dataset, [row])
    arrays = []
    for column in dataset.schema:
        given = columns.get(column.name)
        if given is None:
            given = pa.repeat(one[column.name][0], length)
        arrays.append(given.cast(column.type) if isinstance(given, pa.Array) else pa.array(given, column.type))
    return pa.table(arrays, schema=dataset.schema)


def grid(symbols: Sequence[str], sessions: Sequence[date]) -> tuple[pa.Array, pa.Array]:
    """Symbol and session of every pair."""
    names = pa.array(symbols).take(pa.array(np.repeat(np.arange(len(symbols)), len(sessions))))
    return names, pa.array(list(sessions), pa.date32()).take(pa.array(np.tile(np.arange(len(sessions)), len(symbols))))


def build(settings: Settings, symbols: Sequence[str], sessions: Sequence[date], optioned: int) -> int:
    """Fill the lake; the number of coverage rows."""
    store = ParquetStore(settings.data_dir)
    days = calendar()
    names, dates = grid(symbols, sessions)
    length = len(names)
    opens = pa.array([days.opens_at(session) for session in sessions], INSTANT)
    starts = opens.take(pa.array(np.tile(np.arange(len(sessions)), len(symbols))))
    keys = pa.array(np.repeat(np.arange(1, len(symbols) + 1), len(sessions)))
    missing = np.zeros((len(symbols), len(sessions)), bool)
    missing[::EQUITY_HOLE, -9:-5] = True
    has = pa.array(~missing.ravel())
    store.upsert(
        EQUITY_BARS,
        repeated(
            EQUITY_BARS, bar(sessions[0]), length, {"symbol": names, "session": dates, "start": starts, "con_id": keys}
        ).filter(has),
    )
    store.upsert(
        CONTRACTS,
        repeated(CONTRACTS, contract_row(sessions[0]), length, {"symbol": names, "session": dates, "con_id": keys}),
    )
    rows = 0
    for dataset, size in (("contracts", ""), ("option_chains", ""), ("equity_bars", "1 day")):
        covering = repeated(
            COVERAGE, covered(sessions[0], dataset=dataset, bar_size=size), length, {"symbol": names, "session": dates}
        )
        rows += store.upsert(COVERAGE, covering.filter(has) if size else covering).rows
    return rows + build_options(store, symbols, sessions, optioned)


def build_options(store: ParquetStore, symbols: Sequence[str], sessions: Sequence[date], optioned: int) -> int:
    """Chains of all symbols; option bars and their coverage, with holes, of the first `optioned`."""
    rows = 0
    quoted = pa.scalar(NOW - timedelta(hours=3), INSTANT)
    for begin in range(0, len(sessions), CHAIN_SESSIONS):
        part = sessions[begin : begin + CHAIN_SESSIONS]
        listed = LISTED if part[-1] == sessions[-1] else 4
        names, dates = grid(symbols, part)
        contract = np.tile(np.arange(listed), len(names))
        symbol_of = np.repeat(np.repeat(np.arange(len(symbols)), len(part)), listed)
        con_ids = symbol_of * 1_000_000 + begin * 1000 + contract + 1
        expiry = part[-1] + DAYS_TO_EXPIRY
        columns = {
            "symbol": names.take(pa.array(np.repeat(np.arange(len(names)), listed))),
            "session": dates.take(pa.array(np.repeat(np.arange(len(names)), listed))),
            "con_id": con_ids,
            "selected": contract < CONTRACTS_SELECTED,
            "strike": (contract + 50).astype(float),
            "last_trade": np.repeat(f"{expiry:%Y%m%d}", len(contract)),
            "local_symbol": pc.cast(pa.array(con_ids), pa.string()),
            "quoted_at": pa.repeat(quoted, len(contract)),
        }
        store.upsert(OPTION_CHAINS, repeated(OPTION_CHAINS, chain_row(part[0], expiry=expiry), len(contract), columns))
    begin = (len(sessions) - 1) // CHAIN_SESSIONS * CHAIN_SESSIONS
    part = sessions[begin:]
    names, dates = grid(symbols[:optioned], part)
    times = np.repeat(np.arange(len(names)), CONTRACTS_SELECTED)
    contract = np.tile(np.arange(CONTRACTS_SELECTED), len(names))
    symbol_of = np.repeat(np.repeat(np.arange(optioned), len(part)), CONTRACTS_SELECTED)
    con_ids = symbol_of * 1_000_000 + begin * 1000 + contract + 1
    opens = pa.array([calendar().opens_at(session) for session in part], INSTANT)
    position = np.tile(np.repeat(np.arange(len(part)), CONTRACTS_SELECTED), optioned)
    common = {
        "symbol": names.take(pa.array(times)),
        "session": dates.take(pa.array(times)),
        "con_id": pa.array(con_ids),
    }
    keep = pa.array(~((symbol_of % OPTION_HOLE == 0) & (position == len(part) - 3)))
    size = "8 hours"
    store.upsert(
        OPTION_BARS,
        repeated(
            OPTION_BARS,
            option_bar(part[0]) | {"bar_size": size},
            len(con_ids),
            {**common, "start": opens.take(pa.array(position))},
        ).filter(keep),
    )
    covering = repeated(COVERAGE, covered(part[0], dataset="option_bars", bar_size=size), len(con_ids), common).filter(
        keep
    )
    rows += store.upsert(COVERAGE, covering).rows
    return rows


def best(action: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of several runs."""
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=500)
    parser.add_argument("--sessions", type=int, default=1260)
    parser.add_argument(
        "--optioned", type=int, default=400, help="Symbols with option bars; the others lack all of them."
    )
    arguments = parser.parse_args()
    days = calendar()
    sessions = days.sessions(date(2010, 1, 1), NOW.date())[-arguments.sessions :]
    symbols = [f"S{number:03d}" for number in range(arguments.symbols)]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(**_values({"data_dir": Path(folder), "now": NOW}))
        Universe(settings.state_url).add(symbols)
        rows = build(settings, symbols, sessions, arguments.optioned)
        found = find_gaps(settings)
        sys.stdout.write(
            f"{len(symbols)} symbols, {len(sessions)} sessions, {rows:,} coverage rows, {len(found)} gaps\n"
        )
        eve = days.opens_at(days.current(NOW + DAYS_TO_EXPIRY))
        before_close = days.closes_at(sessions[-1]) - timedelta(minutes=settings.last_chance_lead_minutes)
        timed: dict[str, Callable[[], object]] = {
            "schedule daily_snapshot": lambda: agenda.daily_snapshot(settings, NOW),
            "schedule daily_bars": lambda: agenda.daily_bars(settings, NOW),
            "schedule last_chance": lambda: agenda.last_chance(settings, before_close),
            "sensor stale_chains": lambda: agenda.stale_chains(settings, NOW),
            "sensor gaps": lambda: agenda.gaps(settings, NOW),
            "sensor new_symbols": lambda: agenda.new_symbols(settings, NOW),
            "sensor alerts: issues": lambda: current_issues(
                settings, now=NOW, schedules=missed_schedules(settings, NOW)
            ),
            "the same, every contract expiring": lambda: current_issues(
                settings, now=eve, schedules=missed_schedules(settings, eve)
            ),
        }
        slowest = 0.0
        for name, action in timed.items():
            seconds = best(action)
            slowest = max(slowest, seconds)
            sys.stdout.write(f"{name:<34} {seconds:6.3f} s\n")
        sys.stdout.write(
            f"{'slowest':<34} {slowest:6.3f} s, {DEMANDED_SECONDS / slowest:.1f} times as fast as the"
            f" {DEMANDED_SECONDS:g} s demanded\n"
        )
        month = days.previous(sessions[-1], 30)
        seconds = best(lambda: count_conditions(settings.data_dir, days, NOW, symbols, first=month))
        sys.stdout.write(f"{'count_conditions, 30 sessions':<34} {seconds:6.3f} s\n")


if __name__ == "__main__":
    main()
