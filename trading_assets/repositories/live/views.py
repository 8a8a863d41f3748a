"""The live datasets for DuckDB: what is merged, the parts that are not, and the segments as they are now.

The sessions that are not merged whole are read when the views are made, while they are small: nothing that is sealed,
merged or removed later concerns a query then. Of more than `SMALL_BYTES` the views look at parts and period files at
each query: rows that were in a segment when the views were made are taken from its part once it is sealed, and from the
period file once it is merged. Rows that came since, and sessions that began since, are shown by new views.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.repositories.dataset_sql import columns_sql, escaped, quoted, rows_sql
from trading_assets.repositories.empty_files import empty_file
from trading_assets.repositories.files import MERGED_PARTS, check_file, dataset_files
from trading_assets.repositories.live.keys import latest_first
from trading_assets.repositories.live.merging import period_file
from trading_assets.repositories.live.places import (
    NAMES,
    PART,
    SEGMENT,
    live_folder,
    live_sessions,
    parts,
    segments,
)
from trading_assets.repositories.live.reading import live_table, rows_of
from trading_assets.repositories.live_schema import LIVE_DATASETS, LIVE_QUOTES
from trading_assets.repositories.schemas import Dataset

SMALL_BYTES = 16 * 2**20
"""Bytes of the files of sessions up to which they are read at once: some 100 MB in memory, in a tenth of a second."""

_NAME = "__segment"

_MONTHS, _DAY = "[12][0-9][0-9][0-9]-[01][0-9]-", "[0-3][0-9]"
"""Patterns of the names of period files: a copy that another program made has another one."""


def create_live_views(connection: duckdb.DuckDBPyConnection, data_dir: Path) -> None:
    """Put temporary views of the live datasets with all that is recorded so far in front of the lake's own, on a
    connection of `catalog.connect`. Raises `UnreadableFile`."""
    for dataset in LIVE_DATASETS:
        sessions = live_sessions(data_dir, dataset)
        if _bytes(data_dir, dataset, sessions) <= SMALL_BYTES:
            rows, view = _read(data_dir, dataset, sessions)
        else:
            rows, view = _unsealed(data_dir, dataset), _view(data_dir, dataset)
        connection.register(_segments(dataset), rows)
        connection.execute(f'CREATE OR REPLACE TEMPORARY VIEW "{dataset.name}" AS {view}')


def _bytes(data_dir: Path, dataset: Dataset, sessions: Sequence[date]) -> int:
    """The size of all files of those sessions."""
    files = [data_dir / period_file(dataset, session) for session in sessions]
    files += [place.segment for place in segments(data_dir, dataset)]
    files += [place.part for place in parts(data_dir, dataset)]
    size = 0
    for file in files:
        with suppress(OSError):  # moved on since it was listed: then another one has its rows
            size += file.stat().st_size
    return size


def _read(data_dir: Path, dataset: Dataset, sessions: Sequence[date]) -> tuple[pa.Table, str]:
    """All rows of those sessions, and the view of them beside the others. Raises `UnreadableFile`."""
    own = {data_dir / period_file(dataset, session) for session in sessions}
    others = [path for path in dataset_files(data_dir, dataset) if path not in own]
    tables = [live_table(data_dir, dataset, session) for session in sessions]
    rows = pa.concat_tables([dataset.schema.remove_metadata().empty_table(), *tables])
    names = ", ".join(f'"{column.name}"' for column in dataset.columns)
    view = f"SELECT {names} FROM {_segments(dataset)}"
    return rows, f"{view} UNION ALL {rows_sql(dataset, others, alike=False)}" if others else view


def _unsealed(data_dir: Path, dataset: Dataset) -> pa.Table:
    """The rows of all segments, each with the name of its segment."""
    schema = dataset.schema.remove_metadata().append(pa.field(_NAME, pa.string()))
    tables = [
        rows.append_column(schema.field(_NAME), pa.repeat(pa.scalar(place.name), rows.num_rows))
        for place, rows in rows_of(dataset, segments(data_dir, dataset))
    ]
    return pa.concat_tables([schema.empty_table(), *tables])


def _view(data_dir: Path, dataset: Dataset) -> str:
    names = ", ".join(f'"{column.name}"' for column in dataset.columns)
    rows = f'SELECT {names} FROM memory.main."{dataset.name}"'
    sessions = live_sessions(data_dir, dataset)
    if sessions:
        folders = [escaped(str(live_folder(data_dir, dataset) / session.isoformat())) for session in sessions]
        sealed, unsealed = (
            [f"{folder}/{NAMES}{PART}" for folder in folders],
            [f"{folder}/{NAMES}{SEGMENT}" for folder in folders],
        )
        merged = _merged(data_dir, dataset, sessions)
        rows += f"""
            UNION ALL SELECT {columns_sql(dataset)}
            FROM read_parquet([{quoted(escaped(str(empty_file(dataset))))}, {", ".join(map(quoted, sealed))}],
                              union_by_name = {_differ(data_dir, dataset)}, hive_partitioning = false,
                              allow_empty = true, filename = true)
            WHERE filename NOT IN ({merged})
            UNION ALL SELECT {names} FROM "{_segments(dataset)}"
            WHERE {_NAME} NOT IN ({_names_in(sealed)})
              AND {_NAME} IN ({_names_in(unsealed)})"""
    if dataset is LIVE_QUOTES:  # no two have the same key
        return rows
    key = ", ".join(f'"{name}"' for name in dataset.key)
    order = ", ".join(latest_first(dataset))
    return f"SELECT {names} FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {order}) = 1"


def _differ(data_dir: Path, dataset: Dataset) -> bool:
    """Whether the oldest part is of an earlier version and lacks columns: then DuckDB has to open all parts to plan a
    query. Raises `UnreadableFile`."""
    for place in parts(data_dir, dataset)[:1]:
        with suppress(FileNotFoundError):  # merged since it was listed
            check_file(place.part, dataset)
            return set(pq.read_schema(place.part).names) != set(dataset.schema.names)
    return False


def _merged(data_dir: Path, dataset: Dataset, sessions: Sequence[date]) -> str:
    """A SELECT of the paths of parts that period files name as merged. Only the footers of some months are looked at,
    where that is possible: DuckDB does not keep them."""
    folder = data_dir / dataset.name
    months = {f"{session:%Y-%m}-" for session in sessions}
    present = [path.name for path in dataset_files(data_dir, dataset)]
    if not present:
        return "SELECT '' WHERE false"
    month = months.pop() if len(months) == 1 else _MONTHS
    start = month if any(name.startswith(month) for name in present) else _MONTHS
    pattern = quoted(f"{escaped(str(folder))}/{start}{_DAY}.parquet")
    start_of_path = quoted(f"{live_folder(data_dir, dataset)}/")
    return f"""
        SELECT {start_of_path} || parse_filename(file_name, true) || '/' || part || '{PART}'
        FROM (SELECT file_name, unnest(string_split(decode(value), chr(10))) AS part
              FROM parquet_kv_metadata({pattern}) WHERE decode(key) = '{MERGED_PARTS.decode()}')"""


def _names_in(patterns: Sequence[str]) -> str:
    """A SELECT of the names of the segments or parts that there are at the time of the query."""
    return " UNION ALL ".join(f"SELECT parse_filename(file, true) FROM glob({quoted(pattern)})" for pattern in patterns)


def _segments(dataset: Dataset) -> str:
    return f"__{dataset.name}_segments"
