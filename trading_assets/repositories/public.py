"""DuckDB over the lake for users: the functions of `catalog`, which refuse a folder without a lake.

Inside of the platform a lake may not exist yet, and `catalog` is used itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from trading_assets.arguments import lake_folder
from trading_assets.repositories import catalog


def connect(data_dir: Path | str, *, unrestricted: bool = False) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with a view for each dataset and `revisions_<dataset>` for each of their revisions; see
    `catalog.connect`.

    It reads the datasets and what is registered with it; with `unrestricted=True` it is a plain DuckDB connection with
    the same views. Raises `NotALake` for a folder without a lake; nothing is created.
    """
    return catalog.connect(lake_folder(data_dir), unrestricted=unrestricted)


def cursor(data_dir: Path | str) -> duckdb.DuckDBPyConnection:
    """The same as `connect(data_dir)`: each call gives a cursor of the process's one connection to that folder."""
    return connect(data_dir)


def query(
    data_dir: Path | str, sql: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None, *, few: bool = False
) -> pa.Table:
    """The result of one SELECT (or EXPLAIN of one) as an Arrow table; see `catalog.query`.

    Raises `NotALake` for a folder without a lake, `NotOneSelect` for any other statement, `duckdb.Error` for what is
    wrong with the query itself, `UnreadableFile` for a damaged file.
    """
    return catalog.query(lake_folder(data_dir), sql, parameters, few=few)


def write_catalog(data_dir: Path | str) -> Path:
    """Write `lake.duckdb` with the views into the data folder, for clients that open a database file; see
    `catalog.write_catalog`. Raises `NotALake` for a folder without a lake."""
    return catalog.write_catalog(lake_folder(data_dir))
