"""The sentence that `status` begins with, over lakes without a collection; `test_collecting` has those
of a collected one."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets.cli import output, status
from trading_assets.cli.app import run
from trading_assets_tests.cli.conftest import Output, document


def first_line(output: Output) -> str:
    return output.readouterr().out.splitlines()[0]


def test_of_an_empty_folder(folder: Path, capsys: Output) -> None:
    assert run(["status"]) == 0
    said = "Nothing is collected: the universe is empty. trading-assets setup AAPL collects a first symbol."
    assert first_line(capsys) == said
    assert run(["status", "--json"]) == 0
    assert document(capsys)["headline"] == said


def test_of_data_without_a_symbol_to_keep(small_lake: Path, capsys: Output) -> None:
    run(["status"])
    assert "trading-assets universe " in first_line(capsys)


COLOURED = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("variables", "begins_with"),
    [
        ({"TERM": "xterm-256color"}, ""),
        (COLOURED, "\x1b[1;33m"),
        ({**COLOURED, "NO_COLOR": "1"}, "\x1b[1m"),
    ],
    ids=["piped", "FORCE_COLOR", "both"],
)
def test_what_is_wrong_is_yellow_where_colour_is_wanted(
    variables: dict[str, str],
    begins_with: str,
    small_lake: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Output,
) -> None:
    """`NO_COLOR` keeps what is bold: that is no colour. Piped, there is no code of a terminal at all."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for module in (output, status):
        monkeypatch.setattr(module, "console", output._console(error=False))
    assert run(["status", "--no-probe"]) == 1, "the journal knows nothing of these rows"
    said = capsys.readouterr().out
    assert said.startswith(f"{begins_with}The ") and ("\x1b[" in said) == bool(begins_with)
