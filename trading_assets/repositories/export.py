"""Rows of a dataset written outside the lake: into one file (Parquet, CSV, Feather, which is Arrow IPC), or bars into a
folder in the layout of nautilus_trader or Lean (`nautilus_catalog`, `lean_folder`).

In a file columns, types and order are the dataset's; times are UTC instants. CSV writes dates and instants as ISO text
and null as an empty field. A file is complete or absent: it is written beside its place and renamed at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol, cast, get_args

import duckdb
import pyarrow as pa

from trading_assets import arguments
from trading_assets.arguments.days import Day
from trading_assets.arguments.symbols import Symbols
from trading_assets.errors import InvalidRequest
from trading_assets.repositories.as_of import AsOf, as_of_sql, checked
from trading_assets.repositories.catalog import steadily
from trading_assets.repositories.exported_bars import BATCH_ROWS, Exported
from trading_assets.repositories.files import replacing
from trading_assets.repositories.lean_folder import write_lean_folder
from trading_assets.repositories.nautilus_catalog import write_nautilus_catalog
from trading_assets.repositories.restrictions import restricted
from trading_assets.repositories.schemas import DATASETS, EQUITY_BARS, OPTION_BARS, Dataset

FileFormat = Literal["parquet", "csv", "feather"]
FolderFormat = Literal["nautilus", "lean"]
Format = FileFormat | FolderFormat
FORMATS: tuple[str, ...] = get_args(FileFormat)
"""Formats of one file, which are also the endings of its name."""

FOLDERS = {"nautilus": write_nautilus_catalog, "lean": write_lean_folder}
"""Formats of a folder, with their writers."""


class _Writer(Protocol):
    def write_batch(self, batch: pa.RecordBatch) -> None: ...


def export(
    data_dir: Path | str,
    dataset: Dataset | str,
    path: Path | str,
    *,
    format: Format = "parquet",
    symbols: Symbols = None,
    first: Day | None = None,
    last: Day | None = None,
    bar_size: str | None = None,
    as_of: AsOf | str | None = None,
) -> Exported:
    """Write the dataset's rows of those symbols and sessions (`first` to `last`, both included; None: all) into `path`.

    Returns how many: a number whose `left_out` says which rows the format cannot hold, and why. Rows are in the
    dataset's order. `as_of`: as they were known at an instant with a zone, or with "first" as they were first
    collected. With "nautilus" and "lean" the dataset is one of bars, and `path` a folder, in which nothing is replaced.
    Raises `NotALake`, `InvalidRequest`, `UnreadableFile`, `OSError`.
    """
    folder = arguments.lake_folder(data_dir)
    if not isinstance(dataset, Dataset):
        dataset = DATASETS[arguments.one_of(dataset, tuple(DATASETS), "dataset")]
    arguments.one_of(format, (*FORMATS, *FOLDERS), "format")
    target = arguments.output_file(path, folder, is_folder=format in FOLDERS)
    if format in FOLDERS and dataset not in (EQUITY_BARS, OPTION_BARS):
        raise InvalidRequest(f"{format} is a format for bars: export equity_bars or option_bars, not {dataset.name}.")
    size = {} if bar_size is None else {"bar_size": arguments.bar_size(bar_size)}
    names = arguments.stored_symbols(symbols, "symbols")
    wanted = restricted(symbol=names, **(size if dataset.variant == "bar_size" else {}))
    condition, parameters = wanted.within(*arguments.day_range(first, last, ("first", "last"))).sql()
    source = f'"{dataset.name}"'
    if as_of is not None:
        revisions = f'"revisions_{dataset.name}"'
        source = f"({as_of_sql(dataset, source, revisions, checked(as_of))})"
    columns = ", ".join(f'"{name}"' for name in dataset.schema.names)
    order = ", ".join(f'"{name}"' for name in dataset.order)
    sql = f"select {columns} from {source} where {condition}"

    def write(lake: duckdb.DuckDBPyConnection) -> Exported:
        if format in FOLDERS:
            return FOLDERS[format](lake, dataset, sql, parameters, target)
        rows = 0
        reader: pa.RecordBatchReader = lake.sql(f"{sql} order by {order}", params=parameters).to_arrow_reader(
            BATCH_ROWS
        )
        file_format = cast(FileFormat, format)
        with replacing(target) as temporary, _writer(temporary, dataset.schema, file_format) as writer:
            for batch in reader:
                table = pa.Table.from_batches([batch]).cast(dataset.schema)
                for part in table.to_batches():
                    writer.write_batch(part)
                rows += batch.num_rows
        return Exported(rows)

    return steadily(folder, write)


@contextmanager
def _writer(path: Path, schema: pa.Schema, format: FileFormat) -> Iterator[_Writer]:
    if format == "csv":
        from pyarrow import csv

        with csv.CSVWriter(path, schema) as writer:
            yield writer
    elif format == "feather":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema, options=_COMPRESSED) as writer:
            yield writer
    else:
        import pyarrow.parquet as pq

        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            yield writer


_COMPRESSED = pa.ipc.IpcWriteOptions(compression="lz4")
