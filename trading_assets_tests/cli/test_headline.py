"""The sentence that `status` begins with, over lakes without a collection; `test_collecting` has those
of a collected one."""

from __future__ import annotations

from pathlib import Path

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
