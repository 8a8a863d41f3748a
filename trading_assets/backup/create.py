"""Taking a backup of a data folder while it is in use.

The order makes a snapshot consistent. Dagster's history comes first: what it reports is in the lake that is copied
after it. Then the state database, then coverage, then rows: an answer that is stored meanwhile is in the copied journal
with its response, and storing it again changes nothing. When no file of the lake changed from before the copy of the
state database to the end, the snapshot is exact; else the state and the changed files are copied again, the last time
under the locks of the files.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from trading_assets import __version__
from trading_assets.backup.databases import complete_journal, copy_sqlite, copy_state, forget_processes, is_sqlite
from trading_assets.backup.manifest import STATE, WORK, Entry, Repository, Snapshot
from trading_assets.backup.sources import DAGSTER, Kind, dataset_of, files, mark_of, marks, unchanging
from trading_assets.errors import BackupError, UnreadableFile
from trading_assets.permissions import PRIVATE_FILE
from trading_assets.remedies import worded
from trading_assets.repositories.column_checksums import added, column_checksums
from trading_assets.repositories.files import check_file, locked
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.pieces import read_pieces
from trading_assets.repositories.schemas import SCHEMA_VERSION, Dataset
from trading_assets.repositories.storage import refuse_object_store
from trading_assets.settings import Settings, system_clock

LOCK = "backup"
"""Lock in the folder of the backups: one backup or pruning at a time."""

_PASSES = (False, False, True)
"""How often state and changed files are copied until the lake did not change meanwhile, and whether writers wait."""


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a backup came to. `added` are bytes that were new; `copied` and `unchanged` count files; `damaged` are
    sentences about files of the lake that could not be read.

    `before` are files, rows and checksums by column (those of the key among them) of each dataset as the lake was read,
    `after` the same of the snapshot, read back.
    """

    snapshot: Snapshot
    added: int
    copied: int
    unchanged: int
    damaged: list[str]
    before: dict[str, Any]
    after: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        counts = {"copied": self.copied, "unchanged": self.unchanged, "added_bytes": self.added}
        said = {**self.snapshot.as_dict(), **counts, "damaged": self.damaged}
        del said["datasets"]
        return {**said, "before": self.before, "after": self.after}


def backup(path: Path | str, settings: Settings | None = None) -> BackupReport:
    """Add a snapshot of the data folder to the backups in the folder `path`, which is made when it is not there.

    The data folder may be in use, and nothing in it is changed. Every new object is read back. Killed at any instant,
    earlier snapshots are whole and this one is not there; the next backup goes on with what was copied. Raises
    `BackupError`, `LakeBusy`, `DamagedIdentity`, `OSError`.
    """
    settings = settings or Settings()
    refuse_object_store(settings.data_dir, "The backup of the data folder")
    root = Path(path).expanduser().absolute()
    _check_places(root, settings.data_dir)
    held = LakeIdentity(settings.data_dir).held()
    if held is None:
        raise BackupError(
            f"There is no lake in {settings.data_dir} (no lake.json): set TRADING_ASSETS_DATA_DIR to its folder. Where"
            " only lake.json was lost, trading-assets doctor says how to put it back."
        )
    repository = Repository.made(root)
    with locked(root, LOCK):
        repository.remove_leftovers()
        previous = repository.snapshot() if repository.ids() else None
        if previous is not None and previous.lake_id != held.lake_id:
            raise BackupError(
                f"{root} holds backups of lake {previous.lake_id[:8]}, and {settings.data_dir} is lake"
                f" {held.lake_id[:8] or 'without an id'}: name another folder for its backups."
            )
        with tempfile.TemporaryDirectory(dir=root, prefix=WORK) as work:
            return _Copying(settings, repository, previous, Path(work)).run()


def _check_places(root: Path, data_dir: Path) -> None:
    real, source = Path(os.path.realpath(root)), Path(os.path.realpath(data_dir))
    if real.is_relative_to(source) or source.is_relative_to(real):
        raise BackupError(
            f"{root} and the data folder {data_dir} are inside one another: name a folder elsewhere, best on another"
            " disk."
        )


class _Copying:
    """One backup. `previous` tells which files did not change since."""

    def __init__(self, settings: Settings, repository: Repository, previous: Snapshot | None, work: Path) -> None:
        self._settings, self._data_dir, self._url = settings, settings.data_dir, str(settings.state_url)
        self._repository, self._objects, self._work = repository, repository.objects, work
        parsed = sa.make_url(self._url)
        on_server = parsed.get_backend_name() != "sqlite"
        self._state_file = None if on_server else Path(str(parsed.database)).absolute()
        self._kind = "postgresql" if on_server else "sqlite" if self._state_file and self._state_file.exists() else ""
        known = previous.files if previous is not None else ()
        self._known = {(entry.path, entry.mark): entry for entry in known if entry.mark}
        self._before = set(self._known)
        self._checked = {entry.sha256: entry for entry in known if entry.columns}
        self._added = 0

    def run(self) -> BackupReport:
        """Copy everything, and write the manifest."""
        taken_at = system_clock()
        history = self._copy([Kind.DAGSTER])
        lake, exact, state = self._lake_and_state()
        entries = [*history, *state, *lake]
        missing = [entry.path for entry in entries if not self._objects.has(entry.parts)]
        if missing:
            raise BackupError(
                f"{self._repository.root} lost what was written to it ({missing[0]}): check the disk, then run the"
                " backup again."
            )
        snapshot = self._snapshot(taken_at, entries, exact)
        self._repository.keep(snapshot)
        unchanged = sum((entry.path, entry.mark) in self._before for entry in entries)
        damaged = [worded(entry.damaged) for entry in entries if entry.damaged]
        after = self._repository.snapshot(snapshot.id).holdings()
        return BackupReport(
            snapshot, self._added, len(entries) - unchanged, unchanged, damaged, snapshot.holdings(), after
        )

    def _lake_and_state(self) -> tuple[list[Entry], bool, list[Entry]]:
        """The files of the lake, whether they did not change meanwhile, and the state database as it was before
        them."""
        copy = self._work / STATE
        kinds = [kind for kind in Kind if kind is not Kind.DAGSTER]
        lake: list[Entry] = []
        exact = False
        for writers_wait in _PASSES:
            before = self._files()
            with unchanging(self._data_dir, before) if writers_wait else nullcontext():
                seen = marks(self._data_dir, before)
                if self._kind:
                    copy.unlink(missing_ok=True)
                    self._copy_state(copy)
                lake = self._copy(kinds)
                exact = marks(self._data_dir, self._files()) == seen
            if exact:
                break
        if not self._kind:
            return lake, exact, []
        if not exact:
            complete_journal(self._url, copy)
        forget_processes(copy)
        stored = self._objects.add(copy, split=True)
        self._added += stored.added
        return lake, exact, [Entry(STATE, stored.sha256, stored.size, PRIVATE_FILE, stored.parts)]

    def _copy_state(self, copy: Path) -> None:
        try:
            copy_state(self._url, copy)
        except (sqlite3.Error, sa.exc.SQLAlchemyError) as error:
            raise BackupError(
                f"The state database cannot be read ({str(error).partition(chr(10))[0]}): run trading-assets doctor."
                " Earlier snapshots are unchanged."
            ) from error

    def _files(self) -> dict[str, Kind]:
        return files(self._data_dir, self._state_file or self._data_dir / STATE)

    def _copy(self, kinds: Sequence[Kind]) -> list[Entry]:
        return [entry for kind in kinds for entry in self._copied(kind)]

    def _copied(self, kind: Kind) -> list[Entry]:
        entries: dict[str, Entry] = {}
        moved = True
        while moved:
            moved = False
            for relative in (name for name, found in self._files().items() if found is kind and name not in entries):
                try:
                    entries[relative] = self._entry(relative, kind)
                except FileNotFoundError:  # removed since the folder was listed
                    moved |= kind is Kind.LIVE  # a segment that was sealed is to be found as a part
        return list(entries.values())

    def _entry(self, relative: str, kind: Kind) -> Entry:
        path = self._data_dir / relative
        mark = mark_of(path)
        known = self._known.get((relative, mark))
        unchecked = known is not None and known.rows is not None and not known.columns  # by an earlier version
        if known is None or unchecked or not self._objects.has(known.parts):
            known = self._stored(relative, kind, path, mark)
            self._known[relative, mark] = known
        return known

    def _stored(self, relative: str, kind: Kind, path: Path, mark: tuple[int, ...]) -> Entry:
        source, database = path, kind in (Kind.DAGSTER, Kind.OTHER) and is_sqlite(path)
        damaged = ""
        if database:
            source = self._work / "database"
            source.unlink(missing_ok=True)
            try:
                copy_sqlite(path, source)
            except sqlite3.Error as error:
                source, database = path, False
                damaged = f"{path} is damaged: {error}. It was copied as it is; earlier snapshots may have it whole."
        stored = self._objects.add(source, split=database)
        self._added += stored.added
        mode = stat.S_IMODE(path.stat().st_mode)
        entry = Entry(relative, stored.sha256, stored.size, mode, stored.parts, damaged=damaged, mark=mark)
        dataset = dataset_of(relative, self._data_dir)
        if dataset is None:
            return entry
        if (same := self._checked.get(stored.sha256)) is not None:
            return replace(entry, rows=same.rows, columns=same.columns)
        try:
            return replace(entry, **self._examined(stored.sha256, dataset))
        except (UnreadableFile, pa.ArrowException):
            return replace(
                entry,
                damaged=(
                    f"{path} is damaged. It was copied as it is; where an earlier snapshot has it whole,"
                    f" trading-assets doctor --fix --from PATH puts that one back."
                ),
            )

    def _examined(self, digest: str, dataset: Dataset) -> dict[str, Any]:
        """Rows and checksums of an object. It has the bytes of the file it was copied from: they are those of both.
        Raises `UnreadableFile`, `pa.ArrowException`."""
        copy = self._objects.path(digest)
        rows = check_file(copy, dataset, pages=True)
        pieces = [column_checksums(piece, dataset.key) for piece in read_pieces(copy, dataset)]
        return {"rows": rows, "columns": added(pieces)}

    def _snapshot(self, taken_at: datetime, entries: Sequence[Entry], exact: bool) -> Snapshot:
        held = LakeIdentity(self._data_dir).held()
        assert held is not None
        versions = {
            "lake": str(held.version),
            "columns": str(SCHEMA_VERSION),
            "trading_assets": __version__,
            "pyarrow": pa.__version__,
            "sqlite": sqlite3.sqlite_version,
        }
        name, taken = f"{taken_at:%Y-%m-%dT%H-%M-%S}Z", self._repository.ids()
        if taken and name <= taken[-1]:  # within the same second, or a clock that was set back
            base, _, number = taken[-1].partition("+")
            name = f"{base}+{int(number or 0) + 1:03d}"
        dagster = any(entry.path.startswith(f"{DAGSTER}/") and entry.path.endswith(".db") for entry in entries)
        return Snapshot(
            name, taken_at, held.lake_id, held.identity, self._kind, dagster, exact, versions, tuple(entries)
        )
