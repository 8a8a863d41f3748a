"""What the doctor finds: one record a fault, with what is lost, what mends it, and how the doctor would."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trading_assets.backup.manifest import Entry, Repository, Snapshot
from trading_assets.backup.restore import restore_file
from trading_assets.remedies import worded
from trading_assets.repositories.files import sync
from trading_assets.repositories.schemas import Dataset

SET_ASIDE = "set_aside"
"""Folder under the data folder for files that the doctor takes out of use. Nothing is deleted."""


@dataclass
class Finding:
    """One fault of a data folder.

    `kind` names it for programs, `subject` is the file, partition or symbol, `lost` says what is lost, `remedy` what
    mends it. `mend` does so without a request to the broker and returns what it did; None: the doctor cannot. `done` is
    what it did; empty while nothing was done.
    """

    kind: str
    subject: str
    lost: str
    remedy: str
    mend: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    done: str = ""

    def __post_init__(self) -> None:
        self.remedy = worded(self.remedy)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        said = {name: getattr(self, name) for name in ("kind", "subject", "lost", "remedy", "done")}
        return {**said, "fixable": self.mend is not None, "fixed": bool(self.done)}


Kept = tuple[Snapshot, Entry]
"""A file of a backup: the snapshot, and the file in it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A backup from which lost files may be put back, and the id of the lake in the data folder (empty: not known)."""

    repository: Repository
    lake_id: str

    def put_back(self, data_dir: Path, entries: Iterable[Entry]) -> list[Entry]:
        """Put those files back that are not there; which they were."""
        missing = [entry for entry in entries if not (data_dir / entry.path).exists()]
        for entry in missing:
            restore_file(self.repository, entry, data_dir / entry.path)
        return missing

    def newest(self, path: str) -> Kept | None:
        """The newest snapshot of this lake that has that file whole, and its entry."""
        for name in reversed(self.repository.ids()):
            snapshot = self.repository.snapshot(name)
            entry = snapshot.entry(path)
            if entry is not None and not entry.damaged and self.lake_id in ("", snapshot.lake_id):
                return snapshot, entry
        return None


def set_aside(data_dir: Path, path: Path, *, in_use: bool = False) -> str:
    """Move a file out of use, into `SET_ASIDE`; its new path relative to the data folder.

    With `in_use` it also stays where it is, for a caller that replaces it: killed in between, nothing is lost.
    """
    relative = path.relative_to(data_dir)
    folder = data_dir / SET_ASIDE / relative.parent
    folder.mkdir(parents=True, exist_ok=True)
    target, number = folder / path.name, 1
    while target.exists():
        number += 1
        target = folder / f"{path.name}.{number}"
    if in_use:
        shutil.copy2(path, target)
        sync(target)
    else:
        os.rename(path, target)
        sync(path.parent)
    sync(folder)
    return target.relative_to(data_dir).as_posix()


def lock_name(dataset: Dataset, data_dir: Path, path: Path) -> str:
    """The lock of a file of a dataset or of its revisions."""
    relative = path.relative_to(data_dir / dataset.name).as_posix()
    return f"{dataset.name.rpartition('/')[2]}/{relative}"
