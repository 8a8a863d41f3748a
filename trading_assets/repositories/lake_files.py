"""All files of a lake."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS, Dataset


def lake_files(data_dir: Path) -> Iterator[tuple[Dataset, Path]]:
    """Every file of a dataset, and of its revisions, with its dataset."""
    for dataset in DATASETS.values():
        for kind in (dataset, revisions_of(dataset)):
            for path in dataset_files(data_dir, kind):
                yield kind, path


def lake_bytes(data_dir: Path | str) -> int:
    """The size of the lake's files that can be looked at."""
    found = 0
    for _, path in lake_files(Path(data_dir).expanduser().absolute()):
        with suppress(OSError):  # removed since its folder was listed, or not ours to see: whoever reads it says so
            found += os.stat(path).st_size
    return found
