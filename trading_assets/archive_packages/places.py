"""Where packages are: folders, or anything that fsspec has a URL for (`s3://...`, `memory://...`)."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from trading_assets.archive_packages.manifest import MANIFEST, Manifest, parse
from trading_assets.errors import InvalidPackage, InvalidRequest
from trading_assets.permissions import folder_like_parent
from trading_assets.repositories.files import replacing, sync


class Place:
    """A folder of files under a path or URL. Nothing is opened or made until it is asked for."""

    def __init__(self, url: str | os.PathLike[str]) -> None:
        text = os.fspath(url)
        if not text.strip():
            raise InvalidRequest("The place of an archive is empty: give a folder or a URL.")
        try:
            self._fs, root = fsspec.core.url_to_fs(text if "://" in text else str(Path(text).expanduser().absolute()))
        except (ValueError, ImportError) as error:
            raise InvalidRequest(f"{text} cannot be opened as a folder or URL: {error}.") from error
        self.root = str(root).rstrip("/")
        self.text = text

    @property
    def folder(self) -> Path | None:
        """The folder on this machine; None where it is somewhere else."""
        return Path(self.root) if isinstance(self._fs, LocalFileSystem) else None

    def within(self, name: str) -> Place:
        """A folder in it."""
        return Place(f"{self.text.rstrip('/')}/{name}")

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in one step and durably in a folder of this machine."""
        if self.folder is not None:
            path = self.folder / name
            folder_like_parent(path.parent)
            with replacing(path) as beside:
                beside.write_bytes(content)
            return
        self._fs.makedirs(f"{self.root}/{name}".rpartition("/")[0], exist_ok=True)
        self._fs.pipe_file(f"{self.root}/{name}", content)

    def read(self, name: str) -> bytes:
        """The content of a file. Raises `FileNotFoundError`, `OSError`."""
        return self._fs.cat_file(f"{self.root}/{name}")

    def names(self) -> list[str]:
        """The files below it, relative, in order; nothing where there is no such folder."""
        if not self._fs.exists(self.root):
            return []
        self._fs.invalidate_cache()
        return sorted(str(path)[len(self.root) + 1 :] for path in self._fs.find(self.root))

    def manifest(self) -> Manifest:
        """The manifest of the package in it. Raises `InvalidPackage`."""
        try:
            text = self.read(MANIFEST)
        except (OSError, ValueError) as error:
            raise InvalidPackage(self.text, f"it has no readable {MANIFEST}") from error
        return parse(text, self.text)

    def packages(self) -> list[Place]:
        """The packages in it, or itself where it is one, by name."""
        if self._fs.exists(f"{self.root}/{MANIFEST}"):
            return [self]
        if not self._fs.exists(self.root):
            return []
        inner = sorted(str(path).rstrip("/").rpartition("/")[2] for path in self._fs.ls(self.root, detail=False))
        return [self.within(name) for name in inner if self._fs.exists(f"{self.root}/{name}/{MANIFEST}")]

    def remove(self) -> None:
        """Delete it and all below it, where it is there."""
        if self._fs.exists(self.root):
            self._fs.rm(self.root, recursive=True)

    def folders(self) -> list[str]:
        """The names of the folders in it."""
        if not self._fs.exists(self.root):
            return []
        found = self._fs.ls(self.root, detail=True)
        return sorted(
            str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in found if entry["type"] == "directory"
        )

    def settle(self) -> None:
        """Make the names in a folder of this machine durable."""
        if self.folder is not None:
            sync(self.folder)
