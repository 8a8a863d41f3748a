"""`archive_old_data`: old periods into a package, and out of the lake when asked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trading_assets.archive_packages.create import Created, create
from trading_assets.archive_packages.periods import before, old_periods
from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.removal import Removal, mount, remove
from trading_assets.archive_packages.restore import Restored, restore
from trading_assets.archive_packages.verify import Verification, verify
from trading_assets.arguments import Bounds
from trading_assets.errors import InvalidPackage, InvalidRequest
from trading_assets.jobs.given import settings_for, settings_of_lake
from trading_assets.plain import Plain
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.sessions import NEW_YORK
from trading_assets.settings import Settings

MONTHS = Bounds(1, 1200, "months")
"""Whole months back: what is younger than a month is still written to."""


@dataclass(frozen=True)
class ArchiveReport(Plain):
    """What was archived at which place, and what left the lake. `periods` are the files older than asked, relative to
    the data folder."""

    destination: str
    dry_run: bool
    periods: tuple[str, ...]
    created: Created | None = None
    removed: tuple[Removal, ...] = ()

    def sentence(self) -> str:
        """The outcome in words."""
        if not self.periods:
            return "No period in the lake is old enough: nothing to do."
        if self.dry_run:
            return f"Would archive {len(self.periods)} periods in {self.destination}."
        made = self.created.package if self.created else None
        said = made.sentence() if made else f"All {len(self.periods)} old periods are in packages already."
        return " ".join([said, *(removal.sentence() for removal in self.removed)])


def archive_old_data(
    months_back: int = 12,
    destination: Path | str | None = None,
    *,
    base_path: Path | str | None = None,
    remove_from_lake: bool = False,
    dry_run: bool = False,
    settings: Settings | None = None,
) -> ArchiveReport:
    """Put the periods that ended more than `months_back` months ago into a new package, and read it back.

    `destination` is a folder or an fsspec URL (default: the first of `Settings.archives`, else `archives` in the data
    folder). Periods that a package there holds as they are, are not copied again. They stay in the lake, except with
    `remove_from_lake=True`: the lake then reads them from the package, which must be in a folder of
    `Settings.archives`. Raises `InvalidRequest`, `InvalidPackage`, `NotALake`.
    """
    chosen, months = settings_of_lake(base_path, settings), MONTHS.whole(months_back, "months_back")
    root = chosen.data_dir
    place = Place(destination or (chosen.archives[0] if chosen.archives else root / "archives"))
    if remove_from_lake:
        check_mounted(chosen, place)
    now = chosen.clock()
    periods = old_periods(root, before(now.astimezone(NEW_YORK).date(), months))
    names = tuple(file.path for file in periods)
    if dry_run or not periods:
        return ArchiveReport(place.text, dry_run, names)
    created = create(root, periods, place, now=now)
    removed = [remove(root, each, dry_run=False) for each in _holding(root, place, names)] if remove_from_lake else []
    return ArchiveReport(place.text, False, names, created, tuple(removed))


def check_mounted(settings: Settings, place: Place) -> None:
    """Raise `InvalidRequest` for a place that is not in a folder that the settings name: who moves the lake or the
    archive must find it there."""
    folder = place.folder
    if folder is None or not any(folder.is_relative_to(archive) for archive in settings.archives):
        raise InvalidRequest(
            f"{place.text} is not in a folder of TRADING_ASSETS_ARCHIVES, from which the lake reads periods that have"
            f" left it. Set TRADING_ASSETS_ARCHIVES='[\"{place.root}\"]' first."
        )


def _holding(root: Path, place: Place, periods: Sequence[str]) -> list[Place]:
    """The packages of this lake at the place that have one of the periods, the newest first: it has them as they
    are."""
    lake, found = LakeIdentity(root).held(), []
    for package in place.packages():
        manifest = package.manifest()
        if lake and manifest.lake_id == lake.lake_id and {file.path for file in manifest.files} & set(periods):
            found.append((manifest.created_at, package))
    return [package for _, package in sorted(found, key=lambda each: each[0], reverse=True)]


def restore_archive(
    path: Path | str, base_path: Path | str | None = None, *, settings: Settings | None = None
) -> list[Restored]:
    """Put the package at a folder or URL, or all packages in it, back into the lake they are of, or into an empty data
    folder. Raises `InvalidPackage` for one that is not whole or of another lake."""
    folder = settings_for(base_path, settings).data_dir
    return [restore(folder, package) for package in packages_at(path)]


def verify_archive(path: Path | str) -> list[Verification]:
    """Read the package at a folder or URL, or all packages in it, back and compare them with their manifests. Needs no
    lake. Raises `InvalidPackage` where there is none."""
    return [verify(package) for package in packages_at(path)]


def mount_archives(base_path: Path | str | None = None, *, settings: Settings | None = None) -> list[str]:
    """Find the packages that the lake reads from in the folders of `Settings.archives`, after they were moved; the ids
    of those that were found at a new place. Raises `NotALake`."""
    chosen = settings_of_lake(base_path, settings)
    return mount(chosen.data_dir, chosen.archives)


def packages_at(path: Path | str) -> list[Place]:
    """The packages at a place. Raises `InvalidPackage` where there is none."""
    found = Place(path).packages()
    if not found:
        raise InvalidPackage(str(path), "there is no package in it")
    return found
