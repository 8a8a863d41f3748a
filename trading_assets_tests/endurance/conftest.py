"""One simulator, one parent of processes, and a lake that nothing disturbed, to compare the disturbed ones with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.endurance.crew import Crew
from trading_assets_tests.endurance.lakes import Question, answered, asked, broken, broken_runs, contents, partitions
from trading_assets_tests.endurance.reaper import Reaper
from trading_assets_tests.killing.forks import ForkServer

NOW = datetime.fromisoformat("2024-06-03T16:30-04:00")
"""After the close: the snapshot's session is also the last one with finished bars, as in most setups."""

SYMBOL = "AAPL"

SettingsFor = Callable[..., Settings]


@pytest.fixture(scope="package")
def market() -> GeneratedMarket:
    """The generated market; what it computes for one test it keeps for the next."""
    return GeneratedMarket()


@pytest.fixture(scope="package")
def reaper() -> Reaper:
    """Kills processes as their requests arrive."""
    return Reaper()


@pytest.fixture(scope="package")
def simulator(market: GeneratedMarket, reaper: Reaper) -> Iterator[Simulator]:
    """A simulator without limits: what is tested with it is what a kill leaves behind, not speed."""
    with Simulator(market, now=NOW, limits=False, faults=reaper) as running:
        yield running
        assert not running.counters.internal_errors


@pytest.fixture(scope="package")
def crew(fork_server: ForkServer) -> Crew:
    """Starts and awaits processes that collect."""
    return Crew(fork_server)


def settings_of(folder: Path, simulator: Simulator, **changes: Any) -> Settings:
    """Settings of a lake in `folder` that is filled from the simulator."""
    return Settings(
        **{
            "data_dir": folder,
            "ib_port": simulator.port,
            "now": NOW,
            "enforce_pacing": False,
            "quote_quiet_time": 0.5,
            **changes,
        }
    )


@dataclass(frozen=True)
class Undisturbed:
    """A setup that nothing disturbed: its lake, the questions it asked, how many instants it has through Dagster and
    without."""

    contents: dict[str, pa.Table]
    partitions: dict[str, set[str]]
    questions: set[Question]
    instants: dict[bool, int]


@pytest.fixture(scope="package")
def undisturbed(crew: Crew, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The measure of the disturbed ones."""
    found: dict[bool, Undisturbed] = {}
    for dagster in (False, True):
        folder = tmp_path_factory.mktemp("undisturbed")
        settings = settings_of(folder, simulator)
        simulator.reset_counters()
        end = crew.run(settings, [SYMBOL], dagster=dagster)
        assert end.success, end.words
        assert broken(folder) == []
        questions = asked(simulator.counters.log)
        assert set(questions.values()) == {1}
        assert answered(folder) == set(questions), "the journal and the simulator name the same questions"
        found[dagster] = Undisturbed(
            contents(folder), partitions(settings) if dagster else {}, set(questions), {dagster: end.instants}
        )
        assert not dagster or broken_runs(settings) == []
    without, through = found[False], found[True]
    assert all(rows.equals(without.contents[name]) for name, rows in through.contents.items()), (
        "Dagster changes nothing of the lake"
    )
    return Undisturbed(through.contents, through.partitions, through.questions, without.instants | through.instants)
