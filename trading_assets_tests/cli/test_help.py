"""The help of every command: an answer file, examples that parse, what is required, and values that are refused by the
name of their option.

When a change of the help is meant, rewrite the answer file and read its difference:
`TRADING_ASSETS_TESTS_REWRITE=1 pytest trading_assets_tests/cli/test_help.py`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from trading_assets.cli.app import app, run
from trading_assets.cli.examples import EXAMPLES
from trading_assets_tests.cli.conftest import Output, document

NAME = "trading-assets"
ANSWERS = Path(__file__).parent.parent / "answers" / "help.txt"
REWRITE = "TRADING_ASSETS_TESTS_REWRITE"

EXAMPLE_WIDTH = 76
"""Of 80 columns two are margins and two an indentation."""

Words = tuple[str, ...]


def commands(command: Any, words: Words = ()) -> Iterator[tuple[Words, Any]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*words, name))


ALL: dict[Words, Any] = dict(commands(get_command(app)))
LEAVES = {words: command for words, command in ALL.items() if not hasattr(command, "commands")}


def lines_of(words: Words) -> list[str]:
    return EXAMPLES[" ".join(words)].strip().splitlines()


def tokens(line: str) -> list[str]:
    """What the shell gives to the command."""
    found = shlex.split(line, comments=True)
    return found[1 : min((found.index(sign) for sign in ("<", ">", "|") if sign in found), default=len(found))]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns without colours."""
    monkeypatch.setattr("typer.rich_utils.FORCE_TERMINAL", False)
    for name in ("FORCE_COLOR", "PY_COLORS", "TERMINAL_WIDTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")


def test_the_help_of_every_command(plain: None, capsys: Output) -> None:
    shown = []
    for words, command in ALL.items():
        with pytest.raises(typer.Exit):
            command.make_context(" ".join((NAME, *words)), ["--help"])
        said = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
        assert max(map(len, said.splitlines())) <= 80
        shown.append(f"$ {' '.join((NAME, *words))} --help\n{said.rstrip()}\n")
    if os.environ.get(REWRITE):
        ANSWERS.write_text("\n".join(shown), "utf-8")
    assert "\n".join(shown) == ANSWERS.read_text("utf-8")


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_examples_that_parse(words: Words, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trading_assets.cli.given_symbols._read", lambda checked: ["AAPL"])
    assert "\nExamples:\n  trading-assets " in ALL[words].epilog
    for line in lines_of(words):
        assert line.startswith(f"{' '.join((NAME, *words))}"), line
        assert len(line) <= EXAMPLE_WIDTH, line
        called, given = (), tokens(line)
        while given and (*called, given[0]) in ALL:
            called, given = (*called, given[0]), given[1:]
        if given[:1] == ["--data-dir"]:  # an option before the command
            called, given = (given[2],), given[3:]
        assert called in LEAVES or ALL[called].invoke_without_command, line
        ALL[called].make_context(" ".join(called), given)


def test_the_examples_name_no_command_that_there_is_not() -> None:
    assert {tuple(name.split()) for name in EXAMPLES} == set(ALL)


def test_the_examples_of_queries_run(small_lake: Path, capsys: Output) -> None:
    for line in lines_of(("query",)):
        assert run([*tokens(line), "--format", "json"]) == 0, line
        assert isinstance(document(capsys), list)


# --- values -----------------------------------------------------------------------------------------------------------

GOOD = {
    **{"symbols": "AAPL", "symbol": "AAPL", "session": "2024-06-03", "sql": "select 1", "path": "backups"},
    **{"dataset": "equity_bars", "out": "x.csv", "entry_id": "7", "target": "run_failed", "channel": "log"},
    **{"alert_type": "run_failed", "first": "2024-06-03", "hours": "1"},
}
"""A right value of each argument and option that is required anywhere."""

FREE = {
    *("data_dir", "path", "paths", "out", "picture", "to", "backup", "faults", "positions", "actions"),  # files
    *("host", "allowed_host", "by", "channel", "account", "contract", "snapshot"),  # names
    *("sql", "dataset", "format", "what", "name", "market"),  # judged by the command itself, with the lake or the files
    *("sec_type", "exchange", "primary_exchange", "volume", "price"),
}
"""Parameters that take any text here."""

WRONG = ("§", "2024-06-31", "nan")


def values() -> Iterator[tuple[Words, Any]]:
    """Each option and argument that takes a value which may be wrong."""
    for words, command in LEAVES.items():
        for parameter in command.params:
            own_check = parameter.callback is not None and parameter.name == "dataset"
            if not getattr(parameter, "is_flag", False) and (own_check or parameter.name not in FREE):
                yield words, parameter


@pytest.mark.parametrize(
    ("words", "parameter"),
    list(values()),
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else given.name,
)
def test_a_wrong_value_is_refused_by_the_name_of_its_option(words: Words, parameter: Any) -> None:
    for wrong in WRONG:
        if parameter.name in ("symbol", "symbols", "refuse") and wrong == "nan":
            continue  # a symbol like any other
        given: list[str] = []
        for other in LEAVES[words].params:
            option = [other.opts[0]] if other.opts[0].startswith("-") else []
            if other is parameter:
                given += [*option, wrong]
            elif other.required:
                given += [*option, GOOD[other.name]]
        with pytest.raises(typer.BadParameter) as refused:
            LEAVES[words].make_context(NAME, given)
        named = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar or parameter.name
        assert f"Invalid value for '{named}" in refused.value.format_message()
