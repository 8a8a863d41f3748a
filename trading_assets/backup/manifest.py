"""Snapshots of a backup: one manifest each, `snapshots/<id>.json`, which names every file with its objects.

A snapshot is there when its manifest is: that is written last, in one step. The manifest carries its own checksum.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from trading_assets.backup.objects import Objects
from trading_assets.backup.sources import dataset_of
from trading_assets.errors import BackupError
from trading_assets.permissions import private_folder
from trading_assets.repositories.column_checksums import added
from trading_assets.repositories.files import TEMPORARY_SUFFIX, replacing, sync

FORMAT = 1
"""Version of the folder's layout and of the manifests. A newer one is refused."""

_MARKER = "backup.json"
_SNAPSHOTS = "snapshots"
_OURS = frozenset({_MARKER, _SNAPSHOTS, "objects"})

_ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(\+\d{3,})?")
"""The id of a snapshot: when it was taken, and a number where that is not enough."""

WORK = ".work-"
"""Begin of the names of folders in which a backup prepares copies of databases."""

STATE = "state.db"
"""The path under which a snapshot has the state database, wherever it was kept: always a SQLite file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a snapshot.

    `path` is relative to the data folder, `mode` its permissions; `rows` and the checksums of `columns`
    (`repositories.column_checksums`) are those of a Parquet file; `damaged` says why a file of the lake could not be
    read when it was copied; `mark` recognizes the same version of the source at the next backup.
    """

    path: str
    sha256: str
    size: int
    mode: int
    parts: tuple[str, ...]
    rows: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    damaged: str = ""
    mark: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One backup of a data folder.

    `taken_at` (UTC, the machine's clock) is when it began; `state` is `sqlite`, `postgresql` or empty where there was
    no state database; `versions` are those of lake, columns and programs; `exact`: no file of the lake changed while it
    was copied.
    """

    id: str
    taken_at: datetime
    lake_id: str
    identity: str
    state: str
    dagster: bool
    exact: bool
    versions: dict[str, str] = field(default_factory=dict)
    files: tuple[Entry, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    @property
    def rows(self) -> int:
        """Rows of all Parquet files."""
        return sum(entry.rows or 0 for entry in self.files)

    def holdings(self) -> dict[str, Any]:
        """Files, rows and checksums by column of each dataset and of its revisions (`holdings_of`)."""
        parts: dict[str, list[Part]] = {}
        for entry in self.files:
            dataset = dataset_of(entry.path)
            if dataset is not None and not entry.damaged and entry.rows is not None:
                parts.setdefault(dataset.name, []).append((entry.rows, entry.columns))
        return holdings_of(parts)

    def entry(self, path: str) -> Entry | None:
        """The file of that path, if the snapshot has it."""
        return next((entry for entry in self.files if entry.path == path), None)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record without the files."""
        return {
            "snapshot": self.id,
            "taken_at": self.taken_at,
            "lake_id": self.lake_id,
            "identity": self.identity,
            "state": self.state,
            "dagster": self.dagster,
            "exact": self.exact,
            "versions": self.versions,
            "files": len(self.files),
            "bytes": self.size,
            "rows": self.rows,
            "damaged": [entry.path for entry in self.files if entry.damaged],
            "datasets": self.holdings(),
        }


Part = tuple[int, Mapping[str, str]]
"""Rows of a file, and their checksums by column."""


def holdings_of(parts: Mapping[str, Sequence[Part]]) -> dict[str, Any]:
    """Files, rows and checksums by column of datasets whose files are given, as a JSON-able record."""
    return {
        name: {"files": len(each), "rows": sum(rows for rows, _ in each), "columns": added([sums for _, sums in each])}
        for name, each in sorted(parts.items())
    }


class Repository:
    """The folder that holds the backups of one lake."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects = Objects(root)

    @classmethod
    def existing(cls, path: Path | str) -> Repository:
        """The backups in a folder. Raises `BackupError` where there are none, or those of a newer program."""
        root = _folder(path)
        try:
            found = json.loads((root / _MARKER).read_text("utf-8"))["format"]
        except FileNotFoundError:
            raise BackupError(f"{root} holds no backup: name the folder of the backups.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise BackupError(f"{root / _MARKER} is damaged: it does not say what the folder holds.") from error
        if found != FORMAT:
            raise BackupError(
                f"{root} holds backups of format {found}, and this program knows format {FORMAT}: use a newer version"
                " of the program."
            )
        return cls(root)

    @classmethod
    def made(cls, path: Path | str) -> Repository:
        """The same, made where the folder is empty or not there."""
        root = _folder(path)
        if not (root / _MARKER).exists():
            other = sorted(p.name for p in root.iterdir() if not p.name.startswith(".")) if root.is_dir() else []
            if set(other) - _OURS:
                raise BackupError(
                    f"{root} holds other files ({', '.join(other[:3])}) and no backup: name an empty or a new folder."
                )
            with replacing(private_folder(root) / _MARKER) as temporary:
                temporary.write_text(json.dumps({"format": FORMAT}) + "\n", "utf-8")
        return cls.existing(root)

    def remove_leftovers(self) -> None:
        """Remove what killed backups left. Only who holds the lock of the backup may judge that their writers are
        dead."""
        for folder in (self.root, self.root / _SNAPSHOTS, self.root / "objects"):
            for left in folder.glob(f".*{TEMPORARY_SUFFIX}"):
                left.unlink(missing_ok=True)
        for work in self.root.glob(f"{WORK}*"):
            shutil.rmtree(work, ignore_errors=True)

    def ids(self) -> list[str]:
        """The snapshots, oldest first. A copy of a manifest that somebody left beside it is none."""
        found = (path.stem for path in (self.root / _SNAPSHOTS).glob("[!.]*.json"))
        return sorted(name for name in found if _ID.fullmatch(name))

    def snapshot(self, name: str | None = None) -> Snapshot:
        """The snapshot of that id, by default the newest. Raises `BackupError`."""
        known = self.ids()
        if not known:
            raise BackupError(f"{self.root} holds no complete snapshot: take a backup into it first.")
        chosen = known[-1] if name is None else name
        try:
            return self._read(self._manifest(chosen))
        except FileNotFoundError:
            raise BackupError(f"{self.root} has no snapshot {chosen}: it has {', '.join(known[-5:])}.") from None

    def has(self, name: str) -> bool:
        """Whether the snapshot is there."""
        return self._manifest(name).exists()

    def _manifest(self, name: str) -> Path:
        return self.root / _SNAPSHOTS / f"{name}.json"

    def _read(self, path: Path) -> Snapshot:
        try:
            document = json.loads(path.read_text("utf-8"))
            said = document["snapshot"]
            if document["sha256"] != _checksum(said):
                raise ValueError("its checksum differs")
            files = tuple(
                Entry(**{**entry, "parts": tuple(entry["parts"]), "mark": tuple(entry["mark"])})
                for entry in said.pop("files")
            )
            return Snapshot(**{**said, "taken_at": datetime.fromisoformat(said["taken_at"]), "files": files})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackupError(
                f"{path} is damaged ({error}): restore another snapshot, and take a new backup."
            ) from error

    def forget(self, name: str) -> None:
        """Remove the manifest of a snapshot: from then on it is not there."""
        self._manifest(name).unlink(missing_ok=True)
        sync(self.root / _SNAPSHOTS)

    def keep(self, snapshot: Snapshot) -> None:
        """Write the manifest: from then on the snapshot is there."""
        said = {**asdict(snapshot), "taken_at": snapshot.taken_at.isoformat()}
        text = json.dumps({"sha256": _checksum(said), "snapshot": said}, separators=(",", ":"))
        private_folder(self.root / _SNAPSHOTS)
        with replacing(self._manifest(snapshot.id)) as temporary:
            temporary.write_text(text + "\n", "utf-8")


def _checksum(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _folder(path: Path | str) -> Path:
    """The folder of the backups; it need not be there. Raises `BackupError` for a file."""
    root = Path(path).expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise BackupError(f"{root} is a file: name the folder of the backups.")
    return root
