"""Backups of a data folder: lake, state database and Dagster's history, taken while they are in use.

from trading_assets.backup import backup, restore, snapshots, verify
backup("/mnt/backup/archive").snapshot.id
verify("/mnt/backup/archive").problems
restore("/mnt/backup/archive", Settings(data_dir="data/restored"))
"""

from __future__ import annotations

from pathlib import Path

from trading_assets.backup.create import BackupReport, backup
from trading_assets.backup.manifest import Repository, Snapshot
from trading_assets.backup.restore import RestoreReport, restore
from trading_assets.backup.verify import Verified, verify


def snapshots(path: Path | str) -> list[Snapshot]:
    """The snapshots in a folder of backups, oldest first. Raises `BackupError`."""
    repository = Repository.existing(path)
    return [repository.snapshot(name) for name in repository.ids()]


__all__ = ["BackupReport", "RestoreReport", "Snapshot", "Verified", "backup", "restore", "snapshots", "verify"]
