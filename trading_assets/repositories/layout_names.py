"""Which names are files of the lake: `<dataset>/[<variant>/]<period>.parquet`, and nothing else.

Every reader and writer asks here, so that a copy beside a period's file (`2024 (1).parquet`, `~2024.parquet`,
`2024.sync-conflict-20240605-184717-5RQAITR.parquet`) is data for none of them. The period has the length that
`lake.json` pins for the dataset; where it pins none, any of the three. What else lies in the folders is for
`repositories.foreign_files` to name.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.repositories.schemas import COVERAGE, DATASETS, Dataset, Period

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

SUFFIX = ".parquet"

LAKE_FILE = "lake.json"

PLACEHOLDER = ".icloud"
"""How the name of iCloud's placeholders ends."""

_YEAR, _MONTHS = "[12][0-9][0-9][0-9]", ("0[1-9]", "1[0-2]")
_DAYS = ("0[1-9]", "[12][0-9]", "3[01]")

PERIOD_PATTERNS: dict[Period, tuple[str, ...]] = {
    Period.YEAR: (_YEAR,),
    Period.MONTH: tuple(f"{_YEAR}-{month}" for month in _MONTHS),
    Period.DAY: tuple(f"{_YEAR}-{month}-{day}" for month in _MONTHS for day in _DAYS),
}
"""The names of periods as patterns, which mean the same to a glob and as a regular expression."""

_VARIANTS = {
    "bar_size": (
        "[0-9]_[md][ia][ny]",  # min, day
        "[0-9]_[smhw][eio][cnue][skr]",  # secs, mins, hour, week
        "[0-9]_[hm]o[un][rt][sh]",  # hours, month
        "[0-9][0-9]_[sm][ei][cn]s",  # secs, mins
    ),
    "dataset": tuple(name for name in DATASETS if name != COVERAGE.name),
}
"""The names of the folders of a variant, by its column, in the same form. DuckDB reads a folder once for each pattern
and query, so there are few, and they name a bar size by the letters at each place."""


def variant_folder(value: str) -> str:
    """The folder of one variant: `1_day`."""
    return value.replace(" ", "_")


def older_variant_folder(dataset: Dataset, value: str) -> str:
    """The same in layout version 1: `bar_size=1_day`."""
    return f"{dataset.variant}={variant_folder(value)}"


def variant_patterns(dataset: Dataset, *, older: bool) -> tuple[str, ...]:
    """Patterns of the folders of a dataset's variants, with `older` those of layout version 1 too; none for a dataset
    without."""
    if dataset.variant is None:
        return ()
    names = _VARIANTS[dataset.variant]
    return (*names, *(f"{dataset.variant}={name}" for name in names)) if older else names


@lru_cache(maxsize=16)
def _folders(variant: str) -> re.Pattern[str]:
    names = "|".join(_VARIANTS[variant])
    return re.compile(f"(?:{variant}=)?(?:{names})")


def is_variant_folder(dataset: Dataset, name: str) -> bool:
    """Whether a folder in that of the dataset is the folder of a variant, also of layout version 1."""
    return dataset.variant is not None and _folders(dataset.variant).fullmatch(name) is not None


def is_period_file(name: str, periods: frozenset[Period] = frozenset(Period)) -> bool:
    """Whether the name of a file is one of those periods, with its ending."""
    return _names(periods).fullmatch(name) is not None


@lru_cache(maxsize=8)
def _names(periods: frozenset[Period]) -> re.Pattern[str]:
    patterns = "|".join(pattern for period in sorted(periods) for pattern in PERIOD_PATTERNS[period])
    return re.compile(f"(?:{patterns}){re.escape(SUFFIX)}")


def placeholder(path: Path) -> Path:
    """What iCloud leaves beside a file that it has moved to its servers: `.2024.parquet.icloud`."""
    return path.with_name(f".{path.name}{PLACEHOLDER}")


def is_lake_path(dataset: Dataset, within: str, periods: frozenset[Period] = frozenset(Period)) -> bool:
    """Whether a path below the dataset's folder (`1_day/2024.parquet`) is one of the layout, of one of the periods."""
    folder, _, name = within.rpartition("/")
    placed = is_variant_folder(dataset, folder) if dataset.variant is not None else not folder
    return placed and is_period_file(name, periods)


def is_lake_file(name: str) -> bool:
    """Whether a path below the data folder is a file of a dataset or of its revisions."""
    within = name.removeprefix("revisions/")
    dataset = DATASETS.get(within.partition("/")[0])
    return dataset is not None and is_lake_path(dataset, within.partition("/")[2])


def is_listed(
    name: str, dataset: Dataset, variants: Sequence[str] | None, first: date | None, last: date | None
) -> bool:
    """Whether a path below the data folder is a file of the dataset (of any period) that may hold rows of those
    variants and sessions."""
    within = name.removeprefix(f"{dataset.name}/")
    if within == name or not is_lake_path(dataset, within):
        return False
    folder, _, file = within.rpartition("/")
    placed = variants is None or dataset.variant is None or folder in map(variant_folder, variants)
    return placed and touches(file.removesuffix(SUFFIX), first, last)


def touches(period: str, first: date | None, last: date | None) -> bool:
    """Whether a period (`2015`, `2015-12` or `2015-12-24`) has a day between the two dates: ISO dates compare as
    text."""
    length = len(period)
    return (first is None or first.isoformat()[:length] <= period) and (
        last is None or period <= last.isoformat()[:length]
    )


def accepted_periods(data_dir: Path | str, dataset: Dataset) -> frozenset[Period]:
    """The periods that names of the dataset's files have: the pinned one, and during a repartition the coming one; all
    three where none is pinned, or `lake.json` cannot be read (whoever opens the lake says so)."""
    return pinned_periods(data_dir).get(dataset.name.rpartition("/")[2], frozenset(Period))


def pinned_periods(data_dir: Path | str) -> Mapping[str, frozenset[Period]]:
    """The same by the name of the dataset, of those that `lake.json` pins. The file is read again when it was
    replaced."""
    path = os.path.join(data_dir, LAKE_FILE)
    try:
        status = os.stat(path)
    except OSError:
        return {}
    return _read(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(maxsize=64)
def _read(path: str, *_version: int) -> Mapping[str, frozenset[Period]]:
    found: dict[str, frozenset[Period]] = {}
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        coming = document.get("repartitioning", {})
        for name, period in document.get("periods", {}).items():
            found[name] = frozenset(map(Period, {period, coming.get(name, period)}))
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
    return found
