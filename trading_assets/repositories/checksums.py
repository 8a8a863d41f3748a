"""Checksums of pages, verified once a process and version of a file.

DuckDB does not look at them: a bit that the disk changed would be a price. So the row groups that a repository's read
can touch are read once with Arrow, which does, before DuckDB reads them. A loop over many symbols verifies each group
once.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from trading_assets.repositories.files import check_file
from trading_assets.repositories.merge import Mask
from trading_assets.repositories.restrictions import Restriction
from trading_assets.repositories.schemas import Dataset
from trading_assets.repositories.versions import Version, version_of

MOST_FILES = 512
"""Files of which it is remembered what was verified, the latest used."""

MOST_READS = 1024
"""Reads of which it is remembered that all they touch in a file was verified."""


class _Pages:
    """What is known of the row groups of one version of a file."""

    def __init__(self, dataset: Dataset, path: Path, version: Version) -> None:
        self.version = version
        self._path = path
        metadata = pq.read_metadata(path)
        self.exact = _types(metadata.schema.to_arrow_schema()) == _types(dataset.schema)
        self._groups = metadata.num_row_groups
        self._bounds: dict[str, tuple[np.ndarray, np.ndarray] | None] = {}
        self._verified: dict[frozenset[str], Mask] = {}
        self._known: set[tuple[frozenset[str], Restriction]] = set()

    def verify(self, columns: frozenset[str], where: Restriction) -> None:
        """Read the pages of those columns that may hold a row of `where` and were not verified yet.

        Raises `OSError` or `pa.ArrowException` where a checksum does not fit, or when the file was replaced.
        """
        if (columns, where) in self._known:
            return
        wanted, verified = self._may_hold(where), self._verified.get(columns)
        missing = wanted if verified is None else wanted & ~verified
        if missing.any():
            self._read(missing, columns)
            self._verified[columns] = wanted if verified is None else wanted | verified
        if len(self._known) == MOST_READS:
            self._known.clear()
        self._known.add((columns, where))

    def _read(self, groups: Mask, columns: frozenset[str]) -> None:
        with self._path.open("rb") as source:
            if version_of(source.fileno()) != self.version:
                raise FileNotFoundError(f"{self._path} was replaced while it was read")
            file = pq.ParquetFile(source, page_checksum_verification=True)
            for group in np.flatnonzero(groups).tolist():
                # Headers of pages have no checksum: with a damaged one a column has fewer values than the others.
                file.read_row_group(group, [*columns]).validate()

    def _may_hold(self, where: Restriction) -> Mask:
        """Which row groups may hold a row of `where`, by the bounds in the footer."""
        found = np.ones(self._groups, dtype=bool)
        for name, allowed in where.values:
            if (bounds := self._bounds_of(name)) is not None:
                least, greatest = bounds
                try:
                    found &= np.logical_or.reduce(
                        [(least <= value) & (greatest >= value) for value in allowed], initial=False
                    )
                except TypeError:  # a value of another kind than the column's: DuckDB says what is wrong with it
                    continue
        return found

    def _bounds_of(self, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        """The least and the greatest value of a column in each row group; None where the footer does not say."""
        if name not in self._bounds:
            self._bounds[name] = _read_bounds(self._path, name)
        return self._bounds[name]


def _types(schema: pa.Schema) -> dict[str, pa.DataType]:
    """The type of each column; of a dictionary that of its values."""
    return {field.name: field.type.value_type if pt.is_dictionary(field.type) else field.type for field in schema}


def _read_bounds(path: Path, name: str) -> tuple[np.ndarray, np.ndarray] | None:
    metadata = pq.read_metadata(path)
    if name not in metadata.schema.names:
        return None
    position = metadata.schema.names.index(name)
    statistics = [metadata.row_group(group).column(position).statistics for group in range(metadata.num_row_groups)]
    if any(known is None or not known.has_min_max for known in statistics):
        return None
    return np.array([known.min for known in statistics], dtype=object), np.array(
        [known.max for known in statistics], dtype=object
    )


_pages: OrderedDict[Path, _Pages] = OrderedDict()


def verify_pages(dataset: Dataset, path: Path, version: Version, columns: frozenset[str], where: Restriction) -> bool:
    """See that the pages of those columns that may hold rows of `where` are as they were written.

    Returns whether the file has exactly the columns and types of the dataset. Raises `UnreadableFile`,
    `FileNotFoundError` when the file is gone or has another version.
    """
    try:
        known = _pages.get(path)
        if known is None or known.version != version:
            known = _Pages(dataset, path, version)
        known.verify(columns, where)
    except (OSError, pa.ArrowException):
        check_file(path, dataset, pages=True)
        raise
    _pages.pop(path, None)
    _pages[path] = known  # the latest used is the last
    while len(_pages) > MOST_FILES:
        _pages.popitem(last=False)
    return known.exact


def _begin_anew() -> None:
    """In a forked child: another thread of the parent may have been changing the memory."""
    global _pages
    _pages = OrderedDict()


os.register_at_fork(after_in_child=_begin_anew)
