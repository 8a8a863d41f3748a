"""Engines of the state database: one a process and URL, write transactions that exclude each other, tables created on
first use.

SQLite in WAL mode by default; a PostgreSQL URL when several machines work. This module is the only place where the two
differ.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.dialects import registry

from trading_assets import database_clock
from trading_assets.errors import NetworkFolder
from trading_assets.mounts import network_mount
from trading_assets.permissions import own_file, private_folder, restrict_files
from trading_assets.state.server import client_arguments, keep_alive, lock_writes
from trading_assets.state.widening import widen

metadata = sa.MetaData()
"""Every table of the state database registers here."""

BUSY_TIMEOUT = 60.0
"""Seconds a writer waits for another process's transaction. All transactions are short (milliseconds); a minute covers
a stalled disk."""

_WRITE_LOCK = 0x7A55E7
"""Key of the PostgreSQL advisory lock that plays the part of SQLite's BEGIN IMMEDIATE: one writer at a time."""

_WRITES = "trading_assets_writes"
_DURABLE = "trading_assets_durable"


def ensure_tables(engine: sa.Engine) -> None:
    """Create the tables and columns of `metadata` that the database lacks. Idempotent and safe against other processes
    doing the same."""
    known, tables = _created.setdefault(engine, set()), dict(metadata.tables)
    if known >= tables.keys():
        return
    with write_transaction(engine) as connection:
        stored = _add_missing_columns(connection)
        for statement in _creating(engine.dialect.name, frozenset(tables.keys() - stored.keys())):
            connection.exec_driver_sql(statement)
        if engine.dialect.name == "postgresql":
            widen(connection, [tables[name] for name in stored], stored)  # last: it waits for readers, not for long
    known.update(tables)


@lru_cache(maxsize=16)
def _creating(backend: str, names: frozenset[str]) -> list[str]:
    """The statements that create these tables and their indices, made once a process for all SQLite files."""
    dialect = registry.load(backend)()
    missing = [table for table in metadata.sorted_tables if table.name in names]
    made: list[sa.ClauseElement] = [sa.schema.CreateTable(table) for table in missing]
    made += [sa.schema.CreateIndex(index) for table in missing for index in table.indexes]
    return [str(one.compile(dialect=dialect)) for one in made]


def _add_missing_columns(connection: sa.Connection) -> dict[str, dict[str, sa.types.TypeEngine[Any]]]:
    """Give the tables that an older version created the columns that were added since; each is nullable or has a server
    default. The types of the columns that were there, by table and column.

    The caller's transaction excludes other processes: whoever comes second finds the columns.
    """
    types: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {}
    stored = sa.inspect(connection).get_multi_columns(filter_names=list(metadata.tables))
    quote = connection.dialect.identifier_preparer.format_table
    for (_schema, name), columns in stored.items():
        have = {column["name"]: column["type"] for column in columns}
        for column in metadata.tables[name].columns:
            if column.name not in have:
                definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {quote(metadata.tables[name])} ADD COLUMN {definition}")
        types[name] = have
    return types


_created: WeakKeyDictionary[sa.Engine, set[str]] = WeakKeyDictionary()
"""The tables of each database that are known to be there; forgotten with the engine."""


_servers: WeakKeyDictionary[sa.Engine, str] = WeakKeyDictionary()
"""The URL of each engine of a database server, as the settings have it."""


@lru_cache(maxsize=16)
def engine_of(url: str, pid: int) -> sa.Engine:
    """`pid` keys the cache so that a forked child does not share its parent's connections."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        server = sa.create_engine(parsed, pool_pre_ping=True, connect_args=client_arguments(parsed))
        keep_alive(server)
        _servers[server] = str(url)
        return server
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError("The state database must be a file or a server: processes share it.")
    file = Path(parsed.database).absolute()
    refuse_network(file)
    _own(file)
    engine = sa.create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def refuse_network(file: Path) -> None:
    """Raise `NetworkFolder` for a SQLite file that several machines could open: in WAL mode it needs memory that only
    processes of one kernel share (source: sqlite.org/wal.html, "does not work over a network filesystem")."""
    if (mount := network_mount(file.parent)) is not None:
        raise NetworkFolder(
            f"The state database {file} is in a network folder ({mount.kind}, mounted at {mount.point}). SQLite's locks"
            " do not hold there: two machines would send the same requests and damage the journal. Set"
            " TRADING_ASSETS_DATABASE_URL to a PostgreSQL database, or move the data folder to a local disk and set"
            " TRADING_ASSETS_DATA_DIR to it."
        )


def _own(file: Path) -> None:
    """The database file, there and its owner's alone; SQLite makes the two files beside it with the same
    permissions."""
    private_folder(file.parent)
    own_file(file)
    restrict_files(file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm"))


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: the driver's implicit one is never IMMEDIATE
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except (
            sqlite3.OperationalError
        ) as error:  # another process switches to WAL this very moment; SQLite does not wait here by itself
            # the low byte is the primary code
            busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            # a folder without write permission does not get better by waiting
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA synchronous=FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    # FULL: a committed answer survives a power cut (one fsync a commit, 0.3 ms measured; commits are batched).
    # Pacing and heartbeats need not: NORMAL spares the disk, and still survives kill -9 of any process.
    connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get(_DURABLE, True) else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES) else "BEGIN")


@contextmanager
def write_transaction(engine: sa.Engine, *, durable: bool = True) -> Iterator[sa.Connection]:
    """A transaction that excludes every other writer from its first statement on; commits at the end, rolls back on an
    error. A server ends one that is idle (`state.server.IDLE_SECONDS`), so that a process that was stopped in it does
    not hold up the others."""
    with engine.connect().execution_options(**{_WRITES: True, _DURABLE: durable}) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            lock_writes(connection, _WRITE_LOCK)
            if not durable:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        yield connection


@contextmanager
def read_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that only reads: it waits for nobody."""
    with engine.connect() as connection, connection.begin():
        yield connection


def database_now(connection: sa.Connection) -> float:
    """Epoch seconds by the clock all processes share: the machine's with SQLite, the server's with PostgreSQL."""
    if connection.dialect.name != "postgresql":
        return time.time()
    asked = sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))
    before = time.time()
    now = float(connection.execute(asked).scalar_one())
    after = time.time()
    if (url := _servers.get(connection.engine)) is not None:
        database_clock.note(url, now - (before + after) / 2, (after - before) / 2)
    return now


def clock_ahead(engine: sa.Engine) -> float:
    """Seconds to add to `time.time()` for the clock that all processes share; none with SQLite."""
    if engine.dialect.name != "postgresql":
        return 0.0
    with read_transaction(engine) as connection:
        return database_now(connection) - time.time()


def measure_clock(engine: sa.Engine) -> None:
    """See that the clock of a server was measured once in this process: `Settings.clock` goes by it."""
    if (url := _servers.get(engine)) is not None and not database_clock.measured(url):
        clock_ahead(engine)
