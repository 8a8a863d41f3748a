"""The settings that an operation works with."""

from __future__ import annotations

from pathlib import Path

from trading_assets.arguments import lake_folder, new_lake_folder
from trading_assets.settings import Settings


def settings_for(base_path: Path | str | None, settings: Settings | None) -> Settings:
    """The settings given (default: of the environment), with `base_path` as data folder. Raises `NotALake` for a path
    that cannot be a data folder."""
    given = settings or Settings()
    return given if base_path is None else given.model_copy(update={"data_dir_setting": new_lake_folder(base_path)})


def settings_of_lake(base_path: Path | str | None, settings: Settings | None) -> Settings:
    """The same. Raises `NotALake` for a folder that holds none: a maintenance makes no lake."""
    given = settings_for(base_path, settings)
    lake_folder(given.data_dir, "base_path")
    return given
