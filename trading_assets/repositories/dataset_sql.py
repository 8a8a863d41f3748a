"""SQL text over the files of a dataset: the statements that make its views, and the names, paths and types in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from trading_assets.repositories.empty_files import empty_file
from trading_assets.repositories.files import variant_folders
from trading_assets.repositories.layout_names import PERIOD_PATTERNS, SUFFIX, accepted_periods, variant_patterns
from trading_assets.repositories.schemas import Dataset, Period


def view_sql(data_dir: Path, dataset: Dataset) -> str:
    """The `CREATE VIEW` statement of a dataset (or of the revisions of one, see `revisions_of`) for any DuckDB: it
    names only the lake, and every folder that it may have."""
    # The empty half gives the columns and types while there is no file.
    nothing = ", ".join(f"NULL::{duckdb_type(column.type)} AS {quoted_name(column.name)}" for column in dataset.columns)
    patterns = _patterns(data_dir, dataset, variant_patterns(dataset, older=True))
    rows = f"(SELECT {nothing} WHERE false UNION ALL BY NAME SELECT * FROM {_read_parquet(patterns)})"
    return f"CREATE OR REPLACE VIEW {_view(dataset)} AS SELECT {columns_sql(dataset)} FROM {rows}"


def rows_sql(dataset: Dataset, paths: Iterable[Path], *, alike: bool) -> str:
    """A SELECT of the rows of those files of a dataset, with its columns and types, for the connections of `connect`.

    `alike`: all files have exactly these columns and types. DuckDB then opens none of them to plan, but for the first.
    """
    patterns = [escaped(str(path)) for path in paths]
    if alike:
        return (
            f"SELECT {_names(dataset)} FROM read_parquet([{', '.join(map(quoted, patterns))}], hive_partitioning ="
            " false)"
        )
    return _select(dataset, patterns)


def own_view_sql(data_dir: Path, dataset: Dataset) -> str:
    """The same statement for the connections of `connect`, planned faster: it names folders of layout version 1 only
    where there are some."""
    older = any("=" in name for name in variant_folders(data_dir, dataset))
    patterns = _patterns(data_dir, dataset, variant_patterns(dataset, older=older))
    return f"CREATE OR REPLACE VIEW {_view(dataset)} AS {_select(dataset, patterns)}"


def _select(dataset: Dataset, patterns: Sequence[str]) -> str:
    return f"SELECT {columns_sql(dataset)} FROM {_read_parquet([escaped(str(empty_file(dataset))), *patterns])}"


def columns_sql(dataset: Dataset) -> str:
    """The columns of files whose types may be wider than the dataset's. Instants have the dataset's: another tool may
    have written them in nanoseconds, which DuckDB does not compare with its own."""
    return ", ".join(
        f"{name}::{duckdb_type(column.type)} AS {name}" if pa.types.is_timestamp(column.type) else name
        for column, name in ((column, quoted_name(column.name)) for column in dataset.columns)
    )


def _read_parquet(patterns: Sequence[str]) -> str:
    return (
        f"read_parquet([{', '.join(map(quoted, patterns))}], hive_partitioning = false, union_by_name = true,"
        " allow_empty = true)"
    )


def _patterns(data_dir: Path, dataset: Dataset, folders: Sequence[str]) -> list[str]:
    """Patterns of the dataset's files in those folders of variants; they match the names that `dataset_files` lists."""
    root, periods = escaped(str(data_dir / dataset.name)), accepted_periods(data_dir, dataset)
    names = [f"{name}{SUFFIX}" for period in Period if period in periods for name in PERIOD_PATTERNS[period]]
    places = [f"{root}/{folder}" for folder in folders] if dataset.variant is not None else [root]
    return [f"{place}/{name}" for place in places for name in names]


def _names(dataset: Dataset) -> str:
    return ", ".join(quoted_name(column.name) for column in dataset.columns)


def _view(dataset: Dataset) -> str:
    return quoted_name(dataset.name.replace("/", "_"))


_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.float64(): "DOUBLE",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.int8(): "TINYINT",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}


def duckdb_type(arrow: pa.DataType) -> str:
    """DuckDB's name of an Arrow type of the lake; `KeyError` for a type no dataset has."""
    return _TYPES[arrow]


def escaped(path: str) -> str:
    """The path with the characters of a glob pattern made plain."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def quoted_name(identifier: str) -> str:
    """The name of a column or view as it stands in a statement."""
    return '"' + identifier.replace('"', '""') + '"'
