"""The lock that keeps the periods of a dataset's files: shared by its writers, held alone by a repartition."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trading_assets.errors import LakeBusy
from trading_assets.permissions import PRIVATE_FILE, own_folder, private_folder
from trading_assets.repositories.files import LOCK_SECONDS, LOCKS


@contextmanager
def periods_held(
    data_dir: Path, dataset: str, *, change: bool = False, seconds: float = LOCK_SECONDS
) -> Iterator[None]:
    """Keep the periods of a dataset's files from changing while some of them are written; with `change`, wait until
    nobody writes, and change them. Any number of writers hold it at once. A killed process holds nothing.

    Raises `LakeBusy` when it was not free within `seconds`.
    """
    path = own_folder(private_folder(data_dir) / LOCKS) / f"{dataset}.periods.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE)
    deadline = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if change else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LakeBusy(
                        f"The files of {dataset} in {data_dir} have been in use by another process for {seconds:g}"
                        " seconds: wait for its run to end, or end it."
                    ) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
