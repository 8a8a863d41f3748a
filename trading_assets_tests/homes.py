"""A Dagster home that stands ready: its databases are made once a worker and copied, a fifth of a second saved in each
new data folder.

Tests of kills, of abandoned runs and of the daemon make theirs as a user's first command does.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings


def furnish(folder: Path) -> None:
    """Put a Dagster home under a data folder that has none."""
    if not (folder / "dagster").exists():
        shutil.copytree(_home(), folder / "dagster")


@cache
def _home() -> Path:
    template = Path(tempfile.mkdtemp(prefix="dagster-home-"))
    atexit.register(shutil.rmtree, template, ignore_errors=True)
    with dagster_instance(Settings(**{"data_dir": template})):
        pass
    return template / "dagster"
