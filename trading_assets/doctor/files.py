"""Files of the lake: damaged ones, names that are no period, temporary files without a writer, older versions."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.backup.restore import restore_file
from trading_assets.doctor.findings import Finding, Source, lock_name, set_aside
from trading_assets.doctor.foreign import foreign_copy, foreign_file
from trading_assets.doctor.live_parts import find_live_part_faults
from trading_assets.doctor.wrong_columns import wrong_columns
from trading_assets.errors import ArchiveNotMounted, ForbiddenFile, LayoutMismatch, UnreadableFile, WrongColumns
from trading_assets.monitoring.wording import counted
from trading_assets.repositories.catalog import lake_files
from trading_assets.repositories.file_schemas import check_rows, is_newer, misfit_of, padded, widened
from trading_assets.repositories.files import check_file, dataset_files, locked, read_file, write_file
from trading_assets.repositories.foreign_files import foreign_beside, foreign_data
from trading_assets.repositories.merge import contiguous
from trading_assets.repositories.schemas import SCHEMA_VERSION, Dataset
from trading_assets.repositories.temporary_files import orphaned_temporary_files, remove_temporary_files
from trading_assets.settings import Settings


def find_file_faults(settings: Settings, source: Source | None = None, *, pages: bool = True) -> list[Finding]:
    """The faults of all files of the lake. With `pages` every page of every file is read; nothing is written."""
    found = [*_temporary(settings.data_dir), *find_live_part_faults(settings, source, pages=pages)]
    found += [foreign_file(settings, dataset, path) for dataset, path in foreign_data(settings.data_dir)]
    found += [foreign_copy(settings, path) for path in foreign_beside(settings.data_dir)]
    for dataset, path in lake_files(settings.data_dir):
        try:
            check_file(path, dataset, pages=pages)
            check_rows(dataset, path)
        except ArchiveNotMounted as error:
            found.append(Finding("archive_not_mounted", _name(settings, path), "Nothing.", str(error)))
        except ForbiddenFile as error:
            found.append(Finding("forbidden_file", _name(settings, path), "Nothing, as far as is known.", str(error)))
        except WrongColumns as error:
            found.append(_misfit(settings, dataset, path, source, error))
        except UnreadableFile:
            found.append(_damaged(settings, dataset, path, source))
        except FileNotFoundError:
            continue  # removed since its folder was listed
        else:
            found += _outdated(settings, dataset, path)
    return found


def readable_files(data_dir: Path, dataset: Dataset) -> list[Path]:
    """The dataset's files that can be read; of the others `find_file_faults` speaks."""
    found = []
    for path in dataset_files(data_dir, dataset):
        try:
            check_file(path, dataset)
        except (UnreadableFile, FileNotFoundError):
            continue
        found.append(path)
    return found


def _name(settings: Settings, path: Path) -> str:
    return path.relative_to(settings.data_dir).as_posix()


def _temporary(data_dir: Path) -> list[Finding]:
    def remove(name: str) -> str:
        remove_temporary_files(data_dir)
        return "" if (data_dir / name).exists() else "Removed."

    return [
        Finding(
            "temporary_file",
            name,
            "Nothing: it is what a killed writer had begun; the file beside it is whole.",
            "trading-assets doctor --fix removes it; so does the next write of that file.",
            partial(remove, name),
        )
        for name in orphaned_temporary_files(data_dir)
    ]


def _misfit(settings: Settings, dataset: Dataset, path: Path, source: Source | None, error: WrongColumns) -> Finding:
    """A file with other columns; what a backup has of it is better than what can be converted."""
    found = wrong_columns(settings, dataset, path, error)
    kept = source is not None and source.newest(_name(settings, path)) is not None
    if found is not None and (found.mend is None or not kept):
        return found
    damaged = _damaged(settings, dataset, path, source)
    damaged.lost = f"{damaged.lost} The file cannot be read as it is: {error.why}."
    return damaged


def _damaged(settings: Settings, dataset: Dataset, path: Path, source: Source | None) -> Finding:
    name = _name(settings, path)
    kind, groups, rows = _intact(path, dataset)
    kept = source.newest(name) if source is not None else None
    superseded = dataset.name != dataset.name.rpartition("/")[2]
    what = "superseded values" if superseded else "coverage" if dataset.name == "coverage" else "rows"
    lost = (
        f"The {what} in it that cannot be read: {counted(rows, 'row')} can, the others cannot."
        if rows
        else f"All {what} of {dataset.name} in that period."
    )
    if kept is not None:
        remedy = f"trading-assets doctor --fix puts the file of snapshot {kept[0].id} in its place."
    else:
        remedy = (
            "Put it back from a backup: trading-assets doctor --fix --from PATH. Without one, trading-assets doctor"
            f" --fix sets it aside{' and keeps the rows that can be read' if rows else ''}, so that everything else is"
            " read again; the next update then requests the bars that the broker still has."
        )

    def mend() -> str:
        with locked(settings.data_dir, lock_name(dataset, settings.data_dir, path)):
            replaced = kept is not None or bool(rows)
            aside = set_aside(settings.data_dir, path, in_use=replaced)
            if kept is not None and source is not None:
                restore_file(source.repository, kept[1], path)
                return f"Replaced by the file of snapshot {kept[0].id}; the damaged one is in {aside}."
            if rows:
                whole = contiguous(pa.concat_tables(groups))
                write_file(path, kind, whole, np.arange(whole.num_rows))
                return f"{counted(rows, 'row')} kept; the damaged file is in {aside}."
        return f"Set aside: {aside}."

    return Finding("damaged_file", name, lost, remedy, mend)


def _intact(path: Path, dataset: Dataset) -> tuple[Dataset, list[pa.Table], int]:
    """The row groups of a damaged file that are as they were written, and their rows, with the dataset that has all
    columns of the file. None of a file that a newer program wrote: this one does not write it."""
    groups: list[pa.Table] = []
    try:
        kind = widened(dataset, [path])
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except (OSError, LayoutMismatch, pa.ArrowException):
        return dataset, [], 0
    with file:
        if set(kind.schema.names) - set(file.schema_arrow.names) or misfit_of(kind, file.schema_arrow):
            return dataset, [], 0
        for number in range(file.num_row_groups):
            try:
                group = file.read_row_group(number, columns=kind.schema.names)
                group.validate()
                groups.append(group.select(kind.schema.names).cast(kind.schema).replace_schema_metadata(None))
            except (OSError, ValueError, pa.ArrowException):
                continue
    return kind, groups, sum(group.num_rows for group in groups)


def _said(schema: pa.Schema) -> str:
    return str(schema.metadata[b"schema_version"].decode(errors="replace"))


def _outdated(settings: Settings, dataset: Dataset, path: Path) -> list[Finding]:
    """A file of another version of the columns."""
    schema = pq.read_schema(path)
    name = _name(settings, path)
    if is_newer(schema):
        remedy = f"Use a newer version of the program: this one knows versions up to {SCHEMA_VERSION} of the columns."
        return [
            Finding(
                "newer_columns",
                name,
                f"Nothing: it is of version {_said(schema)}, is read, and is not rewritten.",
                remedy,
            )
        ]
    lacking = [column for column in dataset.schema.names if column not in schema.names]
    if not lacking:
        return []  # it reads the same whichever version wrote it

    def rewrite() -> str:
        with locked(settings.data_dir, lock_name(dataset, settings.data_dir, path)):
            kind = widened(dataset, [path])
            rows = contiguous(padded(read_file(path, kind), kind))
            write_file(path, kind, rows, np.arange(rows.num_rows))
        return f"Written in version {SCHEMA_VERSION}, {counted(rows.num_rows, 'row')}."

    what = f"lacks {', '.join(lacking)}"
    remedy = "trading-assets doctor --fix writes it in the present version; so does the next write of that file."
    return [Finding("older_columns", name, f"Nothing: the file {what}, and reads as nulls there.", remedy, rewrite)]
