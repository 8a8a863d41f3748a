"""Benchmark of Dagster's history: what a year of daily operation of ten symbols leaves under `dagster/`.

Every session has its snapshot before the close and its bars after it, through the jobs that the sensors start, against
a simulated TWS; the quality check runs once a session, and hourly in the last days, since only its newest runs are
kept. Then the ticks that the retention settings leave are recorded. The ratio of the 150 MB demanded to what is used is
printed, above 1 is well.

Run: `python -m benchmarks.dagster_history` (about twenty minutes; `--sessions 20` for a short look).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dagster._core.scheduler.instigation import InstigatorType, TickData, TickStatus

from trading_assets.automation.history import KEPT_CHECKS, forget_old_checks
from trading_assets.jobs.runner import run_job
from trading_assets.monitoring.agenda import BARS, SNAPSHOTS, UPDATE_LOOKBACK_DAYS
from trading_assets.monitoring.hours import QUALITY_CHECK, SCHEDULES, SENSORS, bars_at, snapshot_at
from trading_assets.resources.instance import dagster_instance
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.universe import Universe

DEMANDED_MEGABYTES = 150.0
SYMBOLS = ["AAPL", "MSFT", "AMZN", "GOOG", "TSLA", "NVDA", "JPM", "XOM", "KO", "SPY"]
YEAR = 252
FIRST = datetime(2024, 1, 2, 21, 30, tzinfo=UTC)
KEPT_TICKS = {"schedule": 2 * 24, "sensor": 24 * (3 * 30 + 3 * 60 + 120)}
"""Skipped ticks that the retention settings keep: one schedule every hour; three sensors every two minutes, three every
minute and one twice a minute."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=YEAR)
    chosen = parser.parse_args(arguments)
    days = calendar().sessions(FIRST.date(), FIRST.date() + timedelta(days=2 * chosen.sessions + 10))[: chosen.sessions]
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        Simulator(GeneratedMarket(seed=42), now=FIRST, limits=False) as simulator,
    ):
        lake = Path(folder) / "lake"
        settings = settings_of(lake, simulator, FIRST)
        lake.mkdir()
        Universe(settings.state_url).add(SYMBOLS, now=FIRST)
        runs = sum(session_of(lake, simulator, day, last=day == days[-1]) for day in days)
        used = size(lake / "dagster")
        record_ticks(settings)
        year = size(lake / "dagster")
    print(f"{len(days)} sessions, {len(SYMBOLS)} symbols, {runs} runs in {time.monotonic() - began:,.0f} s")
    print(f"runs {used / 1e6:.1f} MB, ticks {(year - used) / 1e6:.1f} MB")
    print(
        f"under dagster/: {year / 1e6:.1f} MB, demanded of a year {DEMANDED_MEGABYTES:.0f} MB; ratio"
        f" {DEMANDED_MEGABYTES * 1e6 / year:.2f}"
    )
    return 0 if year <= DEMANDED_MEGABYTES * 1e6 else 1


def settings_of(lake: Path, simulator: Simulator, now: datetime) -> Settings:
    given: dict[str, Any] = {"data_dir": lake, "ib_port": simulator.port, "now": now, "enforce_pacing": False}
    return Settings(**given)


def session_of(lake: Path, simulator: Simulator, day: Any, *, last: bool) -> int:
    """The runs of one session; their number."""
    xnys, runs = calendar(), 0
    selection = {"option_chains": {"selection": {"max_days_to_expiry": 8, "strikes_around_spot": 2}}}
    for job, at, config in (
        ("snapshot", snapshot_at, {**{name: {} for name in SNAPSHOTS}, **selection}),
        ("backfill_bars", bars_at, {name: {"lookback_days": UPDATE_LOOKBACK_DAYS} for name in BARS}),
    ):
        now = at(settings_of(lake, simulator, FIRST), xnys, day)
        simulator.clock.set(now)
        report = run_job(settings_of(lake, simulator, now), job, [day], config)
        assert report.success, report.error
        runs += 1
    settings = settings_of(lake, simulator, now)
    for _ in range(KEPT_CHECKS + 1 if last else 1):
        assert run_job(settings, QUALITY_CHECK, [], {}).success
        runs += 1
    with dagster_instance(settings) as instance:
        while forget_old_checks(instance):
            pass
    return runs


def size(folder: Path) -> int:
    """Bytes of the files below a folder, as the disk holds them."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def record_ticks(settings: Settings) -> None:
    reason = "The bars of session 2024-12-31 are complete; the next come on Thursday 2025-01-02 at 16:20 New York."
    with dagster_instance(settings) as instance:
        for kind, names in (("schedule", SCHEDULES), ("sensor", SENSORS)):
            of_kind = InstigatorType.SCHEDULE if kind == "schedule" else InstigatorType.SENSOR
            for i in range(KEPT_TICKS[kind]):
                origin = f"{names[i % len(names)]:0>40}"
                tick = TickData(
                    origin,
                    names[i % len(names)],
                    of_kind,
                    TickStatus.SKIPPED,
                    float(i),
                    selector_id=origin,
                    skip_reason=reason,
                )
                instance.create_tick(tick)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
