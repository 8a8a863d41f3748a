"""Removing old snapshots from a folder of backups, and what only they need."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trading_assets.arguments import KEPT_SNAPSHOTS
from trading_assets.backup.create import LOCK
from trading_assets.backup.manifest import Repository, Snapshot
from trading_assets.errors import BackupError
from trading_assets.repositories.files import locked


@dataclass(frozen=True, slots=True)
class PruneReport:
    """The snapshots that stay and those that were removed (with `dry_run`: would be), oldest first; `objects` files of
    `freed` bytes went with them, which no snapshot that stays needs."""

    dry_run: bool
    kept: list[str]
    removed: list[str]
    objects: int
    freed: int

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {
            "dry_run": self.dry_run,
            "kept": self.kept,
            "removed": self.removed,
            "objects": self.objects,
            "freed_bytes": self.freed,
        }

    def sentence(self) -> str:
        """The outcome in words."""
        if not self.removed and not self.objects:
            return f"There are {len(self.kept)} snapshots and nothing that they do not need: nothing to do."
        verb = "Would remove" if self.dry_run else "Removed"
        return (
            f"{verb} {len(self.removed)} snapshots and {self.objects} objects ({self.freed:,} bytes) that no other"
            f" snapshot needs; {len(self.kept)} snapshots stay."
        )


def prune(path: Path | str, keep: int, *, dry_run: bool = True) -> PruneReport:
    """Keep the newest `keep` snapshots of the backups in `path`, and remove the others with the objects that no
    snapshot that stays needs; with `dry_run`, the default, say what would go.

    First the manifests go, then the objects: killed at any instant, the snapshots that stay are whole, and the next
    call does the rest. Nothing is removed when the manifest of a snapshot that stays cannot be read. Raises
    `BackupError`, `InvalidRequest`; `LakeBusy` while a backup is taken.
    """
    count = KEPT_SNAPSHOTS.whole(keep, "keep")
    repository = Repository.existing(path)
    with nullcontext() if dry_run else locked(repository.root, LOCK):
        names = repository.ids()
        removed, kept = names[:-count], names[-count:]
        needed = {part for name in kept for entry in _snapshot(repository, name).files for part in entry.parts}
        unneeded = [(file, file.stat().st_size) for file in repository.objects.all() if file.name not in needed]
        if not dry_run:
            for name in removed:
                repository.forget(name)
            for file, _ in unneeded:
                file.unlink()
        return PruneReport(dry_run, kept, removed, len(unneeded), sum(size for _, size in unneeded))


def _snapshot(repository: Repository, name: str) -> Snapshot:
    try:
        return repository.snapshot(name)
    except BackupError as error:
        raise BackupError(
            f"Nothing was removed, because it cannot be known what snapshot {name} needs: {error} Or keep fewer"
            " snapshots."
        ) from error
