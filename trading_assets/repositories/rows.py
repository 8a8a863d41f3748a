"""Rows of one dataset, read through the lake's DuckDB connection out of the files whose period and variant come into
question."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.repositories.as_of import AsOf, as_of_sql
from trading_assets.repositories.catalog import steadily_among
from trading_assets.repositories.checksums import verify_pages
from trading_assets.repositories.dataset_sql import rows_sql
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.layout import settle
from trading_assets.repositories.merge import contiguous, revisions_of, sort_positions
from trading_assets.repositories.restrictions import Restriction
from trading_assets.repositories.schemas import Dataset
from trading_assets.repositories.versions import Fingerprint


def read_rows(
    data_dir: Path,
    dataset: Dataset,
    where: Restriction = Restriction(),  # noqa: B008
    *,
    columns: Sequence[str] | None = None,
    distinct: bool = False,
    variants: Sequence[str] | None = None,
    first: date | None = None,
    last: date | None = None,
    as_of: AsOf | None = None,
) -> pa.Table:
    """Rows of `where` in the sessions `first` to `last` (both included), in the dataset's order as far as `columns`
    have it.

    `as_of`: as they were known then (see `repositories.as_of`). With `distinct` equal rows are given once. Files of
    other periods and variants are not opened. Every file is read in one version, also while another process replaces
    it. Raises `UnreadableFile`.
    """
    root = data_dir.expanduser().absolute()
    names = list(columns) if columns is not None else dataset.schema.names
    schema = pa.schema([dataset.schema.field(name) for name in names])
    condition, parameters = where.within(first, last).sql()
    touched = frozenset({*names, "session", "symbol", *(name for name, _ in where.values)})

    def files() -> list[tuple[Dataset, Path]]:
        settle(root)
        kinds = [dataset] if as_of is None else [dataset, revisions_of(dataset)]
        return [(kind, path) for kind in kinds for path in dataset_files(root, kind, variants, first, last)]

    def read(connection: duckdb.DuckDBPyConnection, found: Fingerprint) -> pa.Table:
        if not found.versions:
            return schema.empty_table()
        if as_of is None:
            exact = [verify_pages(dataset, path, version, touched, where) for path, version in found.versions]
            source = rows_sql(dataset, [path for path, _ in found.versions], alike=all(exact))
        else:
            source = as_of_sql(dataset, *_present_and_past(root, dataset, found), as_of)
        listed = ", ".join(f'"{name}"' for name in names)
        sql = f"select {'distinct' if distinct else ''} {listed} from ({source}) where {condition}"
        rows: pa.Table = connection.sql(sql, params=parameters).to_arrow_table()
        return rows.cast(schema)

    return _ordered(steadily_among(root, files, read), [name for name in dataset.order if name in names])


def _present_and_past(root: Path, dataset: Dataset, found: Fingerprint) -> tuple[str, str]:
    """The rows of those files of a dataset, and those of its revisions, as relations in SQL."""
    revisions = revisions_of(dataset)
    paths: dict[str, list[Path]] = {dataset.name: [], revisions.name: []}
    for path, version in found.versions:
        kind = revisions if path.is_relative_to(root / revisions.name) else dataset
        verify_pages(kind, path, version, frozenset(kind.schema.names), Restriction())
        paths[kind.name].append(path)
    present, past = (f"({rows_sql(kind, paths[kind.name], alike=False)})" for kind in (dataset, revisions))
    return present, past


def _ordered(table: pa.Table, order: Sequence[str]) -> pa.Table:
    """The rows sorted by those columns. Mostly they are: each file is sorted, and DuckDB gives files and rows in their
    order."""
    return table if _is_ordered(table, order) else contiguous(table).take(pa.array(sort_positions(table, order)))


def _is_ordered(table: pa.Table, order: Sequence[str]) -> bool:
    """Whether each row comes after the one before it, or is equal to it."""
    equal: pa.Array | None = None
    for name in order:
        column = table[name].combine_chunks()
        if column.null_count:
            return False
        before, after = column[:-1], column[1:]
        wrong = pc.greater(before, after)
        if pc.any(wrong if equal is None else pc.and_(wrong, equal)).as_py():
            return False
        same = pc.equal(before, after)
        equal = same if equal is None else pc.and_(equal, same)
    return True
