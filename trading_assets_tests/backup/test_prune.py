"""Removing old snapshots: what those that stay need stays."""

from __future__ import annotations

import re
import shutil
import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from trading_assets.backup import backup, prune, restore, snapshots, verify
from trading_assets.backup.create import LOCK
from trading_assets.errors import BackupError, InvalidRequest
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.files import locked
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.backup.test_backup import tree
from trading_assets_tests.endurance.conftest import settings_of
from trading_assets_tests.endurance.lakes import contents, difference
from trading_assets_tests.repositories.frames import bar, table

DAYS = [date(2015, 12, day) for day in (21, 22, 23)]


@pytest.fixture
def kept(settings: Settings, tmp_path: Path) -> Path:
    """Four snapshots of a lake that changed in between."""
    backup(tmp_path / "kept", settings)
    for day in DAYS:
        ParquetStore(settings.data_dir).upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(day, 100.0)]))
        backup(tmp_path / "kept", settings)
    return tmp_path / "kept"


def objects(kept: Path) -> set[str]:
    return {path.name for path in (kept / "objects").rglob("*") if path.is_file()}


def test_a_dry_run_is_the_default_and_says_what_would_go(kept: Path) -> None:
    names = [found.id for found in snapshots(kept)]
    for copied in (f"{names[3]} (1)", f"~{names[3]}"):  # a synchronisation tool's copies are no snapshots
        shutil.copy(kept / "snapshots" / f"{names[3]}.json", kept / "snapshots" / f"{copied}.json")
    before = tree(kept)
    report = prune(kept, keep=2)
    assert report.dry_run and report.kept == names[2:] and report.removed == names[:2]
    assert report.objects > 0 and report.sentence().startswith("Would remove 2 snapshots")
    assert tree(kept) == before


def test_what_stays_is_whole_and_nothing_else_is_there(
    kept: Path, settings: Settings, simulator: Simulator, tmp_path: Path
) -> None:
    promised, size = prune(kept, keep=2), sum(map(len, tree(kept).values()))
    report = prune(kept, keep=2, dry_run=False)
    assert (report.kept, report.removed, report.objects) == (promised.kept, promised.removed, promised.objects)
    assert size - sum(map(len, tree(kept).values())) >= report.freed == promised.freed > 0
    assert [found.id for found in snapshots(kept)] == report.kept
    assert verify(kept).problems == []
    assert objects(kept) == {part for found in snapshots(kept) for entry in found.files for part in entry.parts}
    restored = settings_of(tmp_path / "restored", simulator)
    restore(kept, restored)
    assert difference(restored.data_dir, contents(settings.data_dir)) == []
    assert prune(kept, keep=2).sentence().endswith("nothing to do.")
    assert backup(kept, settings).added == 0, "the next backup goes on from the newest snapshot"


def test_more_than_there_are_removes_nothing(kept: Path) -> None:
    before = tree(kept)
    assert prune(kept, keep=10, dry_run=False).removed == [] and tree(kept) == before


def test_what_an_interrupted_backup_left_goes_too(kept: Path) -> None:
    left = kept / "objects" / "ff" / ("f" * 64)
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half a lake")
    assert prune(kept, keep=4, dry_run=False).objects == 1 and not left.exists()
    assert verify(kept).problems == []


def test_a_damaged_manifest_that_is_to_stay_stops_it(kept: Path) -> None:
    newest = snapshots(kept)[-1].id
    (kept / "snapshots" / f"{newest}.json").write_text("{}")
    before = tree(kept)
    with pytest.raises(BackupError, match=re.escape(f"cannot be known what snapshot {newest} needs")):
        prune(kept, keep=2, dry_run=False)
    assert tree(kept) == before


def test_a_damaged_manifest_that_is_to_go_does_not(kept: Path) -> None:
    oldest = snapshots(kept)[0].id
    (kept / "snapshots" / f"{oldest}.json").write_text("{}")
    assert oldest in prune(kept, keep=3, dry_run=False).removed
    assert verify(kept).problems == []


@pytest.mark.parametrize("keep", [0, -1, True, "2", 1.5])
def test_a_number_that_is_none_is_refused(keep: Any, kept: Path) -> None:
    with pytest.raises(InvalidRequest, match="keep is"):
        prune(kept, keep, dry_run=False)


def test_a_folder_without_backups_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="holds no backup"):
        prune(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


def test_while_a_backup_is_taken_it_waits_and_a_dry_run_does_not(kept: Path) -> None:
    thread = threading.Thread(target=prune, args=(kept, 1), kwargs={"dry_run": False})
    with locked(kept, LOCK):
        thread.start()
        assert len(prune(kept, 1).removed) == 3
        assert len(snapshots(kept)) == 4
    thread.join(60)
    assert len(snapshots(kept)) == 1
