"""Benchmark of validation: all rules of `equity_bars` over two million daily bars, against one full scan of the same
files.

Prints seconds, rows a second, and the ratio to a scan by DuckDB that reads every column; both in the same run, best of
three. Run: `python -m benchmarks.validation [--symbols 800] [--years 10]`.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from benchmarks.lake import bars, best
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets.validation import RuleResult, validate


def main() -> None:
    """Fill a lake, validate it, print the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=800)
    parser.add_argument("--years", type=int, default=10)
    given = parser.parse_args()
    sessions = calendar().sessions(date(2024 - given.years, 1, 2), date(2023, 12, 29))
    symbols = [f"S{number:04d}" for number in range(given.symbols)]
    with tempfile.TemporaryDirectory() as folder:
        ParquetStore(folder).upsert(EQUITY_BARS, bars(symbols, sessions))
        settings = Settings(data_dir=Path(folder), now=datetime(2023, 12, 29, 23, tzinfo=UTC))
        Universe(settings.state_url).add(symbols)
        results: tuple[RuleResult, ...] = ()

        def check() -> None:
            nonlocal results
            results = validate(settings, datasets=["equity_bars"]).results

        seconds = best(check, 3)
        scan = best(lambda: _scan(Path(folder)), 3)
    rows = len(symbols) * len(sessions)
    print(f"{rows:,} daily bars, {len(results)} rules: {seconds:.2f} s, {rows / seconds:,.0f} rows/s")
    print(f"one full scan {scan:.2f} s, ratio {seconds / scan:.1f}")
    for result in results:
        print(f"  {result.rule.name:28}{result.examined:>12,} examined{result.failed:>8,} failed")


def _scan(folder: Path) -> None:
    """Read every value of every column once."""
    with duckdb.connect() as connection:
        columns = ", ".join(f'max("{name}")' for name in EQUITY_BARS.schema.names)
        connection.execute(f"select {columns} from read_parquet('{folder}/equity_bars/*/*.parquet')").fetchall()


if __name__ == "__main__":
    main()
