"""A lake that was collected from a simulated TWS, copied for each test; a process that backs up and dies on order."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.universe import Universe
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import NOW, SYMBOL, settings_of
from trading_assets_tests.endurance.crew import ROOT, Crew
from trading_assets_tests.homes import furnish


@pytest.fixture(scope="package")
def simulator() -> Iterator[Simulator]:
    """A simulated TWS without limits."""
    with Simulator(GeneratedMarket(), now=NOW, limits=False) as running:
        yield running


@pytest.fixture(scope="package")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crew]:
    """Starts and awaits processes that collect."""
    with Crew(tmp_path_factory.mktemp("crew")) as running:
        yield running


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


class Worker:
    """The process of `backup.worker`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "trading_assets_tests.backup.worker"]
        self._process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def do(self, what: str, settings: Settings, path: Path, watch: Path, kill_at: int | None) -> dict[str, Any]:
        """The end of a backup or restore that dies at a step on `watch`."""
        assert self._process.stdin
        assert self._process.stdout
        said = settings.model_dump(mode="json", exclude_none=True, exclude={"data_dir_setting"})
        order = {
            "do": what,
            "settings": {**said, "data_dir": str(settings.data_dir)},
            "path": str(path),
            "watch": [str(watch)],
            "kill_at": kill_at,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        end: dict[str, Any] = json.loads(self._process.stdout.readline())
        return end


@pytest.fixture(scope="package")
def worker() -> Iterator[Worker]:
    """Backs up and restores in forks of its own."""
    with Worker() as running:
        yield running
