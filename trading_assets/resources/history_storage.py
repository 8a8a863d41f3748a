"""The storage that `dagster.yaml` names: SQLite files in the folder of the history, or the PostgreSQL server of the
settings.

Which one it is stands in the settings alone (`dagster_database_url`), so that `dagster.yaml` carries no password and is
the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from trading_assets.resources.dagster_private import (
    ConfigurableClass,
    ConfigurableClassData,
    DagsterStorage,
    UserConfigSchema,
)
from trading_assets.resources.history_folder import history_of, settings_of
from trading_assets.resources.history_place import keep_place, noted_place, refuse_second


class LakeStorage(DagsterStorage, ConfigurableClass):
    """Runs, events and schedules of a lake: stands in `dagster.yaml` for the storage of the settings."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """`base_dir`, the folder of the history, where it is not that of the settings."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> DagsterStorage:
        """The storage itself. Raises `HistoryUnavailable`, `StateMismatch`, and `ValueError` for wrong settings."""
        with history_of(config_value) as folder:
            return storage_in(folder, inst_data)


def storage_in(folder: str, inst_data: ConfigurableClassData | None = None) -> DagsterStorage:
    """The storage of the history that belongs to a folder. Raises as `LakeStorage.from_config_value`."""
    home = Path(folder)
    try:
        settings = settings_of(home)
    except ValueError:
        if noted_place(home) is not None:
            raise
        settings = None  # the step that needs them says what is wrong
    if settings is None or (url := settings.dagster_database_url) is None:
        refuse_second(home)
        from trading_assets.resources.storage import CompactSqliteStorage

        return CompactSqliteStorage(folder, inst_data)
    # late: the modules of PostgreSQL, for which the extra is needed
    from trading_assets.resources.history_database import place
    from trading_assets.resources.postgresql_storage import open_history

    storage = open_history(settings, url, inst_data)
    keep_place(home, place(url))
    return storage
