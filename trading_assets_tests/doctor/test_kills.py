"""`kill -9` at ten instants of mending: the next call does the rest, and nothing was lost in between."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.backup import backup
from trading_assets.doctor import mend
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.backup.conftest import Worker
from trading_assets_tests.doctor.test_doctor import lose_all
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, settings_of
from trading_assets_tests.endurance.lakes import contents, difference, partitions

INSTANTS = 10


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Mends in forks of its own."""
    with Worker() as running:
        yield running


@pytest.mark.slow
def test_mending_that_was_killed_is_done_by_the_next_call(
    settings: Settings, simulator: Simulator, worker: Worker, tmp_path: Path
) -> None:
    kept, template = tmp_path / "kept", settings.data_dir
    shown, rows = partitions(settings), contents(template)
    backup(kept, settings)

    def broken_copy(name: str) -> Settings:
        shutil.copytree(template, tmp_path / name)
        lose_all(tmp_path / name)
        return settings_of(tmp_path / name, simulator)

    measured = broken_copy("measured")
    steps = worker.do("mend", measured, kept, measured.data_dir, None)["events"]
    killed = 0
    for number in range(INSTANTS):
        damaged = broken_copy(f"killed-{number}")
        end = worker.do("mend", damaged, kept, damaged.data_dir, 1 + number * steps // INSTANTS)
        killed += end["signal"] == signal.SIGKILL
        assert mend(damaged, backup=kept).left == []
        assert difference(damaged.data_dir, rows) == []
        assert partitions(damaged) == shown
        simulator.reset_counters()
        assert by_the_steps(damaged, [SYMBOL])["requests"]["sent"] == 0
    assert killed >= INSTANTS - 1
