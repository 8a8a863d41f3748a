"""Two machines that share nothing but an object store and a state database collect overlapping symbols at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest

from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import NOW, settings_of
from trading_assets_tests.endurance.lakes import Question, asked, contents, difference, instants, unfinished
from trading_assets_tests.other_machines import OtherMachine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SYMBOLS = {"one": ("AAPL", "MSFT", "NVDA"), "other": ("GOOG", "MSFT", "AAPL")}
"""The symbols of each machine."""

AHEAD = 5.0
"""Seconds between the clocks of two machines."""


class Alone(NamedTuple):
    """What one machine collects into a folder: the rows, and the questions that it asks."""

    contents: dict[str, pa.Table]
    questions: set[Question]


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket()


@pytest.fixture(scope="module")
def alone(market: GeneratedMarket, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """All symbols, on one machine."""
    with Simulator(market, now=NOW, limits=False) as simulator:
        settings = settings_of(tmp_path_factory.mktemp("alone") / "lake", simulator)
        assert by_the_steps(settings, sorted({symbol for mine in SYMBOLS.values() for symbol in mine}))["success"]
        return Alone(contents(settings.data_dir), set(asked(simulator.counters.log)))


@pytest.fixture
def strict(market: GeneratedMarket) -> Iterator[Simulator]:
    """A simulator that enforces every limit."""
    with Simulator(market, now=NOW) as running:
        yield running
        assert not running.counters.internal_errors


@pytest.mark.parametrize(
    ("names", "ahead"),
    [(("one", "other"), 0.0), (("twin", "twin"), AHEAD)],
    ids=["machines of different names", "equal names, different clocks"],
)
def test_machines_without_a_common_disk_share_overlapping_work(
    names: tuple[str, str],
    ahead: float,
    strict: Simulator,
    alone: Alone,
    store_url: str,
    postgresql: str,
    tmp_path: Path,
) -> None:
    disk, shared = tmp_path / "disk", {"lake": store_url, "database_url": postgresql}
    settings = settings_of(disk / "data", strict, **shared, enforce_pacing=True)
    began = time.time()
    machines = [
        OtherMachine(tmp_path / here, settings, "collect", *symbols, ahead=clock, name=name, disk=disk)
        for (here, symbols), name, clock in zip(SYMBOLS.items(), names, (0.0, ahead), strict=True)
    ]
    reports = [machine.hear() for machine in machines]
    for machine, report in zip(machines, reports, strict=True):
        machine.end()
        assert report["success"], report["problems"]
        assert report["requests"]["sent"], "it had nothing left to do"
    assert not list(disk.iterdir()), "each has a disk of its own"
    assert strict.counters.violations == [] and strict.counters.errors == {}
    assert asked(strict.counters.log) == dict.fromkeys(alone.questions, 1)
    assert sum(report["requests"]["sent"] for report in reports) == len(alone.questions)

    third = Settings(data_dir=tmp_path / "third", **shared)
    assert difference(third.data_dir, alone.contents) == []
    assert unfinished(third) == 0
    stored = instants(third)
    assert began <= min(stored) and max(stored) <= time.time(), "all instants are of one clock: the database's"
