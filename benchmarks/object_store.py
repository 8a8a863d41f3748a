"""Benchmark of a lake in an object store against one in a folder: warm queries, and an upsert of 500 rows.

Both sides are measured in one run and in turns; the fastest of several counts. The store is SeaweedFS on this machine,
so a request costs its work and no way through a network. Run: `python -m benchmarks.object_store` (needs the packages
of the tests).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.lake import bars
from trading_assets.folders import LakeLocation, set_lake_location
from trading_assets.repositories import EquityBarRepository, ParquetStore, query
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.sessions import calendar
from trading_assets_tests.object_store.server import environment, seaweedfs

ROUNDS = 15
"""Each side of a comparison is measured so many times, in turns; the fastest counts."""

TARGET = 2.0
"""How many times as long as in a folder it may take."""

QUERIES = {
    "one symbol, one year": "select * from equity_bars where symbol = 'S0250' and session >= '2025-01-01'",
    "last close of all symbols": "select symbol, arg_max(close, session) from equity_bars group by symbol",
    "rows by year": "select year(session), count(*) from equity_bars group by 1",
}


def main() -> None:
    """Print a line a comparison."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--symbols", type=int, default=500)
    arguments.add_argument("--years", type=int, default=5)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as work, tempfile.TemporaryDirectory() as disk, seaweedfs(Path(disk)) as server:
        os.environ.update(environment(server))
        folders = {"folder": Path(work) / "folder", "object store": Path(work) / "copies"}
        set_lake_location(folders["object store"], LakeLocation("s3://lake/benchmark", 2**34))
        symbols = [f"S{number:04d}" for number in range(given.symbols)]
        sessions = calendar().sessions(date(2026 - given.years, 1, 1), date(2025, 12, 31))
        for folder in folders.values():
            ParquetStore(folder).upsert(EQUITY_BARS, bars(symbols, sessions))
        size = sum(file.stat().st_size for file in folders["folder"].rglob("*.parquet"))
        print(
            f"{len(symbols) * len(sessions):,} rows in {given.years} files, {size / 2**20:.0f} MiB; ms, folder | store"
        )
        for name, sql in QUERIES.items():
            compare(name, {place: partial(query, folder, sql) for place, folder in folders.items()})
        repositories = {place: EquityBarRepository(data_dir=folder) for place, folder in folders.items()}
        reads = {place: partial(each.load_symbol_data, "S0250") for place, each in repositories.items()}
        compare("load_symbol_data", reads)
        versions = {place: iter(range(2, 1000)) for place in folders}
        for name, chosen in (("upsert, 500 rows of one session", sessions[-1:]), ("upsert, 500 new rows", None)):
            writes = {
                place: partial(write, ParquetStore(folder), symbols[:500], chosen, versions[place])
                for place, folder in folders.items()
            }
            compare(name, writes)


def write(store: ParquetStore, symbols: list[str], sessions: list[date] | None, numbers: object) -> None:
    """Write rows that are restated each time (`sessions`), or of a session that has none yet."""
    number = next(numbers)  # type: ignore[call-overload]
    chosen = sessions or [calendar().sessions(date(2026, 1, 1), date(2026, 12, 31))[number % 200]]
    rows = bars(symbols, chosen, number)
    later = pc.add(rows["collected_at"], pa.scalar(timedelta(seconds=number)))
    place = rows.schema.get_field_index("collected_at")
    store.upsert(EQUITY_BARS, rows.set_column(place, EQUITY_BARS.schema.field("collected_at"), later))


def compare(name: str, sides: dict[str, Callable[[], object]]) -> None:
    """Measure the sides in turns and print the fastest of each, and how they compare."""
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS):
        for side, action in sides.items():
            begun = time.perf_counter()
            action()
            best[side] = min(best[side], time.perf_counter() - begun)
    folder, store = best.values()
    verdict = "" if store <= TARGET * folder else f"  (over {TARGET:g})"
    print(f"{name:34} {folder * 1000:8.1f} | {store * 1000:8.1f}   {store / folder:5.2f} x{verdict}")


if __name__ == "__main__":
    main()
