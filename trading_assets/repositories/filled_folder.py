"""A folder of files for other programs, filled at once: nothing that is there is replaced."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trading_assets.errors import InvalidRequest
from trading_assets.permissions import file_like_folder, folder_like_parent
from trading_assets.repositories.files import TEMPORARY_SUFFIX


@contextmanager
def filling(folder: Path, *, whole_folders: bool = False) -> Iterator[Path]:
    """Give an empty folder; when the block ends well, the files in it are moved to `folder`, which is made.

    Nothing is replaced: where a file is there already (`whole_folders`: any file in its folder), `InvalidRequest` is
    raised and nothing is moved. On an error nothing is left. The files are not synced to the disk one by one: there may
    be thousands, and they can be written again.
    """
    if folder.exists() and not folder.is_dir():
        raise InvalidRequest(f"{folder} is a file: name a folder, which is made where there is none.")
    new = not folder.exists()
    folder_like_parent(folder)
    # In the folder itself, which may be another file system than the one it is mounted in.
    temporary = Path(tempfile.mkdtemp(prefix=".export-", suffix=TEMPORARY_SUFFIX, dir=folder))
    try:
        yield temporary
        _move(temporary, folder, whole_folders)
    except BaseException:
        shutil.rmtree(temporary)
        if new:
            with suppress(OSError):  # somebody else put something there
                folder.rmdir()
        raise
    shutil.rmtree(temporary)


def _move(temporary: Path, folder: Path, whole_folders: bool) -> None:
    files = [path.relative_to(temporary) for path in sorted(temporary.rglob("*")) if path.is_file()]
    places = dict.fromkeys(folder / (file.parent if whole_folders else file) for file in files)
    if taken := next((place for place in places if place.exists()), None):
        raise InvalidRequest(f"{taken} exists, and nothing is replaced: remove it, or export into another folder.")
    for file in files:
        place = folder / file
        folder_like_parent(place.parent)
        os.replace(temporary / file, place)
        file_like_folder(place)
