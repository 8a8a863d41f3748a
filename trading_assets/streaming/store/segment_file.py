"""The file of a segment that is being written."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from trading_assets.permissions import file_like_folder, folder_like_parent
from trading_assets.repositories.files import sync
from trading_assets.repositories.listed_files import while_listed
from trading_assets.repositories.live.places import SEGMENT, Place, live_folder
from trading_assets.repositories.live.segments import END, head
from trading_assets.repositories.schemas import Dataset

ATTEMPTS = 20
"""A folder is removed once a merge, so not so often in a row."""


class SegmentFile:
    """Appends batches; other processes see each at once. `end` is the byte after the last whole batch."""

    def __init__(self, data_dir: Path, dataset: Dataset, session: str, name: str) -> None:
        folder = live_folder(data_dir, dataset) / session
        self.dataset = dataset
        self.place = Place(session, name, folder / f"{name}{SEGMENT}")
        self.rows = 0
        self._descriptor = _made(self.place.path)
        self.end = self._synced = 0
        try:
            file_like_folder(self.place.path)
            self._write(head(dataset))
            sync(folder)
        except BaseException:
            os.close(self._descriptor)
            self.place.path.unlink(missing_ok=True)
            raise

    def append(self, message: bytes, rows: int) -> None:
        """Write a batch, whole or not at all. Raises `OSError`."""
        self._write(message)
        self.rows += rows

    def sync(self) -> None:
        """Make what was written outlast a power failure. Raises `OSError`."""
        end = self.end
        if end > self._synced:
            os.fsync(self._descriptor)
            self._synced = end

    def finish(self) -> None:
        """Mark the end, sync and close: a follower need not look again. Raises `OSError`; closed all the same."""
        try:
            self._write(END)
            self.sync()
        finally:
            os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.pwrite(self._descriptor, left, self.end + len(data) - len(left)) :]
        except OSError:
            with suppress(OSError):  # what stays is overwritten by the next batch, and until then a torn end
                os.ftruncate(self._descriptor, self.end)
            raise
        self.end += len(data)


def _made(path: Path) -> int:
    """The descriptor of a new file. Whoever merges a session removes its folder when that is empty, also between two
    lines of this."""

    def made() -> int:
        folder_like_parent(path.parent)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    return while_listed(made, ATTEMPTS)
