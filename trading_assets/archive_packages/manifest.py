"""The manifest of a package: what is in it, and by which sums that can be proved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from trading_assets.errors import InvalidPackage
from trading_assets.repositories.schemas import Dataset

MANIFEST = "manifest.json"
FORMAT = "archive package of trading-assets"
FORMAT_VERSION = 1

ROWS, REVISIONS, COVERAGE_ROWS = "rows", "revisions", "coverage"
"""Kinds of files: a dataset's rows of a period, their revisions, and the coverage of the periods in the package."""


@dataclass(frozen=True)
class PackageFile:
    """A file of a package. `path` is relative to the package, as in a lake; `first` and `last` session as ISO dates;
    `columns` are the checksums (`repositories.column_checksums`)."""

    path: str
    kind: str
    dataset: str
    period: str
    rows: int
    bytes: int
    sha256: str
    columns: Mapping[str, str]
    first: str = ""
    last: str = ""


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` says. `schemas` by dataset: name, type, unit, nullable and description of each column."""

    package_id: str
    created_at: str
    program_version: str
    schema_version: int
    lake_id: str
    identity: str
    periods: Mapping[str, str]
    schemas: Mapping[str, Sequence[Mapping[str, Any]]]
    files: tuple[PackageFile, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Rows of the datasets, without revisions and coverage."""
        return sum(file.rows for file in self.files if file.kind == ROWS)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    def text(self) -> str:
        """As it stands in the file: JSON with a checksum of itself."""
        document = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps({**document, "manifest_sha256": _digest(document)}, indent=2, sort_keys=True) + "\n"


def parse(text: bytes, place: str) -> Manifest:
    """The manifest that a text is. Raises `InvalidPackage`, which names the `place`."""
    try:
        document = json.loads(text)
        said = document.pop("manifest_sha256")
        if document.pop("format") != FORMAT:
            raise InvalidPackage(place, f"its {MANIFEST} is of another program")
        version = document.pop("format_version")
        if version > FORMAT_VERSION:
            raise InvalidPackage(place, f"it has format version {version}: use a newer version of the program")
        files = tuple(PackageFile(**file) for file in document.pop("files"))
        manifest = Manifest(**document, files=files)
    except InvalidPackage:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidPackage(place, f"its {MANIFEST} cannot be read ({type(error).__name__}: {error})") from error
    if said != _digest({"format": FORMAT, "format_version": version, **asdict(manifest)}):
        raise InvalidPackage(place, f"its {MANIFEST} was changed: its own checksum does not fit")
    for file in manifest.files:
        if file.path.startswith("/") or ".." in file.path.split("/"):
            raise InvalidPackage(place, f"its {MANIFEST} names a file outside the package: {file.path}")
    return manifest


def schema_of(dataset: Dataset) -> list[dict[str, Any]]:
    """The dataset's columns as the manifest has them."""
    return [
        {
            "name": column.name,
            "type": str(column.type),
            "nullable": column.nullable,
            "unit": column.unit,
            "description": column.description,
        }
        for column in dataset.columns
    ]


def types_differ(schema: pa.Schema, said: Sequence[Mapping[str, Any]]) -> str:
    """How the columns of a file differ from those that the manifest names; empty when they do not. A file of an earlier
    version may lack a nullable column, and one may have columns of somebody else besides."""
    found = {
        field.name: str(field.type.value_type if pa.types.is_dictionary(field.type) else field.type) for field in schema
    }
    wanted = {str(column["name"]): str(column["type"]) for column in said}
    optional = {str(column["name"]) for column in said if column["nullable"]} - found.keys()
    different = sorted(name for name in wanted.keys() - optional if found.get(name) != wanted.get(name))
    return f"its columns differ from the manifest's: {', '.join(different)}" if different else ""


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
