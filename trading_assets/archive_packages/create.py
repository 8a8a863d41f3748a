"""Making a package: whole periods are copied under their locks, the manifest is written last, all is read back."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading_assets import __version__
from trading_assets.archive_packages.manifest import (
    COVERAGE_ROWS,
    MANIFEST,
    REVISIONS,
    ROWS,
    Manifest,
    PackageFile,
    schema_of,
)
from trading_assets.archive_packages.periods import PeriodFile
from trading_assets.archive_packages.places import Place
from trading_assets.archive_packages.verify import Verification, verify
from trading_assets.errors import ArchiveNotMounted, InvalidPackage, InvalidRequest
from trading_assets.repositories.column_checksums import added, column_checksums
from trading_assets.repositories.file_schemas import check_not_newer, file_schema
from trading_assets.repositories.files import ARCHIVES, MAINTENANCE_LOCK, locked
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.pieces import pieces_of
from trading_assets.repositories.schemas import COVERAGE, DATASETS, SCHEMA_VERSION, Dataset
from trading_assets.repositories.storage import refuse_object_store
from trading_assets.repositories.store import ParquetStore


@dataclass(frozen=True)
class Created:
    """`package`: what was made and read back (None: every period is in a package already); `skipped`: the periods
    that are."""

    package: Verification | None = None
    skipped: tuple[str, ...] = ()
    periods: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        made = self.package.as_dict() if self.package else None
        return {"package": made, "periods": list(self.periods), "skipped": list(self.skipped)}


def create(data_dir: Path, periods: Sequence[PeriodFile], destination: Place, *, now: datetime) -> Created:
    """Put those periods that no package of the destination holds as they are into a new package there, and read it
    back.

    Nothing leaves the lake. A package that was not finished (its maker was killed) is deleted. Raises `InvalidPackage`
    when what was read back is not what was written; `ArchiveNotMounted` for a destination that has packages of the
    lake and is absent; `NewerFile` for a period that a newer program wrote; `LakeBusy`, `OSError`.
    """
    refuse_object_store(data_dir, "Making archive packages")
    lake = LakeIdentity(data_dir).held()
    if lake is None or not lake.lake_id:
        raise InvalidRequest(f"{data_dir} has no lake with an id: collect something first.")
    check_disk_present(data_dir, destination)
    with locked(data_dir, MAINTENANCE_LOCK):
        prefix = f"archive-{lake.lake_id[:8]}-"
        _remove_unfinished(destination, prefix)
        known = held(destination, lake.lake_id)
        copies = [_copied(data_dir, file) for file in periods]
        new = [copy for copy in copies if known.get(copy.rows.path) != copy.sums]
        skipped = tuple(copy.rows.path for copy in copies if copy not in new)
        if not new:
            return Created(skipped=skipped)
        package_id = uuid.uuid4().hex
        place = destination.within(f"{prefix}{now.astimezone(UTC):%Y%m%dT%H%M%S}-{package_id[:8]}")
        files = [file for copy in new for file in copy.write(data_dir, place)]
        files += _write_coverage(data_dir, place, [copy.rows for copy in new])
        datasets = sorted({DATASETS[file.dataset] for file in files}, key=lambda dataset: dataset.name)
        manifest = Manifest(
            package_id,
            now.astimezone(UTC).isoformat(),
            __version__,
            SCHEMA_VERSION,
            lake.lake_id,
            lake.identity,
            {name: str(period) for name, period in lake.periods.items()},
            {kind.name: schema_of(kind) for dataset in datasets for kind in (dataset, revisions_of(dataset))},
            tuple(files),
        )
        place.write(MANIFEST, manifest.text().encode())
        place.settle()
        destination.settle()
    found = verify(place)
    if not found.whole:
        raise InvalidPackage(place.text, f"what was read back is not what was written: {' '.join(found.problems)}")
    return Created(found, skipped, tuple(copy.rows.path for copy in new))


def check_disk_present(data_dir: Path, destination: Place) -> None:
    """Raise `ArchiveNotMounted` when the lake reads packages from the destination and finds none of them there.

    Its disk is absent: what was written there now would be hidden when the disk is back.
    """
    folder = destination.folder
    links = sorted((data_dir / ARCHIVES).glob("*")) if folder is not None else []
    there = [link for link in links if Path(os.readlink(link)).is_relative_to(os.path.abspath(folder or ""))]
    if there and not any(link.exists() for link in there):
        raise ArchiveNotMounted(there[0])


Sums = tuple[str, str]
"""The SHA-256 of a period's file and of its revisions (empty: without any)."""


def held(destination: Place, lake_id: str) -> dict[str, Sums]:
    """The periods of the lake in the packages of the destination, by path, as the newest package has them."""
    manifests = [place.manifest() for place in destination.packages()]
    found: dict[str, Sums] = {}
    for manifest in sorted(manifests, key=lambda each: each.created_at):
        if manifest.lake_id == lake_id:
            found |= sums_of(manifest)
    return found


def sums_of(manifest: Manifest) -> dict[str, Sums]:
    """The sums of each period of a package, by the path of its rows."""
    revisions = {file.path: file.sha256 for file in manifest.files if file.kind == REVISIONS}
    return {
        file.path: (file.sha256, revisions.get(f"revisions/{file.path}", ""))
        for file in manifest.files
        if file.kind == ROWS
    }


def present_sums(data_dir: Path, file: PeriodFile) -> Sums:
    """The sums of a period as it is in the lake. Within its lock."""
    rows, revisions = ((data_dir / name) for name in (file.path, file.revisions))
    return _sha256(rows.read_bytes()), _sha256(revisions.read_bytes()) if revisions.exists() else ""


@dataclass(frozen=True)
class _Copy:
    """A period as it was at one moment: only the sums are kept, the bytes are read again when they are written."""

    rows: PeriodFile
    sums: Sums

    def write(self, data_dir: Path, place: Place) -> list[PackageFile]:
        """Write both files of the period, of one moment, into the package."""
        with locked(data_dir, self.rows.lock):
            contents = [(ROWS, self.rows.path, (data_dir / self.rows.path).read_bytes())]
            if (data_dir / self.rows.revisions).exists():
                contents.append((REVISIONS, self.rows.revisions, (data_dir / self.rows.revisions).read_bytes()))
        dataset = DATASETS[self.rows.dataset]
        return [
            _written(place, path, kind, self.rows, dataset if kind == ROWS else revisions_of(dataset), content)
            for kind, path, content in contents
        ]


def _copied(data_dir: Path, file: PeriodFile) -> _Copy:
    with locked(data_dir, file.lock):
        for path in (data_dir / file.path, data_dir / file.revisions):
            if path.exists():
                check_not_newer(path, pq.read_schema(path))  # the manifest names this program's columns
        return _Copy(file, present_sums(data_dir, file))


def _written(place: Place, path: str, kind: str, period: PeriodFile, dataset: Dataset, content: bytes) -> PackageFile:
    file = pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True)
    bounds: Mapping[str, Any] = pc.min_max(file.read(["session"])["session"]).as_py()
    place.write(path, content)
    return PackageFile(
        path,
        kind,
        period.dataset,
        period.period,
        file.metadata.num_rows,
        len(content),
        _sha256(content),
        added([column_checksums(piece, dataset.key) for piece in pieces_of(file)]),
        *(bounds[end].isoformat() if bounds[end] else "" for end in ("min", "max")),
    )


def _write_coverage(data_dir: Path, place: Place, periods: Sequence[PeriodFile]) -> list[PackageFile]:
    """The coverage of those periods, a file a dataset and year."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for file in periods:
        key = f"{file.within.rpartition('/')[0]}|{file.period}"
        wanted.setdefault((file.dataset, file.period[:4]), set()).add(key)
    files, schema = [], file_schema(COVERAGE)
    for (dataset, year), keys in sorted(wanted.items()):
        first, last = date(int(year), 1, 1), date(int(year), 12, 31)
        table = ParquetStore(data_dir).read(COVERAGE, variants=[dataset], first=first, last=last)
        rows = table.filter(_about(table, keys))
        if not rows.num_rows:
            continue
        content = io.BytesIO()
        pq.write_table(rows.cast(schema), content, compression="zstd", write_page_checksum=True)
        period = PeriodFile(f"{COVERAGE.name}/{dataset}/{year}.parquet", COVERAGE.name, year)
        files.append(_written(place, period.path, COVERAGE_ROWS, period, COVERAGE, content.getvalue()))
    return files


def _about(table: pa.Table, keys: set[str]) -> pa.Array:
    """Which rows of the coverage are about one of the periods, given as `folder|period`."""
    sessions = pc.cast(table["session"], pa.string())
    folders = pc.replace_substring(table["bar_size"], " ", "_")
    found = pa.repeat(pa.scalar(False), table.num_rows)
    for length in sorted({len(key.rpartition("|")[2]) for key in keys}):
        named = pc.binary_join_element_wise(folders, pc.utf8_slice_codeunits(sessions, 0, length), "|")
        found = pc.or_(found, pc.is_in(named, pa.array(sorted(keys))))
    return found


def _remove_unfinished(destination: Place, prefix: str) -> None:
    finished = {place.text.rpartition("/")[2] for place in destination.packages()}
    for name in destination.folders():
        if name.startswith(prefix) and name not in finished:
            destination.within(name).remove()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
