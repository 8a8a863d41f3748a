"""Tables in terminals of any width: nothing is cut off, and every line fits."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from trading_assets.cli import output
from trading_assets.cli.app import run
from trading_assets.cli.output import table_of
from trading_assets_tests.cli.conftest import Output

ROWS = [
    {
        "symbol": "AAPL",
        "con_id": 265598,
        "sessions": 12345,
        "reason": "The broker did not answer in time; it is asked again.",
        "last": None,
    },
    {"symbol": "BRK B", "con_id": 72063691, "sessions": 3, "reason": "", "last": "2024-06-03"},
]


def drawn(width: int) -> list[str]:
    written = io.StringIO()
    Console(file=written, width=width, highlight=False).print(table_of(ROWS, list(ROWS[0])))
    return [line.rstrip() for line in written.getvalue().splitlines()]


def test_where_there_is_room_each_record_is_a_line() -> None:
    lines = drawn(120)
    assert lines[0].split() == ["symbol", "con_id", "sessions", "reason", "last"]
    assert lines[1] == "AAPL      265598    12,345  The broker did not answer in time; it is asked again."
    assert len(lines) == 3


def test_sentences_wrap_before_anything_else() -> None:
    lines = drawn(70)
    assert lines[0].split() == ["symbol", "con_id", "sessions", "reason", "last"]
    assert lines[1].split()[:3] == ["AAPL", "265598", "12,345"] and len(lines) > 3


@pytest.mark.parametrize("width", [40, 60])
def test_in_a_narrow_terminal_each_value_has_a_line(width: int) -> None:
    lines = drawn(width)
    assert lines[:3] == ["symbol    AAPL", "con_id    265598", "sessions  12,345"]
    assert lines[-4:] == ["symbol    BRK B", "con_id    72063691", "sessions  3", "last      2024-06-03"]
    assert "" in lines, "a blank line between two records"
    assert max(map(len, lines)) <= width
    assert "it is asked again." in " ".join(" ".join(lines).split())


def test_dispensable_columns_go_first_and_are_named() -> None:
    written = io.StringIO()
    table = table_of(ROWS, list(ROWS[0]), dispensable=["reason", "sessions", "con_id"])
    Console(file=written, width=40, highlight=False).print(table)
    lines = [line.rstrip() for line in written.getvalue().splitlines()]
    assert lines[0].split() == ["symbol", "con_id", "sessions", "last"]
    assert lines[-1] == "Left out for want of room: reason."


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("command", ["coverage", "universe list", "alerts rules list"])
def test_commands_in_narrow_terminals(
    small_lake: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, command: str, width: int
) -> None:
    assert run(["universe", "add", "AAPL"]) == 0
    capsys.readouterr()
    monkeypatch.setattr(output.console, "width", width)
    run(command.split())
    lines = capsys.readouterr().out.splitlines()
    table = lines[: next((n for n, line in enumerate(lines) if line.startswith(("Channels:", "\n"))), len(lines))]
    assert table and max(map(len, table)) <= width, lines
    assert "…" not in "".join(lines)


@pytest.mark.parametrize("command", ["doctor", "report --text"])
def test_sentences_in_narrow_terminals_break_between_words(
    small_lake: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert run(["universe", "add", "AAPL"]) == 0
    capsys.readouterr()
    run(command.split())
    whole = capsys.readouterr().out
    assert max(map(len, whole.splitlines())) > 60
    monkeypatch.setattr(output.console, "_force_terminal", True)
    monkeypatch.setattr(output.console, "width", 60)
    run(command.split())
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= 60
    said = {word for word in whole.split() if word.isalpha()}
    assert said <= set(narrow.split()), "no word is broken"


def test_codes_of_the_broker_have_no_separators() -> None:
    written = io.StringIO()
    Console(file=written, width=80).print(
        table_of([{"broker_code": 10197, "year": 2024, "rows": 10197}], ["broker_code", "year", "rows"])
    )
    assert written.getvalue().split()[3:] == ["10197", "2024", "10,197"]
