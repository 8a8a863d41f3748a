"""How the command talks: tables and progress for people, one JSON document for programs, errors as one sentence."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from trading_assets.collecting.report import CollectionReport, Problem

WIDTH_OF_FILES = 160
"""Columns where the output is no terminal: tables stay whole in logs."""


def _console(*, error: bool) -> Console:
    found = Console(stderr=error, highlight=False)
    return found if found.is_terminal else Console(stderr=error, highlight=False, width=WIDTH_OF_FILES)


console = _console(error=False)
stderr = _console(error=True)

PROBLEMS_SHOWN = 12


def write_picture(path: Path, png: bytes) -> None:
    """Write a picture, whole or not at all; folders above it are made."""
    from trading_assets.repositories.files import replacing  # late: most commands write no file

    with replacing(path) as beside:
        beside.write_bytes(png)


class Failed(Exception):
    """A command failed; the message is shown to the user."""


@contextmanager
def quietly() -> Iterator[None]:
    """Within it, neither progress nor notes are shown: results and errors only."""
    global _quiet
    before, _quiet = _quiet, True
    try:
        yield
    finally:
        _quiet = before


_quiet = False


def errors_to(sentence: str) -> None:
    """Print one error sentence."""
    stderr.print(f"[bold red]error[/]: {_escaped(sentence)}", soft_wrap=True)


def note_to(sentence: str) -> None:
    """Print one sentence that is worth knowing and no error."""
    if _quiet:
        return
    stderr.print(f"[bold]note[/]: {_escaped(sentence)}", soft_wrap=True)


def as_json(document: Any) -> None:
    """Print one JSON document: dates and instants in ISO 8601."""
    sys.stdout.write(json.dumps(_finite(document), default=_plain, indent=2, allow_nan=False) + "\n")


def as_json_line(document: Any) -> None:
    """Print one JSON document on a line of its own, as `as_json` writes it."""
    sys.stdout.write(json.dumps(_finite(document), default=_plain, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if hasattr(value, "as_dict"):
        return value.as_dict()
    return str(value)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def table_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, exact: bool = False) -> Table:
    """A table of records; numbers to the right, nothing for None. Counts have separators of thousands; with `exact`
    (values that somebody may copy, such as identifiers, years, prices) numbers have none, and all their digits."""
    table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    records = list(rows)
    for column in columns:
        numeric = any(
            isinstance(row.get(column), int | float) and not isinstance(row.get(column), bool) for row in records
        )
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in records:
        table.add_row(
            *(_cell(row.get(column), exact=exact or _NAMES_ONE.search(column) is not None) for column in columns)
        )
    return table


_NAMES_ONE = re.compile(r"(^|_)(id|year|port|pid)$")
"""Columns whose integers name something: they are no amounts."""

DIGITS = 12
"""Significant digits of a number that is shown exactly: all that a price or a volume has, without the last digits of a
sum of binary fractions."""


def _cell(value: Any, *, exact: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return _decimal(value, exact=exact)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if exact else f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return _escaped(str(value))


def _decimal(value: float, *, exact: bool) -> str:
    """Four decimals, more where they are all that the number has; never an exponent."""
    if not math.isfinite(value):
        return str(value)
    if exact or 0 < abs(value) < 0.01:
        exponent = math.floor(math.log10(abs(value))) if value else 0
        digits = DIGITS if exact else 4
        text = f"{value:.{min(max(digits - 1 - exponent, 0), 340)}f}"
    else:
        text = f"{value:,.4f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def print_reports(reports: Sequence[CollectionReport]) -> None:
    """What was collected, and what is missing."""
    rows = [
        {
            "dataset": report.dataset,
            "rows": report.rows,
            "planned": report.planned,
            "sent": report.sent,
            "from journal": report.reused,
            "saved": report.saved,
            "missing": len(report.problems),
        }
        for report in reports
    ]
    console.print(table_of(rows, ["dataset", "rows", "planned", "sent", "from journal", "saved", "missing"]))
    print_problems([problem for report in reports for problem in report.problems])


def print_problems(problems: Sequence[Problem]) -> None:
    """The first problems, each as a sentence."""
    for problem in problems[:PROBLEMS_SHOWN]:
        who = " ".join(filter(None, (problem.symbol, problem.subject)))
        console.print(f"[yellow]{problem.kind}[/] {_escaped(who)}: {_escaped(problem.sentence)}", soft_wrap=True)
    if len(problems) > PROBLEMS_SHOWN:
        console.print(f"... and {len(problems) - PROBLEMS_SHOWN} more (--json lists all).")


class LiveProgress:
    """Bars on the terminal with rate and time left; nothing where the output is no terminal."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=stderr,
            disable=quiet or _quiet or not stderr.is_terminal,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> LiveProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, stage: str, total: int) -> None:
        """A new bar."""
        self._task = self._progress.add_task(stage, total=total, rate="")

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        """Move the bar."""
        if self._task is None:
            return
        task = self._progress.tasks[self._task]
        rate = f"{task.speed:,.0f}/s" if task.speed else ""
        self._progress.update(self._task, completed=done, total=total, rate=rate)

    def finish(self, report: CollectionReport) -> None:
        """Close the bar."""
        if self._task is not None:
            self._progress.update(self._task, completed=self._progress.tasks[self._task].total)
