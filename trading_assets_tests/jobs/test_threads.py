"""Several operations at once in threads, on one lake: all finish, and the lake is as after one by one."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from trading_assets.repositories import EquityBarRepository, OptionBarRepository, connect
from trading_assets.repositories.schemas import DATASETS
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import Desk, at, planned, sent, set_up

pytestmark = pytest.mark.slow

FEW = {"option_chains": {"selection": {"max_days_to_expiry": 5, "strikes_around_spot": 1}}}


@pytest.fixture
def tws() -> Iterator[Simulator]:
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40-05:00"), limits=False) as simulator:
        yield simulator


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What they return, each in a thread of its own. What one raises is raised."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def content(desk: Desk) -> dict[str, dict[str, Any]]:
    """All rows but for when and by which request they came."""
    chosen = "columns(lambda c: c not in ('collected_at', 'request_id', 'verified_at', 'quoted_at'))"
    return {name: desk.rows(f"select {chosen} from {name} order by all").astype(str).to_dict() for name in DATASETS}


def test_four_set_ups_beside_a_reader(tws: Simulator, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "lake", tws, FEW)
    symbols = ("AAPL", "MSFT", "GOOGL", "SPY")
    done, seen = threading.Event(), []

    def read() -> None:
        bars, options = EquityBarRepository(data_dir=desk.folder), OptionBarRepository(data_dir=desk.folder)
        while not done.wait(0.2):
            if not (desk.folder / "lake.json").exists():
                continue
            seen.append((len(bars.load()), len(options.load())))
            assert connect(desk.folder).sql("select count(*) from equity_bars where close is null").fetchall() == [(0,)]

    def collect() -> list[Any]:
        try:
            return at_once(*(lambda symbol=symbol: desk.setup(symbol) for symbol in symbols))
        finally:
            done.set()

    operations, _ = at_once(collect, read)
    assert [operation.success for operation in operations] == [True] * 4
    assert seen == sorted(seen), "rows only become more"
    assert EquityBarRepository(data_dir=desk.folder).symbols() == sorted(symbols)
    assert sum(desk.asked().values()) == sum(planned(operation) for operation in operations)


def test_two_updates_of_the_same_lake_ask_once(tws: Simulator, tmp_path: Path) -> None:
    desk = set_up(tmp_path / "lake", tws, "AAPL", FEW)
    desk.move("2025-11-18T16:40-05:00")
    alone = Desk(shutil.copytree(desk.folder, tmp_path / "alone"), tws, FEW)
    assert alone.update().success
    expected = alone.asked()
    desk.forget()
    operations = at_once(desk.update, desk.update)
    assert [operation.success for operation in operations] == [True, True]
    assert desk.asked() == expected
    assert sum(map(sent, operations)) == sum(expected.values())
    assert content(desk) == content(alone)
    assert all(desk.rows(f"select count(*) as n from revisions_{name}")["n"][0] == 0 for name in DATASETS)
