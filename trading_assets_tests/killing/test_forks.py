"""A process is killed at the instant that was asked for, or near its end when it takes some steps fewer."""

from __future__ import annotations

from pathlib import Path

from trading_assets_tests.killing.forks import ForkServer

STEPS = 20


def open_files(folder: Path) -> int:
    """Take that many steps."""
    for number in range(STEPS):
        (folder / f"{number}").write_text("")
    return STEPS


def test_it_is_killed_just_before_the_step(forks: ForkServer, tmp_path: Path) -> None:
    end = forks.run(open_files, tmp_path, watched=[tmp_path], stop_at=11)
    assert end.killed and len(list(tmp_path.iterdir())) == 10


def test_fewer_steps_than_expected_end_by_themselves_or_are_killed_at_the_end(
    forks: ForkServer, tmp_path: Path
) -> None:
    watching = {"watched": [tmp_path], "stop_at": STEPS + 1}
    ended = forks.run(open_files, tmp_path, **watching)
    assert (ended.killed, ended.result, ended.instants) == (False, STEPS, STEPS)
    child = forks.start(open_files, tmp_path, **watching, or_near=True)
    assert child.stopped() == f"its end, {STEPS} steps in place of {STEPS + 1}"
    assert child.kill().killed


def test_far_fewer_steps_are_no_kill(forks: ForkServer, tmp_path: Path) -> None:
    end = forks.run(open_files, tmp_path, watched=[tmp_path], stop_at=2 * STEPS, or_near=True)
    assert (end.killed, end.result) == (False, STEPS)
