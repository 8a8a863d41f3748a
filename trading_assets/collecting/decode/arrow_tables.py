"""Small helpers to build tables of a dataset's schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import OutcomeKind, Result
from trading_assets.repositories.schemas import Dataset


def empty(dataset: Dataset) -> pa.Table:
    """A table of the dataset without rows."""
    return dataset.schema.empty_table()


def from_rows(dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of the dataset from one mapping a row; a column not named in a mapping is null."""
    return from_columns(dataset, {name: [row.get(name) for row in rows] for name in dataset.schema.names})


def from_columns(dataset: Dataset, columns: Mapping[str, Any]) -> pa.Table:
    """A table of the dataset from one sequence or array a column, cast to the dataset's types."""
    arrays = []
    for field in dataset.schema:
        values = columns[field.name]
        array = (
            values
            if isinstance(values, (pa.Array, pa.ChunkedArray))
            else pa.array(values, type=field.type, from_pandas=False)
        )
        arrays.append(array if array.type == field.type else array.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=dataset.schema)


def constant(value: Any, kind: pa.DataType, count: int) -> pa.Array:
    """The same value `count` times; None is null."""
    return pa.repeat(pa.scalar(value, kind), count)


def replaced(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with one column's values exchanged, its field kept."""
    position = table.schema.get_field_index(name)
    field = table.schema.field(position)
    array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values, type=field.type)
    return table.set_column(position, field, array.cast(field.type))


def answered(results: Iterable[Result], kind: str) -> list[Result]:
    """The results of a request kind that brought data, by journal row: a later answer replaces an earlier one."""
    return sorted(
        (
            r
            for r in results
            if type(r.request).kind == kind and r.outcome.kind is OutcomeKind.COMPLETE and r.payload is not None
        ),
        key=lambda result: result.request_id,
    )


def last_of_key(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """The table without rows whose key comes again further down: of two answers for one row the later is kept."""
    if table.num_rows < 2:
        return table
    numbered = table.select(list(key)).append_column("row", pa.array(range(table.num_rows), pa.int64()))
    kept = numbered.group_by(list(key)).aggregate([("row", "max")])["row_max"]
    if len(kept) == table.num_rows:
        return table
    return table.take(kept.combine_chunks().sort())


def text_in(column: pa.ChunkedArray, values: Iterable[str]) -> pa.ChunkedArray:
    """Whether each text of the column is among the values."""
    return pc.is_in(column, pa.array(sorted(values), pa.string()))
