"""Who may read what is written: a new data folder is its owner's alone, and state and logs are even where the folder is
shared.

A data folder that exists keeps its permissions: somebody may share the data with a group on purpose, and may do so
later (`chmod 750`). Only an empty one that everybody may read, which is what `mkdir` and `git clone` make, becomes its
owner's alone. The Parquet files and their folders are as readable as the folder they are made in. What holds requests,
alerts and logs (the state database, Dagster's folder, lock files) is made for the owner alone and, where an earlier
version made it readable for others, changed to that.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600

_NOTHING = (".gitkeep",)
"""What a folder may hold that holds nothing."""

PRIVATE_UMASK = 0o077
"""For processes that run Dagster, whose databases and logs are made by its own code."""


def private_folder(path: Path) -> Path:
    """Make a folder for its owner alone, those above it as usual. One that exists keeps its permissions, unless it is
    unused so far."""
    if not path.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    elif path.stat().st_mode & stat.S_IROTH and all(name in _NOTHING for name in os.listdir(path)):
        _restrict(path, PRIVATE_FOLDER)
    return path


def own_folder(path: Path) -> Path:
    """Make a folder for its owner alone, and change one that exists to that: nobody else has business in it."""
    private_folder(path)
    _restrict(path, PRIVATE_FOLDER)
    return path


def own_file(path: Path) -> Path:
    """Make an empty file for its owner alone where there is none, and change one that exists to that."""
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
    _restrict(path, PRIVATE_FILE)
    return path


def restrict_files(*paths: Path) -> None:
    """Change those of the files that exist to their owner's alone."""
    for path in paths:
        if path.exists():
            _restrict(path, PRIVATE_FILE)


def folder_like_parent(path: Path) -> Path:
    """Make a folder, and the missing ones above it, with the permissions of the nearest one that exists."""
    if not path.is_dir():
        above = folder_like_parent(path.parent)
        path.mkdir(exist_ok=True)
        os.chmod(path, stat.S_IMODE(above.stat().st_mode))
    return path


def file_like_folder(path: Path) -> None:
    """Give a new file the permissions of its folder, without those to execute it."""
    os.chmod(path, path.parent.stat().st_mode & 0o666)


def _restrict(path: Path, mode: int) -> None:
    """Take the rights of others away where there are any. Only the owner can; another user's file is left as it is."""
    found = path.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & ~mode & 0o777:
        os.chmod(path, mode)
