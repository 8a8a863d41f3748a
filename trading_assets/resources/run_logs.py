"""The logs of runs' steps as the clean-up of the history sees them: SQLite files, one a run, or rows on a PostgreSQL
server.

On a server the events of all runs are in one table. What goes of a run there is what SQLite keeps in the run's own file
alone: everything but its materializations, observations, checks and changes of status.
"""

from __future__ import annotations

import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import dagster as dg
import sqlalchemy as sa

from trading_assets.resources.compact_events import CompactEvents
from trading_assets.resources.dagster_private import (
    ASSET_CHECK_EVENTS,
    ASSET_EVENTS,
    EVENT_TYPE_TO_PIPELINE_RUN_STATUS,
    INDEX_SHARD_NAME,
    SqlEventLogStorage,
    SqlEventLogStorageTable,
)
from trading_assets.resources.history_database import bytes_of, output, reading
from trading_assets.resources.history_folder import history_folder
from trading_assets.resources.storage import BUSY_TIMEOUT, CompactEventLogStorage
from trading_assets.settings import Settings

EVENTS = SqlEventLogStorageTable.c

_AT_ONCE = 500
"""Runs or events that one statement names."""


class RunLogs(ABC):
    """The logs of a history. Each run has one or none; `storage` has the events of all runs."""

    storage: SqlEventLogStorage

    @abstractmethod
    def size(self) -> int:
        """Bytes of the whole history, logs among them, without what runs print."""

    @abstractmethod
    def sizes(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Bytes of the log of each run that has one."""

    @abstractmethod
    def forget(self, run_id: str) -> None:
        """Delete the log of a run."""

    @abstractmethod
    def shrink(self) -> None:
        """Give the space of deleted events of all runs back, where that is ours to do."""

    def delete_events(self, ids: Sequence[int]) -> None:
        """Delete events of all runs by their ids."""
        with self.storage.index_connection() as connection:
            for begin in range(0, len(ids), _AT_ONCE):
                chosen = EVENTS.id.in_(ids[begin : begin + _AT_ONCE])
                connection.execute(SqlEventLogStorageTable.delete().where(chosen))


class FileLogs(RunLogs):
    """Files below the folder of the history."""

    def __init__(self, storage: CompactEventLogStorage, folder: Path) -> None:
        self.storage: CompactEventLogStorage = storage
        self._folder = folder

    def size(self) -> int:
        """Bytes of Dagster's folder without what runs print."""
        return bytes_below(self._folder) - bytes_below(self._folder / "compute_logs")

    def sizes(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Bytes of the files of each run that has one."""
        files = {run_id: self.storage.run_log_files(run_id) for run_id in run_ids}
        return {run_id: sum(map(bytes_below, each)) for run_id, each in files.items() if any(p.exists() for p in each)}

    def forget(self, run_id: str) -> None:
        """Delete the files of a run."""
        self.storage.forget_run_log(run_id)

    def shrink(self) -> None:
        """Write the log of all runs anew: it keeps its size otherwise. Readers go on meanwhile, writers wait."""
        file = self.storage.path_for_shard(INDEX_SHARD_NAME)
        with closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT)) as connection:
            connection.execute("vacuum")
            connection.execute("pragma wal_checkpoint(truncate)")


class ServerLogs(RunLogs):
    """Rows of the table of events on a server."""

    def __init__(self, storage: SqlEventLogStorage) -> None:
        self.storage = storage

    def size(self) -> int:
        """Bytes of the tables."""
        with self.storage.index_connection() as connection:
            return bytes_of(connection)

    def sizes(self, run_ids: Sequence[str]) -> dict[str, int]:
        """Bytes of the rows of each run that has any, and of what it printed."""
        found: dict[str, int] = {}
        wanted = set(run_ids)
        with self.storage.index_connection() as connection:
            for begin in range(0, len(run_ids), _AT_ONCE):
                chosen = EVENTS.run_id.in_(run_ids[begin : begin + _AT_ONCE])
                query = sa.select(EVENTS.run_id, sa.func.sum(sa.func.length(EVENTS.event)))
                rows = connection.execute(query.where(chosen, _of_the_run_alone()).group_by(EVENTS.run_id))
                found.update({run_id: int(size) for run_id, size in rows})
            # What the runs printed is in a table beside the events.
            run = sa.func.split_part(output.c.log_key, "/", 1)
            printed = sa.select(run, sa.func.sum(sa.func.length(output.c.content))).group_by(run)
            for run_id, size in connection.execute(printed):
                if run_id in wanted:
                    found[run_id] = found.get(run_id, 0) + int(size)
        return found

    def forget(self, run_id: str) -> None:
        """Delete the rows of a run."""
        with self.storage.index_connection() as connection:
            connection.execute(SqlEventLogStorageTable.delete().where(EVENTS.run_id == run_id, _of_the_run_alone()))

    def shrink(self) -> None:
        """Nothing: the server does so by itself."""


def logs_of(storage: object, folder: Path) -> RunLogs | None:
    """The logs of a history; None where it is kept by a storage that is not ours."""
    if isinstance(storage, CompactEventLogStorage):
        return FileLogs(storage, folder)
    return ServerLogs(storage) if isinstance(storage, CompactEvents) else None


def history_bytes(settings: Settings) -> int:
    """Bytes of the history, in the data folder and on its server; nothing is made. Raises as
    `history_database.reading`."""
    size = bytes_below(history_folder(settings))
    if settings.dagster_database_url is not None:
        with reading(settings, settings.dagster_database_url) as connection:
            size += bytes_of(connection) if connection is not None else 0
    return size


def _of_the_run_alone() -> sa.ColumnElement[bool]:
    shared: set[dg.DagsterEventType] = ASSET_EVENTS | ASSET_CHECK_EVENTS | EVENT_TYPE_TO_PIPELINE_RUN_STATUS.keys()
    kind = EVENTS.dagster_event_type
    return sa.or_(kind.is_(None), kind.not_in(sorted(each.value for each in shared)))


def bytes_below(place: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 where there is neither. One that goes meanwhile does not
    count."""
    if place.is_dir():
        return sum(bytes_below(Path(parent, name)) for parent, _, names in os.walk(place) for name in names)
    try:
        return place.stat().st_size
    except OSError:
        return 0
