"""A data folder that was collected through Dagster, and a copy of it for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state
from trading_assets_tests.endurance.collect import through_dagster
from trading_assets_tests.endurance.conftest import NOW, SYMBOL, settings_of


@pytest.fixture(scope="package")
def simulator() -> Iterator[Simulator]:
    """A simulated TWS without limits."""
    with Simulator(GeneratedMarket(), now=NOW, limits=False) as running:
        yield running


@pytest.fixture(scope="package")
def collected(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder as one setup left it. Copied before anybody opens it here again: SQLite has closed its files."""
    folder = tmp_path_factory.mktemp("collected") / "lake"
    settings = settings_of(folder, simulator)
    assert through_dagster(settings, [SYMBOL])["success"]
    connect_state(settings.state_url).dispose()
    assert not list(folder.glob("state.db-*"))
    return folder


@pytest.fixture
def settings(collected: Path, simulator: Simulator, tmp_path: Path) -> Settings:
    """Settings of a copy of that folder; the simulator counts from now on."""
    shutil.copytree(collected, tmp_path / "lake")
    simulator.reset_counters()
    return settings_of(tmp_path / "lake", simulator)
