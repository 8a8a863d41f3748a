"""Rows of a query as a table for people, or as JSON, CSV or Parquet for programs."""

from __future__ import annotations

import io
import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

import typer

from trading_assets.cli import streams
from trading_assets.cli.output import as_json, console, table_of

if TYPE_CHECKING:
    import pyarrow as pa


class OutputFormat(StrEnum):
    """What a command writes to its output."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def write_rows(rows: pa.Table, output_format: OutputFormat, *, limit: int) -> None:
    """Write rows to the output: the first `limit` of them as a table, all of them in any other format.

    CSV has a header, and text in quotes; null is empty. Raises `typer.BadParameter` for Parquet on a terminal.
    """
    if output_format is OutputFormat.JSON:
        as_json(rows.to_pylist())
    elif output_format is OutputFormat.TABLE:
        console.print(table_of(rows.slice(0, limit).to_pylist(), rows.column_names, exact=True))
        if rows.num_rows > limit:
            console.print(f"... {rows.num_rows - limit:,} more rows (--limit, --format).")
    elif output_format is OutputFormat.PARQUET and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is binary: redirect the output into a file (> rows.parquet).")
    else:
        streams.write_bytes(_encoded(rows, output_format))


def _encoded(rows: pa.Table, output_format: OutputFormat) -> bytes:
    buffer = io.BytesIO()
    if output_format is OutputFormat.CSV:
        from pyarrow import csv

        csv.write_csv(_flat(rows), buffer)
    else:
        from pyarrow import parquet

        parquet.write_table(rows, buffer)
    return buffer.getvalue()


def _flat(rows: pa.Table) -> pa.Table:
    """The rows with lists and records as JSON text: a field of a CSV file holds one value."""
    import pyarrow as pa

    for position, field in enumerate(rows.schema):
        if pa.types.is_nested(field.type):
            texts = [None if value is None else json.dumps(value, default=str) for value in rows[position].to_pylist()]
            rows = rows.set_column(position, field.name, pa.array(texts, pa.string()))
    return rows
