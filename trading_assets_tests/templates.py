"""Folders that are made once a test run, whichever worker needs them first, and copied by the tests. Not a test."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from filelock import FileLock

_PLACE = "TEMPLATES_OF_THIS_TEST_RUN"
"""Environment variable with the folder of all templates: the workers have it from the process that starts them."""


def share_templates() -> None:
    """Make the folder of the templates of this test run, unless the process that started this one did; it goes with the
    process that made it."""
    if _PLACE not in os.environ:
        place = tempfile.mkdtemp(prefix="templates-")
        os.environ[_PLACE] = place
        atexit.register(_remove, place, os.getpid())


def _remove(place: str, owner: int) -> None:
    if os.getpid() == owner:  # and not a child that was forked meanwhile
        shutil.rmtree(place, ignore_errors=True)


def template(what: str, make: Callable[[Path], None]) -> Path:
    """The folder that `make` fills, to be copied and left as it is. `what` names all that it depends on.

    The others wait while one makes it. It is filled under its own name: what is in it may name it.
    """
    share_templates()
    name = sha256(what.encode()).hexdigest()[:16]
    folder = Path(os.environ[_PLACE]) / name
    with FileLock(folder.with_suffix(".lock")):
        if not folder.with_suffix(".made").exists():
            shutil.rmtree(folder, ignore_errors=True)  # one that failed half way
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder
