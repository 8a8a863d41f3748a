"""The command `archive`, and `archive_old_data` with the settings that say where archives are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trading_assets.cli.app import run
from trading_assets.errors import InvalidRequest, NotALake
from trading_assets.jobs import archive_old_data, mount_archives, restore_archive, verify_archive
from trading_assets.repositories import query
from trading_assets.repositories.files import is_archived
from trading_assets.settings import Settings
from trading_assets_tests.archive_packages.conftest import PERIODS, fill
from trading_assets_tests.cli.conftest import Output, document

Place = Path


@pytest.fixture
def place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The data folder is filled; the settings name a folder for its archives."""
    fill(folder)
    monkeypatch.setenv("TRADING_ASSETS_ARCHIVES", json.dumps([str(tmp_path / "archive")]))
    return tmp_path / "archive"


def test_create_verify_list_remove_and_restore(folder: Path, place: Place, capsys: Output) -> None:
    assert run(["archive", "create", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"Would archive 5 periods in {place}.") and PERIODS[0] in said and not place.exists()

    assert run(["archive", "create", "--json"]) == 0
    created = document(capsys)["created"]
    assert created["package"]["whole"] and created["package"]["rows"] == 12 + 2
    assert run(["archive", "create"]) == 0
    assert "All 5 old periods are in packages already." in capsys.readouterr().out

    assert run(["archive", "verify", str(place)]) == 0
    assert "whole." in capsys.readouterr().out
    assert run(["archive", "list", "--json"]) == 0
    assert document(capsys)[0]["mounted"] == 0

    assert run(["archive", "remove", str(place)]) == 0
    assert "5 periods would leave the lake" in capsys.readouterr().out
    assert not is_archived(folder / PERIODS[0])
    assert run(["archive", "remove", str(place), "--apply"]) == 0
    assert "5 periods left the lake" in capsys.readouterr().out
    assert is_archived(folder / PERIODS[0])
    assert run(["query", "select count(*) as n from equity_bars", "--json"]) == 0
    assert document(capsys)[0]["n"] == 12

    assert run(["archive", "restore", str(place)]) == 0
    assert "files are in the lake again" in capsys.readouterr().out
    assert not is_archived(folder / PERIODS[0])


def test_damage_is_exit_code_1_without_any_lake(
    place: Place, tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["archive", "create"]) == 0
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "nothing"))
    (package,) = place.iterdir()
    (package / PERIODS[0]).write_bytes(b"PAR1")
    capsys.readouterr()
    assert run(["archive", "verify", str(package)]) == 1
    assert f"{PERIODS[0]} is damaged" in capsys.readouterr().out
    assert run(["archive", "verify", str(tmp_path / "nothing")]) == 1
    assert "there is no package in it" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def test_what_the_settings_do_not_name_is_not_read_from(folder: Path, place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    archive_old_data(12, other)
    assert run(["archive", "remove", str(other), "--apply"]) == 2
    with pytest.raises(InvalidRequest, match=r"Set TRADING_ASSETS_ARCHIVES="):
        archive_old_data(12, other, remove_from_lake=True)
    assert not is_archived(folder / PERIODS[0])


def test_in_python_with_months_and_a_moved_archive(
    folder: Path, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the clock of 2024-06-03, a hundred months ago is February 2016."""
    report = archive_old_data(months_back=100, remove_from_lake=True)
    assert sorted(report.periods) == PERIODS, report.periods
    assert archive_old_data(months_back=100).sentence() == "No period in the lake is old enough: nothing to do."
    assert all(found.whole for found in verify_archive(place))
    place.rename(tmp_path / "moved")
    monkeypatch.setenv("TRADING_ASSETS_ARCHIVES", json.dumps([str(tmp_path / "moved")]))
    assert len(mount_archives()) == 1
    assert query(folder, "select count(*) as n from equity_bars")["n"][0].as_py() == 12
    assert len(restore_archive(tmp_path / "moved")[0].files) == 7


def test_wrong_arguments_are_refused_before_anything_is_written(folder: Path, place: Place, tmp_path: Path) -> None:
    for months in (0, -1, 1.5, True, 10**6):
        with pytest.raises(InvalidRequest, match="months_back"):
            archive_old_data(months)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="place of an archive is empty"):
        archive_old_data(12, " ")
    with pytest.raises(NotALake):
        archive_old_data(base_path=tmp_path / "typo")
    assert not place.exists()
    assert Settings().archives == (place,)
