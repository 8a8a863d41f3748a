"""Temporary files that a killed writer left behind."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from trading_assets.arguments.folders import REPORTS
from trading_assets.errors import LakeBusy
from trading_assets.repositories.files import (
    CATALOG_FILE,
    IDENTITY_FILE,
    LOCKS,
    TEMPORARY_SUFFIX,
    dataset_files,
    leftovers,
    locked,
    remove_leftovers,
)
from trading_assets.repositories.layout import settle
from trading_assets.repositories.machines import WRITERS
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS


def remove_temporary_files(data_dir: Path | str) -> list[str]:
    """Remove the temporary files of a lake whose writer is dead; return their names relative to the data folder.

    A file whose lock is held is being written: it is left alone.
    """
    folder = Path(data_dir)
    settle(folder)
    return [name for path, lock in sorted(_targets(folder)) for name in _removed(folder, path, lock)]


def orphaned_temporary_files(data_dir: Path | str) -> list[str]:
    """The names of those that `remove_temporary_files` would remove. Writes nothing."""
    folder = Path(data_dir)
    return [
        _relative(folder, left)
        for path, lock in sorted(_targets(folder))
        for left in leftovers(path)
        if not is_locked(folder, lock)
    ]


def is_locked(data_dir: Path, name: str) -> bool:
    """Whether a process holds the lock of that name now (see `files.locked`). Makes no lock file."""
    try:
        descriptor = os.open(data_dir / LOCKS / f"{name}.lock", os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _targets(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files that temporary ones were to become, each with the name of its lock."""
    found = {folder / name: name for name in (IDENTITY_FILE, CATALOG_FILE)}
    for dataset in DATASETS.values():
        for kind in (dataset, revisions_of(dataset)):
            root = folder / kind.name
            temporary = root.rglob(f".*.parquet.*{TEMPORARY_SUFFIX}")
            # The temporary file of a symbolic link is beside the file that the link names.
            links = (path for path in dataset_files(folder, kind) if path.is_symlink())
            for path in (*(_target(name) for name in temporary), *links):
                found[path] = f"{dataset.name}/{path.relative_to(root).as_posix()}"
    for place in (REPORTS, WRITERS):
        for path in map(_target, (folder / place).glob(f".*{TEMPORARY_SUFFIX}")):
            found[path] = path.relative_to(folder).as_posix()
    yield from found.items()


def _target(temporary: Path) -> Path:
    """The file a temporary one was to become: `.2015.parquet.123.tmp` -> `2015.parquet`."""
    return temporary.with_name(temporary.name[1:].rsplit(".", 2)[0])


def _removed(folder: Path, path: Path, lock: str) -> list[str]:
    if not leftovers(path):
        return []
    try:
        with locked(folder, lock, 0):
            dead = remove_leftovers(path)
    except LakeBusy:
        return []
    return [_relative(folder, file) for file in dead]


def _relative(folder: Path, file: Path) -> str:
    return (file.relative_to(folder) if file.is_relative_to(folder) else file).as_posix()
