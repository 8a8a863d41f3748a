"""Backups of a data folder: lake, state database and Dagster's history, taken while they are in use.

from trading_assets.backup import backup, prune, restore, snapshots, verify
backup("/mnt/backup/archive").snapshot.id
verify("/mnt/backup/archive").problems
restore("/mnt/backup/archive", Settings(data_dir="data/restored"))
prune("/mnt/backup/archive", keep=30, dry_run=False)
"""

from __future__ import annotations

from pathlib import Path

from trading_assets.backup.create import BackupReport, backup
from trading_assets.backup.manifest import Repository, Snapshot
from trading_assets.backup.prune import PruneReport, prune
from trading_assets.backup.restore import RestoreReport, restore
from trading_assets.backup.verify import Verified, verify
from trading_assets.errors import BackupError


def snapshots(path: Path | str) -> list[Snapshot]:
    """The snapshots in a folder of backups, oldest first. One that is removed meanwhile is left out. Raises
    `BackupError`."""
    repository, found = Repository.existing(path), []
    for name in repository.ids():
        try:
            found.append(repository.snapshot(name))
        except BackupError:
            if repository.has(name):
                raise
    return found


__all__ = [
    "BackupReport",
    "PruneReport",
    "RestoreReport",
    "Snapshot",
    "Verified",
    "backup",
    "prune",
    "restore",
    "snapshots",
    "verify",
]
