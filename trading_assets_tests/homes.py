"""A Dagster home that stands ready: its databases are made once a test run and copied, a fifth of a second saved in
each new data folder.

Tests of kills, of abandoned runs and of the daemon make theirs as a user's first command does.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets_tests.templates import template


def furnish(folder: Path) -> None:
    """Put a Dagster home under a data folder that has none."""
    if not (folder / "dagster").exists():
        shutil.copytree(template("Dagster home", _make) / "dagster", folder / "dagster")


def _make(folder: Path) -> None:
    with dagster_instance(Settings(**{"data_dir": folder})):
        pass
