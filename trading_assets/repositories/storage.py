"""Where the files of a lake are: in the data folder, or in an object store of which the data folder holds copies.

This is the one seam between the two. Files are listed and read in the data folder, always; `refresh` and `fresh` see
that it has what the store has. A file is replaced or removed if it is unchanged since it was read: within `rewritten`,
by `replace` and `remove`. In a folder the locks of the callers give that, and everything here is plain; the object
store is in `repositories.mirror`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from trading_assets.errors import Refused
from trading_assets.folders import LakeLocation, lake_location

T = TypeVar("T")


class Replaced(Exception):
    """A file is not the one any more that was read. `certain`: and what was to be written was not written."""

    def __init__(self, *, certain: bool) -> None:
        self.certain = certain
        super().__init__("the file was replaced")


class Storage:
    """A lake whose files are in the data folder itself."""

    durable = True
    """Whether a file here must outlast a power failure."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def refresh(self, wanted: Callable[[str], bool]) -> None:
        """See that the data folder has those files of the lake (names relative to it) as they are now."""

    def fresh(self, name: str) -> None:
        """The same of one file."""

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What is read within it may be of the same moment: the store is asked once what it has."""
        yield

    def rewritten(self, name: str, change: Callable[[], T]) -> T:
        """What `change` returns, which reads the file and may replace or remove it. It is called again, to read the
        file anew, when somebody else has replaced it meanwhile. The caller holds the lock of the file."""
        return change()

    def replace(self, temporary: Path, path: Path) -> None:
        """Move a complete file to the place of one that may be there."""
        os.replace(temporary, path)

    def remove(self, path: Path) -> bool:
        """Remove a file; False where that cannot be done safely, and a file without rows has to take its place."""
        path.unlink()
        return True

    def names(self, prefix: str) -> Iterable[str]:
        """The names of the files below a folder of the lake."""
        return (path.relative_to(self.root).as_posix() for path in (self.root / prefix).rglob("*.parquet"))


_mirrors: dict[tuple[int, Path, LakeLocation], Storage] = {}


def storage_of(data_dir: Path) -> Storage:
    """The storage of a data folder's lake. Raises `ExtraMissing` where the object store's client is not installed."""
    root = data_dir.absolute()
    location = lake_location(root)
    if location is None:
        return Storage(root)
    key = (os.getpid(), root, location)
    if key not in _mirrors:
        from trading_assets.repositories.mirror import MirroredStorage  # late: a lake in a folder does without it

        _mirrors[key] = MirroredStorage(root, location)
    return _mirrors[key]


def storage_at(path: Path) -> Storage:
    """The storage of the lake whose file that is, or is to be; a plain folder for any other file."""
    path = path.absolute()
    for folder in list(path.parents)[:6]:  # revisions/coverage/equity_bars/2015.parquet is the deepest
        if lake_location(folder) is not None:
            return storage_of(folder)
    return Storage(path.parent)


def refuse_object_store(data_dir: Path, what: str) -> None:
    """Raise `Refused` where the lake of the data folder is in an object store: `what` works in a folder only."""
    location = lake_location(data_dir.absolute())
    if location is not None:
        raise refusal(what, location)


def refusal(what: str, location: LakeLocation) -> Refused:
    """The error for what works for a lake in a folder only."""
    return Refused(f"{what} is available for a lake in a folder only, and this one is in {location.url}.")
