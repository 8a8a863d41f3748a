"""Dagster's PostgreSQL storage, with smaller events (`resources.compact_events`) and one connection that stays open.

It is the storage where the settings name a server (`resources.history_storage`). The URL comes from the settings alone:
`dagster.yaml`, the instance's reference and process lists carry no password.
"""

from __future__ import annotations

from typing import TypeVar

from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)

from trading_assets.resources.compact_events import CompactEvents, CompactRuns
from trading_assets.resources.dagster_private import AssetCheckExecutionsTable, ConfigurableClassData
from trading_assets.resources.history_database import dagster_url, history_engine, opening
from trading_assets.settings import Settings


class CompactPostgresRunStorage(CompactRuns, PostgresRunStorage):
    """The runs."""


class CompactPostgresEventLogStorage(CompactEvents, PostgresEventLogStorage):
    """The events, and nothing of a run that was deleted."""

    def delete_events(self, run_id: str) -> None:
        """Delete the events of a run, its checks among them, which Dagster's own storage leaves behind."""
        super().delete_events(run_id)
        with self.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))


S = TypeVar("S", CompactPostgresRunStorage, CompactPostgresEventLogStorage, PostgresScheduleStorage)


class CompactPostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in one database."""

    def __init__(self, url: str, *, make: bool, inst_data: ConfigurableClassData | None = None) -> None:
        """The history in the database of that URL. With `make` tables that are missing are made."""
        self._inst_data = inst_data
        self._run_storage = _opened(CompactPostgresRunStorage, url, make)
        self._event_log_storage = _opened(CompactPostgresEventLogStorage, url, make)
        self._schedule_storage = _opened(PostgresScheduleStorage, url, make)
        super(DagsterPostgresStorage, self).__init__()


def open_history(
    settings: Settings, url: str, inst_data: ConfigurableClassData | None = None
) -> CompactPostgresStorage:
    """The storage in the database of that URL; its tables are made where they are missing. Raises what
    `history_database.opening` raises."""
    with opening(settings, url) as made:
        return CompactPostgresStorage(url, make=not made, inst_data=inst_data)


def readers(url: str) -> tuple[CompactPostgresEventLogStorage, CompactPostgresRunStorage]:
    """The storages of events and of runs of a history that is made, without an instance."""
    return _opened(CompactPostgresEventLogStorage, url, False), _opened(CompactPostgresRunStorage, url, False)


def _opened(kind: type[S], url: str, make: bool) -> S:
    storage = kind(dagster_url(url), make)
    storage._engine = history_engine(url)  # one for all three, with a connection that stays open
    return storage
