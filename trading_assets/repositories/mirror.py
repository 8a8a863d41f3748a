"""Copies of an object store's files in the data folder, from which everything is read.

A copy has the name of its object. Beside it, in `.mirror`, stands the ETag, with inode, size and time of the copy that
it is of: a copy without such a note is read anew. Copies are not synced to the disk: after a boot each is compared once
with the checksum in its note. A copy is replaced under a lock of its object and only by what the
store gave after that lock was taken, so it never goes back to an earlier version; a writer holds the lock from reading
to writing. So the processes of a machine share the copies, and the condition on the ETag is what holds among machines.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from trading_assets.errors import LakeBusy, ObjectStoreError
from trading_assets.folders import LOCATION_FILE, LakeLocation, location_text
from trading_assets.machine import boot_id
from trading_assets.permissions import folder_like_parent, own_folder, private_folder
from trading_assets.repositories.files import (
    IDENTITY_FILE,
    LOCK_SECONDS,
    date_after,
    locked,
    replacing,
)
from trading_assets.repositories.layout_names import is_lake_file
from trading_assets.repositories.object_store import NotModified, ObjectStore
from trading_assets.repositories.storage import Replaced, Storage, refusal

T = TypeVar("T")

NOTES = ".mirror"
"""Folder of the notes, under the data folder; their locks are in a folder of that name among the locks."""

LONGEST_WAIT = 2.0
"""Seconds between two attempts to write what others keep replacing, at most."""


Listing = dict[str, tuple[str, int]]
"""ETag and size of each object, by name."""


class Copy(NamedTuple):
    """The version of an object that a copy is of (its ETag), what tells the copy from any other file, and the boot of
    the machine in which it was seen to have this checksum (SHA-256)."""

    etag: str
    inode: int
    size: int
    modified_ns: int
    boot: str
    checksum: str

    def is_at(self, path: Path) -> bool:
        """Whether that file is the copy."""
        try:
            status = os.stat(path)
        except OSError:
            return False
        return (status.st_ino, status.st_size, status.st_mtime_ns) == self[1:4]


class _Moment(threading.local):
    """What the store had when it was asked last, by thread; None outside of a moment."""

    depth = 0
    listing: Listing | None = None

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.gone: set[str] = set()


class MirroredStorage(Storage):
    """A lake in an object store. Cheap to make; safe to use from several threads and processes at once."""

    durable = False

    def __init__(self, root: Path, location: LakeLocation) -> None:
        super().__init__(root)
        self._store = ObjectStore(location.url)
        self._location = location
        self._held = threading.local()
        self._moment = _Moment()
        self._copies: dict[str, Copy] = {}
        private_folder(root)
        own_folder(root / NOTES)
        file = root / LOCATION_FILE
        if not file.exists() and any(root.glob("[!.]*/**/*.parquet")):
            raise ObjectStoreError(
                f"The data folder {root} holds files of another lake, and would hold copies of the one in"
                f" {location.url}: set TRADING_ASSETS_DATA_DIR to an empty folder."
            )
        if not file.exists() or file.read_text(encoding="utf-8") != location_text(location):
            with replacing(file) as temporary:
                temporary.write_text(location_text(location), encoding="utf-8")

    @contextmanager
    def moment(self) -> Iterator[None]:
        """See `Storage.moment`."""
        moment = self._moment
        if not moment.depth:
            moment.listing = None
        moment.depth += 1
        try:
            yield
        finally:
            moment.depth -= 1
            if not moment.depth:
                moment.listing = None

    def refresh(self, wanted: Callable[[str], bool]) -> None:
        """See `Storage.refresh`. Raises `ObjectStoreError`, also where those files are more than the folder may
        hold."""
        listing, moment = self._listing(), self._moment
        for name in (IDENTITY_FILE, *(name for name in (*listing, *moment.gone) if wanted(name))):
            self._see(name, listing)

    def fresh(self, name: str) -> None:
        """See `Storage.fresh`."""
        if self._moment.depth:
            self._see(name, self._listing())
        else:
            self._fetch_locked(name)

    def rewritten(self, name: str, change: Callable[[], T]) -> T:
        """See `Storage.rewritten`. Raises `LakeBusy` where others replaced the file each time."""
        deadline, wait = time.monotonic() + LOCK_SECONDS, 0.01
        held: dict[str, str | None] = self._held.__dict__
        while True:
            with self._locked(name):
                held[name] = self._fetch(name)
                try:
                    return change()
                except Replaced:
                    pass
                finally:
                    del held[name]
            if time.monotonic() > deadline:
                raise LakeBusy(
                    f"{name} in {self._location.url} was replaced by other machines again and again for"
                    f" {LOCK_SECONDS:g} seconds: wait for their runs to end."
                )
            time.sleep(random.uniform(0, wait))  # not all at once again
            wait = min(2 * wait, LONGEST_WAIT)

    def replace(self, temporary: Path, path: Path) -> None:
        """See `Storage.replace`: in the store first. Raises `Replaced`, `ObjectStoreError`, `Refused` for a
        file that was not read within `rewritten`."""
        held, name = self._held.__dict__, path.absolute().relative_to(self.root).as_posix()
        if name not in held:
            raise refusal(f"Writing {name} in this way", self._location)
        held[name] = etag = self._store.replace(name, temporary.read_bytes(), held[name])
        self._place(name, temporary, etag)

    def remove(self, path: Path) -> bool:
        """Nothing is removed: the store has no removal on a condition."""
        return False

    def names(self, prefix: str) -> Iterable[str]:
        """The names of the objects."""
        return [name for name in self._listing() if name.startswith(f"{prefix}/")]

    def _listing(self) -> Listing:
        """What the store has: asked once a moment. Raises `ObjectStoreError` where it is more than the data folder may
        hold."""
        moment = self._moment
        if moment.listing is None or not moment.depth:
            listing = self._store.list().items()
            moment.listing = {name: said for name, said in listing if name == IDENTITY_FILE or is_lake_file(name)}
            moment.seen = set()
            moment.gone = self._noted() - moment.listing.keys()
            size = sum(size for _, size in moment.listing.values())
            if size > self._location.copy_bytes:
                raise ObjectStoreError(
                    f"The lake in {self._location.url} has {size / 2**30:.1f} GiB, and {self.root} may hold copies of"
                    f" {self._location.copy_bytes / 2**30:.1f} GiB: raise TRADING_ASSETS_LAKE_COPY_GIB."
                )
        return moment.listing

    def _see(self, name: str, listing: Listing) -> None:
        """Have the copy of an object as it was listed, or of a later version; once a moment."""
        if name in self._moment.seen:
            return
        known, etag = self._copy(name), listing.get(name, (None, 0))[0]
        if known is None or known.etag != etag:
            self._fetch_locked(name)  # one that was not listed may have been made since
        self._moment.seen.add(name)

    def _noted(self) -> set[str]:
        """The names of the objects of which there are copies."""
        notes = self.root / NOTES
        walk = ((os.path.relpath(parent, notes), names) for parent, _, names in os.walk(notes))
        return {
            os.path.normpath(os.path.join(parent, name.removesuffix(".json")))
            for parent, names in walk
            for name in names
            if name.endswith(".json")
        }

    def _copy(self, name: str) -> Copy | None:
        """The copy that stands in the data folder; None where there is none, or it is not known of what."""
        path, known = self.root / name, self._copies.get(name)
        if known is not None and known.is_at(path):
            return known
        try:
            known = Copy(*json.loads(self._note(name).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        if not known.is_at(path) or (known.boot != boot_id() and _checksum(path) != known.checksum):
            return None
        if known.boot != boot_id():
            known = known._replace(boot=boot_id())
            self._write_note(name, known)
        self._copies[name] = known
        return known

    def _note(self, name: str) -> Path:
        return self.root / NOTES / f"{name}.json"

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with locked(self.root, f"{NOTES}/{name}"):
            yield

    def _fetch_locked(self, name: str) -> None:
        if name in self._held.__dict__:
            return  # this thread is about to write it, and has read it
        with self._locked(name):
            self._fetch(name)

    def _fetch(self, name: str) -> str | None:
        """Have the object's present version in the data folder, under its lock; its ETag, None where there is none."""
        known, path = self._copy(name), self.root / name
        try:
            answer = self._store.read(name, known.etag if known is not None else None)
        except NotModified:
            assert known is not None
            return known.etag
        if answer is None:
            with suppress(FileNotFoundError):
                path.unlink()
            self._note(name).unlink(missing_ok=True)
            self._copies.pop(name, None)
            return None
        content, etag = answer
        folder_like_parent(path.parent)
        with replacing(path, lambda temporary, _: self._place(name, temporary, etag), durable=False) as temporary:
            with open(temporary, "wb") as file:
                file.write(content)
            date_after(temporary, path)
        return etag

    def _place(self, name: str, temporary: Path, etag: str) -> None:
        """Move a complete file to the place of the copy, after the note of what it is: whoever reads both in between
        finds that they do not belong together."""
        status = os.stat(temporary)
        copy = Copy(etag, status.st_ino, status.st_size, status.st_mtime_ns, boot_id(), _checksum(temporary))
        self._write_note(name, copy)
        os.replace(temporary, self.root / name)
        self._copies[name] = copy

    def _write_note(self, name: str, copy: Copy) -> None:
        note = self._note(name)
        note.parent.mkdir(parents=True, exist_ok=True)
        beside = note.with_name(f".{note.name}.{os.getpid()}.{threading.get_ident()}.tmp")
        beside.write_text(json.dumps(copy), encoding="utf-8")
        os.replace(beside, note)


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
