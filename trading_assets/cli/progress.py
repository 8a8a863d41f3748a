"""What a collection shows in a terminal while it works: a line for each asset with rate, time left and pacing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TaskID, TextColumn
from rich.table import Column

from trading_assets.cli.output import is_quiet, stderr
from trading_assets.collecting.progress import counted, wait_words

if TYPE_CHECKING:
    from trading_assets.collecting.report import CollectionReport

RATE_SECONDS = 60.0
"""The rate is that of this last time: long enough for the broker's limit of small bars, some of them a minute."""

BAR_FROM = 100
"""Columns of a terminal from which on there is room for a bar beside the figures."""


class LiveProgress:
    """Hears a collection (`collecting.progress.Progress`) and shows it in a terminal; nothing elsewhere, and nothing
    with `quiet`."""

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        bar = [BarColumn(bar_width=20)] if stderr.width >= BAR_FROM else []
        self._progress = Progress(
            SpinnerColumn("line"),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            *bar,
            TextColumn("{task.fields[said]}", table_column=Column(ratio=1)),
            console=stderr,
            expand=True,
            disable=quiet or is_quiet() or not stderr.is_terminal,
            transient=True,
        )
        self._tasks: dict[str, _Stage] = {}
        self._current: _Stage | None = None
        self._reused = 0

    def __enter__(self) -> LiveProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, stage: str, total: int) -> None:
        """More requests of an asset: its line goes on."""
        found = self._tasks.get(stage)
        if found is None:
            found = self._tasks[stage] = _Stage(self._progress.add_task(stage, total=0, said=""), self._clock)
        found.begin(total)
        self._current = found
        self._show(found)

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        """So many of the requests are answered."""
        if self._current is not None:
            self._current.advance(done, reused - self._reused if reused >= self._reused else reused)
            self._reused = reused
            self._show(self._current)

    def waiting(self, why: str, until: datetime | None) -> None:
        """The broker's limits allow the next request at that instant (None: nobody knows when)."""
        if self._current is not None:
            self._current.waits = wait_words(why, until)
            self._show(self._current)

    def finish(self, report: CollectionReport) -> None:
        """An asset is in the lake."""
        found = self._tasks.pop(report.dataset, None)
        if found is not None:
            said = f"{counted(report.rows, 'row')}, {counted(report.sent, 'request')} sent"
            self._progress.update(found.task, total=1, completed=1, said=said)
        if found is self._current:
            self._current = None

    def _show(self, stage: _Stage) -> None:
        self._progress.update(stage.task, total=stage.total, completed=stage.done, said=stage.sentence())

    @property
    def lines(self) -> list[str]:
        """What stands in each line, without spinner and bar."""
        return [f"{task.description} {task.fields['said']}" for task in self._shown()]

    def _shown(self) -> list[Task]:
        return self._progress.tasks


class _Stage:
    """One asset's requests: how many, how many are answered, and when the broker answered; answers from the journal
    say nothing about its rate."""

    def __init__(self, task: TaskID, clock: Callable[[], float]) -> None:
        self.task = task
        self.total = self.done = 0
        self.waits = ""
        self._clock = clock
        self._before = 0
        self._fresh = 0
        self._answered: deque[tuple[float, int]] = deque()

    def begin(self, more: int) -> None:
        self._before = self.total
        self.done = self.total
        self.total += more
        if not self._answered:
            self._answered.append((self._clock(), 0))

    def advance(self, done: int, reused: int) -> None:
        """`done` of the requests since the last `begin`; `reused` of those since the last call came from the
        journal."""
        now, before = self._clock(), self.done
        self.done = self._before + done
        self._fresh += max(0, self.done - before - reused)
        self.waits = ""
        self._answered.append((now, self._fresh))
        while len(self._answered) > 2 and self._answered[0][0] < now - RATE_SECONDS:
            self._answered.popleft()

    def sentence(self) -> str:
        """`120 of 480 requests, 45/s, 8 s left`; while pacing lets nothing go, why and until when."""
        said = [f"{self.done:,} of {self.total:,} requests"]
        if self.waits:
            return f"{said[0]}, {self.waits}"
        (begun, first), (now, last) = self._answered[0], self._answered[-1]
        if now > begun and last > first:
            rate = (last - first) / (now - begun)
            said.append(f"{rate:,.0f}/s" if rate >= 1 else f"{rate * 60:,.1f}/min")
            if self.done < self.total:
                said.append(f"{duration((self.total - self.done) / rate)} left")
        return ", ".join(said)


def duration(seconds: float) -> str:
    """`8 s`, `3 min`, `1 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
