"""Remedies in the medium of the reader: commands as they are written, Python calls for a Python caller."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import trading_assets
from trading_assets import remedies
from trading_assets.arguments import one_symbol
from trading_assets.cli.app import app, run
from trading_assets.errors import InvalidRequest, NotALake
from trading_assets.jobs import REFRESH, DataPipelineOrchestrator
from trading_assets.monitoring.alerts.kinds import KINDS, AlertType, Issue
from trading_assets.remedies import Medium, speaking, worded
from trading_assets.validation import RULES

PACKAGE = Path(trading_assets.__file__).parent

COMMANDS_ONLY = ("up", "worker", "simulate", "quarantine show", "quarantine retry", "quarantine discard")
"""Commands that have no Python call: they stay commands everywhere."""


@pytest.mark.parametrize(
    ("written", "call"),
    [
        ("Run trading-assets setup AAPL.", "Run DataPipelineOrchestrator().setup_new_symbol('AAPL')."),
        ("Materialize contracts for AAPL first.", "Run backfill_us_equity_contracts(symbol='AAPL') first."),
        ("Materialize option_chains for BRK B first.", "Run refresh_option_chain('BRK B') first."),
        ("Materialize equity_bars for SPX first.", "Run DataPipelineOrchestrator().daily_update(['SPX']) first."),
        ("trading-assets setup AAPL SPX: x", "DataPipelineOrchestrator().setup(['AAPL', 'SPX']): x"),
        ("Run `trading-assets update BRK.B`.", "Run DataPipelineOrchestrator().daily_update(['BRK.B'])."),
        ("run trading-assets update; then", "run DataPipelineOrchestrator().daily_update(); then"),
        ("trading-assets update AAPL --refresh now", "DataPipelineOrchestrator().update(['AAPL'], REFRESH) now"),
        (
            "trading-assets backfill AAPL --from 2024-01-02 --to 2024-01-05",
            "DataPipelineOrchestrator().backfill(['AAPL'], '2024-01-02', '2024-01-05')",
        ),
        (
            "trading-assets universe add AAPL --primary-exchange NASDAQ, then",
            "Universe(Settings().state_url).add(['AAPL'], primary_exchange='NASDAQ'), then",
        ),
        (
            "`trading-assets quarantine accept AAPL` converts it; with --as-is it is stored as it came",
            "DataPipelineOrchestrator().accept_units('AAPL') converts it; with unit='as_is' it is stored as it came",
        ),
        (
            "`trading-assets universe resolve META --same` or `--new`",
            "DataPipelineOrchestrator().resolve('META', 'same') or 'new'",
        ),
        ("See that the daemon runs (`trading-assets up`).", "See that the daemon runs (`trading-assets up`)."),
    ],
)
def test_a_command_in_a_sentence_becomes_the_python_call(written: str, call: str) -> None:
    assert worded(written) == call and worded(call) == call
    with speaking(Medium.COMMAND):
        assert worded(written) == written
    assert worded(written) == call


def sentences() -> Iterator[str]:
    """Every text of the package that names a command, without docstrings and the command line's own modules."""
    for path in PACKAGE.rglob("*.py"):
        if "cli" in path.parts or path.name == "remedies.py":
            continue
        tree = ast.parse(path.read_text("utf-8"))
        inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        described = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = ""
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(p.value) if isinstance(p, ast.Constant) else "AAPL" for p in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner | described:
                text = node.value
            if re.search(r"trading-assets [a-z]", text):
                yield text


def test_every_sentence_of_the_package_is_worded_for_python() -> None:
    found = list(sentences())
    assert len(found) > 40
    left = [text for text in map(worded, found) if "trading-assets " in text]
    only = "|".join(COMMANDS_ONLY)
    assert [text for text in left if not re.search(rf"trading-assets ({only})\b", text)] == []


def test_every_command_is_one_of_the_command_line_or_said_to_have_no_call() -> None:
    group = typer.main.get_command(app)
    known = set()
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        known |= {name, *(f"{name} {inner}" for inner in getattr(command, "commands", {}))}
    assert remedies._CALLS.keys() <= known and set(COMMANDS_ONLY) <= known


def test_an_error_is_told_in_the_medium_of_its_reader_and_stored_as_commands(tmp_path: Path) -> None:
    error = NotALake(tmp_path, "there is no such folder")
    assert "DataPipelineOrchestrator().setup_new_symbol('AAPL')" in str(error)
    with speaking(Medium.COMMAND):
        command = str(error)
    assert command == error.as_stored and command.endswith("collect into this one first: trading-assets setup AAPL.")


def test_rules_and_alerts_name_the_symbol_and_a_call_that_exists() -> None:
    for rule in RULES:
        call = worded(rule.remedy.replace("SYMBOL", "AAPL"))
        assert "SYMBOL" not in call
        for method in re.findall(r"DataPipelineOrchestrator\(\)\.(\w+)\(", call):
            assert callable(getattr(DataPipelineOrchestrator, method))
    for kind in KINDS:
        assert "trading-assets update" not in Issue(AlertType(kind), "AAPL", "Because.").as_dict()["remedy"]
    assert REFRESH["option_bars"] == {"refresh": True}


def test_the_command_line_says_commands_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    assert run(["universe", "restore", "IBM"]) == 2
    assert "trading-assets setup IBM begins to keep it" in capsys.readouterr().err
    assert str(InvalidRequest("Run trading-assets status.")) != "Run trading-assets status."


def test_a_symbol_of_two_words_is_one_word_of_a_command_and_one_symbol_in_python() -> None:
    sentence = Issue(AlertType.MISSING_EQUITY_DATA, "BRK B", "Because.").advice
    assert sentence.startswith("Run `trading-assets update BRK.B`")
    assert "daily_update(['BRK.B'])" in worded(sentence) and one_symbol("BRK.B") == "BRK B"
