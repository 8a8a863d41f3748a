"""Bars for Lean: what its folder holds, found by Lean's own names, are the rows of the lake."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from trading_assets.repositories.export import export
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS
from trading_assets.sessions import NEW_YORK
from trading_assets_tests.lakes import PLAIN, copy_of
from trading_assets_tests.repositories.bars_to_export import DAY, PRICES, exact, odd_lake, recorded_lake, rows
from trading_assets_tests.repositories.frames import bar, table
from trading_assets_tests.repositories.lean_reader import LeanSymbol, line_count, lines, trade_bar

BOTH = (EQUITY_BARS, OPTION_BARS)
RESOLUTIONS = {"1 min": "minute", "1 hour": "hour", "1 day": "daily"}


def lean_symbol(row: dict[str, Any]) -> LeanSymbol:
    """The symbol under which Lean should know a row of the lake."""
    ticker = row["symbol"].lower().replace(" ", ".")
    if "strike" not in row:
        return LeanSymbol("equity", ticker)
    of_index = row["symbol"] == "SPX"
    kind, ticker = ("indexoption", row["trading_class"].lower()) if of_index else ("option", ticker)
    right, strike = {"C": "call", "P": "put"}[row["right"]], exact(row["strike"])
    return LeanSymbol(kind, ticker, "european" if of_index else "american", right, strike, row["expiry"])


def bar_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """The bar that Lean should read for a row: days begin at midnight, hours on the hour."""
    start = row["start"].astimezone(NEW_YORK)
    if row["bar_size"] == "1 day":
        start = datetime.combine(row["session"], time(), NEW_YORK)
    elif row["bar_size"] == "1 hour":
        start = start.replace(minute=0)
    return start, *(exact(row[price]) for price in PRICES), exact(row["volume"])


def check(folder: Path, stored: list[dict[str, Any]]) -> None:
    """Each row is where Lean looks for it, and nothing else is there."""
    files: dict[tuple[LeanSymbol, str, str], list[dict[str, Any]]] = {}
    for row in stored:
        symbol, resolution = lean_symbol(row), RESOLUTIONS[row["bar_size"]]
        files.setdefault((symbol, symbol.zip_path(row["session"], resolution), resolution), []).append(row)
    for (symbol, path, resolution), of_the_file in files.items():
        day = of_the_file[0]["session"]
        found = [trade_bar(line, day, resolution) for line in lines(folder, symbol, day, resolution)]
        assert found == sorted(map(bar_of, of_the_file)), (symbol, path)
    assert line_count(folder) == len(stored)


def test_what_is_exported_is_where_lean_looks_for_it(tmp_path: Path, recorded_market: Path) -> None:
    lakes = {
        "recorded": recorded_lake(tmp_path / "recorded", recorded_market),
        "generated": copy_of(PLAIN, tmp_path / "generated"),
    }
    for name, lake in lakes.items():
        folder = tmp_path / f"{name}_lean"
        written = [export(lake, dataset, folder, format="lean") for dataset in BOTH]
        stored = [row for dataset in BOTH for row in rows(lake, dataset) if row["bar_size"] in RESOLUTIONS]
        assert sum(written) == len(stored) > 100
        assert [each.left_out for each in written] == [
            {},
            {} if name == "recorded" else {"Lean has no bars of 8 hours": 100},
        ]
        check(folder, stored)


def test_the_line_of_leans_documentation(tmp_path: Path) -> None:
    # Data/equity/readme.md of Lean: AAPL at 4:15 on 2014-06-05, in a zip of the day with one file. Before the open:
    # the store refuses such bars, so that the file is written as another program would.
    lake = copy_of(PLAIN, tmp_path / "lake")
    start = datetime(2014, 6, 5, 4, 15, tzinfo=NEW_YORK)
    early = bar(start.date(), start=start, bar_size="1 min", volume=90.0, **dict.fromkeys(PRICES, 644.8))
    (lake / "equity_bars" / "1_min").mkdir(parents=True)
    pq.write_table(table(EQUITY_BARS, [early]), lake / "equity_bars" / "1_min" / "2014.parquet")
    assert export(lake, EQUITY_BARS, tmp_path / "lean", format="lean", bar_size="1 min") == 1
    assert [str(path.relative_to(tmp_path / "lean")) for path in (tmp_path / "lean").rglob("*.zip")] == [
        "equity/usa/minute/aapl/20140605_trade.zip"
    ]
    found = lines(tmp_path / "lean", LeanSymbol("equity", "aapl"), start.date(), "minute")
    assert found == ["15300000,6448000,6448000,6448000,6448000,90"]


def test_what_lean_cannot_hold_is_left_out_and_counted(tmp_path: Path) -> None:
    lake, folder = odd_lake(tmp_path / "lake"), tmp_path / "lean"
    equity, options = (export(lake, dataset, folder, format="lean") for dataset in BOTH)
    assert equity.left_out == {
        "Lean has no bars of 8 hours": 1,
        "a price has more than 4 decimals": 2,
        "bars of an index, whose time zone depends on the market hours of the Lean in use": 1,
        "no volume is known": 1,
    }
    assert options.left_out == {
        "Lean has no bars of 30 mins": 1,
        "adjusted contracts, for which Lean has no name": 2,
        "no volume is known": 1,
    }
    assert (equity, options, equity.zero_volumes) == (5, 4, 0)
    spxw = LeanSymbol("indexoption", "spxw", "european", "call", Decimal(2000), date(2016, 1, 15))
    assert len(lines(folder, spxw, DAY, "daily")) == 1
    assert lines(folder, LeanSymbol("equity", "half"), DAY, "daily")[0].endswith(",10.5")
    assert lines(folder, LeanSymbol("equity", "meta.107113386"), DAY, "daily")
    hours = lines(folder, LeanSymbol("equity", "aapl"), DAY, "hour")
    assert [line.split(",")[0] for line in hours] == ["20151224 09:00", "20151224 12:00"]
    exact_option = LeanSymbol("option", "aapl", "american", "call", Decimal(100), date(2016, 1, 15))
    assert lines(folder, exact_option, DAY, "daily") == ["20151224 00:00,51234,51234,51234,51234,1000"]


def test_the_same_rows_give_the_same_files(tmp_path: Path) -> None:
    lake = copy_of(PLAIN, tmp_path / "lake")
    for name in ("one", "two"):
        export(lake, OPTION_BARS, tmp_path / name, format="lean")
    one, two = (
        {p.relative_to(d): p.read_bytes() for p in d.rglob("*.zip")} for d in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two and len(one) == 4
