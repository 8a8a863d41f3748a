"""Proving that a backup is whole, on any machine: every object is read and compared with its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from trading_assets.backup.manifest import Repository
from trading_assets.errors import BackupError
from trading_assets.plain import Plain


@dataclass(frozen=True, slots=True)
class Verified(Plain):
    """What was read: snapshots, distinct objects, files and rows of the newest of them; `problems` are sentences, one a
    damaged file or manifest."""

    snapshots: list[str]
    objects: int
    files: int
    rows: int
    problems: list[str] = field(default_factory=list)


def verify(path: Path | str, snapshot: str | None = None) -> Verified:
    """Read every object of a snapshot, by default of all snapshots, and compare it with its checksum. Writes nothing.

    Raises `BackupError` where the folder holds no backup.
    """
    repository = Repository.existing(path)
    names = repository.ids() if snapshot is None else [repository.snapshot(snapshot).id]
    if not names:
        repository.snapshot()  # says that there is none
    problems: dict[str, list[str]] = {name: [] for name in names}
    known: dict[str, str] = {}
    files = rows = 0
    for name in names:
        try:
            found = repository.snapshot(name)
        except BackupError as error:
            problems[name].append(str(error))
            continue
        files, rows = len(found.files), found.rows
        for entry in found.files:
            for part in entry.parts:
                if part not in known:
                    known[part] = repository.objects.problem([part])
            wrong = next((known[part] for part in entry.parts if known[part]), "")
            if wrong:
                problems[name].append(f"Snapshot {name}: {entry.path} is not whole ({wrong}). Take a new backup.")
    there = [name for name in names if repository.has(name)]  # the others were removed meanwhile
    return Verified(there, len(known), files, rows, [sentence for name in there for sentence in problems[name]])
