"""Proof that a package is whole: needs the package alone, on any machine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.archive_packages.manifest import (
    COVERAGE_ROWS,
    MANIFEST,
    REVISIONS,
    Manifest,
    PackageFile,
    types_differ,
)
from trading_assets.archive_packages.places import Place
from trading_assets.repositories.column_checksums import column_checksums
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import COVERAGE, DATASETS, Dataset


@dataclass(frozen=True)
class Verification:
    """What was read back of a package; `problems` are sentences, none of a package that is whole."""

    place: str
    manifest: Manifest
    problems: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every file is there and is what the manifest says."""
        return not self.problems

    def sentence(self) -> str:
        """The outcome in words."""
        what = f"{self.place}: {len(self.manifest.files)} files, {self.manifest.rows:,} rows"
        return f"{what}, whole." if self.whole else f"{what}. Not whole: {' '.join(self.problems)}"

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        return {
            "place": self.place,
            "package_id": self.manifest.package_id,
            "lake_id": self.manifest.lake_id,
            "identity": self.manifest.identity,
            "files": len(self.manifest.files),
            "rows": self.manifest.rows,
            "whole": self.whole,
            "problems": list(self.problems),
        }


def verify(place: Place) -> Verification:
    """Read every file of the package and compare it with the manifest: bytes, columns, rows, checksums by column.

    Raises `InvalidPackage` where there is no manifest that can be believed.
    """
    manifest = place.manifest()
    problems = [problem for file in manifest.files if (problem := _problem(place, manifest, file))]
    known = {MANIFEST, *(file.path for file in manifest.files)}
    problems += [
        f"{name} is not in the manifest."
        for name in place.names()
        if name not in known and not name.rpartition("/")[2].startswith(".")
    ]
    return Verification(place.text, manifest, tuple(problems))


def table_of(place: Place, file: PackageFile) -> pa.Table:
    """The rows of a file of a package, in the columns of its dataset. Raises `OSError`, `pa.ArrowException`."""
    return _table(place.read(file.path))


def dataset_of(file: PackageFile) -> Dataset:
    """The dataset whose columns a file has. Raises `KeyError` for one that this program does not know."""
    if file.kind == COVERAGE_ROWS:
        return COVERAGE
    dataset = DATASETS[file.dataset]
    return revisions_of(dataset) if file.kind == REVISIONS else dataset


def _table(content: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True).read()


def _problem(place: Place, manifest: Manifest, file: PackageFile) -> str:
    try:
        content = place.read(file.path)
    except OSError:
        return f"{file.path} is missing or cannot be read."
    if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
        return f"{file.path} is damaged: its bytes are not those that were written."
    try:
        table, dataset = _table(content), dataset_of(file)
    except (OSError, pa.ArrowException, KeyError) as error:
        return f"{file.path} cannot be read: {error}."
    if differ := types_differ(table.schema, manifest.schemas[dataset.name]):
        return f"{file.path}: {differ}."
    if table.num_rows != file.rows:
        return f"{file.path} has {table.num_rows} rows, and the manifest says {file.rows}."
    found = column_checksums(table, dataset.key)
    different = [name for name, value in found.items() if file.columns.get(name) != value]
    return f"{file.path}: the checksums of {', '.join(different)} do not fit." if different else ""
