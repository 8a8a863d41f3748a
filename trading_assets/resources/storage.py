"""Dagster's SQLite storage, with smaller events (`resources.compact_events`) and faster: Dagster's own opens and closes
a database for each statement, 260 times in a run of four assets.

It is the storage where the settings name no server (`resources.history_storage`). A history that Dagster's own storage
wrote is read and continued as it is.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateIndex, CreateTable
from watchdog.events import EVENT_TYPE_MODIFIED, FileSystemEvent
from watchdog.observers import Observer

from trading_assets.resources.compact_events import CompactEvents, CompactRuns
from trading_assets.resources.dagster_private import (
    INDEX_SHARD_NAME,
    AssetCheckExecutionsTable,
    ConfigurableClassData,
    DagsterSqliteStorage,
    EventHandlerFn,
    EventLogEntry,
    SqlEventLogStorageTable,
    SqliteEventLogStorage,
    SqliteEventLogStorageWatchdog,
    SqliteRunStorage,
    SqliteScheduleStorage,
    create_db_conn_string,
    event_logs_directory,
    runs_directory,
    schedule_directory,
)
from trading_assets.resources.history_folder import InHistoryFolder
from trading_assets.resources.switches import keep_switches

BUSY_TIMEOUT = 30.0
"""Seconds a statement waits for another process that writes: what Dagster's own storage of this version waits."""

OPEN_DATABASES = 4
"""Event logs that a process keeps open: that of all runs, and of the runs it looks at."""


class _OneEngine:
    """A storage with one engine, which opens the database for each transaction, as Dagster's storages do, and knows the
    statements that it compiled: Dagster makes a new one each time, twenty times a run."""

    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engine = create_engine(conn_string, poolclass=NullPool)
        super().__init__(conn_string, inst_data)  # type: ignore[call-arg]

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection in a transaction, closed at its end."""
        with self._engine.begin() as connection:
            yield connection


class CompactRunStorage(_OneEngine, CompactRuns, SqliteRunStorage):
    """The runs, opened without Dagster's migrations."""

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """The runs under `base_dir`."""
        if is_made(Path(base_dir) / "runs.db", "instance_info"):
            return cls(create_db_conn_string(base_dir, "runs"), inst_data)
        return super().from_local(base_dir, inst_data)


class CompactEventLogStorage(CompactEvents, SqliteEventLogStorage):
    """Keeps a few databases open, and nothing of a run that was deleted."""

    _obs: Any  # the base class says None of it, until there is an observer

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._revision: str | None = None
        super().__init__(base_dir, inst_data)

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event, in the log of its run and, where it is about an asset, in that of all runs."""
        super().store_event(event)
        with suppress(FileNotFoundError):  # the run may be deleted at this moment
            # what watchers wait for: while the log stays open, SQLite writes beside this file
            os.utime(self.path_for_shard(event.run_id))

    def delete_events(self, run_id: str) -> None:
        """Delete the events of a run, its checks among them, and the file of its log, which Dagster's own storage
        leaves behind."""
        with self.index_connection() as connection:
            self.delete_events_for_run(connection, run_id)
            connection.execute(AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id == run_id))
        self.free_concurrency_slots_for_run(run_id)
        self.forget_run_log(run_id)

    def run_log_files(self, run_id: str) -> list[Path]:
        """The files of the log of a run: the database, and what SQLite keeps beside it. Some may not be there."""
        return [Path(f"{self.path_for_shard(run_id)}{suffix}") for suffix in ("", "-wal", "-shm")]

    def forget_run_log(self, run_id: str) -> None:
        """Delete the log of a run. What all runs share stays: its materializations, and the results of its checks."""
        with self._db_lock:
            self._close(run_id)
        # The database first: SQLite deletes a write-ahead log whose database is new.
        for path in self.run_log_files(run_id):
            path.unlink(missing_ok=True)

    def wipe(self) -> None:
        """Delete all events."""
        with self._db_lock:
            self._close(*self._engines)
        super().wipe()

    def dispose(self) -> None:
        """Close the databases."""
        super().dispose()
        with self._db_lock:
            self._close(*self._engines)

    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Call back with each new event of a run, until `end_watch` or the end of the run: what keeps an open page of
        the UI up to date."""
        if not self._obs:
            self._obs = Observer()
            self._obs.start()
        watchdog = _RunLogWatchdog(self, run_id, callback, cursor)
        self._watchers[run_id][callback] = (watchdog, self._obs.schedule(watchdog, self._base_dir, recursive=True))

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        """A connection in a transaction. It stays open for the next caller: closing the last one makes SQLite write its
        log back."""
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            # one caller at a time, by the lock
            waits = {"timeout": BUSY_TIMEOUT, "check_same_thread": False}
            engine = create_engine(
                self.conn_string_for_shard(shard), poolclass=QueuePool, pool_size=1, connect_args=waits
            )
            if shard == INDEX_SHARD_NAME:
                if not is_made(Path(self.path_for_shard(shard)), "asset_keys"):
                    self._initdb(engine)
            else:
                self._make_run_log(engine)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        self._close(*list(self._engines)[:-OPEN_DATABASES])
        return self._engines[shard]

    def _make_run_log(self, engine: Engine) -> None:
        """The one table that the log of a run needs; Dagster's own storage makes all eleven, 70 KB, in the log of each
        run."""
        if self._revision is None:
            with self._engine(INDEX_SHARD_NAME).connect() as of_all_runs:
                self._revision = str(of_all_runs.execute(text("select version_num from alembic_version")).scalar_one())
        with engine.begin() as connection:
            connection.execute(CreateTable(SqlEventLogStorageTable, if_not_exists=True))
            for index in sorted(SqlEventLogStorageTable.indexes, key=lambda index: str(index.name)):
                connection.execute(CreateIndex(index, if_not_exists=True))
            connection.execute(
                text("create table if not exists alembic_version (version_num varchar(32) not null primary key)")
            )
            connection.execute(
                text("insert or ignore into alembic_version values (:revision)"), {"revision": self._revision}
            )
        _switch_to_wal(engine)

    def _close(self, *shards: str) -> None:
        for shard in list(shards):
            if (engine := self._engines.pop(shard, None)) is not None:
                engine.dispose()


def _switch_to_wal(engine: Engine) -> None:
    """Let readers and a writer of the database work at once; while another process does the same, SQLite refuses it and
    does not wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(text("pragma journal_mode=wal"))
            return
        except OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class _RunLogWatchdog(SqliteEventLogStorageWatchdog):
    """Reads the log of a run when its file was touched. Dagster's own takes the file's name for a pattern, and a data
    folder may be named `a[1]`."""

    def dispatch(self, event: FileSystemEvent) -> None:
        """Called by the observer with every change in the folder of the logs."""
        if event.event_type == EVENT_TYPE_MODIFIED and os.fsdecode(event.src_path) == self._log_path:
            self._process_log()


class CompactScheduleStorage(_OneEngine, SqliteScheduleStorage):
    """Dagster's own, opened without its migrations."""

    @classmethod
    def from_local(cls, base_dir: str, inst_data: ConfigurableClassData | None = None) -> Self:
        """The schedules under `base_dir`."""
        file = Path(base_dir) / "schedules.db"
        if is_made(file, "job_ticks"):
            storage = cls(create_db_conn_string(base_dir, "schedules"), inst_data)
            keep_switches(storage, file)
            return storage
        return cast(Self, super().from_local(base_dir, inst_data))


class CompactSqliteStorage(InHistoryFolder, DagsterSqliteStorage):
    """Runs, events and schedules under `base_dir`, in the same files as Dagster's own SQLite storage."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Dagster's own constructor would open each database first with its own classes: a tenth of a second in every
        # process.
        self.base_dir = base_dir
        self._run_storage = CompactRunStorage.from_local(runs_directory(base_dir))
        self._event_log_storage = CompactEventLogStorage(event_logs_directory(base_dir))
        self._schedule_storage = CompactScheduleStorage.from_local(schedule_directory(base_dir))
        self._inst_data = inst_data
        super(DagsterSqliteStorage, self).__init__()


def is_made(database: Path, table: str) -> bool:
    """Whether Dagster has made the database: it is stamped with a revision and has that table.

    Dagster asks this of a database too, and reads its sixty migrations to do so: a twentieth of a second in every
    process.
    """
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT)) as connection:
            tables = {
                str(name) for (name,) in connection.execute("select name from sqlite_master where type = 'table'")
            }
            if not {"alembic_version", table} <= tables:
                return False
            return connection.execute("select count(*) from alembic_version").fetchone() != (0,)
    except sqlite3.Error:
        return False  # Dagster's own opening says what is wrong
