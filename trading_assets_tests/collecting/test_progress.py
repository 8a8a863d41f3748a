"""Lines of progress: one a step, few while it lasts, and only where somebody looks on."""

from __future__ import annotations

import io
import sys
from datetime import date
from itertools import count

import pytest

from trading_assets.collecting.progress import Lines, Silent, progress_of
from trading_assets.collecting.report import CollectionReport, Problem, ProblemKind

SESSION = date(2025, 11, 17)


def report(*symbols: str, sent: int = 0, reused: int = 0) -> CollectionReport:
    found = CollectionReport("equity_bars", SESSION, symbols=list(symbols), sent=sent, reused=reused)
    found.rows_by_symbol = dict.fromkeys(symbols, 2)
    return found


def test_a_step_is_one_line() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    lines.begin("equity_bars", 3)
    for done in range(1, 4):
        lines.advance(done, 3, done, 0)
    lines.finish(report("AAPL", sent=1, reused=2))
    assert said == ["equity_bars of AAPL: 2 rows, 1 request sent, 2 answers from the journal (0 s)"]


def test_what_is_missing_is_told_and_many_symbols_are_counted() -> None:
    said: list[str] = []
    found = report("AAPL", "IBM", "KO", "MSFT", sent=4)
    found.problems = [Problem(ProblemKind.FAILED, "KO", "equity_bars", "It failed.")]
    Lines(said.append).finish(found)
    assert said == ["equity_bars of 4 symbols: 8 rows, 4 requests sent, 1 missing (0 s)"]


def test_a_long_step_says_at_most_ten_times_how_far_it_is() -> None:
    said: list[str] = []
    seconds = count()
    lines = Lines(said.append, clock=lambda: float(next(seconds)))
    lines.begin("option_bars", 5_000)
    for done in range(1, 5_001):
        lines.advance(done, 5_000, done, 0)
    assert len(said) == 9
    assert said[0] == "option_bars: 500 of 5,000 requests answered"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Cell(io.StringIO):
    """The output of a notebook's cell: no terminal, of a class of ipykernel."""


Cell.__module__ = "ipykernel.iostream"


@pytest.mark.parametrize(
    ("stream", "wanted", "shown"),
    [
        (Terminal, None, True),
        (Cell, None, True),
        (io.StringIO, None, False),
        (io.StringIO, True, True),
        (Terminal, False, False),
    ],
)
def test_lines_appear_where_a_person_looks_on(
    stream: type[io.StringIO], wanted: bool | None, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = stream()
    monkeypatch.setattr(sys, "stderr", output)
    progress_of(wanted).finish(report("AAPL"))
    assert bool(output.getvalue()) == shown


def test_a_listener_is_itself_and_a_function_is_called() -> None:
    silent, said = Silent(), []
    assert progress_of(silent) is silent
    progress_of(said.append).finish(report("AAPL"))
    assert said == ["equity_bars of AAPL: 2 rows, 0 requests sent (0 s)"]


def test_without_standard_error_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under pythonw."""
    monkeypatch.setattr(sys, "stderr", None)
    progress_of(None).finish(report("AAPL"))
