"""A backup and what is restored from it: the same rows, the same journal, nothing asked again."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.backup import backup, restore, snapshots, verify
from trading_assets.backup.manifest import STATE, Repository
from trading_assets.errors import BackupError
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.column_checksums import column_checksums
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS, EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import SYMBOL, settings_of
from trading_assets_tests.endurance.lakes import broken, contents, difference
from trading_assets_tests.repositories.frames import bar, table


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its content, but for locks and what SQLite keeps beside an open database."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".locks" not in path.parts and not path.name.endswith(("-wal", "-shm"))
    }


def journal(file: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("select * from requests order by id").fetchall()


def test_a_restored_lake_is_the_same_and_asks_nothing_again(
    settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    before = tree(settings.data_dir)
    report = backup(tmp_path / "kept", settings)
    assert tree(settings.data_dir) == before, "the source is untouched"
    assert report.snapshot.exact and not report.damaged
    assert verify(tmp_path / "kept").problems == []

    restored = settings_of(tmp_path / "restored", simulator)
    restore(tmp_path / "kept", restored)

    assert difference(restored.data_dir, contents(settings.data_dir)) == []
    assert broken(restored.data_dir) == []
    assert journal(restored.data_dir / STATE) == journal(settings.data_dir / STATE)
    assert Universe(restored.state_url).active() == [SYMBOL]
    assert (restored.data_dir / "dagster" / "history" / "runs.db").is_file() or (restored.data_dir / "dagster").is_dir()
    assert by_the_steps(restored, [SYMBOL])["requests"]["sent"] == 0
    assert dict(simulator.counters.requests) == {} and simulator.counters.connections.get("accepted", 0) == 0


def test_a_second_backup_copies_only_what_changed(settings: Settings, tmp_path: Path) -> None:
    first = backup(tmp_path / "kept", settings)
    ParquetStore(settings.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2015, 12, 24), 100.0)]))
    second = backup(tmp_path / "kept", settings)
    changed = {entry.path for entry in second.snapshot.files} - {
        entry.path
        for entry in second.snapshot.files
        if (old := first.snapshot.entry(entry.path)) is not None and old.sha256 == entry.sha256
    }
    assert changed == {"equity_bars/1_day/2015.parquet"}
    assert second.added == os.path.getsize(settings.data_dir / "equity_bars/1_day/2015.parquet")
    third = backup(tmp_path / "kept", settings)
    assert third.added == 0
    assert [found.rows for found in snapshots(tmp_path / "kept")] == [
        first.snapshot.rows,
        first.snapshot.rows + 1,
        first.snapshot.rows + 1,
    ]


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each file of which a backup computes the checksums by column."""
    rows: list[int] = []

    def noted(table: pa.Table, key: Sequence[str]) -> dict[str, str]:
        rows.append(table.num_rows)
        return column_checksums(table, key)

    monkeypatch.setattr("trading_assets.backup.create.column_checksums", noted)
    return rows


def test_the_reports_have_the_checksums_by_column_of_lake_snapshot_and_restored_files(
    settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    store = ParquetStore(settings.data_dir)
    report = backup(tmp_path / "kept", settings)
    assert report.before == report.after == report.as_dict()["after"]
    assert {"contracts", "option_chains", "equity_bars", "option_bars", "coverage"} <= set(report.after)
    for kind in (*DATASETS.values(), revisions_of(EQUITY_BARS)):
        if kind.name in report.after:
            rows, said = store.read(kind), report.after[kind.name]
            assert (said["rows"], said["columns"]) == (rows.num_rows, column_checksums(rows, kind.key)), kind.name
    restored = restore(tmp_path / "kept", settings_of(tmp_path / "restored", simulator))
    assert restored.before == restored.after == report.after
    assert restore(tmp_path / "kept", settings_of(tmp_path / "other", simulator), dry_run=True).after == {}


def test_checksums_by_column_are_computed_for_changed_files_alone(
    settings: Settings, simulator: Simulator, computed: list[int], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    first = backup(kept, settings)
    assert sum(computed) == first.snapshot.rows
    computed.clear()
    assert backup(kept, settings).after == first.after and computed == []
    ParquetStore(settings.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2015, 12, 24), 100.0)]))
    third = backup(kept, settings)
    assert computed == [1]
    shutil.copytree(settings.data_dir, tmp_path / "moved")
    assert backup(kept, settings_of(tmp_path / "moved", simulator)).after == third.after
    assert computed == [1], "other files with the same content"


def test_a_snapshot_of_an_earlier_version_has_none_and_the_next_one_has(
    settings: Settings, simulator: Simulator, computed: list[int], tmp_path: Path
) -> None:
    first = backup(tmp_path / "kept", settings)
    older = replace(first.snapshot, files=tuple(replace(entry, columns={}) for entry in first.snapshot.files))
    Repository.existing(tmp_path / "kept").keep(older)
    restored = restore(tmp_path / "kept", settings_of(tmp_path / "restored", simulator))
    assert restored.before["equity_bars"]["columns"] == {} and restored.after == first.after
    computed.clear()
    assert backup(tmp_path / "kept", settings).after == first.after
    assert sum(computed) == first.snapshot.rows


def test_an_earlier_snapshot_is_restored_by_its_id(settings: Settings, simulator: Simulator, tmp_path: Path) -> None:
    first = backup(tmp_path / "kept", settings).snapshot.id
    before = contents(settings.data_dir)
    ParquetStore(settings.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(date(2015, 12, 24), 100.0)]))
    backup(tmp_path / "kept", settings)
    restored = settings_of(tmp_path / "restored", simulator)
    restore(tmp_path / "kept", restored, snapshot=first)
    assert difference(restored.data_dir, before) == []
    with pytest.raises(BackupError, match=f"has no snapshot nothing: it has {first}, "):
        restore(tmp_path / "kept", settings_of(tmp_path / "other", simulator), snapshot="nothing")


def test_a_dry_run_verifies_and_writes_nothing(settings: Settings, simulator: Simulator, tmp_path: Path) -> None:
    backup(tmp_path / "kept", settings)
    before = sorted(path.name for path in tmp_path.iterdir())
    report = restore(tmp_path / "kept", settings_of(tmp_path / "restored", simulator), dry_run=True)
    assert report.snapshot.rows > 0 and report.data_dir == str(tmp_path / "restored")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def largest_object(kept: Path) -> Path:
    return max((path for path in (kept / "objects").rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("how", ["changed", "missing"])
def test_a_damaged_object_is_named_and_never_restored(
    how: str, settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    backup(tmp_path / "kept", settings)
    victim = largest_object(tmp_path / "kept")
    if how == "changed":
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
    else:
        victim.unlink()
    (problem,) = verify(tmp_path / "kept").problems
    assert "is not whole" in problem
    restored = settings_of(tmp_path / "restored", simulator)
    for dry_run in (True, False):
        with pytest.raises(BackupError, match="is not whole"):
            restore(tmp_path / "kept", restored, dry_run=dry_run)
    assert not restored.data_dir.exists()


def test_a_missing_object_is_stored_again_by_the_next_backup(settings: Settings, tmp_path: Path) -> None:
    backup(tmp_path / "kept", settings)
    largest_object(tmp_path / "kept").unlink()
    backup(tmp_path / "kept", settings)
    assert verify(tmp_path / "kept").problems == []


def test_a_damaged_manifest_is_named(settings: Settings, tmp_path: Path) -> None:
    name = backup(tmp_path / "kept", settings).snapshot.id
    manifest = tmp_path / "kept" / "snapshots" / f"{name}.json"
    manifest.write_text(manifest.read_text().replace('"rows":', '"rows": 1', 1).replace('"mode":4', '"mode":5', 1))
    (problem,) = verify(tmp_path / "kept").problems
    assert str(manifest) in problem and "is damaged" in problem


def test_a_damaged_file_of_the_lake_is_copied_as_it_is_and_said(settings: Settings, tmp_path: Path) -> None:
    whole = backup(tmp_path / "kept", settings).snapshot
    file = next(settings.data_dir.glob("equity_bars/1_day/*.parquet"))
    os.truncate(file, file.stat().st_size // 2)
    report = backup(tmp_path / "kept", settings)
    (sentence,) = report.damaged
    assert str(file) in sentence and "earlier snapshot" in sentence
    assert verify(tmp_path / "kept", whole.id).problems == []


@pytest.mark.parametrize("place", ["lake/backups", ".", "lake"])
def test_a_folder_that_cannot_hold_the_backups_is_refused(place: str, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="inside one another"):
        backup(tmp_path / place, settings)


def test_a_file_in_place_of_a_folder_is_named(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for call in (lambda: backup(file, settings), lambda: restore(file, settings), lambda: verify(file)):
        with pytest.raises(BackupError, match="file is a file: name the folder of the backups"):
            call()
    with pytest.raises(ValueError, match=r"data folder .*file is a file"):
        Settings(data_dir=file)  # type: ignore[call-arg]


def test_a_folder_with_other_files_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(BackupError, match=r"holds other files \(cat.jpg\) and no backup"):
        backup(tmp_path / "photos", settings)
    with pytest.raises(BackupError, match="holds no backup"):
        verify(tmp_path / "photos")


def test_another_lake_needs_another_folder(settings: Settings, simulator: Simulator, tmp_path: Path) -> None:
    backup(tmp_path / "kept", settings)
    other = settings_of(tmp_path / "other", simulator)
    connect_state(other.state_url)
    with pytest.raises(BackupError, match="holds backups of lake"):
        backup(tmp_path / "kept", other)


def test_a_folder_without_a_lake_has_nothing_to_back_up(simulator: Simulator, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="There is no lake in"):
        backup(tmp_path / "kept", settings_of(tmp_path / "nothing", simulator))
    assert list(tmp_path.iterdir()) == []


def test_restore_replaces_nothing(settings: Settings, tmp_path: Path) -> None:
    backup(tmp_path / "kept", settings)
    before = tree(settings.data_dir)
    with pytest.raises(BackupError, match=r"is not empty .* nothing in it is replaced"):
        restore(tmp_path / "kept", settings)
    assert tree(settings.data_dir) == before


def test_an_empty_folder_is_taken(settings: Settings, simulator: Simulator, tmp_path: Path) -> None:
    backup(tmp_path / "kept", settings)
    restored = settings_of(tmp_path / "restored", simulator)
    restored.data_dir.mkdir()
    (restored.data_dir / ".gitkeep").touch()
    restore(tmp_path / "kept", restored)
    assert difference(restored.data_dir, contents(settings.data_dir)) == []


def test_what_was_begun_on_the_source_is_free_in_the_copy(
    settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    """A request that a living process of the source has in flight is nobody's in the restored lake."""
    with closing(sqlite3.connect(settings.data_dir / STATE)) as state, state:
        state.execute("insert into owners select 'alive', '', 1, '', 1e12")
        state.execute("insert into client_ids values ('127.0.0.1:1', 7, 'alive')")
    backup(tmp_path / "kept", settings)
    restored = settings_of(tmp_path / "restored", simulator)
    restore(tmp_path / "kept", restored)
    with closing(sqlite3.connect(restored.data_dir / STATE)) as state:
        assert state.execute("select (select count(*) from owners) + (select count(*) from client_ids)").fetchone() == (
            0,
        )


def test_links_are_followed(settings: Settings, simulator: Simulator, tmp_path: Path) -> None:
    shutil.move(settings.data_dir / "equity_bars", tmp_path / "elsewhere")
    (settings.data_dir / "equity_bars").symlink_to(tmp_path / "elsewhere")
    backup(tmp_path / "kept", settings)
    restored = settings_of(tmp_path / "restored", simulator)
    restore(tmp_path / "kept", restored)
    assert difference(restored.data_dir, contents(settings.data_dir)) == []
    assert not (restored.data_dir / "equity_bars").is_symlink()


def test_a_mount_point_is_filled_in_place_and_an_interrupted_restore_goes_on(
    settings: Settings, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot be renamed. Without `lake.json`, which comes last, nothing takes it for a lake."""
    restored = settings_of(tmp_path / "volume", simulator)
    restored.data_dir.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == restored.data_dir)
    kept = tmp_path / "kept"
    backup(kept, settings)
    restore(kept, restored)
    whole = tree(restored.data_dir)
    assert difference(restored.data_dir, contents(settings.data_dir)) == []
    # As a kill in the middle of the renames leaves it.
    staging = restored.data_dir / ".restoring"
    staging.mkdir()
    for name in ("lake.json", "state.db", "equity_bars"):
        (restored.data_dir / name).rename(staging / name)
    restore(kept, restored)
    assert tree(restored.data_dir) == whole and not staging.exists()
    with pytest.raises(BackupError, match="is not empty"):
        restore(kept, restored)


def test_restored_files_and_folders_are_as_private_as_they_were(
    settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    os.chmod(settings.data_dir / "lake.json", 0o640)
    backup(tmp_path / "kept", settings)
    restored = settings_of(tmp_path / "restored", simulator)
    restore(tmp_path / "kept", restored)
    assert (restored.data_dir / "lake.json").stat().st_mode & 0o777 == 0o640
    assert restored.data_dir.stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "kept").rglob("*"))
