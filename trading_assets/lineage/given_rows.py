"""A row of the lake as users have it: a mapping, a row of a frame, or a named tuple of `itertuples`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.types as pt

from trading_assets.arguments import day
from trading_assets.errors import InvalidRequest
from trading_assets.lineage.lake_rows import CURRENT, SUPERSEDED, WITHDRAWN, Found
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import Dataset


def given_row(dataset: Dataset, row: Any) -> Found:
    """The row with plain values, and whether it stands, by its columns: those of the dataset, or of its revisions.

    Raises `InvalidRequest` for what is no row of the dataset.
    """
    values = row._asdict() if hasattr(row, "_asdict") else dict(row) if isinstance(row, Mapping | pd.Series) else None
    if values is None:
        raise InvalidRequest(f"The row is {row!r}: give a row of a frame, or a mapping of columns and values.")
    revised = "superseded_at" in values
    schema = (revisions_of(dataset) if revised else dataset).schema
    absent = [name for name in schema.names if name not in values]
    if absent:
        raise InvalidRequest(
            f"The row has no {', '.join(absent)}: a row of {dataset.name} has the columns {', '.join(schema.names)}."
        )
    found = {field.name: _plain(values[field.name], field) for field in schema}
    return Found(dataset.name, CURRENT if not revised else SUPERSEDED if found["superseded_by"] else WITHDRAWN, found)


def _plain(value: Any, field: pa.Field) -> Any:
    """The value as Arrow gives it. Raises `InvalidRequest`."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    if pt.is_date(field.type):
        return day(value, field.name)
    try:
        return pa.scalar(value, field.type).as_py()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        raise InvalidRequest(f"{field.name} of the row is {value!r}, and {field.type} is wanted.") from error
