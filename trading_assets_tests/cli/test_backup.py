"""The commands `backup`, `restore` and `doctor`, as a user meets them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets_tests.cli.conftest import SMALL, Desk, Output, document


@pytest.fixture
def kept(desk: Desk, tmp_path: Path, capsys: Output) -> Path:
    """A backup of the filled lake."""
    assert run(["backup", str(tmp_path / "kept")]) == 0
    capsys.readouterr()
    return tmp_path / "kept"


def test_a_backup_is_taken_listed_and_verified(kept: Path, capsys: Output) -> None:
    assert run(["backup", str(kept), "--json"]) == 0
    taken = document(capsys)
    assert taken["exact"] and taken["rows"] > 0 and taken["damaged"] == []
    assert run(["backup", str(kept), "--list", "--json"]) == 0
    listed = document(capsys)
    assert [row["rows"] for row in listed] == [taken["rows"]] * 2 and listed[1]["snapshot"] == taken["snapshot"]
    assert run(["backup", str(kept), "--list"]) == 0
    assert taken["snapshot"] in capsys.readouterr().out
    assert run(["backup", str(kept), "--verify"]) == 0
    assert capsys.readouterr().out.endswith("objects read: whole.\n")


def test_old_snapshots_go_only_with_delete(kept: Path, capsys: Output) -> None:
    assert run(["backup", str(kept), "--json"]) == 0
    newest = document(capsys)
    assert newest["before"] == newest["after"] and newest["after"]["equity_bars"]["columns"]["close"]
    assert run(["backup", str(kept), "--keep", "1"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Would remove 1 snapshots") and "add --delete" in said.err
    assert run(["backup", str(kept), "--keep", "1", "--delete", "--json"]) == 0
    assert document(capsys)["kept"] == [newest["snapshot"]]
    assert run(["backup", str(kept), "--list", "--json"]) == 0
    assert [row["snapshot"] for row in document(capsys)] == [newest["snapshot"]]
    assert run(["backup", str(kept), "--keep", "1"]) == 0
    assert capsys.readouterr().out.endswith("nothing to do.\n")


def test_verify_says_what_is_not_whole(kept: Path, capsys: Output) -> None:
    victim = max((kept / "objects").rglob("*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(b"x" * victim.stat().st_size)
    assert run(["backup", str(kept), "--verify", "--json"]) == 1
    assert "is not whole" in document(capsys)["problems"][0]


def test_a_restore_asks_the_broker_nothing(
    kept: Path, desk: Desk, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["restore", str(kept)]) == 1
    assert "is not empty" in capsys.readouterr().err
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "restored"))
    assert run(["restore", str(kept), "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("Would restore snapshot") and not (tmp_path / "restored").exists()
    assert run(["restore", str(kept), "--json"]) == 0
    assert document(capsys)["data_dir"] == str(tmp_path / "restored")
    desk.asked()
    assert run(["setup", "AAPL", *SMALL]) == 0
    assert desk.asked() == (0, 0)
    assert run(["doctor"]) == 0


@pytest.mark.parametrize(
    "options", [["--verify", "--list"], ["--snapshot", "x"], ["--keep", "1", "--list"], ["--delete"], ["--keep", "0"]]
)
def test_options_that_do_not_belong_together_are_refused(options: list[str], kept: Path, capsys: Output) -> None:
    assert run(["backup", str(kept), *options]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_folder_without_backups_is_refused(desk: Desk, tmp_path: Path, capsys: Output) -> None:
    for command in (["restore", str(tmp_path)], ["backup", str(tmp_path), "--list"], ["doctor", "--from", "nowhere"]):
        assert run(command) == 1
        assert "holds no backup" in capsys.readouterr().err


def test_the_doctor_says_what_is_lost_and_mends_it(
    kept: Path, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "restored"
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(folder))
    assert run(["restore", str(kept)]) == 0
    assert run(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("Nothing is wrong with the data folder.\n")
    (bars,) = (folder / "equity_bars" / "1_day").glob("*.parquet")
    os.truncate(bars, 100)
    assert run(["doctor", "--json"]) == 1
    found = document(capsys)["findings"]
    assert [row["kind"] for row in found] == ["damaged_file", "coverage_without_rows"]
    assert found[0]["fixable"] and not found[0]["fixed"] and "--from PATH" in found[0]["remedy"]
    assert run(["doctor", "--fix", "--from", str(kept)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("mended damaged_file") and "Replaced by the file of snapshot" in said
    assert run(["doctor"]) == 0
