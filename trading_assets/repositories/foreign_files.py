"""Files in the folders of the lake that are none of it: copies that a synchronisation tool or a person left there.

Nothing reads them (see `repositories.layout_names`). They are named, since they may hold the only copy of some rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trading_assets.repositories.files import IDENTITY_FILE
from trading_assets.repositories.layout_names import accepted_periods, is_period_file, is_variant_folder
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS, Dataset

_MARK = "parquet"
"""In the name of what looks like data. Notes, thumbnails and the like harm nobody."""

_OWN_STEMS = ("state", "lake")
_OWN_NAMES = frozenset(
    {IDENTITY_FILE, "lake.duckdb", "lake.duckdb.wal", *(f"state.db{end}" for end in ("", "-wal", "-shm", "-journal"))}
)


def foreign_names(data_dir: Path, dataset: Dataset, folder: Path) -> list[str]:
    """The names in one folder of period files that are none of its files, hidden ones left out; in order."""
    periods = accepted_periods(data_dir, dataset)
    try:
        return sorted(n for n in os.listdir(folder) if not n.startswith(".") and not is_period_file(n, periods))
    except (FileNotFoundError, NotADirectoryError):
        return []


def foreign_data(data_dir: Path) -> Iterator[tuple[Dataset, Path]]:
    """The files that look like data in the folders of the datasets and of their revisions and are no files of the
    lake, each with the dataset in whose folder it is. Hidden files and folders are not looked at."""
    for each in DATASETS.values():
        for dataset in (each, revisions_of(each)):
            root = data_dir / dataset.name
            periods = accepted_periods(data_dir, dataset)
            for parent, folders, names in os.walk(root):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                place = os.path.relpath(parent, root)
                placed = is_variant_folder(dataset, place) if dataset.variant is not None else place == "."
                for name in sorted(names):
                    if name.startswith(".") or _MARK not in name.lower():
                        continue
                    if not (placed and is_period_file(name, periods)):
                        yield dataset, Path(parent, name)


def foreign_beside(data_dir: Path) -> list[Path]:
    """Copies of `lake.json`, the catalog and the state database in the data folder, by their names: `state (Anna's
    conflicted copy).db`. The platform opens none of them."""
    try:
        names = os.listdir(data_dir)
    except OSError:
        return []
    return sorted(
        data_dir / name
        for name in names
        if name not in _OWN_NAMES
        and name.lstrip("~").startswith(_OWN_STEMS)
        and any(mark in name for mark in (".db", ".json", ".duckdb"))
        and not (data_dir / name).is_dir()
    )
