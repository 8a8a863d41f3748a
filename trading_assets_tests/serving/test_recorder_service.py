"""The live recorder as a service: when it runs, and that it is started again."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime

import pytest

from trading_assets.serving import recorder_service
from trading_assets.serving.parents import ending_with_parent
from trading_assets.serving.recorder_service import RecorderService, in_session_hours
from trading_assets.sessions import calendar
from trading_assets_tests.observing import eventually


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2024-06-14T09:24-04:00", False),
        ("2024-06-14T09:26-04:00", True),
        ("2024-06-14T16:15-04:00", True),
        ("2024-06-14T16:21-04:00", False),
        ("2024-06-15T12:00-04:00", False),  # a Saturday
        ("2024-07-04T12:00-04:00", False),  # a holiday
        ("2015-12-24T13:15-05:00", True),  # closes at 13:00
        ("2015-12-24T13:25-05:00", False),
    ],
)
def test_streams_are_wanted_around_the_session(now: str, expected: bool) -> None:
    assert in_session_hours(calendar(), datetime.fromisoformat(now)) is expected


class Day:
    """A service whose recorder is a process that does nothing, and a clock that is set."""

    def __init__(self) -> None:
        self.now = datetime.fromisoformat("2024-06-14T12:00-04:00")
        self.processes: list[subprocess.Popen[str]] = []
        self.said: list[str] = []
        self.service = RecorderService(self.start, calendar(), lambda: self.now, self.said.append)

    def start(self) -> subprocess.Popen[str]:
        self.processes.append(
            subprocess.Popen(
                [sys.executable, "-S", "-c", "input()"],
                stdin=subprocess.PIPE,
                text=True,
                preexec_fn=ending_with_parent(),  # whoever runs the tests in the background has them ignore signals
            )
        )
        return self.processes[-1]

    def starts(self) -> int:
        self.service.look()
        return len(self.processes)


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch) -> Iterator[Day]:
    monkeypatch.setattr(recorder_service, "FIRST_PAUSE", 0.01)
    found = Day()
    found.service._pause = 0.01
    yield found
    for process in found.processes:
        process.kill()
        process.communicate()


def test_a_recorder_that_was_killed_is_started_again(day: Day) -> None:
    assert day.starts() == day.starts() == 1, "one is enough"
    day.processes[0].kill()
    eventually(lambda: day.starts() == 2, between_looks=0.01)
    assert day.said[1] == "The live recorder ended by itself (exit code -9): it is started again in 0.01 s."
    day.processes[1].kill()
    eventually(lambda: day.starts() == 3, between_looks=0.01)
    assert "again in 0.02 s" in day.said[3], "one that dies at once is started less and less often"


def test_it_ends_after_the_session_and_begins_with_the_next(day: Day) -> None:
    assert day.starts() == 1
    day.now = datetime.fromisoformat("2024-06-14T16:30-04:00")
    assert day.starts() == 1
    assert day.processes[0].wait(300) == -signal.SIGTERM
    assert day.starts() == day.starts() == 1
    assert day.said[1:] == ["The session is over: the live recorder ends."], "it was asked to: nothing is wrong"
    day.now = datetime.fromisoformat("2024-06-17T09:26-04:00")
    assert day.starts() == 2


def test_a_recorder_that_cannot_be_started_is_tried_again(day: Day) -> None:
    """`up` goes on with everything else."""
    start, failures = day.service._start, [OSError(errno.EAGAIN, "Resource temporarily unavailable")]

    def fails_once() -> subprocess.Popen[str]:
        if failures:
            raise failures.pop()
        return start()

    day.service._start = fails_once
    assert day.starts() == 0
    assert day.said == [
        "The live recorder could not be started (Resource temporarily unavailable): tried again in 0.01 s."
    ]
    eventually(lambda: day.starts() == 1, between_looks=0.01)
