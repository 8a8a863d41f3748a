"""Period files on disk: their locks, atomic replacement and consistent reading.

Here belongs everything that touches a file of the lake. What does not belong here: which names are files of the lake
(`repositories.layout_names`), which columns they have (`repositories.file_schemas`), which rows they hold
(`repositories.merge`), what may be written (`repositories.frame_checks`), the order of the steps
(`repositories.store`).

A file is named `<dataset>/[<variant>/]<period>.parquet`; spaces in the variant become underscores. The variant is a
column of the file, so that a file is complete alone. The folder is not named `<column>=<value>`: tools would read the
column's value from that name instead, and there it is not the same. Lakes of layout version 1 have such folders (see
`repositories.layout`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt
from filelock import FileLock, Timeout

from trading_assets.errors import ArchiveNotMounted, ForbiddenFile, LakeBusy, UnreadableFile
from trading_assets.permissions import PRIVATE_FILE, file_like_folder, folder_like_parent, own_folder, private_folder
from trading_assets.repositories.file_schemas import (
    check_rewrite,
    check_schema,
    check_values,
    file_schema,
)
from trading_assets.repositories.layout_names import (
    SUFFIX,
    accepted_periods,
    is_listed,
    is_period_file,
    is_variant_folder,
    older_variant_folder,
    touches,
    variant_folder,
)
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.schemas import Dataset
from trading_assets.repositories.storage import storage_at, storage_of

if TYPE_CHECKING:
    import pyarrow.dataset as pads

    from trading_assets.repositories.merge import Stacked

ROW_GROUP_ROWS = 16_384
"""Rows a row group. Files are sorted by symbol, so a query for one symbol reads few groups; 500 symbols a year are 8
groups of daily bars. Smaller groups cost file size, larger ones lose pruning (see `benchmarks/lake.py`)."""

PAGE_BYTES = 16_384
"""Bytes a data page: 2,048 numbers, as many as DuckDB works on at once. It skips whole pages without a wanted row
before it decompresses them, so a query for one symbol decompresses little of a row group."""

LOCK_SECONDS = 300.0
"""How long a writer waits for another writer of the same file; rewriting the largest files takes a few seconds."""

LOCKS = ".locks"
"""Folder of the lock files, under the data folder. They are empty and stay: the operating system's lock ends with its
process."""

TEMPORARY_SUFFIX = ".tmp"

MERGED_PARTS = b"merged_parts"
"""Key in the footer of a period file of live data: the names of the parts that are in it, a line each."""

ARCHIVES = ".archives"
"""Folder of links to the archive packages that periods of the lake are in, under the data folder."""

NANOSECONDS = 1_000_000_000
"""In a second."""

MAINTENANCE_LOCK = "maintenance"
"""Held by what moves whole periods: archive packages and repartitions, one at a time a lake."""

IDENTITY_FILE = "lake.json"
CATALOG_FILE = "lake.duckdb"


def dataset_files(
    data_dir: Path,
    dataset: Dataset,
    variants: Sequence[str] | None = None,
    first: date | None = None,
    last: date | None = None,
) -> list[Path]:
    """The dataset's files whose period touches `first` to `last` (both included, exchange dates), in order of path.

    `variants` restricts the folders (bar sizes, for instance). Only names of the layout are listed (see
    `layout_names`): no temporary file, and no copy that somebody left beside. No file is opened.
    Files in the folders of layout version 1 are listed as well: a lake that may not be written, or a folder from an old
    backup, has them. Raises `ForbiddenFile` for a folder that may not be read.
    """
    root = data_dir / dataset.name
    storage_of(data_dir).refresh(lambda name: is_listed(name, dataset, variants, first, last))
    if dataset.variant is None:
        folders = [root]
    elif variants is None:
        folders = [root / name for name in variant_folders(data_dir, dataset)]
    else:
        folders = sorted(
            {
                root / name
                for value in variants
                for name in (variant_folder(value), older_variant_folder(dataset, value))
            }
        )
    periods = accepted_periods(data_dir, dataset)
    return [
        folder / name
        for folder in folders
        for name in _names(folder)
        if is_period_file(name, periods) and touches(name.removesuffix(SUFFIX), first, last)
    ]


def variant_folders(data_dir: Path, dataset: Dataset) -> list[str]:
    """The names of the folders of the dataset's variants that there are, in order. Raises `ForbiddenFile`."""
    return [name for name in _names(data_dir / dataset.name) if is_variant_folder(dataset, name)]


def _names(folder: Path) -> list[str]:
    """What is in a folder, in order; nothing where there is no folder. Raises `ForbiddenFile`."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        raise ForbiddenFile(folder) from error


@contextmanager
def locked(data_dir: Path, name: str, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of that name, between threads and between processes. A killed process holds nothing.

    Raises `LakeBusy` when the lock was not free within `seconds`.
    """
    path = own_folder(private_folder(data_dir) / LOCKS) / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, mode=PRIVATE_FILE)
    try:
        lock.acquire(timeout=seconds, poll_interval=0.02)
    except Timeout:
        raise LakeBusy(
            f"{name} in {data_dir} has been locked by another process for {seconds:g} seconds: wait for its run to end,"
            " or end it."
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def replacing(
    path: Path, place: Callable[[Path, Path], object] = os.replace, *, durable: bool = True
) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well, what was written there takes its place, durably.
    `place` moves it there (see `Storage.replace`).

    The caller writes and closes the temporary file. It is synced, moved over `path` in one step, and the folder is
    synced: after a power failure the file is the old or the new one. On an error it is removed. Of a symbolic link the
    file that it names is replaced, in that file's folder, and the link stays; but one into an archive package gives way
    to the new file.
    """
    path = _followed(path)
    folder_like_parent(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    try:
        yield temporary
        file_like_folder(temporary)
        if durable:
            sync(temporary)
        place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync(path.parent)


def _followed(path: Path) -> Path:
    """The file to replace. Packages never change: of a period in one, the link itself is replaced."""
    return Path(os.path.realpath(path)) if path.is_symlink() and not is_archived(path) else path


def is_archived(path: Path) -> bool:
    """Whether the file is a link into an archive package (see `packages.removal`)."""
    return path.is_symlink() and ARCHIVES in Path(os.readlink(path)).parts


def sync(path: Path) -> None:
    """Make what was written to a file, or the names in a folder, outlast a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def leftovers(path: Path) -> list[Path]:
    """Temporary files of `path`. Only who holds the lock of `path` may judge that their writers are dead."""
    path = _followed(path)
    return sorted(path.parent.glob(f".{path.name}.*{TEMPORARY_SUFFIX}*"))


def remove_leftovers(path: Path) -> list[Path]:
    """Remove the temporary files of `path`, which were those; only for who holds its lock."""
    dead = leftovers(path)
    for leftover in dead:
        leftover.unlink(missing_ok=True)
    return dead


def write_file(path: Path, dataset: Dataset, rows: pa.Table | Stacked, order: npt.NDArray[np.int64]) -> None:
    """Replace `path` by the rows at the positions `order`.

    They are taken one row group at a time: sorting needs no second copy of a large table. Raises `NewerFile` where a
    newer program wrote the file, and `LayoutMismatch` where it has columns that `dataset` lacks (see
    `file_schemas.widened`): a rewrite would drop them.
    """
    slices = (order[begin : begin + ROW_GROUP_ROWS] for begin in range(0, len(order), ROW_GROUP_ROWS))
    write_batches(path, dataset, (rows.take(positions) for positions in slices), _kept_footer(path, dataset))


def _kept_footer(path: Path, dataset: Dataset) -> dict[bytes, str]:
    """What a new version of a file keeps of the present one's footer: the parts of live data that are in it."""
    if dataset in LIVE_DATASETS and path.exists():
        with suppress(OSError, pa.ArrowException):
            found = (pq.read_schema(path).metadata or {}).get(MERGED_PARTS)
            return {} if found is None else {MERGED_PARTS: found.decode()}
    return {}


def write_batches(
    path: Path, dataset: Dataset, batches: Iterable[pa.Table], footer: Mapping[bytes, str] | None = None
) -> None:
    """Replace `path` by the rows of the batches, in their order; `footer` is written into it beside the rest. Raises as
    `write_file`."""
    check_rewrite(dataset, path)
    schema = file_schema(dataset)
    schema = schema.with_metadata({**schema.metadata, **(footer or {})})
    storage = storage_at(path)
    with replacing(path, storage.replace, durable=storage.durable) as temporary:
        with pq.ParquetWriter(temporary, schema, **_encoding(dataset)) as writer:
            for batch in batches:
                writer.write_table(batch.cast(schema), row_group_size=ROW_GROUP_ROWS)
        date_after(temporary, path)


@lru_cache(maxsize=64)
def _encoding(dataset: Dataset) -> dict[str, Any]:
    """How the columns are encoded: measured values differ from row to row, so a dictionary of them is larger and slower
    than the values."""
    measured = {c.name for c in dataset.columns if pt.is_floating(c.type) or (pt.is_integer(c.type) and c.nullable)}
    return {
        "version": "2.6",
        "write_page_checksum": True,
        "data_page_size": PAGE_BYTES,
        "write_batch_size": PAGE_BYTES // 16,  # the size of a page is looked at after each batch
        "use_dictionary": [name for name in dataset.schema.names if name not in measured],
        "compression": {name: "lz4" if name in measured else "zstd" for name in dataset.schema.names},
    }


def date_after(temporary: Path, path: Path) -> None:
    """Give the new version of a file another second of last change than the present one has.

    DuckDB caches footers and knows a version by its inode, size and second of last change. The file system may give the
    inode of a replaced file to the next one: two versions of the same size within one second could be taken for one.
    """
    try:
        present = os.stat(path).st_mtime_ns // NANOSECONDS
    except FileNotFoundError:
        return
    if os.stat(temporary).st_mtime_ns // NANOSECONDS <= present:
        os.utime(temporary, ns=((present + 1) * NANOSECONDS,) * 2)


def read_file(
    path: Path,
    dataset: Dataset,
    columns: Sequence[str] | None = None,
    where: pads.Expression | None = None,
    groups: Sequence[int] | None = None,
) -> pa.Table:
    """Rows of one file as it was at this moment, even while it is being replaced.

    Everything is read from one handle (a scan by path opens the file again after the footer). Row groups without a row
    of `where` are not read. A nullable column that an older file lacks is null. One that was mended meanwhile is read.
    Raises `UnreadableFile`, `FileNotFoundError` when the file is gone.
    """
    import pyarrow.dataset as pads  # brings pandas, which a command that only queries does without

    options = pads.ParquetFragmentScanOptions(page_checksum_verification=True)
    for mended in (False, True):
        try:
            with pa.OSFile(str(path)) as source:
                fragment = pads.ParquetFileFormat(default_fragment_scan_options=options).make_fragment(
                    source, row_groups=groups
                )
                check_schema(dataset, path, fragment.physical_schema)
                table = fragment.to_table(schema=dataset.schema, columns=columns and list(columns), filter=where)
                check_values(dataset, path, table)
                return table.replace_schema_metadata(None)
        except (OSError, pa.ArrowException):
            check_file(path, dataset, pages=True)
            if mended:
                raise
    raise AssertionError("the second attempt returns or raises")


def check_file(path: Path, dataset: Dataset, *, pages: bool = False) -> int:
    """See that a file is readable as one of the dataset, by its footer and columns, with `pages` by all its content;
    the rows in it.

    Raises `UnreadableFile`, `FileNotFoundError` when there is none.
    """
    try:
        with path.open("rb") as source:
            file = pq.ParquetFile(source, page_checksum_verification=pages)
            check_schema(dataset, path, file.schema_arrow)
            if pages:
                for group in range(file.num_row_groups):
                    # Headers of pages have no checksum: with a damaged one a column has fewer values than the others.
                    file.read_row_group(group).validate()
            return int(file.metadata.num_rows)
    except IsADirectoryError as error:
        raise UnreadableFile(path, "it is a folder") from error
    except PermissionError as error:
        raise ForbiddenFile(path) from error
    except FileNotFoundError as error:
        if is_archived(path):
            raise ArchiveNotMounted(path) from error
        if path.is_symlink():
            raise UnreadableFile(path, "it is a link to a file that is not there") from error
        raise
    except (OSError, pa.ArrowException) as error:
        raise UnreadableFile(path) from error
