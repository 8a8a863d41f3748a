"""Putting a package back into a lake: the lake it is of, or an empty folder, which then becomes that lake."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from trading_assets.archive_packages.manifest import COVERAGE_ROWS, REVISIONS, ROWS, Manifest, PackageFile
from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.removal import check_owner
from trading_assets.archive_packages.verify import Verification, dataset_of, table_of, verify
from trading_assets.errors import InvalidPackage
from trading_assets.plain import Plain
from trading_assets.repositories.coverage import never_weaker
from trading_assets.repositories.file_schemas import padded
from trading_assets.repositories.files import MAINTENANCE_LOCK, is_archived, locked, replacing
from trading_assets.repositories.identity import LakeFile, LakeIdentity
from trading_assets.repositories.merge import matches
from trading_assets.repositories.schemas import COVERAGE, DATASETS, SCHEMA_VERSION
from trading_assets.repositories.storage import refuse_object_store
from trading_assets.repositories.store import ParquetStore


@dataclass(frozen=True)
class Restored(Plain):
    """What a restore did: rows that the package has, rows that were not in the lake, revisions and coverage likewise
    new, and the files that took the place of links into the package. With `dry_run` only `rows` is known."""

    dry_run: bool
    package: Verification
    rows: int
    new_rows: int = 0
    new_revisions: int = 0
    new_coverage: int = 0
    files: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The outcome in words."""
        if self.dry_run:
            return f"Would restore {self.rows:,} rows of {self.package.place}."
        return (
            f"Restored {self.package.place}: of {self.rows:,} rows {self.new_rows:,} were not in the lake,"
            f" {self.new_revisions:,} revisions and {self.new_coverage:,} conditions neither. {len(self.files)} files"
            " are in the lake again."
        )


def restore(data_dir: Path, place: Place, *, dry_run: bool = False) -> Restored:
    """Put rows, revisions and coverage of a package into the lake, when it was read back whole.

    Rows that the lake has stay as they are when their answer is later; the package's go to the revisions then. Killed
    at any instant, it is done again with the same result. Raises `InvalidPackage` for a package that is not whole or of
    another lake, and when a row is not in the lake afterwards.
    """
    refuse_object_store(data_dir, "Restoring archive packages")
    found = verify(place)
    if not found.whole:
        raise InvalidPackage(place.text, f"it is not whole, and nothing was restored. {' '.join(found.problems)}")
    manifest = found.manifest
    if manifest.schema_version > SCHEMA_VERSION:
        raise InvalidPackage(
            place.text,
            f"it has version {manifest.schema_version} of the columns, and this program knows versions up to"
            f" {SCHEMA_VERSION}: use a newer version of the program, nothing was restored",
        )
    identity = LakeIdentity(data_dir)
    if identity.held() is not None or identity.has_data():
        check_owner(data_dir, place, manifest)
    if dry_run:
        return Restored(True, found, manifest.rows)
    with locked(data_dir, MAINTENANCE_LOCK):
        with identity.changing():
            if identity.held() is None:
                identity.rewrite(LakeFile(manifest.lake_id, manifest.identity, dict(manifest.periods)))
        files = tuple(_out_of_packages(data_dir, manifest))
        revisions = sum(_revisions(data_dir, place, file) for file in manifest.files if file.kind == REVISIONS)
        rows = sum(_upserted(data_dir, place, file) for file in manifest.files if file.kind == ROWS)
        coverage = sum(_upserted(data_dir, place, file) for file in manifest.files if file.kind == COVERAGE_ROWS)
    return Restored(False, found, manifest.rows, rows, revisions, coverage, files)


def _out_of_packages(data_dir: Path, manifest: Manifest) -> Iterator[str]:
    """Put a copy in place of each link into this package; the names of the files."""
    for file in manifest.files:
        path = data_dir / file.path
        if file.kind == COVERAGE_ROWS:
            continue
        with locked(data_dir, f"{file.dataset}/{file.path.partition(f'{file.dataset}/')[2]}"):
            if not is_archived(path) or manifest.package_id not in Path(os.readlink(path)).parts:
                continue
            with replacing(path) as beside:
                beside.write_bytes(path.read_bytes())
            yield file.path


def _revisions(data_dir: Path, place: Place, file: PackageFile) -> int:
    return ParquetStore(data_dir).add_revisions(DATASETS[file.dataset], _rows(place, file))


def _upserted(data_dir: Path, place: Place, file: PackageFile) -> int:
    dataset, store, rows = dataset_of(file), ParquetStore(data_dir), _rows(place, file)
    counts = store.upsert(dataset, rows, wins=never_weaker) if dataset is COVERAGE else store.upsert(dataset, rows)
    sessions = rows["session"].to_pylist()
    stored = store.read(dataset, columns=dataset.key, first=min(sessions), last=max(sessions)) if sessions else rows
    if len(matches(rows.select(list(dataset.key)), stored, dataset.key)[0]) != rows.num_rows:
        raise InvalidPackage(place.text, f"rows of {file.path} are not in the lake after the restore: do it again")
    return counts.inserted


def _rows(place: Place, file: PackageFile) -> pa.Table:
    """The rows in the columns and types of the dataset; a column that an earlier version lacks is null."""
    return padded(table_of(place, file), dataset_of(file))
