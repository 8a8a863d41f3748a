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
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
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


def say(text: str, *, style: str | None = None) -> None:
    """Print sentences without markup. In a terminal their lines break between words, elsewhere they stay whole."""
    console.print(text, soft_wrap=not console.is_terminal, markup=False, style=style)


def say_as_it_is(text: str) -> None:
    """Print what somebody copies, such as a command or a path: its lines are not broken in a terminal either."""
    console.print(text, soft_wrap=True, markup=False)


def errors_to(sentence: str) -> None:
    """Print one error sentence."""
    stderr.print(f"[bold red]error[/]: {_escaped(sentence)}", soft_wrap=not stderr.is_terminal)


def is_quiet() -> bool:
    """Whether neither progress nor notes are to be shown."""
    return _quiet


def note_to(sentence: str) -> None:
    """Print one sentence that is worth knowing and no error."""
    if _quiet:
        return
    stderr.print(f"[bold]note[/]: {_escaped(sentence)}", soft_wrap=not stderr.is_terminal)


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


NARROW = 24
"""Columns that a column of sentences has at least in a table."""

BETWEEN = 2
"""Blanks between two columns."""


class FittedTable:
    """Records as a table where all columns have room, sentences wrapped; else without the `dispensable` columns, as
    many of them as it takes, in their order, and it says which. In a terminal narrower than that, each record as lines
    of name and value, without those that are empty. Nothing is cut off."""

    def __init__(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        numeric: Sequence[bool],
        dispensable: Sequence[str] = (),
    ) -> None:
        self._columns, self._rows, self._numeric, self._dispensable = columns, rows, numeric, dispensable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = {number: self._width(number) for number in range(len(self._columns))}
        left_out: list[str] = []
        for column in ("", *self._dispensable):
            if column:
                widths.pop(list(self._columns).index(column))
                left_out.append(column)
            if sum(widths.values()) + BETWEEN * (len(widths) - 1) <= options.max_width:
                yield self._table(widths)
                if left_out:
                    yield f"Left out for want of room: {', '.join(left_out)}."
                return
        for number, row in enumerate(self._rows):
            if number:
                yield Segment.line()
            plain = not options.is_terminal and "".join(row).isascii()
            yield self._plain_record(row, options.max_width) if plain else self._record(row)

    def _width(self, number: int) -> int:
        """Columns that are needed of the terminal."""
        texts = [row[number] for row in self._rows]
        longest = max(map(cell_len, texts), default=0)
        wraps = longest > NARROW and any(" " in text for text in texts)
        return max(cell_len(self._columns[number]), min(longest, NARROW) if wraps else longest)

    def _table(self, widths: Mapping[int, int]) -> Table:
        table = Table(header_style="bold", box=None, pad_edge=False, padding=(0, BETWEEN, 0, 0))
        for number, width in widths.items():
            side: Any = "right" if self._numeric[number] else "left"
            table.add_column(self._columns[number], justify=side, overflow="fold", min_width=width)
        for row in self._rows:
            table.add_row(*(_escaped(row[number]) for number in widths))
        return table

    def _plain_record(self, row: Sequence[str], width: int) -> Segment:
        """The lines of `_record` without style, ten times as fast: a file may get thousands of them."""
        names = max(map(len, self._columns)) + BETWEEN
        lines = []
        for column, text in zip(self._columns, row, strict=True):
            parts = [part for line in text.splitlines() for part in wrap(line, max(width - names, 1)) or [""]]
            lines += [f"{'' if number else column:<{names}}{part}\n" for number, part in enumerate(parts)]
        return Segment("".join(lines))

    def _record(self, row: Sequence[str]) -> Table:
        record = Table.grid(padding=(0, BETWEEN, 0, 0))
        record.add_column(style="bold", no_wrap=True)
        record.add_column(overflow="fold")
        for column, text in zip(self._columns, row, strict=True):
            if text:
                record.add_row(column, _escaped(text))
        return record


def table_of(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, exact: bool = False, dispensable: Sequence[str] = ()
) -> FittedTable:
    """A table of records; numbers to the right, nothing for None. Counts have separators of thousands; with `exact`
    (values that somebody may copy, such as identifiers, years, prices) numbers have none, and all their digits. In a
    narrow terminal the `dispensable` columns go first, in their order."""
    records = list(rows)
    numeric = [
        any(isinstance(row.get(column), int | float) and not isinstance(row.get(column), bool) for row in records)
        for column in columns
    ]
    names = [_NAMES_ONE.search(column) is not None for column in columns]
    cells = [
        [_cell(row.get(column), exact=exact or name) for column, name in zip(columns, names, strict=True)]
        for row in records
    ]
    return FittedTable(columns, cells, numeric, dispensable)


_NAMES_ONE = re.compile(r"(^|_)(id|ids|year|port|pid|code|version)$")
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
    return str(value)


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


def print_named(lines: Mapping[str, str], width: int) -> None:
    """Sentences behind their names, these in `width` columns; in a terminal wrapped between words, behind the names."""
    if not console.is_terminal:
        for name, said in lines.items():
            say(f"{name:<{width}} {said}")
        return
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(min_width=width, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, said in lines.items():
        grid.add_row(_escaped(name), _escaped(said))
    console.print(grid)


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
        said = f"[yellow]{problem.kind}[/] {_escaped(who)}: {_escaped(problem.sentence)}"
        console.print(said, soft_wrap=not console.is_terminal)
    if len(problems) > PROBLEMS_SHOWN:
        console.print(f"... and {len(problems) - PROBLEMS_SHOWN} more (--json lists all).")
