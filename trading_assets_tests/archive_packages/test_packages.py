"""Packages of old periods: made, proved, read through the lake after the periods left it, put back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trading_assets.archive_packages.create import create
from trading_assets.archive_packages.listing import listed
from trading_assets.archive_packages.periods import before, last_day, old_periods
from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.removal import mount, remove
from trading_assets.archive_packages.restore import restore
from trading_assets.archive_packages.verify import Verification, verify
from trading_assets.doctor.files import find_file_faults
from trading_assets.errors import ArchiveNotMounted, InvalidPackage, InvalidRequest, NewerFile
from trading_assets.repositories import LakeIdentity, ParquetStore, query
from trading_assets.repositories.column_checksums import column_checksums
from trading_assets.repositories.files import is_archived
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, SCHEMA_VERSION
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets.settings import Settings
from trading_assets_tests.archive_packages.conftest import OLD, PERIODS, Holdings, fill
from trading_assets_tests.repositories.frames import NOON, bar, table

Holds = Callable[[Path], Holdings]

CUTOFF = date(2016, 1, 1)
NOW = datetime(2016, 6, 1, tzinfo=UTC)


@pytest.fixture
def package(lake: Path, tmp_path: Path) -> Place:
    """The old periods of the lake."""
    place = Place(tmp_path / "archive")
    made = create(lake, old_periods(lake, CUTOFF), place, now=NOW).package
    assert made is not None and made.whole
    return place.packages()[0]


def test_periods_end_on_their_last_day() -> None:
    assert last_day("2015") == date(2015, 12, 31)
    assert last_day("2016-02") == date(2016, 2, 29)
    assert last_day("2015-12") == date(2015, 12, 31)
    assert last_day("2015-12-24") == date(2015, 12, 24)
    assert before(date(2016, 1, 31), 12) == date(2015, 1, 1)
    assert before(date(2016, 1, 31), 1) == date(2015, 12, 1)


def test_a_package_holds_whole_periods_their_revisions_and_coverage(lake: Path, package: Place) -> None:
    manifest = package.manifest()
    rows = {file.path: file for file in manifest.files if file.kind == "rows"}
    assert sorted(rows) == PERIODS
    assert rows[PERIODS[2]].rows == 4 and (rows[PERIODS[2]].first, rows[PERIODS[2]].last) == (
        "2015-12-23",
        "2015-12-24",
    )
    assert {file.path for file in manifest.files if file.kind == "revisions"} == {
        f"revisions/{path}" for path in PERIODS[:3]
    }
    about = ParquetStore(package.folder or lake).read(COVERAGE)
    assert set(about["session"].to_pylist()) == set(OLD), "the coverage of its periods and of no other"
    assert "option_bars" in about["dataset"].to_pylist()
    assert manifest.lake_id == LakeIdentity(lake).ensure().lake_id
    assert manifest.identity == "simulated generated seed 42"
    closes = [column for column in manifest.schemas["equity_bars"] if column["name"] == "close"]
    assert closes[0]["type"] == "double" and closes[0]["unit"]


def test_what_is_archived_as_it_is_is_not_copied_again(lake: Path, package: Place, tmp_path: Path) -> None:
    place, periods = Place(tmp_path / "archive"), old_periods(lake, CUTOFF)
    again = create(lake, periods, place, now=NOW + timedelta(1))
    assert again.package is None and sorted(again.skipped) == PERIODS
    later = bar(OLD[0], 300.0, collected_at=NOON + timedelta(days=9))
    ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [later]))
    changed = create(lake, periods, place, now=NOW + timedelta(2))
    assert changed.periods == (PERIODS[0],)


def test_any_fsspec_place_will_do(lake: Path) -> None:
    place = Place("memory://desk/archive")
    made = create(lake, old_periods(lake, CUTOFF), place, now=NOW).package
    assert made is not None and made.whole
    with pytest.raises(InvalidRequest, match="is no folder of this machine"):
        remove(lake, place.packages()[0])
    place.remove()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a bit": (lambda folder: flip(folder / PERIODS[0]), "its bytes are not those that were written"),
    "a file is missing": (lambda folder: (folder / PERIODS[1]).unlink(), "is missing"),
    "a file is cut off": (lambda folder: os.truncate(folder / PERIODS[2], 100), "its bytes are not"),
    "a file was added": (
        lambda folder: shutil.copy(folder / PERIODS[0], folder / "more.parquet"),
        "not in the manifest",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_without_the_lake_and_nothing_is_removed_or_restored(
    lake: Path, package: Place, tmp_path: Path, damage: str
) -> None:
    act, sentence = DAMAGES[damage]
    assert package.folder is not None
    act(package.folder)
    found = verify(package)
    assert not found.whole and sentence in found.sentence()
    with pytest.raises(InvalidPackage, match="nothing was removed"):
        remove(lake, package, dry_run=False)
    with pytest.raises(InvalidPackage, match="nothing was restored"):
        restore(tmp_path / "other", package)
    assert not any(is_archived(lake / path) for path in PERIODS) and not (tmp_path / "other").exists()


def test_a_manifest_that_was_changed_is_not_believed(package: Place) -> None:
    assert package.folder is not None
    file = package.folder / "manifest.json"
    document = json.loads(file.read_text())
    document["files"] = document["files"][1:]
    file.write_text(json.dumps(document))
    with pytest.raises(InvalidPackage, match="its own checksum does not fit"):
        verify(package)


def test_a_file_with_other_values_and_a_matching_manifest_of_bytes_is_found(package: Place) -> None:
    """The checksums by column are of the values: they hold for a file that another program wrote again."""
    manifest = package.manifest()
    assert package.folder is not None
    path = package.folder / PERIODS[0]
    columns = {file.path: file.columns for file in manifest.files}[PERIODS[0]]
    rewritten = pq.read_table(path)
    pq.write_table(rewritten.take(list(range(rewritten.num_rows))[::-1]), path, compression="none")
    assert column_checksums(pq.read_table(path), EQUITY_BARS.key) == columns


def test_removal_is_a_dry_run_by_default_and_readers_see_the_same_rows(
    lake: Path, package: Place, holdings: Holds
) -> None:
    held = holdings(lake)
    planned = remove(lake, package)
    assert planned.dry_run and sorted(planned.periods) == PERIODS
    assert not any(is_archived(lake / path) for path in PERIODS)
    done = remove(lake, package, dry_run=False)
    assert done.periods == planned.periods and done.freed_bytes == planned.freed_bytes > 0
    assert done.before == done.after and done.after[PERIODS[2]]["rows"] == 4
    assert all(is_archived(lake / path) for path in PERIODS)
    assert holdings(lake) == held
    assert query(lake, "select count(*) as n from equity_bars")["n"][0].as_py() == 12
    assert remove(lake, package, dry_run=False).sentence().endswith("nothing to do.")
    assert remove_temporary_files(lake) == []


def test_a_period_that_was_written_since_stays(lake: Path, package: Place, holdings: Holds) -> None:
    later = bar(OLD[0], 300.0, collected_at=NOON + timedelta(days=9))
    ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [later]))
    held = holdings(lake)
    done = remove(lake, package, dry_run=False)
    assert list(done.kept) == [PERIODS[0]] and "archive it again" in done.kept[PERIODS[0]]
    assert holdings(lake) == held


def test_a_later_answer_is_written_into_the_lake_and_never_into_the_package(lake: Path, package: Place) -> None:
    remove(lake, package, dry_run=False)
    later = bar(OLD[0], 300.0, collected_at=NOON + timedelta(days=9))
    counts = ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [later]))
    assert counts.updated == 1
    assert not is_archived(lake / PERIODS[0]) and is_archived(lake / PERIODS[1])
    assert verify(package).whole
    closes = query(lake, "select close from equity_bars where symbol = 'AAPL' and session = '2013-06-03'")
    assert closes["close"].to_pylist() == [300.0]
    revisions = query(lake, "select close from revisions_equity_bars where session = '2013-06-03' order by close")
    assert revisions["close"].to_pylist() == [100.0, 200.0]


def test_an_archive_that_moved_is_named_and_mounted(
    lake: Path, package: Place, tmp_path: Path, holdings: Holds
) -> None:
    held = holdings(lake)
    remove(lake, package, dry_run=False)
    (tmp_path / "archive").rename(tmp_path / "elsewhere")
    with pytest.raises(ArchiveNotMounted, match=r"TRADING_ASSETS_ARCHIVES and run .*mount_archives\(\)"):
        query(lake, "select count(*) from equity_bars")
    recent = ParquetStore(lake).read(EQUITY_BARS, first=date(2016, 1, 1))
    assert recent.num_rows == 2, "other periods are read as ever"
    assert mount(lake, [tmp_path / "elsewhere"]) == [package_id(tmp_path / "elsewhere")]
    assert holdings(lake) == held
    assert query(lake, "select count(*) as n from equity_bars")["n"][0].as_py() == 12
    assert mount(lake, [tmp_path / "elsewhere"]) == []


def test_where_the_disk_of_an_archive_is_absent_nothing_is_written_in_its_place(
    lake: Path, package: Place, tmp_path: Path
) -> None:
    periods, place = old_periods(lake, CUTOFF), Place(tmp_path / "archive")
    remove(lake, package, dry_run=False)
    os.rename(tmp_path / "archive", tmp_path / "absent")
    with pytest.raises(ArchiveNotMounted):
        create(lake, periods, place, now=NOW)
    (tmp_path / "archive").mkdir()  # the mount point of the disk
    with pytest.raises(ArchiveNotMounted):
        create(lake, periods, place, now=NOW)
    assert not list((tmp_path / "archive").iterdir())


def test_the_doctor_takes_an_archive_that_is_not_there_for_no_damage(
    lake: Path, package: Place, tmp_path: Path
) -> None:
    remove(lake, package, dry_run=False)
    (tmp_path / "archive").rename(tmp_path / "elsewhere")
    found = find_file_faults(Settings(data_dir=lake))  # type: ignore[call-arg]
    assert {finding.kind for finding in found} == {"archive_not_mounted"} and len(found) == 7
    assert all(finding.mend is None for finding in found)


def package_id(folder: Path) -> str:
    return Place(folder).packages()[0].manifest().package_id


def test_restored_into_its_lake_the_periods_are_files_again(lake: Path, package: Place, holdings: Holds) -> None:
    held = holdings(lake)
    remove(lake, package, dry_run=False)
    done = restore(lake, package)
    assert len(done.files) == 7 and (done.new_rows, done.new_revisions, done.new_coverage) == (0, 0, 0)
    assert not any(is_archived(lake / path) for path in PERIODS)
    assert package.folder is not None
    shutil.rmtree(package.folder)
    assert holdings(lake) == held


def test_restored_into_an_empty_folder_it_is_that_lake(package: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    done: Verification = restore(other, package).package
    held = LakeIdentity(other).held()
    assert held is not None and (held.lake_id, held.identity) == (done.manifest.lake_id, done.manifest.identity)
    assert query(other, "select count(*) as n from equity_bars")["n"][0].as_py() == 10
    assert query(other, "select count(*) as n from revisions_equity_bars")["n"][0].as_py() == 5
    assert query(other, "select count(*) as n from coverage")["n"][0].as_py() == 11
    assert restore(other, package).new_rows == 0, "again changes nothing"


def test_a_package_of_another_lake_is_refused(package: Place, tmp_path: Path) -> None:
    other = fill(tmp_path / "other")
    for act in (restore, remove):
        with pytest.raises(InvalidPackage, match="data of two are not mixed"):
            act(other, package)


def test_the_list_says_which_periods_the_lake_reads_from_a_package(lake: Path, package: Place, tmp_path: Path) -> None:
    (row,) = listed(lake, [str(tmp_path / "archive")])
    assert (row["first"], row["last"], row["rows"], row["mounted"]) == ("2013-06-03", "2015-12-24", 12, 0)
    remove(lake, package, dry_run=False)
    assert listed(lake, [str(tmp_path / "archive")])[0]["mounted"] == 4


def annotate(path: Path, **footer: str) -> None:
    """Give a file a column that is not of the program, and other words in its footer."""
    rows = pq.read_table(path, partitioning=None)
    rows = rows.append_column("notes", pa.array([["mine"]] * rows.num_rows))
    metadata = {**rows.schema.metadata, **{name.encode(): text.encode() for name, text in footer.items()}}
    pq.write_table(rows.replace_schema_metadata(metadata), path)


def test_a_column_of_somebody_else_is_archived_and_outlasts_a_later_write(lake: Path, tmp_path: Path) -> None:
    path = lake / PERIODS[2]
    annotate(path)
    place = Place(tmp_path / "archive")
    made = create(lake, old_periods(lake, CUTOFF), place, now=NOW).package
    assert made is not None and made.whole
    remove(lake, place.packages()[0], dry_run=False)
    assert is_archived(path)
    before = pq.read_table(path, partitioning=None)
    later = bar(OLD[4], 300.0, symbol="QQQ", collected_at=NOON + timedelta(days=9))
    ParquetStore(lake).upsert(EQUITY_BARS, table(EQUITY_BARS, [later]))
    after = pq.read_table(path, partitioning=None)
    assert not is_archived(path) and after.num_rows == before.num_rows + 1
    assert after["notes"].to_pylist().count(["mine"]) == before.num_rows


def test_periods_and_packages_of_a_newer_program_are_left_to_it(lake: Path, tmp_path: Path) -> None:
    annotate(lake / PERIODS[2], schema_version=str(SCHEMA_VERSION + 1))
    with pytest.raises(NewerFile, match=PERIODS[2]):
        create(lake, old_periods(lake, CUTOFF), Place(tmp_path / "archive"), now=NOW)
    assert Place(tmp_path / "archive").packages() == []


def test_a_package_of_a_newer_program_is_not_restored(lake: Path, package: Place, tmp_path: Path) -> None:
    manifest = replace(package.manifest(), schema_version=SCHEMA_VERSION + 1)
    package.write("manifest.json", manifest.text().encode())
    with pytest.raises(InvalidPackage, match="use a newer version of the program, nothing was restored"):
        restore(tmp_path / "new", package)
    assert not (tmp_path / "new").exists()
