"""Putting a snapshot back into an empty data folder.

Everything is written beside the data folder and compared with the manifest there; then the folder gets its name in one
step. Killed before that step there is nothing in the data folder, and the next restore goes on with what was written.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from trading_assets.backup.databases import load_state
from trading_assets.backup.manifest import STATE, Entry, Part, Repository, Snapshot, holdings_of
from trading_assets.backup.objects import digest_of
from trading_assets.backup.sources import dataset_of
from trading_assets.errors import BackupError
from trading_assets.permissions import PRIVATE_FILE, private_folder
from trading_assets.repositories.column_checksums import column_checksums
from trading_assets.repositories.files import IDENTITY_FILE, LOCKS, locked, replacing, sync
from trading_assets.repositories.pieces import read_pieces
from trading_assets.repositories.storage import refuse_object_store
from trading_assets.settings import Settings

_LOCK = "restore"

INSIDE = ".restoring"
"""Folder in a data folder that is a mount point. While it is there a restore was begun and not ended."""

_MAY_BE_THERE = frozenset({".gitkeep", LOCKS, "lost+found", INSIDE})
"""What a data folder holds that holds nothing."""


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore did, or with `dry_run` would do: the snapshot, the data folder, and where the state database goes
    (empty: the snapshot has none).

    `before` are files, rows and checksums by column of each dataset in the snapshot, `after` the same as read from the
    restored files (empty with `dry_run`).
    """

    snapshot: Snapshot
    data_dir: str
    state: str
    dry_run: bool
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        rest = {"data_dir": self.data_dir, "state_database": self.state, "dry_run": self.dry_run}
        said = {**self.snapshot.as_dict(), **rest}
        del said["datasets"]
        return {**said, "before": self.before, "after": self.after}


def restore(
    path: Path | str, settings: Settings | None = None, *, snapshot: str | None = None, dry_run: bool = False
) -> RestoreReport:
    """Put a snapshot (an id, by default the newest) of the backups in `path` into the data folder of the settings.

    The data folder must be empty or not there; so must the state database, where it is not in that folder. All objects
    are verified before the folder gets its name. With `dry_run` they are verified and nothing is written. Raises
    `BackupError`, `OSError`.
    """
    settings = settings or Settings()
    refuse_object_store(settings.data_dir, "Restoring a backup")
    repository = Repository.existing(path)
    chosen = repository.snapshot(snapshot)
    target = settings.data_dir
    resumed = (target / INSIDE).is_dir()
    if not resumed:
        _check_empty(target)
    inside = _in_folder(settings)
    has_state = chosen.entry(STATE) is not None
    place = sa.make_url(str(settings.state_url)).render_as_string(hide_password=True)
    where = "" if not has_state else place if inside is None else str(target / inside)
    before = chosen.holdings()
    report = RestoreReport(chosen, str(target), where, dry_run, before)
    if dry_run:
        _check_objects(repository, chosen)
        return report
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = _staging(target)
    with locked(private_folder(staging), _LOCK):
        if resumed:
            _take_back(target, {entry.path.partition("/")[0] for entry in chosen.files})
            _check_empty(target)
        _check_space(chosen, staging)
        _fill(repository, chosen, staging)
        after = _holdings(chosen, staging)
        _check_rows(before, after)
        if has_state and inside is None:
            load_state(staging / STATE, str(settings.state_url))
            (staging / STATE).unlink()
        elif has_state and inside is not None and inside != Path(STATE):
            private_folder((staging / inside).parent)
            os.rename(staging / STATE, staging / inside)
        _check_empty(target)
        _publish(staging, target)
    return replace(report, after=after)


def _holdings(chosen: Snapshot, staging: Path) -> dict[str, Any]:
    """What the restored files hold, read from them."""
    parts: dict[str, list[Part]] = {}
    for entry in chosen.files:
        dataset = dataset_of(entry.path)
        if dataset is not None and not entry.damaged and entry.rows is not None:
            for rows in read_pieces(staging / entry.path, dataset):
                parts.setdefault(dataset.name, []).append((rows.num_rows, column_checksums(rows, dataset.key)))
    return holdings_of(parts)


def _check_rows(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Raise `BackupError` where rows or checksums are others. A snapshot of an earlier version has no checksums, or
    fewer columns."""
    for name, said in before.items():
        there = after[name]
        if said["rows"] != there["rows"] or not said["columns"].items() <= there["columns"].items():
            raise BackupError(
                f"{name} does not hold the rows of the snapshot after it was restored, and the data folder was left as"
                " it was: check the disk, then restore again."
            )


def restore_file(repository: Repository, entry: Entry, target: Path) -> None:
    """Put one file of a snapshot in place of what is there, in one step. Raises `BackupError`, `OSError`."""
    with replacing(target) as temporary:
        _written(repository, entry, temporary)


def _staging(target: Path) -> Path:
    """Where the files are written: beside the data folder, or in it where it is a mount point and cannot be renamed."""
    inside = os.path.ismount(target)
    return target / INSIDE if inside else target.with_name(f".{target.name}.restoring")


def _in_folder(settings: Settings) -> Path | None:
    """The state database relative to the data folder; None where it is elsewhere."""
    url = sa.make_url(str(settings.state_url))
    file = Path(str(url.database)).absolute()
    inside = url.get_backend_name() == "sqlite" and file.is_relative_to(settings.data_dir)
    return file.relative_to(settings.data_dir) if inside else None


def _check_empty(target: Path) -> None:
    found = sorted(p.name for p in target.iterdir() if p.name not in _MAY_BE_THERE) if target.is_dir() else []
    if found:
        raise BackupError(
            f"{target} is not empty ({', '.join(found[:3])}), and nothing in it is replaced: move it away, or set"
            " TRADING_ASSETS_DATA_DIR to an empty or a new folder."
        )


def _check_objects(repository: Repository, chosen: Snapshot) -> None:
    for entry in chosen.files:
        if wrong := repository.objects.problem(entry.parts):
            raise _not_whole(repository, chosen, entry, wrong)


def _not_whole(repository: Repository, chosen: Snapshot, entry: Entry, wrong: str) -> BackupError:
    others = [name for name in repository.ids() if name != chosen.id]
    offer = f"Restore another snapshot: {', '.join(others[-5:])}." if others else "There is no other one."
    return BackupError(f"Snapshot {chosen.id} in {repository.root}: {entry.path} is not whole ({wrong}). {offer}")


def _check_space(chosen: Snapshot, staging: Path) -> None:
    there = sum(file.stat().st_size for file in staging.rglob("*") if file.is_file())
    free, wanted = shutil.disk_usage(staging).free, chosen.size - there
    if free < wanted:
        raise BackupError(
            f"Snapshot {chosen.id} needs {wanted:,} bytes more, and {free:,} are free beside the data folder: make room"
            " there, or set TRADING_ASSETS_DATA_DIR to a folder on another disk."
        )


def _fill(repository: Repository, chosen: Snapshot, staging: Path) -> None:
    """Write every file of the snapshot that is not there yet, and remove what is none of it."""
    wanted = {entry.path for entry in chosen.files}
    for file in staging.rglob("*"):
        name = file.relative_to(staging).as_posix()
        if file.is_file() and name not in wanted and not name.startswith(f"{LOCKS}/"):
            file.unlink()
    for entry in chosen.files:
        file = staging / entry.path
        if file.is_file() and file.stat().st_size == entry.size and digest_of(file) == entry.sha256:
            continue
        _private_folders(staging, file.parent)
        try:
            _written(repository, entry, file)
        except BackupError as error:
            raise _not_whole(repository, chosen, entry, str(error)) from error
    for folder in sorted({(staging / entry.path).parent for entry in chosen.files}):
        sync(folder)
    sync(staging)


def _private_folders(staging: Path, folder: Path) -> None:
    if folder != staging:
        _private_folders(staging, folder.parent)
        private_folder(folder)


def _written(repository: Repository, entry: Entry, file: Path) -> None:
    """Write one file, see on disk that it is as it was, and give it its permissions."""
    try:
        repository.objects.write_to(file, entry.parts)
    except FileNotFoundError as error:
        raise BackupError(f"object {Path(error.filename).name[:12]} is missing") from error
    sync(file)
    if digest_of(file, from_disk=True) != entry.sha256:
        file.unlink()
        raise BackupError(repository.objects.problem(entry.parts) or "it reads back differently from the new place")
    os.chmod(file, PRIVATE_FILE if entry.path == STATE else entry.mode)


def _take_back(target: Path, names: set[str]) -> None:
    """Move what an interrupted restore had published in a mount point back into its folder there: without `lake.json`,
    which comes last, it is no lake."""
    staging = target / INSIDE
    if staging.is_dir() and not (target / IDENTITY_FILE).exists():
        for path in target.iterdir():
            if path.name in names:
                os.rename(path, staging / path.name)


def _publish(staging: Path, target: Path) -> None:
    """Give the folder its name in one step; in a mount point its files, `lake.json` last."""
    if staging.parent == target:
        for path in sorted(staging.iterdir(), key=lambda path: path.name == IDENTITY_FILE):
            if path.name != LOCKS:
                os.rename(path, target / path.name)
        sync(target)
        shutil.rmtree(staging)
        return
    if target.is_dir():
        for name in (".gitkeep", LOCKS):
            left = target / name
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    os.rename(staging, target)
    sync(target.parent)
