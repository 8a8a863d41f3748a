"""Files of the lake that are gone: what can be made again costs nothing, what must be requested again is planned as it
is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from shutil import rmtree

import pytest

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.preview import preview
from trading_assets.selection_rules import SelectionRules
from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import SMALL, Desk, at, sent, set_up

FIRST, LAST = date(2025, 11, 7), date(2025, 11, 17)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """AAPL, set up on a Monday after the close."""
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40-05:00")) as simulator:
        desk = set_up(tmp_path, simulator, "AAPL", SMALL, changes={"enforce_pacing": True})
        desk.forget()
        yield desk


def test_daily_bars_of_options_are_made_again_without_a_request(desk: Desk) -> None:
    wanted = (
        "select con_id, session, open, high, low, close, volume from option_bars where bar_size = '1 day' order by"
        " con_id, session"
    )
    before = desk.rows(wanted)
    assert len(before)
    rmtree(desk.folder / "option_bars" / "1_day")
    report = desk.job("backfill_bars", [FIRST, LAST], {})
    assert report.complete
    assert desk.asked() == {}
    assert desk.rows(wanted).equals(before)


@pytest.mark.parametrize("lost", ["equity_bars", "option_bars"])
def test_the_plan_counts_bars_that_are_gone(desk: Desk, lost: str) -> None:
    rmtree(desk.folder / lost)
    with Archive(desk.settings) as archive:
        entries = archive.universe.entries()
        estimate = preview(archive, entries, calendar().sessions(FIRST, LAST), SelectionRules())
    planned = {stage.dataset: sum(stage.requests.values()) for stage in estimate.stages}[lost]
    done = desk.update("AAPL")
    assert done.success
    assert planned == sent(done) == sum(desk.asked().values()) > 0
