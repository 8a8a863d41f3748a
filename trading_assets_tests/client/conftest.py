"""A lake with a symbol's chain, copied for each test, and a client on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.client import BrokerClient, connect_broker
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.rewriting import collect
from trading_assets_tests.scenarios.desk import Desk, at

NOW = "2025-11-17T16:40-05:00"
"""A Monday after the close."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """A simulated TWS that enforces the broker's limits."""
    with Simulator(GeneratedMarket(seed=42), now=at(NOW)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def collected(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with contract, chain and ten days of equity bars of AAPL, collected by the steps in process."""
    desk = Desk(tmp_path_factory.mktemp("collected"), simulator, None, {"enforce_pacing": True})
    reports = collect(desk.settings, ["AAPL"], "che")
    assert all(report.complete for report in reports.values())
    return desk.folder


@pytest.fixture
def desk(simulator: Simulator, collected: Path, tmp_path: Path) -> Desk:
    """A copy of that folder."""
    simulator.faults.clear()
    shutil.copytree(collected, tmp_path / "data")
    simulator.reset_counters()
    return Desk(tmp_path / "data", simulator, None, {"enforce_pacing": True, "max_attempts": 1})


@pytest.fixture
def api_client(desk: Desk) -> Iterator[BrokerClient]:
    """The client of that folder."""
    with connect_broker(settings=desk.settings) as client:
        yield client
