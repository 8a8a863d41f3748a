"""The settings that a maintenance works with."""

from __future__ import annotations

from pathlib import Path

from trading_assets.arguments import lake_folder
from trading_assets.settings import Settings


def settings_for(base_path: Path | str | None, settings: Settings | None) -> Settings:
    """The settings given (default: of the environment), with `base_path` as data folder. Raises `NotALake` for a folder
    that holds none: a maintenance makes no lake."""
    given = settings or Settings()
    folder = lake_folder(given.data_dir if base_path is None else base_path, "base_path")
    return given if base_path is None else given.model_copy(update={"data_dir_setting": folder})
