"""Files in the folders of the lake that are none of it: nothing reads them, and nothing that moves files loses them."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trading_assets.archive_packages.periods import old_periods
from trading_assets.backup import backup, restore
from trading_assets.doctor.data_folder import find_folder_faults
from trading_assets.errors import LayoutMismatch, UnreadableFile
from trading_assets.monitoring.lake_folder import folder_state
from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.foreign_files import foreign_beside, foreign_data, not_downloaded
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.lake_size import lake_rows
from trading_assets.repositories.provenance import largest_request
from trading_assets.repositories.repartition import repartition
from trading_assets.repositories.schemas import EQUITY_BARS, Period
from trading_assets.repositories.temporary_files import orphaned_temporary_files
from trading_assets.settings import Settings
from trading_assets_tests.archive_packages.conftest import fill
from trading_assets_tests.lakes import PLAIN, copy_of
from trading_assets_tests.repositories.frames import bar, table

COPY = "equity_bars/1_day/2015 (1).parquet"


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake with a conflict copy of a file of bars."""
    folder = fill(tmp_path / "lake")
    shutil.copy(folder / "equity_bars/1_day/2015.parquet", folder / COPY)
    return folder


def named(lake: Path) -> list[str]:
    return [path.relative_to(lake).as_posix() for _, path in foreign_data(lake)]


def test_counts_of_rows_and_requests_leave_them_out(lake: Path) -> None:
    rows, largest = lake_rows(lake), largest_request(lake)
    (lake / "equity_bars/1_day/notes.parquet").write_bytes(b"no parquet")
    shutil.copy(lake / "revisions/equity_bars/1_day/2015.parquet", lake / "revisions/equity_bars/1_day/~2015.parquet")
    assert (lake_rows(lake), largest_request(lake)) == (rows, largest)
    (lake / COPY).unlink()
    assert lake_rows(lake) == rows
    assert named(lake) == ["equity_bars/1_day/notes.parquet", "revisions/equity_bars/1_day/~2015.parquet"]


def test_they_are_archived_by_nobody_and_backed_up_as_they_are(lake: Path, tmp_path: Path) -> None:
    assert COPY not in [file.path for file in old_periods(lake, date(2030, 1, 1))]
    (lake / "equity_bars/1_day/2014 (1).parquet").write_bytes(b"half of a copy")
    shutil.copy(lake / COPY, lake / "equity_bars/1_day/2015-12.parquet")  # the name of a period of another length
    (lake / "equity_bars/1_day/2015-11.parquet").write_bytes(b"half of a copy")
    done = backup(tmp_path / "backups", Settings(**{"data_dir": lake}))
    assert done.damaged == [], "it is no file of the lake"
    entry = done.snapshot.entry(COPY)
    assert entry is not None and entry.rows is None and entry.size == (lake / COPY).stat().st_size
    stored = query(lake, "select count(*) as n from equity_bars")["n"][0].as_py()
    assert done.before["equity_bars"]["rows"] == stored
    assert restore(tmp_path / "backups", Settings(**{"data_dir": tmp_path / "restored"})).after == done.after


def test_a_repartition_leaves_them_where_they_are(lake: Path) -> None:
    content = (lake / COPY).read_bytes()
    (lake / "equity_bars/1_day/mine").mkdir()
    (lake / "equity_bars/1_day/mine/notes.txt").write_text("kept")
    done = repartition(lake, EQUITY_BARS, Period.MONTH)
    assert done.before["equity_bars"].same_rows(done.after["equity_bars"])
    assert (lake / COPY).read_bytes() == content
    assert (lake / "equity_bars/1_day/mine/notes.txt").read_text() == "kept"


def test_no_repartition_begins_to_read_a_file_that_was_not_read(lake: Path) -> None:
    (lake / COPY).rename(lake / "equity_bars/1_day/2015-12.parquet")
    with pytest.raises(LayoutMismatch, match=r"2015-12\.parquet has the name of another period"):
        repartition(lake, EQUITY_BARS, Period.MONTH)
    assert LakeIdentity(lake).repartitioning() == {}
    assert ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2016, 1, 5))])).inserted == 1


def test_a_migration_of_the_layout_takes_none_of_them_in(tmp_path: Path) -> None:
    lake = copy_of(PLAIN, tmp_path / "lake")
    older = lake / "equity_bars/bar_size=1_day"
    shutil.copy(older / "2024.parquet", older / "2024 (1).parquet")
    shutil.copytree(older, lake / "equity_bars/bar_size=1_day (1)")
    (lake / "equity_bars/1_day").mkdir()
    shutil.copy(older / "2024.parquet", lake / "equity_bars/1_day/2024.parquet")
    copies = sorted(path.name for path in (lake / "equity_bars/bar_size=1_day (1)").iterdir())
    rows = sum(pq.read_metadata(path).num_rows for path in PLAIN.glob("equity_bars/*/*.parquet"))
    assert ParquetStore(lake).read(EQUITY_BARS).num_rows == rows
    assert sorted(path.name for path in (lake / "equity_bars/1_day").iterdir()) == ["2023.parquet", "2024.parquet"]
    assert (older / "2024 (1).parquet").exists(), "what is not the lake's stays in the folder that it was in"
    assert sorted(path.name for path in (lake / "equity_bars/bar_size=1_day (1)").iterdir()) == copies


def test_files_that_harm_nobody_are_not_named(lake: Path) -> None:
    (lake / COPY).unlink()
    for name in ("README.txt", "equity_bars/desktop.ini", "equity_bars/1_day/.DS_Store", "reports/2015 (1).parquet"):
        (lake / name).parent.mkdir(exist_ok=True)
        (lake / name).touch()
    assert named(lake) == [] and foreign_beside(lake) == []


def test_copies_of_the_state_database_and_of_lake_json_are_named(lake: Path) -> None:
    names = ["lake (1).json", "lake.sync-conflict-1.json", "state (Anna's conflicted copy).db", "state.db-wal (1)"]
    names += ["Copy of lake.json", "Copy of state.db", "~state.db", "lake-DESKTOP-1.json"]
    for name in (
        *names,
        "state.db",
        "state.db-wal",
        "lake.duckdb",
        "estate.json",
        "statement.db",
        "notes on lake.json",
    ):
        (lake / name).touch()
    assert [path.name for path in foreign_beside(lake)] == sorted(names)


def test_copies_of_whole_folders_and_of_live_data_are_named(lake: Path) -> None:
    live = "live_segments/live_quotes/2015-12-24"
    own = [f"{live}/20151224T150000000000-0a1b2c3d.parquet", "reports/equity_bars (1)/2015.parquet"]
    names = [
        "equity_bars (1)",
        "revisions - Copy",
        f"{live} (1)/20151224T150000000000-0a1b2c3d.parquet",
        f"{live}/20151224T150000000000-0a1b2c3d (1).arrows",
        f"{live}/20151224T150000000000-0a1b2c3d.sync-conflict-1.parquet",
    ]
    for name in (*own, *names[2:], "equity_bars (1)/1_day/2015.parquet", "revisions - Copy/2015.parquet"):
        (lake / name).parent.mkdir(parents=True, exist_ok=True)
        (lake / name).touch()
    assert {path.relative_to(lake).as_posix() for path in foreign_beside(lake)} == set(names)


def test_a_file_that_icloud_moved_away_is_named_and_not_replaced(lake: Path) -> None:
    path = lake / "equity_bars/1_day/2015.parquet"
    left = path.with_name(".2015.parquet.icloud")
    left.write_bytes(b"placeholder")
    assert not_downloaded(lake) == [], "a placeholder that was left over"
    path.unlink()
    assert not_downloaded(lake) == [path]
    with pytest.raises(UnreadableFile, match=r"2015\.parquet is not on this disk: iCloud .*Download it in the Finder"):
        ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2015, 12, 28))]))
    assert not path.exists()
    settings = Settings(**{"data_dir": lake})
    assert "2015.parquet is not on this disk" in folder_state(settings).wrong[-1]
    assert "not_downloaded" in [finding.kind for finding in find_folder_faults(settings)]


def test_a_temporary_file_of_a_copy_is_still_one(lake: Path) -> None:
    left = "equity_bars/1_day/.2015.parquet.99999.tmp"
    (lake / left).write_bytes(b"half")
    assert orphaned_temporary_files(lake) == [left]
