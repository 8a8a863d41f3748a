"""Makes the lake `columns_2`: two rows of every dataset and of its revisions, in all columns, as the platform wrote
them in version 2 of the columns.

Run with the version of the package that has these columns, from any folder, before the version is raised again:

    PYTHONPATH=../that_version python trading_assets_tests/lakes/make_columns.py trading_assets_tests/lakes/columns_2

The values are made up: the name of the column, and the number of the row.
"""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.types as pt

from trading_assets.repositories.files import LOCKS, write_file
from trading_assets.repositories.identity import LakeFile, LakeIdentity
from trading_assets.repositories.layout_names import variant_folder
from trading_assets.repositories.merge import revisions_of, sort_positions
from trading_assets.repositories.schemas import COVERAGE, DATASETS, Column, Dataset

DAY = date(2024, 6, 5)


def value(dataset: Dataset, column: Column, number: int) -> Any:
    """The made-up value of a column in a row."""
    if column.name == dataset.variant:
        return "equity_bars" if dataset.name.endswith(COVERAGE.name) else "1 day"
    if pt.is_date(column.type):
        return DAY
    if pt.is_timestamp(column.type):
        return datetime(2024, 6, 5, 20, number, tzinfo=UTC)
    if pt.is_boolean(column.type):
        return True
    return f"{column.name} {number}" if pt.is_string(column.type) else number


def rows_of(dataset: Dataset) -> pa.Table:
    """Its two rows."""
    rows = [{column.name: value(dataset, column, number) for column in dataset.columns} for number in (1, 2)]
    return pa.Table.from_pylist(rows, schema=dataset.schema)


def main(folder: Path) -> None:
    """Make the lake in `folder`, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    periods = {dataset.name: str(dataset.period) for dataset in DATASETS.values()}
    LakeIdentity(folder).rewrite(LakeFile("0" * 32, "simulated/generated/42", periods))
    for each in DATASETS.values():
        for dataset in (each, revisions_of(each)):
            rows = rows_of(dataset)
            place = folder / dataset.name
            if dataset.variant is not None:
                place /= variant_folder(rows[dataset.variant][0].as_py())
            write_file(place / f"{dataset.period.of(DAY)}.parquet", dataset, rows, sort_positions(rows, dataset.order))
    shutil.rmtree(folder / LOCKS, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
