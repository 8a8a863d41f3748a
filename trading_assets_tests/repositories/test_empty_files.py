"""The files without rows that are part of the package."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from trading_assets.repositories import empty_files
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS, Dataset

KINDS = [kind for dataset in DATASETS.values() for kind in (dataset, revisions_of(dataset))]


@pytest.mark.parametrize("dataset", KINDS, ids=lambda kind: kind.name)
def test_they_have_the_columns_and_types_of_the_schemas(dataset: Dataset) -> None:
    file = pq.ParquetFile(empty_files.empty_file(dataset))
    assert file.schema_arrow.equals(dataset.schema) and file.metadata.num_rows == 0


def test_writing_them_again_makes_the_same_set(tmp_path: Path) -> None:
    empty_files.write_empty_files(tmp_path / "empty")
    assert sorted(path.name for path in (tmp_path / "empty").iterdir()) == sorted(
        path.name for path in empty_files.FOLDER.iterdir()
    )
