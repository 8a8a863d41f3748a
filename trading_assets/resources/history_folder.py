"""Where Dagster keeps its history, whichever way it was started: `<data folder>/dagster`.

The classes that `dagster.yaml` names take the folder as `base_dir`. Without it they ask the settings, so that `dagster
dev`, `dg dev` and the other commands of Dagster write the same history as `trading-assets up`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

import dagster as dg
from pydantic import ValidationError

from trading_assets.permissions import own_folder
from trading_assets.repositories.files import locked
from trading_assets.resources.dagster_private import (
    ConfigurableClassData,
    LocalArtifactStorage,
    LocalComputeLogManager,
    SqliteEventLogStorage,
    UserConfigSchema,
    event_logs_directory,
)
from trading_assets.settings import Settings, wrong_value

HOME_LOCK = "dagster"
"""Held while the folder and its databases are made: Dagster's own making of them is not safe among processes."""


def history_folder(settings: Settings) -> Path:
    """The folder of Dagster's history that belongs to the data folder."""
    return settings.data_dir / "dagster"


_chosen: dict[Path, Settings] = {}
"""The settings with which this process opened histories, by their folders: they may not be those of its environment."""


def choose(settings: Settings) -> None:
    """Have this process open the history of the settings' data folder by these settings."""
    _chosen[history_folder(settings)] = settings


def settings_of(home: Path) -> Settings | None:
    """The settings by which the history of a folder is opened: those chosen in this process, else those of the
    environment; None where these are of another data folder. Raises `ValueError` where they are wrong."""
    if (chosen := _chosen.get(home)) is not None:
        return chosen
    settings = _of_environment()
    return settings if history_folder(settings) == home.absolute() else None


def _of_environment() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise ValueError(wrong_value(error)) from error


@contextmanager
def history_of(config_value: Mapping[str, Any]) -> Iterator[str]:
    """The folder of `dagster.yaml`, else that of the settings, which is made. Nobody else makes databases in it
    meanwhile."""
    if (given := config_value.get("base_dir")) is not None:
        yield given
        return
    settings = _of_environment()
    with locked(settings.data_dir, HOME_LOCK):
        yield str(own_folder(history_folder(settings)))


class InHistoryFolder:
    """What the classes of `dagster.yaml` share: their one value, and being made in the folder that it names."""

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """`base_dir`, the folder of the history, where it is not that of the settings."""
        return {"base_dir": dg.Field(dg.StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The object that `dagster.yaml` describes."""
        with history_of(config_value) as folder:
            return cls.in_folder(folder, inst_data)

    @classmethod
    def in_folder(cls, folder: str, inst_data: ConfigurableClassData | None) -> Self:
        """The object whose files are in the folder of the history."""
        return cls(folder, inst_data)  # type: ignore[call-arg]


class LakeArtifactStorage(InHistoryFolder, LocalArtifactStorage):
    """Dagster's own, in the folder of the history. Its folder is what Dagster calls the root of the instance."""


class LakeComputeLogManager(InHistoryFolder, LocalComputeLogManager):
    """Dagster's own, in the folder `compute_logs` of the history; where this is on a server, what runs print is there
    too (`resources.run_output`)."""

    @classmethod
    def in_folder(cls, folder: str, inst_data: ConfigurableClassData | None) -> Self:
        """The logs in a folder of their own."""
        logs = str(Path(folder) / "compute_logs")
        with suppress(ValueError):  # the storage, which is opened before, has said what is wrong
            settings = settings_of(Path(folder))
            if settings is not None and settings.dagster_database_url is not None:
                from trading_assets.resources.run_output import ServerComputeLogManager  # late: PostgreSQL's modules

                return cast(Self, ServerComputeLogManager(logs, settings.dagster_database_url))
        return cls(logs, inst_data=inst_data)


def elsewhere(instance: dg.DagsterInstance, settings: Settings) -> str | None:
    """A sentence when the instance keeps its history in SQLite files of another folder than the lake's, or in any while
    the settings name a server; None when it does not.

    Dagster makes an instance of its own, and deletes it, where neither DAGSTER_HOME is set nor a `dagster.yaml` is in
    the working directory. An instance on PostgreSQL, or in memory, is meant.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqliteEventLogStorage):
        return None
    if settings.dagster_database_url is not None:
        return (
            f"Dagster keeps the history of this run in SQLite files under {instance.root_directory}, and not on the"
            " server that TRADING_ASSETS_DAGSTER_DATABASE_URL names: trading-assets up and status will not know of it."
            f" Start Dagster in the folder of the project, or with DAGSTER_HOME={history_folder(settings)}; see that"
            " dagster.yaml there names no storage of its own."
        )
    wanted = history_folder(settings)
    if Path(storage.path_for_shard("index")).parent.absolute() == Path(event_logs_directory(str(wanted))).absolute():
        return None
    return (
        f"Dagster keeps the history of this run in {instance.root_directory}, not in {wanted}: trading-assets up and"
        f" status will not know of it. Start Dagster in the folder of the project, or with DAGSTER_HOME={wanted}."
    )
