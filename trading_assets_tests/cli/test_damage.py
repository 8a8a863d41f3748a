"""Damaged folders and odd numbers: every command ends in one sentence that names what is wrong, and the right exit
code."""

from __future__ import annotations

from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets.repositories import LakeIdentity
from trading_assets_tests.cli.conftest import Output


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"no parquet at all" * 100])
@pytest.mark.parametrize("command", [["validate"], ["coverage"], ["status", "--no-probe"], ["quality"]])
def test_a_damaged_file_is_named(small_lake: Path, capsys: Output, command: list[str], garbage: bytes) -> None:
    (file,) = (small_lake / "equity_bars").glob("*/*.parquet")
    file.write_bytes(garbage)
    run(["universe", "add", "AAPL"])
    capsys.readouterr()
    assert run(command) == 1
    said = capsys.readouterr().err.strip()
    assert str(file) in said and "is damaged" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"[]",
        b'{"identity": 3}',
        b'{"periods": {"coverage": "week"}}',
        b'{"schema_version": ""}',
    ],
)
def test_a_damaged_identity_is_named(folder: Path, capsys: Output, garbage: bytes) -> None:
    folder.mkdir()
    file = LakeIdentity(folder).path
    file.write_bytes(garbage)
    assert run(["status"]) == 1
    said = capsys.readouterr().err.strip()
    assert f"{file} is damaged" in said and "Put it back from a backup" in said and len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["alerts", "ack", "9" * 30], 1),
        (["alerts", "silence", "stale_option_chains", "--hours", "1e12"], 2),
        (["alerts", "silence", "stale_option_chains", "--hours", "inf"], 2),
        (["alerts", "silence", "stale_option_chains", "--hours", "nan"], 2),
        (["alerts", "rules", "add", "missing_equity_data", "log", "--remind-hours", "nan"], 2),
        (["alerts", "rules", "add", "missing_equity_data", "log", "--remind-hours", "1e300"], 2),
        (["alerts", "rules", "add", "missing_equity_data", "log", "--remind-hours", "0"], 2),
    ],
)
def test_odd_numbers_are_told_and_change_nothing(folder: Path, capsys: Output, words: list[str], code: int) -> None:
    assert run(words) == code
    said = capsys.readouterr().err
    assert "Error:" not in said.replace("error:", "") and len(said.strip().splitlines()) == 1


def test_a_damaged_state_database_is_named(folder: Path, capsys: Output) -> None:
    folder.mkdir()
    (folder / "state.db").write_bytes(b"garbage" * 1000)
    assert run(["alerts"]) == 1
    said = capsys.readouterr().err.strip()
    assert "The state database cannot be used" in said and "not a database" in said and len(said.splitlines()) == 1
