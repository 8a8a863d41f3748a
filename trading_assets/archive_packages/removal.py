"""Taking archived periods out of the lake: each file gives way to a link into the package, in one step.

`<data folder>/.archives/<package id>` is a link to the package; the file of a period becomes a relative link through
it. Readers open a file or a link by the same name and find the same rows, so they see the period before, during and
after. Mounting a package at another place changes one link. A writer that has new rows for such a period writes a file
of the lake in place of the link (`repositories.files.replacing`): packages never change.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trading_assets.archive_packages.create import present_sums, sums_of
from trading_assets.archive_packages.manifest import ROWS, Manifest
from trading_assets.archive_packages.periods import PeriodFile
from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.verify import verify
from trading_assets.errors import InvalidPackage, InvalidRequest
from trading_assets.permissions import own_folder
from trading_assets.plain import Plain
from trading_assets.repositories.column_checksums import column_checksums
from trading_assets.repositories.files import (
    ARCHIVES,
    MAINTENANCE_LOCK,
    TEMPORARY_SUFFIX,
    is_archived,
    locked,
    read_file,
    remove_leftovers,
    sync,
)
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.schemas import DATASETS
from trading_assets.repositories.storage import refuse_object_store


@dataclass(frozen=True)
class Removal(Plain):
    """Periods that left the lake (with `dry_run`: would leave it), those that stay with the reason, and bytes freed.

    `before` and `after` are rows and checksums by column of each period, read through the lake.
    """

    dry_run: bool
    periods: tuple[str, ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)
    freed_bytes: int = 0
    before: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    after: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def sentence(self) -> str:
        """The outcome in words."""
        if not self.periods and not self.kept:
            return "Every period of the packages has left the lake already: nothing to do."
        done = "would leave" if self.dry_run else "left"
        stays = f" {len(self.kept)} stay: {next(iter(self.kept.values()))}" if self.kept else ""
        rows = "" if self.dry_run else " Rows and checksums are the same before and after."
        freed = f"{len(self.periods)} periods {done} the lake for their packages ({self.freed_bytes / 1e6:.1f} MB)."
        return f"{freed}{rows if self.periods else ''}{stays}"


def remove(data_dir: Path, place: Place, *, dry_run: bool = True) -> Removal:
    """Take the periods of a package out of the lake, when the package, read back whole, has them exactly as they are.

    A period that was written since stays. Killed at any instant, it is done again. Raises `InvalidPackage` for a
    package that is not whole, or of another lake; `InvalidRequest` for one that is not in a folder of this machine.
    """
    refuse_object_store(data_dir, "Moving periods into archive packages")
    folder = place.folder
    if folder is None:
        raise InvalidRequest(
            f"{place.text} is no folder of this machine, so the lake could not read the periods there: copy the package"
            " into a folder of TRADING_ASSETS_ARCHIVES first."
        )
    found = verify(place)
    if not found.whole:
        raise InvalidPackage(place.text, f"it is not whole, and nothing was removed. {' '.join(found.problems)}")
    check_owner(data_dir, place, found.manifest)
    periods = [PeriodFile(f.path, f.dataset, f.period) for f in found.manifest.files if f.kind == ROWS]
    with locked(data_dir, MAINTENANCE_LOCK):
        if not dry_run:
            mount_package(data_dir, folder, found.manifest.package_id)
        return _taken_out(data_dir, found.manifest, periods, dry_run=dry_run)


def check_owner(data_dir: Path, place: Place, manifest: Manifest) -> None:
    """Raise `InvalidPackage` for a package of another lake: its request ids are others."""
    lake = LakeIdentity(data_dir).held()
    if lake is None or lake.lake_id != manifest.lake_id:
        whose = f"lake {lake.lake_id[:8]}" if lake else "no lake"
        raise InvalidPackage(
            place.text, f"it is of lake {manifest.lake_id[:8]}, and {data_dir} holds {whose}: data of two are not mixed"
        )


def mount_package(data_dir: Path, folder: Path, package_id: str) -> bool:
    """Make the lake find the package in that folder; whether that is new."""
    link = own_folder(data_dir / ARCHIVES) / package_id
    if link.is_symlink() and os.readlink(link) == str(folder):
        return False
    _link(link, str(folder))
    return True


def mount(data_dir: Path, folders: Sequence[Path]) -> list[str]:
    """Make the lake find its packages in those folders, where they were moved to; the ids of packages whose place is
    new. Nothing is removed or copied. Raises `InvalidPackage`."""
    refuse_object_store(data_dir, "Reading periods from archive packages")
    lake, moved = LakeIdentity(data_dir).held(), []
    for place in (package for folder in folders for package in Place(folder).packages()):
        manifest = place.manifest()
        known = data_dir / ARCHIVES / manifest.package_id
        if lake is None or manifest.lake_id != lake.lake_id or known.exists():
            continue
        assert place.folder is not None
        if mount_package(data_dir, place.folder, manifest.package_id):
            moved.append(manifest.package_id)
    return moved


def _taken_out(data_dir: Path, manifest: Manifest, periods: Sequence[PeriodFile], *, dry_run: bool) -> Removal:
    sums = sums_of(manifest)
    done: list[str] = []
    kept: dict[str, str] = {}
    before: dict[str, dict[str, Any]] = {}
    after: dict[str, dict[str, Any]] = {}
    freed = 0
    for file in periods:
        path = data_dir / file.path
        with locked(data_dir, file.lock):
            names = [name for name in (file.path, file.revisions) if (data_dir / name).exists()]
            here = [name for name in names if not is_archived(data_dir / name)]
            if not path.exists() or not here:
                continue
            if present_sums(data_dir, file) != sums[file.path]:
                kept[file.path] = f"{file.path} was written since it was archived; archive it again."
                continue
            done.append(file.path)
            freed += sum((data_dir / name).stat().st_size for name in here)
            if dry_run:
                continue
            before[file.path] = _read(data_dir, file)
            for name in here:
                _into_package(data_dir, manifest.package_id, name)
            after[file.path] = _read(data_dir, file)
    if before != after:  # the bytes were compared: only a failing disk comes here, and the package was whole
        raise InvalidPackage(str(data_dir / ARCHIVES / manifest.package_id), "rows read from it differ from the lake's")
    return Removal(dry_run, tuple(done), kept, freed, before, after)


def _read(data_dir: Path, file: PeriodFile) -> dict[str, Any]:
    dataset = DATASETS[file.dataset]
    table = read_file(data_dir / file.path, dataset)
    return {"rows": table.num_rows, "columns": column_checksums(table, dataset.key)}


def _into_package(data_dir: Path, package_id: str, name: str) -> None:
    """Replace a file of the lake by a link to the same file of the package."""
    path = data_dir / name
    target = data_dir / ARCHIVES / package_id / name
    sync(target)
    remove_leftovers(path)
    _link(path, os.path.relpath(target, os.path.realpath(path.parent)))


def _link(path: Path, target: str) -> None:
    """Put a link in place of what is at `path`, in one step and durably."""
    beside = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    beside.unlink(missing_ok=True)
    os.symlink(target, beside)
    os.replace(beside, path)
    sync(path.parent)
