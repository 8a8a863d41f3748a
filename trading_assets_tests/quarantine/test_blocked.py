"""A lake that bad answers blocked in an earlier version (`lakes/make_blocked.py`) frees itself with the next run."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from trading_assets.broker.quarantine import Quarantine
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state
from trading_assets.state.tables import requests
from trading_assets_tests.rewriting import collect, rows, settings_for

BLOCKED = Path(__file__).resolve().parent.parent / "lakes" / "blocked_answers"
NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
SYMBOLS = ["AAPL", "MSFT"]
BARS = "select symbol, session, open, high, low, close, volume from equity_bars order by symbol, session"
CHAIN = (
    "select session, symbol, con_id, local_symbol, expiry, strike, bid, ask from option_chains order by session, con_id"
)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    shutil.copytree(BLOCKED, tmp_path / "lake")
    return tmp_path / "lake"


def test_a_blocked_lake_is_freed(lake: Path, tmp_path: Path) -> None:
    with Simulator(GeneratedMarket(seed=42), now=NOW) as tws:
        settings, clean = settings_for(lake, tws.port, NOW), settings_for(tmp_path / "clean", tws.port, NOW)
        reports = collect(settings, SYMBOLS, steps="che")
        collect(clean, SYMBOLS, steps="che")
    assert rows(settings, CHAIN) == rows(clean, CHAIN), "the bad listing was requested again in the same run"
    stored, whole = rows(settings, BARS), rows(clean, BARS)
    assert [row for row in whole if row not in stored] == [
        row for row in whole if row["symbol"] == "AAPL" and f"{row['session']}" == "2024-05-30"
    ], "only the impossible bar is missing"
    (missing,) = rows(settings, "select * from coverage where dataset = 'equity_bars' and condition <> 'complete'")
    assert (missing["symbol"], f"{missing['session']}", missing["condition"]) == ("AAPL", "2024-05-30", "error")
    assert "low" in missing["reason"]
    assert [problem.symbol for problem in reports["e"].problems] == ["AAPL"]
    (entry,) = Quarantine(settings.state_url).entries()
    assert (entry.symbol, entry.fields, [f"{day}" for day in entry.sessions]) == ("AAPL", ["low"], ["2024-05-30"])
    with connect_state(settings.state_url).connect() as connection:
        waiting = connection.execute(sa.select(sa.func.count()).where(requests.c.applied_at.is_(None))).scalar_one()
    assert waiting == 0, "no answer is left in the journal to be met again"


def test_the_next_session_brings_what_was_bad(lake: Path) -> None:
    with Simulator(GeneratedMarket(seed=42), now=NOW) as tws:
        settings = settings_for(lake, tws.port, NOW)
        collect(settings, SYMBOLS, steps="che")
        later = NOW + timedelta(days=1)
        tws.clock.set(later)
        next_day = settings_for(lake, tws.port, later)
        assert collect(next_day, SYMBOLS, steps="ce")["e"].complete
    assert rows(next_day, "select distinct condition from coverage where dataset = 'equity_bars'") == [
        {"condition": "complete"}
    ]
    assert Quarantine(settings.state_url).entries() == []


@pytest.mark.parametrize("dataset", ["contracts", "option_chains"])
def test_an_impossible_row_that_an_earlier_version_stored_is_not_carried_on(tmp_path: Path, dataset: str) -> None:
    with Simulator(GeneratedMarket(seed=42), now=NOW) as tws:
        settings = settings_for(tmp_path / "lake", tws.port, NOW)
        collect(settings, SYMBOLS, steps="ch")
        (path,) = (tmp_path / "lake" / dataset).rglob("*.parquet")
        stored = pq.read_table(path)
        position = stored["symbol"].to_pylist().index("AAPL")
        ids = stored["con_id"].to_pylist()
        ids[position] = 0 if dataset == "contracts" else -3
        pq.write_table(
            stored.set_column(
                stored.schema.get_field_index("con_id"), stored.schema.field("con_id"), pa.array(ids, pa.int64())
            ),
            path,
        )
        later = NOW + timedelta(days=1)
        tws.clock.set(later)
        next_day = settings_for(tmp_path / "lake", tws.port, later)
        assert all(report.complete for report in collect(next_day, SYMBOLS, steps="ch").values())
    assert len(rows(next_day, f"select distinct symbol from {dataset} where session = '2024-06-04'")) == 2
    assert rows(next_day, f"select * from {dataset} where session = '2024-06-04' and con_id <= 0") == []
