"""Files in the folders of the lake that are none of it: copies that a synchronisation tool or a person left there.

Nothing reads them (see `repositories.layout_names`). They are named, since they may hold the only copy of some rows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from trading_assets.repositories.files import IDENTITY_FILE
from trading_assets.repositories.layout_names import (
    PLACEHOLDER,
    accepted_periods,
    is_period_file,
    is_variant_folder,
    placeholder,
)
from trading_assets.repositories.live.places import FOLDER as LIVE_SEGMENTS
from trading_assets.repositories.live.places import PART, SEGMENT, parts, segments
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS, Dataset

_MARK = "parquet"
"""In the name of what looks like data. Notes, thumbnails and the like harm nobody."""

_OWN_NAMES = frozenset(
    {IDENTITY_FILE, "lake.duckdb", "lake.duckdb.wal", *(f"state.db{end}" for end in ("", "-wal", "-shm", "-journal"))}
)


_FOLDERS = frozenset({*(name.partition("/")[0] for name in DATASETS), "revisions", LIVE_SEGMENTS, "dagster"})
_COPY = re.compile(
    r"(?:~|(?:Copy|Kopie|Copie|Copia) \w+ )?"
    rf"(?:(?P<file>state|lake)|(?:{'|'.join(sorted(_FOLDERS))}))(?![A-Za-z0-9_]).*",
    re.DOTALL,
)
"""The name of a file or folder of the platform with an addition."""
_FILE_MARKS = (".db", ".json", ".duckdb")
_LIVE_MARKS = (SEGMENT, PART)


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
    """Copies of what else the data folder holds, by their names: of `lake.json`, the catalog and the state database
    (`state (Anna's conflicted copy).db`), of a folder of the platform, and of segments and parts of live data. The
    platform opens none of them. Hidden names are left out."""
    try:
        names = [name for name in os.listdir(data_dir) if not name.startswith(".")]
    except OSError:
        return []
    return sorted([data_dir / name for name in names if _is_copy(data_dir, name)]) + sorted(_foreign_live(data_dir))


def _is_copy(data_dir: Path, name: str) -> bool:
    found = _COPY.fullmatch(name)
    if found is None or name in _OWN_NAMES or name in _FOLDERS:
        return False
    is_folder = (data_dir / name).is_dir()
    return not is_folder and any(mark in name for mark in _FILE_MARKS) if found["file"] else is_folder


def _foreign_live(data_dir: Path) -> Iterator[Path]:
    own = {place.path for dataset in LIVE_DATASETS for find in (segments, parts) for place in find(data_dir, dataset)}
    for parent, folders, names in os.walk(data_dir / LIVE_SEGMENTS):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(parent, name) for name in names if not name.startswith(".")):
            if any(mark in path.name for mark in _LIVE_MARKS) and path not in own:
                yield path


def not_downloaded(data_dir: Path) -> list[Path]:
    """The files that iCloud has moved to its servers, by the placeholders that it left: their rows are not read."""
    folders = [data_dir / dataset.name for each in DATASETS.values() for dataset in (each, revisions_of(each))]
    walks = (os.walk(folder) for folder in (*folders, data_dir / LIVE_SEGMENTS))
    found = [Path(parent, name) for walk in walks for parent, _, names in walk for name in names]
    found += [placeholder(data_dir / name) for name in (IDENTITY_FILE, "state.db")]
    left = [path for path in found if path.name.startswith(".") and path.name.endswith(PLACEHOLDER) and path.exists()]
    files = (path.with_name(path.name[1 : -len(PLACEHOLDER)]) for path in left)
    return sorted(path for path in files if not path.exists())
