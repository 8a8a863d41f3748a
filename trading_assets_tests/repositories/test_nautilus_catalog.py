"""Bars for nautilus_trader: what its own catalog reads, and its backtest engine replays, are the rows of the lake."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from trading_assets.repositories.export import export
from trading_assets.repositories.exported_bars import Exported
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS
from trading_assets.sessions import NEW_YORK
from trading_assets_tests.lakes import PLAIN, copy_of
from trading_assets_tests.leaving_out import leave_out
from trading_assets_tests.repositories.bars_to_export import PRICES, ends_at, exact, odd_lake, recorded_lake, rows

UNITS = {"1 day": "1-DAY", "8 hours": "8-HOUR", "1 hour": "1-HOUR", "30 mins": "30-MINUTE", "1 min": "1-MINUTE"}
VENUES = {"AAPL": "NASDAQ", "SPX": "CBOE", "SPY": "ARCA"}

BOTH = (EQUITY_BARS, OPTION_BARS)
READER = Path(__file__).with_name("nautilus_reader.py")


def bar_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """The bar that nautilus_trader should hold for a row of the lake."""
    name = row.get("local_symbol", row["symbol"].replace("@", "_"))
    venue = "SMART" if "local_symbol" in row else VENUES.get(row["symbol"], "SMART")
    volume = 0.0 if row["symbol"] == "SPX" and row["volume"] is None else row["volume"]
    end = int(ends_at(row).timestamp()) * 1_000_000_000
    numbers = (exact(row[price]) for price in PRICES)
    return f"{name}.{venue}-{UNITS[row['bar_size']]}-LAST-EXTERNAL", *numbers, exact(volume), end, end


def read(*catalogs: Path) -> list[dict[str, Any]]:
    """What nautilus_trader finds in each catalog; the numbers of its bars as decimals."""
    python = os.environ.get("TRADING_ASSETS_NAUTILUS_PYTHON")
    if not python:
        leave_out(
            "nautilus_trader needs an environment of its own: set TRADING_ASSETS_NAUTILUS_PYTHON to a Python that has"
            " it (make slow does)"
        )
    command = [python, "-I", "-W", "ignore", str(READER), *map(str, catalogs)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for each in found:
        each["bars"] = [(bar[0], *map(Decimal, bar[1:6]), *bar[6:]) for bar in each["bars"]]
    return found


@pytest.mark.slow
def test_what_is_exported_is_what_nautilus_trader_reads(tmp_path: Path, recorded_market: Path) -> None:
    lakes = {
        "recorded": recorded_lake(tmp_path / "recorded", recorded_market),
        "generated": copy_of(PLAIN, tmp_path / "generated"),
        "odd": odd_lake(tmp_path / "odd"),
    }
    written = {
        name: [export(lake, dataset, tmp_path / f"{name}_catalog", format="nautilus") for dataset in BOTH]
        for name, lake in lakes.items()
    }
    found = dict(zip(lakes, read(*(tmp_path / f"{name}_catalog" for name in lakes)), strict=True))

    for name in ("recorded", "generated"):
        stored = [row for dataset in BOTH for row in rows(lakes[name], dataset)]
        assert [each.left_out for each in written[name]] == [{}, {}]
        assert sum(written[name]) == len(stored) == found[name]["heard"] > 100
        assert sorted(found[name]["bars"]) == sorted(map(bar_of, stored))
    assert len(found["recorded"]["bars"]) > 6_000
    _check_the_odd(lakes["odd"], written["odd"], found["odd"])


def _check_the_odd(lake: Path, written: list[Exported], found: dict[str, Any]) -> None:
    equity, options = written
    assert equity.left_out == {
        "a number has more than 16 decimals or is too large": 1,
        "a volume has decimals, and nautilus_trader has whole units": 1,
        "no volume is known": 1,
    }
    assert (equity.zero_volumes, options.left_out, options.zero_volumes) == (1, {"no volume is known": 1}, 0)
    lost = ("NONE", "HALF", "FINER")
    kept = [row for row in rows(lake, EQUITY_BARS) if row["symbol"] not in lost]
    kept += [row for row in rows(lake, OPTION_BARS) if row["volume"] is not None]
    assert sorted(found["bars"]) == sorted(map(bar_of, kept))
    assert found["heard"] == len(kept) == sum(written)

    instruments = {each["id"]: each for each in found["instruments"]}
    assert sorted(instruments) == sorted({bar_of(row)[0].rsplit("-", 4)[0] for row in kept})
    assert {instruments[name]["type"] for name in ("SPX.CBOE", "META_107113386.SMART")} == {"IndexInstrument", "Equity"}
    assert instruments["FINE.SMART"]["price_increment"] == "0.00000001"
    index = instruments["SPXW  160115C02000000.SMART"]
    assert (index["asset_class"], index["underlying"], index["strike_price"]) == ("INDEX", "SPX", "2000")
    assert index["info"] == {"con_id": 4, "trading_class": "SPXW"}
    assert instruments["AAPL  160115C00101000.SMART"]["multiplier"] == "10"
    assert instruments["AAPL  160115C00100000.SMART"]["price_precision"] == 4
    ends = {
        "AAPL  160116P00102500.SMART": datetime(2016, 1, 15, 16, tzinfo=NEW_YORK),  # a Saturday
        "AAPL  990116C00103000.SMART": datetime(2099, 1, 16, 16, tzinfo=NEW_YORK),  # after the calendar's end
    }
    assert {name: instruments[name]["expiration_ns"] for name in ends} == {
        name: int(end.timestamp()) * 10**9 for name, end in ends.items()
    }
    assert instruments["AAPL  160116P00102500.SMART"]["option_kind"] == "PUT"


def test_many_batches_make_one_file_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = copy_of(PLAIN, tmp_path / "lake")
    monkeypatch.setattr("trading_assets.repositories.nautilus_catalog.BATCH_ROWS", 5)
    export(lake, EQUITY_BARS, tmp_path / "catalog", format="nautilus", symbols="AAPL", bar_size="1 hour")
    (file,) = (tmp_path / "catalog" / "data" / "bar").rglob("*.parquet")
    assert file.parent.name == "AAPL.NASDAQ-1-HOUR-LAST-EXTERNAL"
    assert file.name == "2023-12-22T15-00-00-000000000Z_2024-01-02T21-00-00-000000000Z.parquet"
    times = pq.read_table(file, partitioning=None)["ts_init"].to_pylist()
    assert len(times) == 42 and times == sorted(times)
