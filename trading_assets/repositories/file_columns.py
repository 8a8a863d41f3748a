"""Whether the columns of a Parquet file are those of a dataset."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as pt

from trading_assets.repositories.columns import Column, Dataset


def schema_mismatch(dataset: Dataset, schema: pa.Schema) -> str:
    """Why a file with this schema holds no rows of the dataset; empty when it may."""
    for column in dataset.columns:
        found = schema.get_all_field_indices(column.name)
        if not found and not column.nullable:
            return f"it has no column `{column.name}` and holds no {dataset.name}"
        if len(found) > 1:
            return f"it has the column `{column.name}` {len(found)} times"
        if found and not _fits(column, schema.field(found[0]).type):
            return f"its column `{column.name}` is {schema.field(found[0]).type}, and {column.type} is wanted"
    return ""


def _fits(column: Column, given: pa.DataType) -> bool:
    """Whether values of the type can be read as the column's: the same kind of value, whatever its width."""
    if pt.is_dictionary(given):
        given = given.value_type
    if pt.is_timestamp(column.type):
        return bool(pt.is_timestamp(given)) and given.tz is not None
    kinds = (
        (pt.is_string, pt.is_large_string, pt.is_string_view),
        (pt.is_floating,),
        (pt.is_integer,),
        (pt.is_date,),
        (pt.is_boolean,),
    )
    return any(
        any(is_kind(column.type) for is_kind in kind) and any(is_kind(given) for is_kind in kind) for kind in kinds
    )
