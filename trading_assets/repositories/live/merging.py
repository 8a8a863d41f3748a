"""Merging: the parts of a session become its period file, sorted and without rows of the same key.

A day has millions of rows, so they are never in memory at once: DuckDB sorts what is in the parts and in the present
file, on the disk where it must, and the new file is written while the sorted rows come. Its footer names every part
that is in it; then the parts are removed. Killed in between, both are there: readers leave out the parts that the
footer names, and the next merge removes them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.errors import LayoutMismatch
from trading_assets.repositories.damage import raise_if_unreadable
from trading_assets.repositories.dataset_sql import escaped, quoted, quoted_name
from trading_assets.repositories.empty_files import empty_file
from trading_assets.repositories.file_schemas import widened
from trading_assets.repositories.files import (
    MERGED_PARTS,
    ROW_GROUP_ROWS,
    TEMPORARY_SUFFIX,
    check_file,
    locked,
    remove_leftovers,
    sync,
    write_batches,
)
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.layout import settle_for_writing
from trading_assets.repositories.live.keys import last_of_each, later
from trading_assets.repositories.live.places import Place, live_folder, parts
from trading_assets.repositories.period_locks import periods_held
from trading_assets.repositories.schemas import Dataset
from trading_assets.repositories.storage import refuse_object_store

MEMORY = "256MB"
"""What the sorting may use before it continues on the disk."""

BATCH_ROWS = 4 * ROW_GROUP_ROWS


@dataclass(frozen=True)
class Merged:
    """How many parts were merged, the rows of the period file, and its path in the data folder (empty: none)."""

    parts: int = 0
    rows: int = 0
    file: str = ""


def merge_session(data_dir: Path, dataset: Dataset, session: date) -> Merged:
    """Merge the parts of a session into its period file; again at will. Segments are left alone (see `sealing`).

    Columns that a part or the present file has besides the dataset's stay. Raises `UnreadableFile` for a damaged part
    (nothing is changed), `LakeBusy`, `LayoutMismatch` (`NewerFile` for one of a newer program), `OSError`.
    """
    relative = period_file(dataset, session)
    path = data_dir / relative
    if not parts(data_dir, dataset, session):
        return Merged(0, check_file(path, dataset), relative) if path.exists() else Merged()
    refuse_object_store(data_dir, "Merging live data")
    settle_for_writing(data_dir, dataset)
    with periods_held(data_dir, dataset.name), locked(data_dir, relative):
        LakeIdentity(data_dir).pin_period(dataset.name, dataset.period)
        remove_leftovers(path)
        found = parts(data_dir, dataset, session)
        known = merged_parts(path)
        new = [place for place in found if place.name not in known]
        if new:
            sources = [*([path] if path.exists() else []), *(place.part for place in new)]
            spill = live_folder(data_dir, dataset) / f".{session}.sorting{TEMPORARY_SUFFIX}"
            _write(path, dataset, sources, {*known, *(place.name for place in new)}, spill)
        remove(data_dir, dataset, found)
        return Merged(len(new), check_file(path, dataset), relative)


def make_period_file(data_dir: Path, dataset: Dataset, session: date) -> None:
    """Make the period file of a session, without rows, where there is none: whoever looks at parts can then always see
    which of them are merged. Raises `LakeBusy`, `LayoutMismatch`, `OSError`."""
    relative = period_file(dataset, session)
    if (data_dir / relative).exists():
        return
    refuse_object_store(data_dir, "Merging live data")
    settle_for_writing(data_dir, dataset)
    with periods_held(data_dir, dataset.name), locked(data_dir, relative):
        LakeIdentity(data_dir).pin_period(dataset.name, dataset.period)
        if not (data_dir / relative).exists():
            write_batches(data_dir / relative, dataset, ())


def period_file(dataset: Dataset, session: date) -> str:
    """The path of a session's period file in the data folder."""
    return f"{dataset.name}/{dataset.period.of(session)}.parquet"


def merged_parts(path: Path) -> frozenset[str]:
    """The parts that are in a period file; none where there is no file."""
    try:
        with path.open("rb") as source:
            return names_in(pq.read_schema(source))
    except FileNotFoundError:
        return frozenset()


def names_in(schema: pa.Schema) -> frozenset[str]:
    """The parts that are in a file with that schema."""
    return frozenset((schema.metadata or {}).get(MERGED_PARTS, b"").decode().split())


def remove(data_dir: Path, dataset: Dataset, places: Iterable[Place]) -> None:
    """Remove parts that are in a period file, and the folders of sessions that are empty then. A segment that was
    sealed into such a part and not removed goes first."""
    folders = set()
    for place in places:
        place.segment.unlink(missing_ok=True)
        place.part.unlink(missing_ok=True)
        folders.add(place.part.parent)
    for folder in folders:
        sync(folder)
        with suppress(OSError):  # not empty: a recorder has begun another segment
            folder.rmdir()
            sync(live_folder(data_dir, dataset))


def _write(path: Path, dataset: Dataset, sources: Sequence[Path], merged: set[str], spill: Path) -> None:
    for source in sources:
        check_file(source, dataset)
    kind = widened(dataset, sources)
    _check_names(kind, path)
    shutil.rmtree(spill, ignore_errors=True)
    try:
        with duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(spill)}) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            names = ", ".join(quoted_name(column.name) for column in kind.columns)
            # Beside them an empty file, which has all columns: those of an earlier version may lack some.
            files = ", ".join(quoted(escaped(str(source))) for source in (empty_file(dataset), *sources))
            order = ", ".join([*(f'"{name}"' for name in dataset.order), *later(dataset)])
            sorted_rows = connection.sql(
                f"SELECT {names} FROM read_parquet([{files}], hive_partitioning = false, union_by_name = true)"
                f" ORDER BY {order}"
            ).to_arrow_reader(BATCH_ROWS)
            write_batches(path, kind, last_of_each(kind, sorted_rows), {MERGED_PARTS: "\n".join(sorted(merged))})
    except (duckdb.Error, pa.ArrowException) as error:
        raise_if_unreadable([(dataset, source) for source in sources], error)
        raise
    finally:
        shutil.rmtree(spill, ignore_errors=True)


def _check_names(kind: Dataset, path: Path) -> None:
    """Raise `LayoutMismatch` where names differ in capitals alone: DuckDB takes them for one column."""
    spelled: dict[str, str] = {}
    for name in kind.schema.names:
        if spelled.setdefault(name.lower(), name) != name:
            raise LayoutMismatch(
                f"{path} was not written: a file that belongs into it has the column `{name}`, which differs from"
                f" `{spelled[name.lower()]}` in capitals only. Rename the column there."
            )
