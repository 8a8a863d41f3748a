"""Options before the command, the groups of the help, and how numbers and rows are written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import trading_assets
from trading_assets.cli import root
from trading_assets.cli.app import app, run
from trading_assets.cli.output import _cell
from trading_assets_tests.cli.conftest import Output, environment

CLOSES = "select session, con_id, close from equity_bars where symbol = 'AAPL' order by session"


def test_the_version(capsys: Output) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"trading-assets {trading_assets.__version__}\n"


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["status", "-h"], ["universe", "add", "-h"]])
def test_help_is_shown_by_either_option(folder: Path, capsys: Output, arguments: list[str]) -> None:
    assert run(arguments) == 0
    assert "Usage: " in capsys.readouterr().out


def test_every_command_is_in_one_group_of_the_help(capsys: Output) -> None:
    named = [name for names in root.GROUPS.values() for name in names]
    found = [root._name(entry) for entry in (*app.registered_commands, *app.registered_groups)]
    assert sorted(named) == sorted(found)
    assert run(["--help"]) == 0
    said = capsys.readouterr().out
    assert [said.index(f"─ {title} ─") for title in root.GROUPS] == sorted(
        said.index(f"─ {title} ─") for title in root.GROUPS
    )


def test_the_data_folder_of_one_command(small_lake: Path, capsys: Output, tmp_path: Path) -> None:
    before = dict(os.environ)
    assert run(["--data-dir", str(tmp_path / "other"), "query", CLOSES, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert dict(os.environ) == before
    assert run(["query", CLOSES, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4


def test_quietly_no_note_is_printed(folder: Path) -> None:
    """A variable that is no setting is a note, and is not printed."""
    command = [sys.executable, "-m", "trading_assets.cli"]
    given = {**os.environ, **environment(folder), "TRADING_ASSETS_NOWW": "x"}
    loud, quiet = (
        subprocess.run([*command, *options, "universe", "list"], env=given, capture_output=True, text=True, timeout=300)
        for options in ([], ["--quiet"])
    )
    assert "TRADING_ASSETS_NOWW is no setting" in loud.stderr
    assert (quiet.returncode, quiet.stderr, quiet.stdout) == (0, "", loud.stdout)


@pytest.mark.parametrize(
    ("value", "shown", "exactly"),
    [
        (0.0000236, "0.0000236", "0.0000236"),
        (0.1 + 0.2, "0.3", "0.3"),
        (1234567.891, "1,234,567.891", "1234567.891"),
        (123.45678912, "123.4568", "123.45678912"),
        (100.0, "100", "100"),
        (0.0, "0", "0"),
        (-0.00012345, "-0.0001234", "-0.00012345"),
        (float("nan"), "nan", "nan"),
        (2024, "2,024", "2024"),
        (None, "", ""),
        (True, "True", "True"),
    ],
)
def test_numbers_keep_their_digits(value: object, shown: str, exactly: str) -> None:
    assert (_cell(value, exact=False), _cell(value, exact=True)) == (shown, exactly)


def test_a_query_shows_identifiers_and_years_without_separators(small_lake: Path, capsys: Output) -> None:
    assert (
        run(["query", "select 265598 as con_id, year(session) as y, close * 1e-7 as small from equity_bars limit 1"])
        == 0
    )
    assert capsys.readouterr().out.split() == ["con_id", "y", "small", "265598", "2015", "0.00001"]


def test_rows_as_json_csv_and_parquet(small_lake: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    for name in ("json", "csv", "parquet"):
        assert (
            run(
                [
                    "query",
                    "select session, close, [1, 2] as two from equity_bars order by all limit 2",
                    "--format",
                    name,
                ]
            )
            == 0
        )
        written = capfdbinary.readouterr().out
        if name == "json":
            assert json.loads(written)[0] == {"session": "2015-12-21", "close": 100.0, "two": [1, 2]}
        elif name == "csv":
            assert written.decode().splitlines() == [
                '"session","close","two"',
                '2015-12-21,100,"[1, 2]"',
                '2015-12-21,100,"[1, 2]"',
            ]
        else:
            table = pq.read_table(io.BytesIO(written))
            assert table["session"].to_pylist() == [date(2015, 12, 21)] * 2


def test_a_format_that_there_is_not(small_lake: Path, capsys: Output) -> None:
    assert run(["query", CLOSES, "--format", "xlsx"]) == 2
    assert "'table', 'json', 'csv', 'parquet'" in capsys.readouterr().err


def test_a_reader_that_stops_reading_csv_ends_nothing(small_lake: Path) -> None:
    given = {**os.environ, **environment(small_lake)}
    done = subprocess.run(
        f"{sys.executable} -m trading_assets.cli query 'select range as r from range(300000)' --format csv"
        " | head -1; echo ${PIPESTATUS[0]}",
        shell=True,
        executable="/bin/bash",
        env=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split() == ['"r"', "0"]
    assert done.stderr.startswith("note: The output was not read to its end")


def test_the_command_is_named_as_it_is_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "my env" / "trading-assets"), "demo"])
    assert root.own_command() == "'my env/trading-assets'"
    monkeypatch.setattr(sys, "argv", ["/opt/bin/trading-assets", "demo"])
    assert root.own_command() == "/opt/bin/trading-assets"
    monkeypatch.setattr(sys, "argv", ["pytest"])
    assert root.own_command() == "trading-assets"
