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


@pytest.mark.parametrize("command", [["universe", "add", "-"], ["setup", "-"], ["plan", "-"]])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "There is no symbol on standard input"),
        (b"# nothing\n\n , \n", "There is no symbol on standard input"),
        (b"AAPL\nSPY, 1234\n", "Line 2 of standard input: '1234' is not a US stock, ETF or index symbol"),
        (b"AAPL;SPY\n", "Line 1 of standard input: 'AAPL;SPY' is not"),
        (b"\xff\xfe", "Line 1 of standard input: "),
        (b"AAPL\n-\n", "Line 2 of standard input: '-' is not"),
    ],
)
def test_what_is_no_symbol_is_named_with_its_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output, command: list[str], content: bytes, said: str
) -> None:
    given(monkeypatch, content)
    assert run(command) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "state.db").exists(), "nothing was begun"


def test_a_closed_standard_input_holds_no_symbol(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert run(["plan", "-"]) == 2
    assert "There is no symbol on standard input" in capsys.readouterr().err


def test_plan_reads_them(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    given(monkeypatch, b"AAPL, SPY # two\n")
    assert run(["plan", "-", "--json", "--lookback-days", "5"]) == 0
    assert json.loads(capsys.readouterr().out)["symbols"] == ["AAPL", "SPY"]
