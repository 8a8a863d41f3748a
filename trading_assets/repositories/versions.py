"""Versions of the lake's files: what distinguishes them, and which of them this process has seen to be readable."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from trading_assets.repositories.files import NANOSECONDS, check_file
from trading_assets.repositories.schemas import Dataset


class Version(NamedTuple):
    """What the file system says of one version of a file. The time of the last change of state (`changed_ns`) cannot be
    set back."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    def looks_like(self, other: Version) -> bool:
        """Whether DuckDB takes the two for the same version: it compares inode, size and the second of the last change
        of content."""
        return self[:2] == other[:2] and self.modified_ns // NANOSECONDS == other.modified_ns // NANOSECONDS


class Fingerprint(NamedTuple):
    """The versions of files at one moment, and whether a version that DuckDB could take for an earlier one is among
    them."""

    versions: list[tuple[Path, Version]]
    deceptive: bool

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(version.size for _, version in self.versions)

    def holds(self) -> bool:
        """Whether each of the files still has that version."""
        try:
            return all(version_of(path) == version for path, version in self.versions)
        except OSError:
            return False


_readable: dict[Path, Version] = {}
"""The version of each file that was seen to be readable last."""


def version_of(path: Path | int) -> Version:
    """The present version of a file, or the version that a descriptor has open. Raises `OSError`."""
    status = os.stat(path)
    return Version(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def fingerprint(files: Iterable[tuple[Dataset, Path]]) -> Fingerprint:
    """The versions of those files. Raises `UnreadableFile`: a view would read a foreign file as rows of nulls.

    The footer of a file is read once a process and version of the file.
    """
    found: list[tuple[Path, Version]] = []
    deceptive = False
    for dataset, path in files:
        try:
            version = version_of(path)
            known = _readable.get(path)
            if known != version:
                check_file(path, dataset)
                _readable[path] = version
                deceptive |= known is not None and version.looks_like(known)
        except OSError:
            if path.is_symlink() or path.exists():
                check_file(path, dataset)
            continue  # it was removed since its folder was listed
        found.append((path, version))
    return Fingerprint(found, deceptive)
