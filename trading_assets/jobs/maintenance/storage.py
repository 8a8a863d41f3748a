"""`optimize_parquet_files`: the files of the lake as the settings want them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trading_assets.errors import DamagedIdentity
from trading_assets.jobs.given import settings_of_lake
from trading_assets.plain import Plain
from trading_assets.repositories import LakeIdentity
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.repartition import Repartition, complete, repartition
from trading_assets.repositories.schemas import DATASETS, Period
from trading_assets.settings import Settings


@dataclass(frozen=True)
class StorageReport(Plain):
    """`wanted`: datasets whose files have another period than the settings want, with that period. `done`: what was
    changed, with rows and checksums before and after; `completed`: repartitions that were killed once, completed.
    `files` are those of the lake."""

    dry_run: bool
    files: int
    wanted: dict[str, Period]
    done: tuple[Repartition, ...] = ()
    completed: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The outcome in words."""
        parts = [f"The repartition of {name} was completed." for name in self.completed]
        if self.dry_run:
            parts += [f"Would give {name} one file a {period}." for name, period in self.wanted.items()]
        for each in self.done:
            before, after = each.before[each.dataset], each.after[each.dataset]
            parts.append(
                f"{each.dataset} has one file a {each.period}: {before.files} files before, {after.files} after; its"
                f" {after.rows:,} rows and the checksums of all columns are the same."
            )
        return " ".join(parts) or f"Each of the {self.files} files is a whole, sorted period: nothing to do."


def optimize_parquet_files(
    base_path: Path | str | None = None, *, dry_run: bool = False, settings: Settings | None = None
) -> StorageReport:
    """Give each dataset the period of its files that `Settings.file_periods` wants. Files need no other care: every
    write leaves one sorted file a period, so there are no small files to merge.

    Nothing is lost: rows and checksums before and after are in the report. Raises `NotALake`, `LayoutMismatch`,
    `LakeBusy`, `DamagedIdentity` should rows differ afterwards.
    """
    chosen = settings_of_lake(base_path, settings)
    root = chosen.data_dir
    identity = LakeIdentity(root)
    completed = () if dry_run else tuple(name for name in identity.repartitioning() if complete(root, DATASETS[name]))
    present = identity.periods()
    wanted = {
        name: Period(period)
        for name, period in chosen.file_periods.items()
        if name in present and present[name] != Period(period)
    }
    done = () if dry_run else tuple(repartition(root, DATASETS[name], period) for name, period in wanted.items())
    for each in done:
        if not all(held.same_rows(each.after[name]) for name, held in each.before.items()):
            raise DamagedIdentity(root, f"the rows of {each.dataset} are not the same after its repartition")
    files = sum(len(dataset_files(root, dataset)) for dataset in DATASETS.values())
    return StorageReport(dry_run, files, wanted, done, completed)
