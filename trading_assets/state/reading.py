"""The state database for those who only read: nothing is created or changed, and no file is left behind.

    with read_state(url) as connection: ...

A SQLite file that is not there, or lacks tables or columns of this version, is read as if it had them, without rows or
values: views of the connection stand for them, so that a journal of gigabytes is not copied. In a folder that this
user may not write, a file that nobody has open is read as it stands. A server's database is used as it is: there is
no file to spare.

Whoever writes opens the database with `connect_state`, which creates and pins it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from trading_assets.folders import StateUrl
from trading_assets.state.engine import (
    BUSY_TIMEOUT,
    engine_of,
    ensure_tables,
    measure_clock,
    metadata,
    read_transaction,
    refuse_network,
)
from trading_assets.state.pin import check_lake


def reading_engine(url: str) -> sa.Engine:
    """An engine that reads the state database and cannot write. Raises as `state.pin` where it belongs to another lake
    than the one in the folder of the URL."""
    engine = _engine(url)
    if isinstance(url, StateUrl):
        with read_transaction(engine) as connection:
            check_lake(engine, url.data_dir, connection)
    return engine


def _engine(url: str) -> sa.Engine:
    if sa.make_url(url).get_backend_name() == "sqlite":
        return _file_engine(str(url))
    engine = engine_of(url, os.getpid())
    ensure_tables(engine)
    measure_clock(engine)
    return engine


@contextmanager
def read_state(url: str) -> Iterator[sa.Connection]:
    """A transaction that only reads. Raises as `reading_engine`."""
    engine = _engine(url)
    with read_transaction(engine) as connection:  # to open the file twice would cost as much as to read it
        if isinstance(url, StateUrl):
            check_lake(engine, url.data_dir, connection)
        yield connection


@lru_cache(maxsize=16)
def _file_engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    file = Path(parsed.database or "").absolute()
    refuse_network(file)  # a reader takes part in the locking
    # Without a pool the last connection closes the database, and SQLite takes its two files beside it away.
    engine = sa.create_engine(parsed, creator=lambda: _connection(file), poolclass=sa.NullPool)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _connection(file: Path) -> sqlite3.Connection:
    if not file.is_file():
        connection = _memory()
        connection.deserialize(_empty(len(metadata.tables)))
    else:
        connection = sqlite3.connect(
            f"{file.as_uri()}?{_mode(file)}", uri=True, timeout=BUSY_TIMEOUT, check_same_thread=False
        )
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        seen = file.stat().st_ino, version, len(metadata.tables)
        if seen not in _complete and _stand_in(connection):
            _complete.add(seen)
    connection.isolation_level = None
    connection.execute("PRAGMA query_only=ON")
    return connection


_complete: set[tuple[int, int, int]] = set()
"""Inode and schema version of databases that have all tables (that many)."""


def _mode(file: Path) -> str:
    """How SQLite may open the file. A reader of a database in WAL mode takes part in its locking, for which it needs
    the two files beside it: they are there while somebody has the database open, else they are made and removed."""
    if os.access(file, os.W_OK) and os.access(file.parent, os.W_OK):
        return "mode=rw"
    in_use = file.with_name(f"{file.name}-wal").exists()
    return "mode=ro" if in_use else "mode=ro&immutable=1"


def _memory() -> sqlite3.Connection:
    return sqlite3.connect(":memory:", check_same_thread=False)


@cache
def _empty(_tables: int) -> bytes:
    """A database with all tables that are known by now, and no row."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    metadata.create_all(engine)
    with engine.connect() as connection:
        held = connection.connection.dbapi_connection
        assert isinstance(held, sqlite3.Connection)
        found = held.serialize()
    engine.dispose()
    return found


def _stand_in(connection: sqlite3.Connection) -> bool:
    """Make a view of the connection for each table that the database lacks, or of which it lacks columns; whether there
    was none. A view of that name comes before the table, and SQLite uses the table's indices."""
    rows = connection.execute(
        "select t.name, c.name from sqlite_master t, pragma_table_info(t.name) c where t.type = 'table'"
    )
    stored: dict[str, set[str]] = {}
    for table, column in rows:
        stored.setdefault(table, set()).add(column)
    lacking = [
        table
        for name, table in metadata.tables.items()
        if not {c.name for c in table.columns} <= stored.get(name, set())
    ]
    if lacking:
        connection.execute("PRAGMA temp_store=MEMORY")
    for table in lacking:
        there = stored.get(table.name, set())
        columns = [
            f'"{column.name}"' if column.name in there else f'{_default(column)} AS "{column.name}"'
            for column in table.columns
        ]
        source = f'FROM main."{table.name}"' if there else "WHERE false"
        connection.execute(f'CREATE TEMP VIEW "{table.name}" AS SELECT {", ".join(columns)} {source}')
    return not lacking


def _default(column: sa.Column[Any]) -> str:
    """What `engine.ensure_tables` would give the rows that are there, as SQL."""
    given = column.server_default
    if not isinstance(given, sa.DefaultClause):
        return "NULL"
    literal = sa.literal(given.arg) if isinstance(given.arg, str) else given.arg
    return str(literal.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
