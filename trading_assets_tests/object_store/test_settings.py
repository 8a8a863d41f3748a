"""Where the settings put the lake, and what refuses one in an object store. Needs no server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from trading_assets import backup, doctor
from trading_assets.archive_packages.create import create
from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.removal import mount, remove
from trading_assets.archive_packages.restore import restore
from trading_assets.errors import ExtraMissing, ObjectStoreError, Refused
from trading_assets.folders import LakeLocation, lake_location, location_text
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.catalog import write_catalog
from trading_assets.repositories.files import write_batches
from trading_assets.repositories.live.merging import make_period_file
from trading_assets.repositories.live_schema import LIVE_QUOTES
from trading_assets.repositories.repartition import repartition
from trading_assets.repositories.schemas import EQUITY_BARS, Period
from trading_assets.settings import Settings, wrong_value
from trading_assets.streaming import LiveDataManager
from trading_assets.streaming.store.writer import LiveWriter
from trading_assets_tests.repositories.frames import NOON

URL = "s3://bucket/prefix"
SERVER = "postgresql+psycopg2://desk@localhost/archive"


def settings(folder: Path, **changes: Any) -> Settings:
    """Settings of a lake in an object store."""
    return Settings(**{"data_dir": folder, "lake": URL, "database_url": SERVER, **changes})


def sentence(folder: Path, **changes: Any) -> str:
    """Why such settings are refused."""
    with pytest.raises(ValidationError) as caught:
        settings(folder, **changes)
    return wrong_value(caught.value)


def test_without_the_setting_the_lake_is_in_the_data_folder(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).lake is None
    assert lake_location(tmp_path) is None and not list(tmp_path.iterdir())


def test_a_folder_is_the_data_folder(tmp_path: Path) -> None:
    assert Settings(lake=str(tmp_path)).data_dir == tmp_path
    assert Settings(lake=str(tmp_path), data_dir=tmp_path).data_dir == tmp_path
    assert "TRADING_ASSETS_LAKE" not in Settings(lake=str(tmp_path)).environment()
    assert "a lake in a folder is in the data folder" in sentence(tmp_path, lake=str(tmp_path / "other"))


def test_an_object_store_is_kept_for_child_processes_and_nothing_is_written(tmp_path: Path) -> None:
    found = settings(tmp_path, lake=f"{URL}/", lake_copy_gib=2)
    assert found.environment()["TRADING_ASSETS_LAKE"] == URL
    assert lake_location(tmp_path) == LakeLocation(URL, 2 * 2**30)
    assert not list(tmp_path.iterdir())
    Settings(data_dir=tmp_path)
    assert lake_location(tmp_path) is None


def test_state_in_sqlite_is_refused(tmp_path: Path) -> None:
    for url in (None, f"sqlite:///{tmp_path / 'state.db'}"):
        said = sentence(tmp_path, database_url=url)
        assert said.startswith(f"TRADING_ASSETS_LAKE names an object store ({URL}), and the state database is SQLite")
        assert "set TRADING_ASSETS_DATABASE_URL to a PostgreSQL server" in said


@pytest.mark.parametrize(
    "lake", ["gs://bucket/prefix", "s3:/bucket", "s3://", "s3://B", "s3://bucket/a?b", "s3://a/../b"]
)
def test_what_is_no_place_for_a_lake_is_refused(tmp_path: Path, lake: str) -> None:
    said = sentence(tmp_path, lake=lake)
    assert "s3://bucket/prefix" in said or "a lake in a folder" in said


def test_a_data_folder_belongs_to_one_lake(tmp_path: Path) -> None:
    own, copies = tmp_path / "own", tmp_path / "copies"
    own.mkdir(), copies.mkdir()
    (own / "lake.json").write_text("{}")
    assert f"{own} holds a lake of its own" in sentence(own)
    (copies / ".object_store.json").write_text(location_text(LakeLocation(URL, 1)))
    assert settings(copies).data_dir == copies
    assert f"set TRADING_ASSETS_LAKE to {URL}" in sentence(copies, lake="s3://bucket/other")
    assert f"set TRADING_ASSETS_LAKE to {URL}" in sentence(copies, lake=None)
    (copies / ".object_store.json").write_text("{")
    assert "is damaged: delete it" in sentence(copies)


def test_files_of_another_lake_are_never_taken_for_copies(tmp_path: Path) -> None:
    settings(tmp_path)
    (tmp_path / "equity_bars").mkdir()
    (tmp_path / "equity_bars" / "2014.parquet").touch()
    with pytest.raises(ObjectStoreError, match="holds files of another lake"):
        ParquetStore(tmp_path).files(EQUITY_BARS)


def test_without_the_client_a_sentence_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(ExtraMissing, match=r"needs obstore.*trading-assets\[s3\]"):
        ParquetStore(settings(tmp_path).data_dir).files(EQUITY_BARS)


PLACE = Place("/nowhere")

FOLDERS_ONLY: dict[str, Callable[[Path], object]] = {
    "Making archive packages": lambda folder: create(folder, [], PLACE, now=NOON),
    "Moving periods into archive packages": lambda folder: remove(folder, PLACE),
    "Reading periods from archive packages": lambda folder: mount(folder, []),
    "Restoring archive packages": lambda folder: restore(folder, PLACE),
    "The backup of the data folder": lambda folder: backup.backup(folder.parent / "backup", settings(folder)),
    "Restoring a backup": lambda folder: backup.restore(folder.parent / "backup", settings(folder)),
    "The doctor": lambda folder: doctor.examine(settings(folder)),
    "The doctor ": lambda folder: doctor.mend(settings(folder)),
    "Changing the periods of files": lambda folder: repartition(folder, EQUITY_BARS, Period.MONTH),
    "Recording live data": LiveWriter,
    "Recording live data ": lambda folder: LiveDataManager(settings(folder)),
    "Merging live data": lambda folder: make_period_file(folder, LIVE_QUOTES, date(2014, 1, 2)),
    "lake.duckdb, views for other clients,": write_catalog,
}


@pytest.mark.parametrize("what", FOLDERS_ONLY)
def test_what_works_in_a_folder_only_says_so_and_does_nothing(tmp_path: Path, what: str) -> None:
    folder = settings(tmp_path / "data").data_dir
    with pytest.raises(Refused) as refused:
        FOLDERS_ONLY[what](folder)
    assert str(refused.value) == (f"{what.strip()} is available for a lake in a folder only, and this one is in {URL}.")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_written_in_any_other_way_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    folder = settings(tmp_path / "data").data_dir
    empty: list[pa.Table] = []
    with pytest.raises(Refused, match=r"Writing equity_bars/1_day/2014.parquet in this way"):
        write_batches(folder / "equity_bars/1_day/2014.parquet", EQUITY_BARS, empty)
    assert not list(folder.rglob("*.parquet"))
