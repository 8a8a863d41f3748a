"""The content of backed-up files, each distinct content once, named by its SHA-256: `objects/ab/abcd...`.

An object is written beside its place, synced, read back and compared, and then moved there: an object that has its name
is whole. A database is stored in parts of one megabyte, of which a later backup adds those that changed; every other
file is one object, so that it can be read in the backup as it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trading_assets.errors import BackupError
from trading_assets.permissions import PRIVATE_FILE, private_folder
from trading_assets.repositories.files import TEMPORARY_SUFFIX, sync

PART_BYTES = 2**20
"""Bytes of a part of a database. Half of it is a whole number of pages of every page size."""

_BLOCK = 2**20

_INCOMING = ".incoming"


@dataclass(frozen=True, slots=True)
class Stored:
    """Content that is in the objects: its SHA-256 and bytes as one, the SHA-256 of its parts in order, and the bytes
    that were not there before."""

    sha256: str
    size: int
    parts: tuple[str, ...]
    added: int


class Objects:
    """The objects under the folder of a backup."""

    def __init__(self, root: Path) -> None:
        self._root = root / "objects"

    def path(self, digest: str) -> Path:
        """The file of an object."""
        return self._root / digest[:2] / digest

    def add(self, source: Path, *, split: bool) -> Stored:
        """Store the content of a file as it is when it is opened. Raises `OSError`, `BackupError` when what was written
        reads back differently."""
        whole, size, added = hashlib.sha256(), 0, 0
        parts: list[str] = []
        with source.open("rb") as file:
            while True:
                block = file.read(PART_BYTES) if split else b""
                blocks = iter([block]) if split else _blocks(file)
                digest, length, new = self._store(blocks, whole)
                if length or not parts:
                    parts.append(digest)
                size, added = size + length, added + new
                if not split or length < PART_BYTES:
                    return Stored(whole.hexdigest(), size, tuple(parts), added)

    def _store(self, blocks: Iterable[bytes], whole: hashlib._Hash) -> tuple[str, int, int]:
        """Store one object; its name, its bytes, and how many of them are new."""
        digest, size = hashlib.sha256(), 0
        temporary = private_folder(self._root) / f"{_INCOMING}.{os.getpid()}{TEMPORARY_SUFFIX}"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb") as file:
            for block in blocks:
                digest.update(block)
                whole.update(block)
                size += file.write(block)
        place = self.path(digest.hexdigest())
        if place.is_file() and place.stat().st_size == size:
            temporary.unlink()
            return digest.hexdigest(), size, 0
        sync(temporary)
        if digest_of(temporary, from_disk=True) != digest.hexdigest():
            temporary.unlink()
            raise BackupError(
                f"{self._root} did not keep what was written: a file reads back differently. Check the disk, then run"
                " the backup again; earlier snapshots are unchanged."
            )
        private_folder(place.parent)
        os.replace(temporary, place)
        sync(place.parent)
        return digest.hexdigest(), size, size

    def problem(self, parts: Iterable[str]) -> str:
        """Why these objects are not as they were stored; empty when they are. Reads all of them."""
        for digest in parts:
            path = self.path(digest)
            if not path.is_file():
                return f"object {digest[:12]} is missing"
            if digest_of(path) != digest:
                return f"object {digest[:12]} is damaged"
        return ""

    def has(self, parts: Iterable[str]) -> bool:
        """Whether there is a file of each of these objects. None is read."""
        return all(self.path(digest).is_file() for digest in parts)

    def all(self) -> Iterator[Path]:
        """The files of all objects, in the order of their names."""
        for folder in sorted(path for path in self._root.glob("[!.]*") if path.is_dir()):
            yield from sorted(folder.iterdir())

    def write_to(self, target: Path, parts: Iterable[str]) -> str:
        """Write the content of these objects, in order, to a file; the SHA-256 of what was read. Raises `OSError`."""
        digest = hashlib.sha256()
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE), "wb") as file:
            for part in parts:
                with self.path(part).open("rb") as source:
                    for block in _blocks(source):
                        digest.update(block)
                        file.write(block)
        return digest.hexdigest()


def digest_of(path: Path, *, from_disk: bool = False) -> str:
    """The SHA-256 of a file. `from_disk`: of a synced file, not of the system's copy of it in memory."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if from_disk and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for block in _blocks(file):
            digest.update(block)
    return digest.hexdigest()


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block
