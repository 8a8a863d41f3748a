"""Benchmarks of the lake: upserts against a plain Arrow read and write, queries against one hand-sorted file and a file a session.

Both sides of every ratio are measured in the same run, best of several. Run: `python -m benchmarks.lake`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading_assets.repositories import CoverageRepository, ParquetStore, connect
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, INSTANT, OPTION_BARS, OPTION_CHAINS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets_tests.repositories.frames import chain_row, table

COLLECTED = datetime(2024, 1, 2, tzinfo=UTC)


def bars(symbols: list[str], sessions: list[date], request_id: int = 1) -> pa.Table:
    """Daily bars of a random walk, sorted by symbol and start."""
    rng = np.random.default_rng(request_id)
    rows = len(symbols) * len(sessions)
    close = np.round(np.exp(rng.normal(4.5, 0.4, len(symbols)).repeat(len(sessions)) + rng.normal(0, 0.01, rows)), 2)
    columns = {
        "session": pa.array(sessions * len(symbols), pa.date32()),
        "symbol": pa.array(np.repeat(symbols, len(sessions))),
        "con_id": pa.array(np.repeat(np.arange(1, len(symbols) + 1), len(sessions))),
        "start": pa.array([calendar().opens_at(s) for s in sessions] * len(symbols), INSTANT),
        "bar_size": pa.array(np.repeat("1 day", rows)),
        "open": close - 0.1,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": rng.integers(1_000, 9_000_000, rows).astype(float),
        "wap": close,
        "bar_count": pa.array(rng.integers(1, 90_000, rows)),
        "collected_at": pa.array(np.repeat(np.datetime64(COLLECTED.replace(tzinfo=None), "us"), rows)).cast(INSTANT),
        "request_id": pa.array(np.repeat(request_id, rows)),
    }
    return pa.table(columns, schema=EQUITY_BARS.schema)


def conditions(contracts: int, sessions: list[date]) -> pa.Table:
    """Coverage of option contracts, all complete."""
    rows = contracts * len(sessions)
    words = {"dataset": "option_bars", "bar_size": "1 day", "symbol": "AAPL", "condition": "complete", "reason": ""}
    columns: dict[str, Any] = {name: pa.array(np.repeat(word, rows)) for name, word in words.items()}
    columns["con_id"] = pa.array(np.repeat(np.arange(1, contracts + 1), len(sessions)))
    columns["session"] = pa.array(sessions * contracts, pa.date32())
    columns["broker_code"], columns["retry_after"] = pa.nulls(rows, pa.int32()), pa.nulls(rows, INSTANT)
    columns["collected_at"] = pa.array([COLLECTED] * rows, INSTANT)
    columns["request_id"] = pa.array(np.ones(rows, dtype=np.int64))
    return pa.table({name: columns[name] for name in COVERAGE.schema.names}, schema=COVERAGE.schema)


def listed(contracts: int, session: date) -> pa.Table:
    """A chain snapshot with as many selected contracts that outlive the year."""
    terms = {"expiry": date(session.year + 1, 12, 16), "selected": True}
    return table(OPTION_CHAINS, [{**chain_row(session, con_id=n, strike=float(n)), **terms} for n in range(1, contracts + 1)])


def best(action: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of several runs."""
    fastest = float("inf")
    for _ in range(times):
        begin = time.perf_counter()
        action()
        fastest = min(fastest, time.perf_counter() - begin)
    return fastest


def once(action: Callable[[], object]) -> float:
    """Seconds of one run, for actions that change what they find."""
    return best(action, 1)


def report(name: str, ours: float, other: float, what: str) -> None:
    """One line: our time, the other side's, the ratio."""
    print(f"{name:<48} {ours * 1e3:9.1f} ms   {what:<34} {other * 1e3:9.1f} ms   ratio {ours / other:5.2f}")


def upserts(folder: Path, rows: int) -> None:
    """60,000 rows into a file of `rows`: inserted, changed, unchanged; against reading and writing the file with Arrow."""
    sessions = calendar().sessions(date(2015, 1, 1), date(2015, 12, 31))
    symbols = [f"S{i:05d}" for i in range(rows // len(sessions))]
    step = max(1, rows // 60_000)
    store = ParquetStore(folder)
    store.upsert(EQUITY_BARS, bars(symbols, sessions))
    (path,) = store.files(EQUITY_BARS)
    copy = folder / "copy.parquet"

    def plain() -> None:
        pq.write_table(pq.ParquetFile(path).read(), copy, compression="zstd", row_group_size=16_384)

    arrow = best(plain, 3)
    fresh = bars([f"{s}N" for s in symbols[::step]], sessions)
    label = f"upsert {fresh.num_rows:,} of {pq.ParquetFile(path).metadata.num_rows:,} rows"
    report(f"{label}: inserted", once(lambda: store.upsert(EQUITY_BARS, fresh)), arrow, "plain Arrow read and write")
    restated = bars(symbols[::step], sessions, request_id=2)
    report(f"{label}: changed", once(lambda: store.upsert(EQUITY_BARS, restated)), arrow, "plain Arrow read and write")
    report(f"{label}: unchanged", best(lambda: store.upsert(EQUITY_BARS, restated), 3), arrow, "plain Arrow read and write")


def queries(folder: Path, count: int) -> None:
    """One symbol over ten years, one session of all symbols; against one hand-sorted file and against a file a session."""
    sessions = calendar().sessions(date(2010, 1, 1), date(2019, 12, 31))
    everything = bars([f"S{i:03d}" for i in range(count)], sessions)
    ParquetStore(folder).upsert(EQUITY_BARS, everything)
    pq.write_table(everything, folder / "sorted.parquet", compression="zstd", row_group_size=16_384)
    by_session = folder / "by_session"
    by_session.mkdir()
    ordered = everything.sort_by([("session", "ascending"), ("symbol", "ascending")])
    for i, session in enumerate(sessions):
        pq.write_table(ordered.slice(i * count, count), by_session / f"{session}.parquet", compression="zstd")
    sources = {
        "lake": (connect(folder), "equity_bars"),
        "one sorted file": (duckdb.connect(), f"'{folder / 'sorted.parquet'}'"),
        "a file a session": (duckdb.connect(), f"'{by_session}/*.parquet'"),
    }
    columns = "session, symbol, open, high, low, close, volume"
    for name, where in {"one symbol, 10 years": "symbol = 'S123'", "one session, all symbols": "session = DATE '2015-06-09'"}.items():
        seconds = {
            side: best(lambda c=c, t=t, w=where: c.sql(f"SELECT {columns} FROM {t} WHERE {w}").to_arrow_table())  # type: ignore[misc]
            for side, (c, t) in sources.items()
        }
        for other in ("one sorted file", "a file a session"):
            report(f"query {name}", seconds["lake"], seconds[other], other)
    lake = sum(path.stat().st_size for path in ParquetStore(folder).files(EQUITY_BARS))
    single = sum(path.stat().st_size for path in by_session.iterdir())
    print(f"{'size':<48} {lake / 1e6:9.1f} MB   {'a file a session':<34} {single / 1e6:9.1f} MB   ratio {lake / single:5.2f}")


def coverage(folder: Path) -> None:
    """What needs no request, of 2,000 contracts in a year; against counting the same rows with Arrow."""
    sessions = calendar().sessions(date(2015, 1, 1), date(2015, 12, 31))
    repository = CoverageRepository(ParquetStore(folder))
    repository.record(conditions(2_000, sessions))

    store = ParquetStore(folder)
    store.upsert(OPTION_CHAINS, listed(2_000, sessions[0]))
    lake = Lake.of(Settings(data_dir=folder), COLLECTED)  # type: ignore[call-arg]

    (path,) = ParquetStore(folder).files(COVERAGE)
    plain = best(lambda: pc.count_distinct(pq.ParquetFile(path).read()["con_id"]))
    wanted = best(lambda: lake.wanted(OPTION_BARS, "1 day", ["AAPL"], sessions))
    report(f"what is missing of {2_000 * len(sessions):,} rows", wanted, plain, "plain Arrow read and count")


def main() -> None:
    """Run all benchmarks in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_200_000, help="rows of the file that upserts go into")
    parser.add_argument("--symbols", type=int, default=500, help="symbols of the ten years that are queried")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, run in {
            "upserts": lambda p: upserts(p, arguments.rows),
            "queries": lambda p: queries(p, arguments.symbols),
            "coverage": coverage,
        }.items():
            (Path(folder) / name).mkdir()
            run(Path(folder) / name)


if __name__ == "__main__":
    main()
