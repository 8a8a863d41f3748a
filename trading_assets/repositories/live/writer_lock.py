"""The lock of the process that writes live data. The operating system's lock ends with its process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from trading_assets.errors import LakeBusy
from trading_assets.permissions import PRIVATE_FILE, own_folder, private_folder
from trading_assets.repositories.files import LOCKS
from trading_assets.repositories.live.places import WRITER_LOCK


class WriterLock:
    """Held from its making until `release`, by one writer a lake. May be released by another thread than made it.

    Raises `LakeBusy` when another process holds it.
    """

    def __init__(self, data_dir: Path) -> None:
        path = own_folder(private_folder(data_dir) / LOCKS) / f"{WRITER_LOCK}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise LakeBusy(
                f"Another process records live data in {data_dir}: one recorder a lake. Use its data, or end it."
            ) from None

    def release(self) -> None:
        """Let it go."""
        os.close(self._descriptor)
