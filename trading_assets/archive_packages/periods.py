"""Which files of a lake are old enough to be archived, and how their periods are dated."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from dateutil.relativedelta import relativedelta

from trading_assets.repositories.files import dataset_files, is_archived
from trading_assets.repositories.layout import settle
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import COVERAGE, DATASETS, Dataset

ARCHIVED_DATASETS = tuple(dataset for dataset in DATASETS.values() if dataset is not COVERAGE)
"""All but the coverage, which every run reads: of it, a package has a copy of what is about its periods."""


@dataclass(frozen=True, order=True)
class PeriodFile:
    """The file of one period of a dataset: `path` relative to the data folder, its revisions' path beside it, the
    period's name (`2015`, `2015-12`, `2015-12-24`)."""

    path: str
    dataset: str
    period: str

    @property
    def revisions(self) -> str:
        """The file of the period's revisions, which need not exist."""
        return f"{revisions_of(DATASETS[self.dataset]).name}/{self.within}"

    @property
    def within(self) -> str:
        """The path below the dataset's folder: the name of the file's lock."""
        return self.path.removeprefix(f"{self.dataset}/")

    @property
    def lock(self) -> str:
        """The name of the lock that writers of the file hold."""
        return self.path


def before(day: date, months_back: int) -> date:
    """The first day of the month `months_back` months before that of `day`."""
    return day.replace(day=1) - relativedelta(months=months_back)


def last_day(period: str) -> date:
    """The last calendar day of a period by its name."""
    parts = [int(part) for part in period.split("-")]
    if len(parts) == 3:
        return date(*parts)
    year, month = (parts[0], parts[1]) if len(parts) == 2 else (parts[0], 12)
    return date(year, month, 1) + relativedelta(day=31)


def old_periods(data_dir: Path, cutoff: date) -> list[PeriodFile]:
    """The period files that end before `cutoff` and are in the lake itself, in order of path."""
    settle(data_dir)
    found = []
    for dataset in ARCHIVED_DATASETS:
        for path in dataset_files(data_dir, dataset):
            file = _period_file(data_dir, dataset, path)
            if last_day(file.period) < cutoff and not is_archived(path):
                found.append(file)
    return sorted(found)


def _period_file(data_dir: Path, dataset: Dataset, path: Path) -> PeriodFile:
    return PeriodFile(os.path.relpath(path, data_dir), dataset.name, path.name.removesuffix(".parquet"))
