"""What packages there are at some places."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trading_assets.archive_packages.manifest import Manifest
from trading_assets.archive_packages.places import Place
from trading_assets.repositories.files import ARCHIVES, dataset_files, is_archived
from trading_assets.repositories.schemas import DATASETS


def listed(data_dir: Path, places: Sequence[str]) -> list[dict[str, Any]]:
    """A row a package: place, package id, created_at, lake id (8 digits), first and last session, files, rows, mb, and
    how many periods the lake reads from it (`mounted`). Raises `InvalidPackage`."""
    reads = _reads(data_dir)
    return [_row(package, package.manifest(), reads) for place in places for package in Place(place).packages()]


def _row(place: Place, manifest: Manifest, reads: Sequence[str]) -> dict[str, Any]:
    sessions = [day for file in manifest.files for day in (file.first, file.last) if day]
    return {
        "place": place.text,
        "package": place.text.rstrip("/").rpartition("/")[2],
        "package_id": manifest.package_id,
        "created_at": manifest.created_at,
        "lake": manifest.lake_id[:8],
        "first": min(sessions, default=""),
        "last": max(sessions, default=""),
        "files": len(manifest.files),
        "rows": manifest.rows,
        "mb": round(manifest.size / 1e6, 2),
        "mounted": reads.count(manifest.package_id),
    }


def _reads(data_dir: Path) -> list[str]:
    """The package of each period file that is a link into one."""
    links = [path for dataset in DATASETS.values() for path in dataset_files(data_dir, dataset) if is_archived(path)]
    parts = [path.readlink().parts for path in links]
    return [names[names.index(ARCHIVES) + 1] for names in parts]
