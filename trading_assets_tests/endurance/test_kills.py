"""`kill -9` at any instant of a setup: the next run completes the lake as if nothing had happened, and asks only what
was not answered."""

from __future__ import annotations

import random
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.endurance.conftest import SYMBOL, Undisturbed, settings_of
from trading_assets_tests.endurance.crew import Crew, End
from trading_assets_tests.endurance.lakes import Question, answered, asked, broken, broken_runs, difference, partitions
from trading_assets_tests.endurance.reaper import Reaper
from trading_assets_tests.observing import arrived

pytestmark = pytest.mark.slow

SEED = 20240603


def spread(count: int, salt: int) -> list[float]:
    """Random fractions of a run, one in each of `count` equal parts of it, so that every part of the run is hit."""
    draw = random.Random(SEED + salt)
    return [round((part + draw.random()) / count, 4) for part in range(count)]


def check_all_is_as_if_undisturbed(
    settings: Settings,
    undisturbed: Undisturbed,
    known: set[Question],
    log_before: int,
    simulator: Simulator,
    words: str,
    *,
    dagster: bool,
) -> None:
    """The lake, its journal, its files and its runs after the completing run. `known` was answered when the process
    died."""
    folder = settings.data_dir
    assert difference(folder, undisturbed.contents) == [], words
    assert broken(folder) == [], words
    log = simulator.counters.log
    assert set(asked(log)) == undisturbed.questions, words
    again = set(asked(log[log_before:])) & known
    assert not again, f"asked again though the answer was in the journal: {sorted(again)} {words}"
    assert max(asked(log[log_before:]).values(), default=1) == 1, words
    if dagster:
        assert broken_runs(settings) == [], words
        assert partitions(settings) == undisturbed.partitions, words


def complete(
    crew: Crew,
    simulator: Simulator,
    settings: Settings,
    undisturbed: Undisturbed,
    killed: Sequence[End],
    *,
    dagster: bool,
) -> None:
    """Run again after kills, and check everything."""
    known, log_before = answered(settings.data_dir), arrived(simulator)
    words = f"(seed {SEED}, killed at: {'; '.join(end.note for end in killed)})"
    end = crew.run(settings, [SYMBOL], dagster=dagster)
    assert end.success, f"{words} {end.words}"
    check_all_is_as_if_undisturbed(settings, undisturbed, known, log_before, simulator, words, dagster=dagster)


@pytest.mark.parametrize(
    ("fraction", "dagster"), [*((f, False) for f in spread(9, 1)), *((f, True) for f in spread(3, 2))], ids=str
)
def test_killed_before_a_step_on_a_file_or_database(
    fraction: float, dagster: bool, crew: Crew, simulator: Simulator, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    settings = settings_of(tmp_path / "lake", simulator)
    simulator.reset_counters()
    instant = max(1, round(fraction * undisturbed.instants[dagster]))
    killed = crew.run(settings, [SYMBOL], dagster=dagster, kill_at=instant)
    assert killed.signal == signal.SIGKILL, killed.words
    complete(crew, simulator, settings, undisturbed, [killed], dagster=dagster)


@pytest.mark.parametrize(
    ("fraction", "dagster"),
    [*((f, False) for f in spread(4, 3)), *((f, True) for f in spread(1, 4))],
    ids=lambda value: str(value),
)
def test_killed_from_outside_while_it_waits_for_an_answer(
    fraction: float,
    dagster: bool,
    crew: Crew,
    simulator: Simulator,
    reaper: Reaper,
    undisturbed: Undisturbed,
    tmp_path: Path,
) -> None:
    settings = settings_of(tmp_path / "lake", simulator)
    simulator.reset_counters()
    killed = killed_at_request(1 + int(fraction * len(undisturbed.questions)), crew, reaper, settings, dagster=dagster)
    complete(crew, simulator, settings, undisturbed, [killed], dagster=dagster)


@pytest.mark.parametrize(("first", "second"), list(zip(spread(6, 5), reversed(spread(6, 6)), strict=True)), ids=str)
def test_killed_again_while_it_recovers(
    first: float, second: float, crew: Crew, simulator: Simulator, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """The second run has the answers of the first one to store before it asks for the rest."""
    settings = settings_of(tmp_path / "lake", simulator)
    simulator.reset_counters()
    instants = undisturbed.instants[False]
    killed = [
        crew.run(settings, [SYMBOL], dagster=False, kill_at=max(1, round(part * instants)))
        for part in (0.3 + 0.6 * first, 0.3 * second)
    ]
    assert [end.signal for end in killed] == [signal.SIGKILL] * 2, [end.words for end in killed]
    complete(crew, simulator, settings, undisturbed, killed, dagster=False)


def test_killed_again_and_again_on_the_same_lake(
    crew: Crew, simulator: Simulator, reaper: Reaper, undisturbed: Undisturbed, tmp_path: Path
) -> None:
    """Each run comes a few answers further; none is blocked by what the dead have left: locks, client ids, places in
    Dagster's pool."""
    settings = settings_of(tmp_path / "lake", simulator)
    simulator.reset_counters()
    killed = [killed_at_request(nth, crew, reaper, settings, dagster=True) for nth in (2, 4, 6)]
    complete(crew, simulator, settings, undisturbed, killed, dagster=True)
    asked_before = len(simulator.counters.log)
    again = crew.run(settings, [SYMBOL])
    assert again.success, again.words
    assert len(simulator.counters.log) == asked_before, "a complete lake asks nothing and connects to nobody"


def killed_at_request(nth: int, crew: Crew, reaper: Reaper, settings: Settings, *, dagster: bool) -> End:
    """A process that died when its n-th request reached the simulator."""
    reaper.arm(nth)
    child = crew.start(settings, [SYMBOL], dagster=dagster)
    reaper.victim(child.pid)
    end = crew.wait(child)
    assert end.signal == signal.SIGKILL, end.words
    assert reaper.struck, end.words
    return End(end.signal, end.code, end.report, end.output, f"waiting for {reaper.struck}")
