"""Files of the lake with columns of another type, as another program leaves them: converted where nothing is guessed.

A time without a zone, a time as a number, or a date with a time of day could mean another instant or session: such a
file is not converted.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from trading_assets.doctor.findings import Finding, lock_name, set_aside
from trading_assets.errors import LayoutMismatch, WrongColumns
from trading_assets.monitoring.wording import counted
from trading_assets.repositories.file_schemas import is_newer, widened
from trading_assets.repositories.files import locked, write_file
from trading_assets.repositories.merge import contiguous
from trading_assets.repositories.schemas import SCHEMA_VERSION, Column, Dataset
from trading_assets.settings import Settings


def wrong_columns(settings: Settings, dataset: Dataset, path: Path, error: WrongColumns) -> Finding | None:
    """The finding for a file whose columns are not those of the dataset; None for one that is to be treated as
    damaged: what is in it cannot be converted."""
    name = path.relative_to(settings.data_dir).as_posix()
    if is_newer(pq.read_schema(path)):
        lost = f"Nothing: a newer version of the program wrote it. It cannot be read by this one: {error.why}."
        remedy = f"Use a newer version of the program: this one knows versions up to {SCHEMA_VERSION} of the columns."
        return Finding("newer_columns", name, lost, remedy)
    if (found := _converted(dataset, path)) is None:
        return None
    _, rows, incomplete = found
    lost = f"{counted(incomplete, 'row')} without a value that each row needs" if incomplete else "Nothing"
    return Finding(
        "wrong_columns",
        name,
        f"{lost}. The file is not read as it is: {error.why}.",
        f"trading-assets doctor --fix writes its {counted(rows.num_rows, 'row')} with the right columns, and keeps the"
        " present file beside.",
        partial(_rewrite, settings.data_dir, dataset, path),
    )


def _rewrite(data_dir: Path, dataset: Dataset, path: Path) -> str:
    with locked(data_dir, lock_name(dataset, data_dir, path)):
        if (found := _converted(dataset, path)) is None:
            return ""
        kind, rows, _ = found
        aside = set_aside(data_dir, path, in_use=True)
        write_file(path, kind, rows, np.arange(rows.num_rows))
    return f"{counted(rows.num_rows, 'row')} written with the right columns; the file as it was is in {aside}."


def _converted(dataset: Dataset, path: Path) -> tuple[Dataset, pa.Table, int] | None:
    """The complete rows of the file in the types of the dataset with all columns of the file, and how many others there
    are; None where a column that each row has is missing or cannot be converted."""
    try:
        kind = widened(dataset, [path])
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        if len(set(table.column_names)) < len(table.column_names):
            return None
        columns = [_column(column, table) for column in kind.columns]
    except (OSError, ValueError, LayoutMismatch, pa.ArrowException):
        return None
    complete = pa.chunked_array([pa.repeat(pa.scalar(True), table.num_rows)])
    for column, values in zip(kind.columns, columns, strict=True):
        if not column.nullable and values.null_count:
            complete = pc.and_(complete, pc.is_valid(values))
    whole = pa.table(columns, names=kind.schema.names).filter(complete)
    if not whole.num_rows:
        return None
    return kind, contiguous(whole.cast(kind.schema)), table.num_rows - whole.num_rows


def _column(column: Column, table: pa.Table) -> pa.ChunkedArray:
    """The values of a column in its type. Raises `ValueError` where they would have to be guessed."""
    if column.name not in table.column_names:
        if not column.nullable:
            raise ValueError(f"There is no column {column.name}.")
        return pa.chunked_array([pa.nulls(table.num_rows, column.type)])
    values = table[column.name]
    if values.type == column.type or pt.is_null(values.type):
        return values.cast(column.type)
    if pt.is_dictionary(values.type) and not pt.is_dictionary(column.type):
        values = values.cast(values.type.value_type)
    if not any(may_be(values.type) for wanted, may_be in _SOURCES if wanted(column.type)):
        raise ValueError(f"{column.name} is {values.type}.")
    converted = values.cast(column.type)
    if pt.is_date(column.type) and pt.is_timestamp(values.type) and not converted.cast(values.type).equals(values):
        raise ValueError(f"{column.name} has times of day.")
    return converted


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind))


_SOURCES = (
    (pt.is_timestamp, lambda kind: _is_text(kind) or (pt.is_timestamp(kind) and kind.tz is not None)),
    (pt.is_date, lambda kind: _is_text(kind) or pt.is_date(kind) or pt.is_timestamp(kind)),
    (pt.is_integer, lambda kind: _is_text(kind) or _is_number(kind)),
    (pt.is_floating, lambda kind: _is_text(kind) or _is_number(kind)),
    (_is_text, lambda kind: _is_text(kind) or pt.is_binary(kind) or pt.is_large_binary(kind)),
    (pt.is_boolean, pt.is_boolean),
)
"""For each kind of column the kinds that it is converted from. Arrow refuses what would lose a digit, and a text with a
time and no zone."""
