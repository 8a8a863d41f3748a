"""A lake that was collected from a simulated TWS, copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.universe import Universe
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import NOW, SYMBOL, settings_of
from trading_assets_tests.endurance.crew import Crew
from trading_assets_tests.homes import furnish
from trading_assets_tests.killing.forks import ForkServer


@pytest.fixture(scope="package")
def simulator() -> Iterator[Simulator]:
    """A simulated TWS without limits."""
    with Simulator(GeneratedMarket(), now=NOW, limits=False) as running:
        yield running


@pytest.fixture(scope="package")
def crew(fork_server: ForkServer) -> Crew:
    """Starts and awaits processes that collect."""
    return Crew(fork_server)


@pytest.fixture(scope="package")
def collected(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one symbol, collected to the end, and a Dagster history without runs."""
    folder = tmp_path_factory.mktemp("collected") / "lake"
    settings = settings_of(folder, simulator)
    furnish(folder)
    Universe(settings.state_url).add([SYMBOL], now=settings.clock())
    assert by_the_steps(settings, [SYMBOL])["success"]
    return folder


@pytest.fixture
def settings(collected: Path, simulator: Simulator, tmp_path: Path) -> Settings:
    """Settings of a copy of that folder; the simulator counts from now on."""
    shutil.copytree(collected, tmp_path / "lake")
    simulator.reset_counters()
    return settings_of(tmp_path / "lake", simulator)
