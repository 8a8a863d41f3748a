"""The files of a data folder, in the order in which a backup copies them, and what recognizes a version of each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from enum import IntEnum
from pathlib import Path

from trading_assets.repositories.files import CATALOG_FILE, IDENTITY_FILE, LOCKS, TEMPORARY_SUFFIX, locked
from trading_assets.repositories.layout_names import accepted_periods, is_lake_path
from trading_assets.repositories.live.places import FOLDER as LIVE_SEGMENTS
from trading_assets.repositories.machines import WRITERS
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import COVERAGE, DATASETS, Dataset, Period
from trading_assets.repositories.versions import version_of

DAGSTER = "dagster"
"""Folder of Dagster's history, under the data folder."""

MOST_LOCKS = 256
"""Locks that a backup holds at once at most."""

_BESIDE_DATABASES = ("-wal", "-shm", "-journal")


class Kind(IntEnum):
    """Kinds of files, in the order of copying. Dagster's events come before the rows they report; coverage before the
    rows it says are there; live data that is not merged before the period files that it is merged into."""

    DAGSTER = 0
    COVERAGE = 1
    LIVE = 2
    ROWS = 3
    OTHER = 4
    IDENTITY = 5


def files(data_dir: Path, state: Path) -> dict[str, Kind]:
    """Every file of a data folder that a backup has, by its path in the folder, in order of kind and path.

    Not among them: the state database (`state`), which is copied by itself, locks, temporary files, the records of the
    machines that write (`repositories.machines`), and the catalog, which is made from the rest. A file that is none of
    the lake's (`2024 (1).parquet`) is copied as it is.
    """
    found: dict[str, Kind] = {}
    seen: set[str] = set()
    for folder, folders, names in os.walk(data_dir, followlinks=True):
        real = os.path.realpath(folder)
        left = [name for name in folders if name not in (LOCKS, WRITERS) and not _is_temporary(name)]
        folders[:] = [] if real in seen else left
        for name in () if real in seen else names:
            path = Path(folder, name)
            relative = path.relative_to(data_dir).as_posix()
            if _wanted(path, relative, state):
                found[relative] = _kind(relative)
        seen.add(real)
    return dict(sorted(found.items(), key=lambda item: (item[1], item[0])))


def _wanted(path: Path, relative: str, state: Path) -> bool:
    beside = any(path.name.endswith(end) and path.with_name(path.name.removesuffix(end)).exists()
                 for end in _BESIDE_DATABASES)  # fmt: skip
    return path.is_file() and not _is_temporary(path.name) and not beside and path != state and relative != CATALOG_FILE


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and TEMPORARY_SUFFIX in name


def _kind(relative: str) -> Kind:
    top = relative.partition("/")[0]
    if top in (DAGSTER, LIVE_SEGMENTS):
        return Kind.DAGSTER if top == DAGSTER else Kind.LIVE
    if relative == IDENTITY_FILE:
        return Kind.IDENTITY
    if dataset_of(relative) is None:
        return Kind.OTHER
    return Kind.COVERAGE if top == COVERAGE.name else Kind.ROWS


def dataset_of(relative: str, data_dir: Path | None = None) -> Dataset | None:
    """The dataset, or the revisions of one, that the file of that path is of; None of a file that is none of them. With
    a data folder only names of the periods that its lake has count."""
    for dataset in DATASETS.values():
        for kind in (revisions_of(dataset), dataset):
            if relative.startswith(f"{kind.name}/"):
                periods = accepted_periods(data_dir, kind) if data_dir is not None else frozenset(Period)
                return kind if is_lake_path(kind, relative.removeprefix(f"{kind.name}/"), periods) else None
    return None


def mark_of(path: Path) -> tuple[int, ...]:
    """What distinguishes the version of a file: inode, size and times; of a database with what is written beside it."""
    beside = path.with_name(f"{path.name}-wal")
    written = beside.exists() and beside.stat().st_size > 0  # a mere look at a database makes an empty one
    return (*version_of(path), *(version_of(beside) if written else ()))


def marks(data_dir: Path, found: Mapping[str, Kind]) -> dict[str, tuple[int, ...]]:
    """The marks of the files of the lake among those; of a file that has gone meanwhile none."""
    result = {}
    for relative, kind in found.items():
        if kind in (Kind.COVERAGE, Kind.ROWS, Kind.IDENTITY):
            try:
                result[relative] = mark_of(data_dir / relative)
            except FileNotFoundError:
                continue
    return result


@contextmanager
def unchanging(data_dir: Path, found: Mapping[str, Kind]) -> Iterator[None]:
    """Hold the locks of the files of the lake: who writes waits. A file that there is not yet can be made all the same.

    Of a large lake the `MOST_LOCKS` files that changed last: a collection writes to the newest periods, and a process
    may have only so many files open. Raises `LakeBusy`.
    """
    revisions = {revisions_of(dataset).name: dataset.name for dataset in DATASETS.values()}
    names = set()
    changed = marks(data_dir, found)
    latest = sorted(changed, key=lambda relative: changed[relative][2], reverse=True)
    for relative in latest[:MOST_LOCKS]:
        if (kind := dataset_of(relative)) is not None:
            names.add(f"{revisions.get(kind.name, kind.name)}/{relative.removeprefix(kind.name + '/')}")
    with ExitStack() as stack:
        for name in (*sorted(names), IDENTITY_FILE):
            stack.enter_context(locked(data_dir, name))
        yield
