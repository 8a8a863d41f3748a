"""The datasets as tables of words, for schemas in user interfaces and documents: names, types, units and meanings."""

from __future__ import annotations

from typing import NamedTuple

from trading_assets.repositories.catalog import duckdb_type
from trading_assets.repositories.schemas import Dataset


class ColumnRow(NamedTuple):
    """A column: name, DuckDB's name of its type, unit (empty: none) and description; whether it may be null, and
    whether it is in the key."""

    name: str
    type: str
    unit: str
    description: str
    nullable: bool
    key: bool


def column_rows(dataset: Dataset) -> list[ColumnRow]:
    """One row a column, in the dataset's order."""
    return [
        ColumnRow(c.name, duckdb_type(c.type), c.unit, c.description, c.nullable, c.name in dataset.key)
        for c in dataset.columns
    ]
