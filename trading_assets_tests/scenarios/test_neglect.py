"""An archive left alone: a run before the open, weeks away, deleted files. Nothing is invented, and what is lost is
told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.universe import Universe
from trading_assets_tests.scenarios.desk import SMALL, Desk, at, set_up

FRIDAY = "2025-11-21T16:30-05:00"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """AAPL, set up on a Friday after the close."""
    with Simulator(GeneratedMarket(), now=at(FRIDAY), limits=False) as simulator:
        yield set_up(tmp_path / "lake", simulator, "AAPL", SMALL)


def test_before_the_open_nothing_is_taken_for_the_new_session(desk: Desk) -> None:
    desk.move("2025-11-24T07:00-05:00")
    assert desk.update("AAPL").success
    chains = "select distinct session::varchar as session from option_chains order by 1"
    assert list(desk.rows(chains)["session"]) == ["2025-11-21"]
    desk.move("2025-11-24T16:30-05:00")
    assert desk.update("AAPL").success
    assert list(desk.rows(chains)["session"]) == ["2025-11-21", "2025-11-24"]
    prices = desk.rows(
        "select session, any_value(underlying_price) as price from option_chains where selected group by 1 order by 1"
    )["price"]
    assert prices.iloc[0] != prices.iloc[1], "the quotes of Monday are Monday's"


def test_weeks_away_are_made_good_and_what_expired_is_told(desk: Desk) -> None:
    expiring = desk.rows("select con_id from option_chains where selected and expiry = date '2025-11-28'")["con_id"]
    assert len(expiring) > 0
    desk.move("2025-12-10T16:30-05:00")
    late = desk.update("AAPL")
    lost = desk.rows(
        "select con_id, session::varchar as session from coverage where dataset = 'option_bars' and condition ="
        " 'expired_lost'"
    )
    assert set(lost["con_id"]) == set(expiring)
    assert set(lost["session"]) == {"2025-11-24", "2025-11-25", "2025-11-26", "2025-11-28"}
    assert [problem.kind for report in late.runs[0].reports for problem in report.problems] == ["expired_lost"]
    days = desk.rows("select session from equity_bars where session between date '2025-11-21' and date '2025-12-10'")
    assert len(days) == 13, "every session between is there"
    assert desk.update("AAPL").success, "what is lost is told once"


def test_deleted_bars_are_collected_again(desk: Desk) -> None:
    bars = "select * from equity_bars order by start"
    before = desk.rows(bars)
    shutil.rmtree(desk.folder / "equity_bars")
    assert desk.setup("AAPL").success
    assert list(desk.rows(bars)["close"]) == list(before["close"])


def test_a_lake_that_lost_its_identity_is_not_filled_further(desk: Desk) -> None:
    (desk.folder / "lake.json").unlink()
    desk.move("2025-11-24T16:30-05:00")
    refused = desk.update("AAPL")
    assert not refused.success
    assert "lake.json does not say whose" in " ".join(run.error for run in refused.runs)


def test_a_removed_symbol_comes_back_with_setup(desk: Desk) -> None:
    universe = Universe(desk.settings.state_url)
    assert universe.remove(["AAPL"]) == ["AAPL"]
    assert desk.setup("AAPL").success
    assert [entry.symbol for entry in universe.entries()] == ["AAPL"]


@pytest.mark.parametrize("sql", ["drop view equity_bars", "copy (select 1) to 'out.csv'", "select 1; select 2"])
def test_a_query_only_reads(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sql: str
) -> None:
    assert desk.command(monkeypatch, "query", sql)[0] == 2
    assert "one SELECT" in capsys.readouterr().err


def test_json_has_no_nan(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.command(monkeypatch, "query", "select 'nan'::double as x, 'inf'::double as y") == (
        0,
        [{"x": None, "y": None}],
    )
