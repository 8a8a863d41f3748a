"""Symbols that a command reads from standard input."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.cli.conftest import Output


def given(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="ascii"))


@pytest.mark.parametrize(
    "content",
    [
        b"AAPL\nSPY\nBRK B\n",
        b"\xef\xbb\xbfaapl, spy,brk.b",
        b"# my list\r\nAAPL # apple\r\n\r\n  SPY,,\r\nBRK B,AAPL\r\n",
    ],
)
def test_they_are_one_a_line_or_comma_separated(folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    given(monkeypatch, content)
    assert run(["universe", "add", "IBM", "-"]) == 0
    assert Universe(Settings().state_url).active() == ["AAPL", "BRK B", "IBM", "SPY"]


COMMANDS = [
    ["universe", "add", "-"],
    ["universe", "remove", "-"],
    ["universe", "series", "-"],
    ["universe", "restore", "-"],
    ["setup", "-"],
    ["plan", "-"],
    ["update", "-"],
    ["backfill", "-", "--from", "2024-06-03"],
    ["validate", "-"],
    ["live", "-"],
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "There is no symbol on standard input"),
        (b"# nothing\n\n , \n", "There is no symbol on standard input"),
        (b"AAPL\nSPY, 1234\n", "Line 2 of standard input: '1234' is not a US stock, ETF or index symbol"),
        (b"AAPL;SPY\n", "Line 1 of standard input: 'AAPL;SPY' is not"),
        (b"\xff\xfe", "Line 1 of standard input: "),
        (b"AAPL\n-\n", "Line 2 of standard input: '-' is not"),
        (b"AAPL SPY\n", "Line 1 of standard input: 'AAPL SPY' is more than one symbol"),
        (b"AAPL\tGOOG\n", "Line 1 of standard input: 'AAPL\\tGOOG' is more than one symbol"),
        (b"AAPL,Apple Inc.\n", "Line 1 of standard input: 'Apple Inc.' is more than one symbol"),
    ],
)
def test_what_is_no_symbol_is_named_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output, command: list[str], content: bytes, said: str
) -> None:
    given(monkeypatch, content)
    assert run(command) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "state.db").exists(), "nothing was begun"


def test_classes_and_kinds_of_shares_are_symbols(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, b"BRK B\nbac prl, ABC WS,BF.B\n")
    assert run(["universe", "add", "-"]) == 0
    assert Universe(Settings().state_url).active() == ["ABC WS", "BAC PRL", "BF B", "BRK B"]


def test_a_terminal_is_told_what_to_type(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    given(monkeypatch, b"AAPL\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert run(["universe", "add", "-"]) == 0
    assert "end with Ctrl-D" in capsys.readouterr().err


def test_symbols_of_closed_series_are_read_where_rows_are_looked_at(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    given(monkeypatch, b"META@8314\n")
    assert run(["universe", "series", "-", "--json"]) == 0
    given(monkeypatch, b"META@8314\n")
    assert run(["universe", "add", "-"]) == 2


def test_a_closed_standard_input_holds_no_symbol(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert run(["plan", "-"]) == 2
    assert "There is no symbol on standard input" in capsys.readouterr().err


def test_plan_reads_them(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    given(monkeypatch, b"AAPL, SPY # two\n")
    assert run(["plan", "-", "--json", "--lookback-days", "5"]) == 0
    assert json.loads(capsys.readouterr().out)["symbols"] == ["AAPL", "SPY"]
