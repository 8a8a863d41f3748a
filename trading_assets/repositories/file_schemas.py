"""The columns of a file of the lake: what a dataset's file must have, which version wrote it, and what it has besides.

A file says the version of its columns in its footer. A version adds columns or says more about them; a column whose
meaning changes gets another name. So a file of a newer version is read for the columns that are known here, and it is
never rewritten, since a rewrite would drop the others. Columns that a file of this or an older version has besides
those of its dataset (a user's, another tool's) stay in it with every rewrite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from trading_assets import __version__
from trading_assets.errors import LayoutMismatch, NewerFile, UnreadableFile, WrongColumns
from trading_assets.repositories.layout_names import placeholder
from trading_assets.repositories.schemas import SCHEMA_VERSION, Column, Dataset

_UNKNOWN = "Not of this program"
"""The description of a column that a file has besides those of its dataset."""


def file_schema(dataset: Dataset) -> pa.Schema:
    """The schema in a file: the dataset's, with who wrote it in the footer.

    The variant is dictionary-typed, as readers that turn folder names into columns (`pandas.read_parquet(folder)`)
    infer it.
    """
    fields = [
        f.with_type(pa.dictionary(pa.int32(), f.type)) if f.name == dataset.variant else f for f in dataset.schema
    ]
    return pa.schema(
        fields, {"schema_version": str(SCHEMA_VERSION), "writer_version": __version__, "dataset": dataset.name}
    )


def version_in(schema: pa.Schema) -> int | None:
    """The version of the columns in a file's footer; None where it says none, or none that is a number."""
    said = (schema.metadata or {}).get(b"schema_version", b"").decode(errors="replace")
    return int(said) if said.isascii() and said.isdigit() else None


def is_newer(schema: pa.Schema) -> bool:
    """Whether a newer version of the program wrote the file, or one whose version this program cannot compare."""
    said = (schema.metadata or {}).get(b"schema_version", b"")
    version = version_in(schema)
    return bool(said) and (version is None or version > SCHEMA_VERSION)


def check_not_newer(path: Path, schema: pa.Schema) -> None:
    """Raise `NewerFile` where a newer program wrote the file."""
    if is_newer(schema):
        metadata = schema.metadata
        writer = metadata.get(b"writer_version", b"").decode(errors="replace")
        raise NewerFile(path, metadata[b"schema_version"].decode(errors="replace"), writer, SCHEMA_VERSION)


def check_rewrite(dataset: Dataset, path: Path) -> None:
    """See that `path` may be replaced by a file with the columns of `dataset` and loses none.

    A file that is not there, or that is damaged, may. Raises `NewerFile`, `LayoutMismatch`, and `UnreadableFile` for
    one that is not on this disk.
    """
    if not path.exists() and placeholder(path).exists():
        said = f"{path} is not on this disk: iCloud has moved it to its servers, so nothing was written in its place."
        remedy = "Download it in the Finder (Download Now), and keep the data folder out of iCloud."
        raise UnreadableFile(path, said=f"{said} {remedy}")
    if (schema := _schema_of(path)) is None:
        return
    check_not_newer(path, schema)
    if lost := [name for name in schema.names if name not in dataset.schema.names]:
        raise LayoutMismatch(
            f"{path} has the columns {', '.join(lost)}, which a rewrite would drop: nothing was written. Report this as"
            " a defect of the program."
        )


def widened(dataset: Dataset, paths: Iterable[Path], also: pa.Schema | None = None) -> Dataset:
    """The dataset with the columns that those files, and `also` rows with such a schema, have besides its own:
    nullable, and no value of the broker's, so that a difference in them alone is no change of a row.

    Files that are not there or cannot be read as Parquet are passed over. Raises `NewerFile`, and `LayoutMismatch`
    where two files have such a column with different types.
    """
    found: dict[str, pa.DataType] = {}
    given: list[tuple[Path | str, pa.Schema]] = [("what is to be written", also)] if also is not None else []
    for path in paths:
        if (schema := _schema_of(path)) is not None:
            check_not_newer(path, schema)
            given.append((path, schema))
    for place, schema in given:
        for field in schema:
            if field.name in dataset.schema.names:
                continue
            present = found.setdefault(field.name, field.type)
            if pt.is_null(present):
                found[field.name] = field.type
            elif field.type not in (present, pa.null()):
                raise LayoutMismatch(
                    f"{place} has the column `{field.name}` as {field.type}, and another file of {dataset.name} as"
                    f" {present}: the two cannot be written into one file. Rename the column in one of them."
                )
    if not found:
        return dataset
    unknown = (Column(name, kind, _UNKNOWN, nullable=True, provenance=True) for name, kind in found.items())
    return replace(dataset, columns=(*dataset.columns, *unknown))


def padded(table: pa.Table, dataset: Dataset) -> pa.Table:
    """The table with all columns of the dataset, in its order and types; those it lacks are null."""
    if table.schema.names == dataset.schema.names:
        return table.cast(dataset.schema)
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.schema.names
        else pa.chunked_array([pa.nulls(table.num_rows, field.type)])
        for field in dataset.schema
    ]
    return pa.Table.from_arrays(columns, schema=dataset.schema)


def _schema_of(path: Path) -> pa.Schema | None:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return None


def misfit_of(dataset: Dataset, schema: pa.Schema) -> str:
    """Why a file with this schema holds no rows of the dataset, naming the column; empty when it may."""
    for column in dataset.columns:
        found = schema.get_all_field_indices(column.name)
        if not found and not column.nullable:
            return f"it has no column `{column.name}` and holds no {dataset.name}"
        if len(found) > 1:
            return f"it has the column `{column.name}` {len(found)} times"
        if found and not _fits(column, schema.field(found[0]).type):
            return f"its column `{column.name}` is {schema.field(found[0]).type}, and {column.type} is wanted"
    first: dict[str, str] = {}
    for name in schema.names:  # DuckDB does not tell capitals from small letters and takes the first one
        taken = first.setdefault(name.lower(), name)
        if name in dataset.schema.names and taken != name:
            return f"its column `{taken}` stands before `{name}` and is taken for it by queries"
    return ""


def check_schema(dataset: Dataset, path: Path, schema: pa.Schema) -> None:
    """Raise `WrongColumns` where a file with this schema holds no rows of the dataset."""
    if misfit := misfit_of(dataset, schema):
        raise _wrong_columns(path, misfit, newer=is_newer(schema))


def _wrong_columns(path: Path, why: str, *, newer: bool = False) -> WrongColumns:
    said = (
        f"{path} was written by a newer version of the program: {why}. Use that version (pip install --upgrade"
        " trading-assets). Nothing is lost."
        if newer
        else f"{path} is damaged: {why}. Put it back from a backup, or move it away and run trading-assets update."
        " Another program wrote it: trading-assets doctor --fix converts its rows where nothing has to be guessed."
    )
    return WrongColumns(path, why, said)


def check_values(dataset: Dataset, path: Path, table: pa.Table) -> None:
    """Raise `WrongColumns` where a row of a file lacks a value that each row has."""
    for column in dataset.columns:
        if not column.nullable and column.name in table.column_names and (lacking := table[column.name].null_count):
            raise _wrong_columns(path, _lacking(column, lacking))


def check_rows(dataset: Dataset, path: Path) -> None:
    """Raise `WrongColumns` where the footer of a readable file says that a row lacks a value that each row has. What
    the platform itself wrote cannot lack one.

    Queries read such a file: the validation rules find its rows.
    """
    metadata, schema = pq.read_metadata(path), pq.read_schema(path)
    required = {c.name: c for c in dataset.columns if not c.nullable and schema.field(c.name).nullable}
    for group in map(metadata.row_group, range(metadata.num_row_groups if required else 0)):
        for found in map(group.column, range(group.num_columns)):
            said = found.statistics
            if found.path_in_schema in required and said is not None and said.has_null_count and said.null_count:
                raise _wrong_columns(path, _lacking(required[found.path_in_schema], said.null_count))


def _lacking(column: Column, rows: int) -> str:
    return f"its column `{column.name}` has no value in {rows} row{'s' if rows > 1 else ''}, and each row needs one"


def _fits(column: Column, given: pa.DataType) -> bool:
    """Whether values of the type can be read as the column's: the same kind of value, whatever its width."""
    if given == column.type or (column.description == _UNKNOWN and pt.is_null(given)):
        return True
    if pt.is_dictionary(given):
        given = given.value_type
    if pt.is_timestamp(column.type):
        return bool(pt.is_timestamp(given)) and given.tz is not None
    return same_kind(column.type, given, TEXT, (pt.is_floating,), (pt.is_integer,), (pt.is_date,), (pt.is_boolean,))


TEXT = (pt.is_string, pt.is_large_string, pt.is_string_view)


def same_kind(wanted: pa.DataType, given: pa.DataType, *kinds: tuple[Callable[[pa.DataType], bool], ...]) -> bool:
    """Whether both types are of one of the kinds, each named by the questions of `pyarrow.types` that it answers."""
    return any(any(is_kind(wanted) for is_kind in kind) and any(is_kind(given) for is_kind in kind) for kind in kinds)
