"""Giving the files of a dataset another period: one file a year in place of one a month, or the other way round.

The new files are written into a folder beside, compared with the old ones by rows and checksums of every column, and
the two folders change places in one step (`renameat2`). A reader that has listed the old files and finds them gone
reads again; nobody sees both or neither. `lake.json` says from the beginning to the end that it goes on: whoever wants
to write next completes one that was killed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.errors import LayoutMismatch, UnreadableFile
from trading_assets.permissions import folder_like_parent
from trading_assets.repositories.column_checksums import added, column_checksums
from trading_assets.repositories.file_schemas import padded, widened
from trading_assets.repositories.files import (
    CATALOG_FILE,
    MAINTENANCE_LOCK,
    dataset_files,
    locked,
    read_file,
    sync,
    write_file,
)
from trading_assets.repositories.foreign_files import foreign_names
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.layout_names import is_period_file
from trading_assets.repositories.merge import contiguous, revisions_of, sort_positions
from trading_assets.repositories.period_locks import periods_held
from trading_assets.repositories.schemas import Dataset, Period
from trading_assets.repositories.storage import refuse_object_store

BESIDE = ".repartition"
"""Folder of the files to be, under the data folder."""

_LENGTH = {Period.YEAR: 4, Period.MONTH: 7, Period.DAY: 10}
"""Characters of a period's name."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@dataclass(frozen=True)
class Holding:
    """Files, rows and checksums by column of a dataset."""

    files: int = 0
    rows: int = 0
    columns: dict[str, str] = field(default_factory=dict)

    def same_rows(self, other: Holding) -> bool:
        """Whether both hold the same rows, in however many files."""
        return (self.rows, self.columns) == (other.rows, other.columns)


@dataclass(frozen=True)
class Repartition:
    """A dataset whose files have another `period`: what it held before and after, by name (its revisions too)."""

    dataset: str
    period: Period
    before: dict[str, Holding]
    after: dict[str, Holding]

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        plain = {"before": self.before, "after": self.after}
        return {
            "dataset": self.dataset,
            "period": str(self.period),
            **{when: {name: dict(held.__dict__) for name, held in each.items()} for when, each in plain.items()},
        }


def repartition(data_dir: Path, dataset: Dataset, period: Period) -> Repartition:
    """Give the dataset's files that period. Readers and writers may work meanwhile; writers wait.

    Raises `LayoutMismatch` where files or folders are links (into archive packages, for instance), or the system cannot
    exchange folders; `LakeBusy`.
    """
    refuse_object_store(data_dir, "Changing the periods of files")
    links = [path for path in _files(data_dir, dataset) if path.is_symlink() or path.parent.is_symlink()]
    if links:
        raise LayoutMismatch(
            f"{links[0]} is a link, and the periods of {dataset.name} stay as they are: put the files into the lake"
            " first (trading-assets archive restore, of periods in an archive package)."
        )
    if not hasattr(_libc(), "renameat2"):
        raise LayoutMismatch("This system cannot exchange two folders in one step: the periods stay as they are.")
    with locked(data_dir, MAINTENANCE_LOCK), periods_held(data_dir, dataset.name, change=True):
        for kind in (dataset, revisions_of(dataset)):
            _check_names(data_dir, kind)
            widened(kind, dataset_files(data_dir, kind))  # before anything is marked: it refuses newer files
        before = _holdings(data_dir, dataset)
        LakeIdentity(data_dir).mark_repartition(dataset.name, period, begun=True)
        _refresh_catalog(data_dir)  # its views name periods: until the end those of before and after
        _change(data_dir, dataset, period)
        return Repartition(dataset.name, period, before, _holdings(data_dir, dataset))


def _check_names(data_dir: Path, kind: Dataset) -> None:
    """Raise `LayoutMismatch` where a file has the name of a period that is not the dataset's: the lake would begin to
    read it."""
    for folder in {path.parent for path in dataset_files(data_dir, kind)}:
        for name in foreign_names(data_dir, kind, folder):
            if is_period_file(name):
                raise LayoutMismatch(
                    f"{folder / name} has the name of another period than the files of {kind.name}, and is not read:"
                    " take it out of the folder first (trading-assets doctor --fix), then change the periods again."
                )


def complete(data_dir: Path, dataset: Dataset) -> bool:
    """Complete a repartition that was killed; whether there was one."""
    with periods_held(data_dir, dataset.name, change=True):
        period = LakeIdentity(data_dir).repartitioning().get(dataset.name)
        if period is None:
            return False
        _change(data_dir, dataset, period)
        return True


def _change(data_dir: Path, dataset: Dataset, period: Period) -> None:
    shutil.rmtree(data_dir / BESIDE / dataset.name, ignore_errors=True)
    for kind in (revisions_of(dataset), dataset):
        for folder in sorted({path.parent for path in dataset_files(data_dir, kind)}):
            _change_folder(data_dir, kind, folder, period)
    LakeIdentity(data_dir).mark_repartition(dataset.name, period, begun=False)
    _refresh_catalog(data_dir)
    shutil.rmtree(data_dir / BESIDE, ignore_errors=True)


def _refresh_catalog(data_dir: Path) -> None:
    from trading_assets.repositories.catalog import write_catalog  # late: rarely needed

    if (data_dir / CATALOG_FILE).exists():
        write_catalog(data_dir)


def _change_folder(data_dir: Path, kind: Dataset, folder: Path, period: Period) -> None:
    files = [path for path in dataset_files(data_dir, kind) if path.parent == folder]
    if all(len(path.stem) == _LENGTH[period] for path in files):
        return  # this folder was exchanged before the kill
    beside = data_dir / BESIDE / folder.relative_to(data_dir)
    shutil.rmtree(beside, ignore_errors=True)
    folder_like_parent(beside)
    shutil.copystat(folder, beside)
    before, names = [], kind.schema.names
    for group in _groups(files, period):
        wide = widened(kind, group)
        tables = [padded(read_file(path, wide), wide) for path in group]
        before += [column_checksums(table.select(names), kind.key) for table in tables]
        _write(beside, wide, contiguous(pa.concat_tables(tables)), period)
    written = [read_file(path, kind) for path in sorted(beside.glob("*.parquet"))]
    if added([column_checksums(table, kind.key) for table in written]) != added(before):
        raise UnreadableFile(beside, "the rows written into it are not those of the lake, which is unchanged")
    for name in foreign_names(data_dir, kind, folder):  # of somebody else: they stay where they are
        _linked(folder / name, beside / name)
    sync(beside)
    _exchange(folder, beside)
    sync(folder.parent)
    shutil.rmtree(beside, ignore_errors=True)


def _linked(path: Path, beside: Path) -> None:
    """Give a file of the folder a second name in the one that takes its place (a copy, where the file system has no
    second names); a folder in it, and its files, too."""
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, beside, symlinks=True)
        return
    try:
        os.link(path, beside, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, beside, follow_symlinks=False)


def _groups(files: list[Path], period: Period) -> Iterator[list[Path]]:
    """The files that share a period of the coarser kind: their rows come to lie in files of their own."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(path.stem[: _LENGTH[period]], []).append(path)
    yield from groups.values()


def _write(folder: Path, kind: Dataset, rows: pa.Table, period: Period) -> None:
    names = pc.utf8_slice_codeunits(pc.cast(rows["session"], pa.string()), 0, _LENGTH[period])
    for name in pc.unique(names).to_pylist():
        part = contiguous(rows.filter(pc.equal(names, name)))
        write_file(folder / f"{name}.parquet", kind, part, np.asarray(sort_positions(part, kind.order)))


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change places in one step. Raises `OSError`."""
    sys.audit("os.rename", str(one), str(other), -1, -1)
    if _libc().renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _files(data_dir: Path, dataset: Dataset) -> list[Path]:
    return [path for kind in (dataset, revisions_of(dataset)) for path in dataset_files(data_dir, kind)]


def _holdings(data_dir: Path, dataset: Dataset) -> dict[str, Holding]:
    return {kind.name: _holding(data_dir, kind) for kind in (dataset, revisions_of(dataset))}


def _holding(data_dir: Path, kind: Dataset) -> Holding:
    files = dataset_files(data_dir, kind)
    rows, parts = 0, []
    for path in files:
        table = read_file(path, kind)
        rows += table.num_rows
        parts.append(column_checksums(table, kind.key))
    return Holding(len(files), rows, added(parts))
