"""Small lakes as older versions of the platform wrote them; the scripts beside say how each was made."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

PLAIN = Path(__file__).parent / "plain"
"""Two symbols over two evenings, before lakes had an id and a layout version (`make_plain`)."""

COLUMNS_2 = Path(__file__).parent / "columns_2"
"""Every dataset with a value in each column of version 2 of the columns (`make_columns`)."""

PLAIN_NOW = datetime.fromisoformat("2024-01-02T16:40-05:00")
"""An instant at which nothing is due on it."""


def copy_of(lake: Path, folder: Path) -> Path:
    """A copy to work on, in `folder`, which does not exist yet."""
    shutil.copytree(lake, folder)
    return folder
