"""Clearing the data folder of what killed writers left."""

from __future__ import annotations

from pathlib import Path

from trading_assets.arguments import lake_folder
from trading_assets.jobs.given import settings_for
from trading_assets.repositories.temporary_files import remove_temporary_files
from trading_assets.settings import Settings


def cleanup_temp_files(base_path: Path | str | None = None, *, settings: Settings | None = None) -> list[str]:
    """Remove the temporary files whose writer is dead; their names, relative to the data folder.

    A file that is being written is left alone; data files are never touched. Raises `NotALake`.
    """
    return remove_temporary_files(lake_folder(settings_for(base_path, settings).data_dir, "base_path"))
