"""Benchmark of lineage: every kind of question on five years of ten symbols, against the second that is demanded.

The lake, the journal and Dagster's record are made in bulk: each session has a run of the snapshots and one of the
bars, with the events that such runs leave, and each row names the request that brought it. The first call of each
question is measured, after the asset graph was loaded; the ratio of the second to the slowest is printed, above 1 is
well.

Run: `python -m benchmarks.lineage` (a few minutes; `--sessions 60` for a short look). `--postgresql URL` (extra
`postgres`) keeps Dagster's record on that server.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef

from benchmarks.lineage_archive import SYMBOLS, Archive, record_runs
from trading_assets.lineage import LineageQueryEngine, LineageTracker, LineageVisualizer
from trading_assets.resources.instance import dagster_instance
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

DEMANDED_SECONDS = 1.0
FIVE_YEARS = 1260
LAST = date(2025, 11, 24)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=FIVE_YEARS)
    parser.add_argument("--contracts", type=int, default=40, help="selected contracts of a symbol and session")
    parser.add_argument("--listed", type=int, default=200, help="listed contracts of a symbol and session")
    parser.add_argument("--postgresql", help="SQLAlchemy URL of an empty database for Dagster's record")
    chosen = parser.parse_args(arguments)
    days = calendar().sessions(LAST - timedelta(days=2 * chosen.sessions + 10), LAST)[-chosen.sessions :]
    folder = Path(tempfile.mkdtemp(prefix="lineage-"))
    try:
        began = time.monotonic()
        settings = Settings(**{"data_dir": folder / "lake", "now": datetime.fromisoformat(f"{LAST}T22:00:00+00:00")})
        archive = Archive(settings, days, chosen.contracts, chosen.listed)
        rows, requests = archive.fill()
        with instance_of(settings, folder, chosen.postgresql) as instance:
            events = record_runs(instance, archive)
            print(
                f"{len(days)} sessions, {len(SYMBOLS)} symbols: {rows:,} rows, {requests:,} requests, {events:,} events"
                f" of assets, made in {time.monotonic() - began:,.0f} s"
            )
            slowest = measure(settings, archive, instance if chosen.postgresql else None)
    finally:
        shutil.rmtree(folder)
    print(f"slowest {slowest:.3f} s, demanded {DEMANDED_SECONDS:.0f} s; ratio {DEMANDED_SECONDS / slowest:.2f}")
    return 0 if slowest <= DEMANDED_SECONDS else 1


@contextmanager
def instance_of(settings: Settings, folder: Path, url: str | None) -> Iterator[dg.DagsterInstance]:
    """The instance of the data folder, or one on a PostgreSQL server."""
    if url is None:
        with dagster_instance(settings) as instance:
            yield instance
        return
    home = folder / "home"
    home.mkdir()
    storage = {"postgres": {"postgres_url": url}}
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides={"storage": storage})) as instance:
        yield instance


def questions(engine: LineageQueryEngine, archive: Archive) -> dict[str, Callable[[], Any]]:
    """Each kind of question, about the middle of the five years."""
    day = archive.days[len(archive.days) // 2]
    symbol = SYMBOLS[len(SYMBOLS) // 2]
    contract = int(archive.con_ids(symbol, day)[0])
    visualizer = LineageVisualizer(engine.tracker)
    return {
        "a row": lambda: engine.rows("option_bars", symbol=symbol, session=day, contract=contract, bar_size="1 day"),
        "bars of a symbol and session": lambda: engine.rows("option_bars", symbol=symbol, session=day),
        "chain of a symbol and session": lambda: engine.rows("option_chains", symbol=symbol, session=day),
        "coverage of a symbol and session": lambda: engine.rows("coverage", symbol=symbol, session=day),
        "request for bars": lambda: engine.request(archive.ids(symbol, day).bars),
        "request for a quote": lambda: engine.request(archive.ids(symbol, day).quotes),
        "request for a listing": lambda: engine.request(archive.ids(symbol, day).listing),
        "request for contract details": lambda: engine.request(archive.ids(symbol, day).details),
        "request that nobody knows": lambda: engine.request(10**12),
        "run of the snapshots": lambda: engine.run(archive.run_ids[day][0]),
        "run of the bars": lambda: engine.run(archive.run_ids[day][1]),
        "partition of bars": lambda: engine.partition("option_bars", day),
        "partition of chains": lambda: engine.partition("option_chains", day),
        "upstream of a partition": lambda: engine.upstream("option_bars", day),
        "downstream of a chain": lambda: engine.downstream("option_chains", day),
        "downstream of contract details": lambda: engine.downstream("contracts", day),
        "partitions of a symbol": lambda: engine.downstream("contracts", symbol=symbol),
        "out of date": lambda: engine.out_of_date(),
        "sources: repository": lambda: engine.find_data_sources("repository"),
        "sources: broker": lambda: engine.find_data_sources("broker"),
        "sources: asset": lambda: engine.find_data_sources("asset"),
        "summary report": lambda: visualizer.generate_summary_report(),
        "graph": lambda: visualizer.mermaid(),
    }


def measure(settings: Settings, archive: Archive, instance: dg.DagsterInstance | None) -> float:
    """Print the seconds of each question; the most."""
    with LineageTracker(settings=settings, instance=instance) as tracker:
        tracker.graph.asset("contracts")
        engine, slowest = LineageQueryEngine(tracker), 0.0
        for name, ask in questions(engine, archive).items():
            began = time.perf_counter()
            found = ask()
            first = time.perf_counter() - began
            began = time.perf_counter()
            ask()
            again = time.perf_counter() - began
            size = f"{len(found):,}" if isinstance(found, list) else ""
            print(f"{name:<34} {first * 1000:7.0f} ms, again {again * 1000:7.0f} ms  {size}")
            slowest = max(slowest, first)
    return slowest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
