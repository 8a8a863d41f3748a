"""Benchmarks of the lake: writes against plain Arrow, queries against one hand-sorted file, a file a session and Delta
tables.

Both sides of every ratio are measured in the same run and in turns, best of several. Run: `python -m benchmarks.lake`.
The Delta tables need `deltalake`, which the platform does not: without it these lines are left out.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading_assets.repositories import CoverageRepository, EquityBarRepository, ParquetStore, connect, query
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, INSTANT, OPTION_BARS, OPTION_CHAINS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets_tests.repositories.frames import chain_row, table

COLLECTED = datetime(2024, 1, 2, tzinfo=UTC)

ROUNDS = 15
"""Each side of a comparison is measured so many times, in turns; the fastest counts."""

COLUMNS = "session, symbol, open, high, low, close, volume"


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
    return table(
        OPTION_CHAINS, [{**chain_row(session, con_id=n, strike=float(n)), **terms} for n in range(1, contracts + 1)]
    )


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


def fastest(sides: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of the fastest run of each side. They take turns of five runs, so that what else the machine does meets
    all of them."""
    seconds = dict.fromkeys(sides, float("inf"))
    for _ in range(ROUNDS // 5):
        for name, action in sides.items():
            seconds[name] = min(seconds[name], best(action, 5))
    return seconds


def report(name: str, ours: float, other: float, what: str) -> None:
    """One line: our time, the other side's, the ratio."""
    print(f"{name:<48} {ours * 1e3:9.1f} ms   {what:<34} {other * 1e3:9.1f} ms   ratio {ours / other:5.2f}")


def upserts(folder: Path, rows: int) -> None:
    """60,000 rows into a file of `rows`: inserted, changed, unchanged; against reading and writing the file with
    Arrow."""
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
    report(
        f"{label}: unchanged", best(lambda: store.upsert(EQUITY_BARS, restated), 3), arrow, "plain Arrow read and write"
    )


def writes(folder: Path, count: int) -> None:
    """The first write of ten years, and one more session of all symbols; against writing with Arrow, and reading and
    writing the year."""
    sessions = calendar().sessions(date(2010, 1, 1), date(2019, 12, 31))
    symbols = [f"S{i:03d}" for i in range(count)]
    everything = bars(symbols, sessions)
    lake, plain = folder / "lake", folder / "plain.parquet"

    def first_write() -> None:
        ParquetStore(lake).upsert(EQUITY_BARS, everything)

    def arrow_write() -> None:
        pq.write_table(everything, plain, compression="zstd", row_group_size=16_384)

    ours = other = float("inf")
    for _ in range(ROUNDS // 3):
        shutil.rmtree(lake, ignore_errors=True)
        ours, other = min(ours, once(first_write)), min(other, once(arrow_write))
    report(f"first write of {everything.num_rows:,} rows", ours, other, "plain Arrow write")

    shutil.rmtree(lake)
    year = sessions[-252:]
    ParquetStore(lake).upsert(EQUITY_BARS, bars(symbols, year[:-ROUNDS]))
    path = max(ParquetStore(lake).files(EQUITY_BARS))
    ours = other = float("inf")
    for session in year[-ROUNDS:]:
        fresh = bars(symbols, [session], request_id=2)
        ours = min(ours, once(partial(ParquetStore(lake).upsert, EQUITY_BARS, fresh)))
        other = min(
            other,
            once(lambda: pq.write_table(pq.ParquetFile(path).read(), plain, compression="zstd", row_group_size=16_384)),
        )
    report(f"upsert of one session of {count} symbols", ours, other, "reading and writing the year")


def queries(folder: Path, count: int) -> None:
    """One symbol over ten years, one session of all symbols: by SQL, by repository and from files and tables of
    others."""
    sessions = calendar().sessions(date(2010, 1, 1), date(2019, 12, 31))
    everything = bars([f"S{i:03d}" for i in range(count)], sessions)
    ParquetStore(folder).upsert(EQUITY_BARS, everything)
    pq.write_table(everything, folder / "sorted.parquet", compression="zstd", row_group_size=16_384)
    by_session = folder / "by_session"
    by_session.mkdir()
    ordered = everything.sort_by([("session", "ascending"), ("symbol", "ascending")])
    for i, session in enumerate(sessions):
        pq.write_table(ordered.slice(i * count, count), by_session / f"{session}.parquet", compression="zstd")
    lake, other, repository = connect(folder), duckdb.connect(), EquityBarRepository(data_dir=folder)
    loads = {
        "one symbol, 10 years": lambda: repository.load_symbol_data("S123"),
        "one session, all symbols": lambda: repository.load(None, "2015-06-09"),
    }
    deltas = delta_tables(folder, everything)
    for name, where in {
        "one symbol, 10 years": "symbol = 'S123'",
        "one session, all symbols": "session = DATE '2015-06-09'",
    }.items():
        sql = f"SELECT {COLUMNS} FROM {{}} WHERE {where}"
        found = fastest(
            {
                "lake": lambda sql=sql: lake.sql(sql.format("equity_bars")).to_arrow_table(),  # type: ignore[misc]
                "function query": lambda sql=sql: query(folder, sql.format("equity_bars")),  # type: ignore[misc]
                "one sorted file": lambda sql=sql: other.sql(
                    sql.format(f"'{folder / 'sorted.parquet'}'")
                ).to_arrow_table(),  # type: ignore[misc]
                "a file a session": lambda sql=sql: other.sql(sql.format(f"'{by_session}/*.parquet'")).to_arrow_table(),  # type: ignore[misc]
                **{table: partial(ask, sql) for table, ask in deltas.items()},
                "all columns": lambda w=where: lake.sql(f"SELECT * FROM equity_bars WHERE {w}").to_arrow_table(),  # type: ignore[misc]
                "repository": loads[name],
            }
        )
        for side in ("one sorted file", "a file a session", *deltas):
            report(f"SQL, {name}", found["lake"], found[side], side)
        report(f"function query, {name}", found["function query"], found["lake"], "SQL on a connection")
        report(f"repository, {name}", found["repository"], found["all columns"], "SQL of the same columns")
        report(f"repository, {name}", found["repository"], found["lake"], "SQL of seven columns")
    size = sum(path.stat().st_size for path in ParquetStore(folder).files(EQUITY_BARS))
    single = sum(path.stat().st_size for path in by_session.iterdir())
    sorted_file = (folder / "sorted.parquet").stat().st_size
    print(
        f"{'size':<48} {size / 1e6:9.1f} MB   {'a file a session':<34} {single / 1e6:9.1f} MB   ratio"
        f" {size / single:5.2f}"
    )
    print(
        f"{'size':<48} {size / 1e6:9.1f} MB   {'one sorted file':<34} {sorted_file / 1e6:9.1f} MB   ratio"
        f" {size / sorted_file:5.2f}"
    )


def delta_tables(folder: Path, rows: pa.Table) -> dict[str, Callable[[str], object]]:
    """Delta tables of the rows, as they come and partitioned by year, and how each is asked: by DuckDB and by Delta's
    own engine."""
    try:
        import deltalake
    except ImportError:
        print("deltalake is not installed: no comparison with Delta tables")
        return {}
    asks: dict[str, Callable[[str], object]] = {}
    of_year = rows.append_column("year", pc.year(rows["session"]))
    for name, stored_rows, partitions in (("Delta", rows, None), ("Delta by year", of_year, ["year"])):
        place = str(folder / name.replace(" ", "_"))
        deltalake.write_deltalake(place, stored_rows, partition_by=partitions)
        stored = deltalake.DeltaTable(place)
        by_duckdb = duckdb.connect()
        by_duckdb.register("stored", stored.to_pyarrow_dataset())
        by_datafusion = deltalake.QueryBuilder().register("stored", stored)
        asks[f"{name}, DuckDB"] = lambda sql, c=by_duckdb: c.sql(sql.format("stored")).to_arrow_table()  # type: ignore[misc]
        asks[f"{name}, DataFusion"] = lambda sql, q=by_datafusion: q.execute(sql.format("stored")).read_all()  # type: ignore[misc]
    return asks


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
            "writes": lambda p: writes(p, arguments.symbols),
            "queries": lambda p: queries(p, arguments.symbols),
            "coverage": coverage,
        }.items():
            (Path(folder) / name).mkdir()
            run(Path(folder) / name)


if __name__ == "__main__":
    main()
