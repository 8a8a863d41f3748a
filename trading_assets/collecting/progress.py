"""How long work reports its progress and its result: a listener that the command line draws, scripts and notebooks show
as lines, and the UI does without.

`listening(listener)` makes a listener hear every archive opened inside the block, in this thread: the command line runs
Dagster jobs in its own process and cannot hand the listener through them.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from trading_assets.sessions import NEW_YORK

if TYPE_CHECKING:
    from trading_assets.collecting.report import CollectionReport


class Progress(Protocol):
    """Told of every stage of a collection. Calls may come from several threads."""

    def begin(self, stage: str, total: int) -> None:
        """A stage of `total` requests begins; `stage` is a few words such as `option_bars`."""

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        """So many of the stage's requests are answered, so many were sent or taken from the journal."""

    def waiting(self, why: str, until: datetime | None) -> None:
        """Nothing is sent until then (UTC; None: nobody knows), because of the broker's limits or an outage: `why` is
        such as `for the broker's limit of small bars`. Not called where a listener has no such method."""

    def finish(self, report: CollectionReport) -> None:
        """A dataset's collection is in the lake."""


class Silent:
    """A listener that says nothing."""

    def begin(self, stage: str, total: int) -> None:
        """Nothing."""

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        """Nothing."""

    def waiting(self, why: str, until: datetime | None) -> None:
        """Nothing."""

    def finish(self, report: CollectionReport) -> None:
        """Nothing."""


LINES_A_STEP = 10
"""How often a step says at most how far it is, and seconds between two of these lines at least."""


class Lines:
    """One line for each step that is done, and some while a long one lasts. `write` is given each line, without its
    end."""

    def __init__(self, write: Callable[[str], object], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._stage, self._begun, self._told_at, self._told = "", 0.0, 0.0, 0.0

    def begin(self, stage: str, total: int) -> None:
        """A stage of the same step goes on where the one before ended."""
        now = self._clock()
        if stage != self._stage:
            self._begun = now
        self._stage, self._told_at, self._told = stage, now, 0.0

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        """A line now and then."""
        now = self._clock()
        if done < total and done / total - self._told >= 1 / LINES_A_STEP and now - self._told_at >= LINES_A_STEP:
            self._told_at, self._told = now, done / total
            self._write(f"{self._stage}: {done:,} of {total:,} requests answered")

    def waiting(self, why: str, until: datetime | None) -> None:
        """A line, when the last one is some time ago."""
        now = self._clock()
        if now - self._told_at >= LINES_A_STEP:
            self._told_at = now
            self._write(f"{self._stage}: {wait_words(why, until)}")

    def finish(self, report: CollectionReport) -> None:
        """The line of the step."""
        whose = ", ".join(report.symbols) if len(report.symbols) <= 3 else f"{len(report.symbols)} symbols"
        counts = [counted(report.rows, "row"), f"{counted(report.sent, 'request')} sent"]
        counts += [f"{counted(report.reused, 'answer')} from the journal"] if report.reused else []
        counts += [f"{len(report.problems)} missing"] if report.problems else []
        seconds = self._clock() - self._begun if self._stage == report.dataset else 0.0
        self._stage = ""
        self._write(f"{report.dataset} of {whose}: {', '.join(counts)} ({seconds:.0f} s)")


def wait_words(why: str, until: datetime | None) -> str:
    """`waiting for the broker's limit of small bars until 16:31:05 New York`."""
    return f"waiting {why}" + (f" until {until.astimezone(NEW_YORK):%H:%M:%S} New York" if until else "")


def counted(number: int, what: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def progress_of(wanted: Progress | Callable[[str], object] | bool | None) -> Progress:
    """The listener that was asked for: itself, or lines for a function such as `print`; True: lines on standard error;
    None: the same where a person looks on, in a terminal or a notebook; False: nothing."""
    if wanted is None:
        wanted = _watched()
    if isinstance(wanted, bool):
        return Lines(_to_stderr) if wanted else _SILENT
    return Lines(wanted) if callable(wanted) else wanted


def _watched() -> bool:
    """Whether standard error is a terminal, or the output of a notebook's cell (of Jupyter, whatever shows it)."""
    return sys.stderr is not None and (sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel."))


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


_SILENT = Silent()
_listener: ContextVar[Progress | None] = ContextVar("trading_assets_progress", default=None)


def listener() -> Progress:
    """Who listens in this context."""
    return _listener.get() or _SILENT


@contextmanager
def listening(progress: Progress) -> Iterator[None]:
    """Within the block, `progress` hears what archives of this context do."""
    token = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(token)
