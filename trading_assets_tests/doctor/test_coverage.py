"""Coverage worked out again from rows and journal: as it was, and nothing invented."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from trading_assets.doctor import examine, mend
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, OPTION_BARS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.doctor.test_doctor import BARS, kinds
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import settings_of
from trading_assets_tests.repositories.frames import bar, table


def recorded(folder: Path, *without: str) -> pa.Table:
    rows = ParquetStore(folder).read(COVERAGE)
    return rows.drop_columns(list(without)).sort_by([(name, "ascending") for name in COVERAGE.key])


@pytest.fixture
def quiet(settings: Settings, simulator: Simulator) -> Settings:
    """A lake with an option contract that the broker has no bar of: no trade in any of its sessions."""
    no_data = "Historical Market Data Service error message:HMDS query returned no data: MSFT@SMART Trades"
    simulator.faults.add(on="historical_data", do="error", code=162, text=no_data, nth=3)
    assert by_the_steps(settings, ["MSFT"])["success"]
    simulator.faults.clear()
    assert "no_trades" in recorded(settings.data_dir)["condition"].to_pylist()
    return settings


def test_lost_coverage_is_as_it_was_also_where_there_was_no_trade(quiet: Settings, simulator: Simulator) -> None:
    before = recorded(quiet.data_dir)
    shutil.rmtree(quiet.data_dir / "coverage")
    assert set(kinds(examine(quiet))) == {"rows_without_coverage"}
    mend(quiet)
    after = recorded(quiet.data_dir)
    settled = pc.is_in(before["condition"], pa.array(["complete", "no_trades"]))
    names = [*COVERAGE.key, "condition"]
    assert after.select(names).to_pylist() == before.filter(settled).select(names).to_pylist()
    simulator.reset_counters()
    assert by_the_steps(quiet, ["AAPL", "MSFT"])["requests"]["sent"] == 0


def test_sessions_whose_rows_are_lost_too_are_not_said_to_be_without_trades(
    settings: Settings, simulator: Simulator
) -> None:
    """The journal says that bars were answered, and the lake has fewer: what the others were is not known."""
    store = ParquetStore(settings.data_dir)
    stored = store.read(EQUITY_BARS)
    (settings.data_dir / BARS).unlink()
    shutil.rmtree(settings.data_dir / "coverage" / "equity_bars")
    store.upsert(EQUITY_BARS, stored.slice(0, 2))
    mend(settings)
    known = store.read(COVERAGE, variants=["equity_bars"])
    assert known["session"].to_pylist() == stored["session"].slice(0, 2).to_pylist()
    assert set(known["condition"].to_pylist()) == {"complete"}
    simulator.reset_counters()
    assert by_the_steps(settings, ["AAPL"])["requests"]["sent"] == 1


def test_rows_of_another_program_are_complete_where_one_bar_is_the_session(
    simulator: Simulator, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "lake", simulator)
    store = ParquetStore(settings.data_dir)
    days = [date(2015, 12, day) for day in (21, 22)]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day, 100.0, symbol="IBM") for day in days]))
    (found,) = [finding for finding in examine(settings) if finding.kind == "rows_without_coverage"]
    assert found.subject == "equity_bars 1 day IBM"
    assert "2 sessions (2015-12-21 to 2015-12-22)" in found.lost
    assert found.mend is not None
    assert found.mend() == "2 conditions recorded from the rows and the journal."
    assert store.read(COVERAGE)["condition"].to_pylist() == ["complete"] * 2


def test_daily_bars_of_options_are_made_again_from_the_bars_of_8_hours(
    settings: Settings, simulator: Simulator
) -> None:
    store = ParquetStore(settings.data_dir)
    before = store.read(OPTION_BARS)
    shutil.rmtree(settings.data_dir / "option_bars" / "1_day")
    assert [(one.kind, one.subject) for one in examine(settings)] == [("daily_bars_missing", "option_bars 1 day AAPL")]
    assert mend(settings).left == []
    order = [(name, "ascending") for name in OPTION_BARS.key]
    assert store.read(OPTION_BARS).sort_by(order).equals(before.sort_by(order))
    assert simulator.counters.log == []
