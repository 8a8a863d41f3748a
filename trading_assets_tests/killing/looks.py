"""What a reader sees of a lake: the same answer at every moment, whatever maintains the lake or is killed meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.column_checksums import column_checksums
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import CONTRACTS, DATASETS, EQUITY_BARS, QUALITY_METRICS, Dataset

COLLECTED = "MSFT"
"""The symbol of the collecting run. Its rows come meanwhile; all other rows stay as they are."""

Look = Callable[[Path], dict[str, Any]]
"""Reads a data folder."""

_READ = [dataset for dataset in DATASETS.values() if dataset is not QUALITY_METRICS]
"""A maintenance adds to the measures."""


def _one(view: str) -> str:
    return f"select '{view}' as view, count(*) as rows, bit_xor(hash(t)) as sum from {view} t where symbol <> ?"


def by_sql(folder: Path) -> dict[str, Any]:
    """Rows and a checksum of the datasets that have many, by one query."""
    views = ["option_chains", "option_bars", "equity_bars", "coverage"]
    found = query(folder, " union all ".join(map(_one, views)), [COLLECTED] * len(views)).to_pylist()
    return {row["view"]: (row["rows"], row["sum"]) for row in found}


def by_file(folder: Path) -> dict[str, Any]:
    """Rows and checksums by column of bars, their revisions and contracts, file by file."""
    store = ParquetStore(folder)
    return {kind.name: _held(store, kind) for kind in (EQUITY_BARS, revisions_of(EQUITY_BARS), CONTRACTS)}


def bars_by_sql(folder: Path) -> dict[str, Any]:
    """Rows and a checksum of the equity bars: all of one folder."""
    return dict(query(folder, _one("equity_bars"), [COLLECTED]).to_pylist()[0])


def bars_by_file(folder: Path) -> dict[str, Any]:
    """Rows and checksums by column of the equity bars, file by file."""
    rows, columns = _held(ParquetStore(folder), EQUITY_BARS)
    return {"rows": rows, "columns": columns}


def held(folder: Path) -> dict[str, Any]:
    """All of it: rows and checksums by column of all datasets, their revisions and coverage; the journal."""
    store = ParquetStore(folder)
    kinds = [kind for dataset in _READ for kind in (dataset, revisions_of(dataset))]
    return {"journal": journal(folder), **{kind.name: _held(store, kind) for kind in kinds}}


def _held(store: ParquetStore, kind: Dataset) -> tuple[int, dict[str, str]]:
    table = store.read(kind)
    rows = table.filter(pc.not_equal(table["symbol"], COLLECTED))
    return rows.num_rows, column_checksums(rows, kind.key) if rows.num_rows else {}


def journal(folder: Path) -> list[tuple[Any, ...]]:
    """Every request of the state database but those of the collecting run."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        return connection.execute("select * from requests where symbol <> ? order by id", [COLLECTED]).fetchall()
