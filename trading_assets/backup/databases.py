"""Copies of databases: a SQLite file by SQLite's own backup, a state database on a server table by table.

A snapshot always holds the state database as a SQLite file; it can be restored into a file or onto a server.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from trading_assets.errors import BackupError
from trading_assets.permissions import PRIVATE_FILE
from trading_assets.state.engine import BUSY_TIMEOUT, engine_of, metadata, write_transaction
from trading_assets.state.pin import lake, largest_id, place
from trading_assets.state.server import client_arguments, may_be_idle
from trading_assets.state.tables import client_ids, owners, pacing_queue, pacing_slots, requests

_BATCH = 1_000
"""Rows that are moved at once."""

_OF_PROCESSES = (owners, client_ids, pacing_slots, pacing_queue)
"""Tables of the processes that work on the source: nobody of them works on the copy."""

_HEADER = b"SQLite format 3\0"


def is_sqlite(path: Path) -> bool:
    """Whether the file is a SQLite database."""
    with path.open("rb") as file:
        return file.read(len(_HEADER)) == _HEADER


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database as it is at one moment, while others write to it. Raises `sqlite3.Error`."""
    target.touch(PRIVATE_FILE)
    with closing(read_only(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("pragma journal_mode=delete")


def read_only(file: Path, *, untouched: bool = False) -> sqlite3.Connection:
    """A connection that cannot write; with `untouched` it makes no file either."""
    how = "mode=ro"
    if untouched and not file.with_name(f"{file.name}-wal").exists():
        how = "mode=ro&immutable=1"  # nobody has it open; a plain reader would make two files beside it
    return sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_TIMEOUT)


def damage_of(file: Path) -> str:
    """Why the file is no whole SQLite database; empty when it is."""
    try:
        with closing(read_only(file, untouched=True)) as database:
            (said,) = database.execute("pragma quick_check(1)").fetchone()
            return "" if said == "ok" else str(said)
    except sqlite3.DatabaseError as error:
        return str(error)


@contextmanager
def reading(url: str, *, untouched: bool = False) -> Iterator[sa.Connection]:
    """A connection that only reads a state database, all of it as it is at one moment. Makes no database where there is
    none; with `untouched` no file at all. Raises `sa.exc.SQLAlchemyError`."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(str(parsed.database))
        engine = sa.create_engine(
            "sqlite://", creator=lambda: read_only(file, untouched=untouched), poolclass=sa.NullPool
        )
    else:
        engine = sa.create_engine(
            parsed, isolation_level="REPEATABLE READ", poolclass=sa.NullPool, connect_args=client_arguments(parsed)
        )
    try:
        with engine.connect() as connection, connection.begin():
            if parsed.get_backend_name() == "sqlite":
                connection.exec_driver_sql("begin")
            yield connection
    finally:
        engine.dispose()


@contextmanager
def writing(file: Path) -> Iterator[sa.Connection]:
    """A transaction on a copy of a state database that nobody else has open."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(file)), poolclass=sa.NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def copy_state(url: str, target: Path) -> None:
    """Copy the state database, on a server or in a file, into a SQLite file. Raises `sa.exc.SQLAlchemyError`,
    `sqlite3.Error`."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        copy_sqlite(Path(str(parsed.database)), target)
    else:
        register_tables()
        target.touch(PRIVATE_FILE)
        with reading(url) as source, writing(target) as copy:
            metadata.create_all(copy)
            _move(source, copy)


def forget_processes(file: Path) -> None:
    """Take the processes of the source out of a copy: what they had begun is free there."""
    with writing(file) as copy:
        present = set(sa.inspect(copy).get_table_names())
        for table in _OF_PROCESSES:
            if table.name in present:
                copy.execute(table.delete())


def complete_journal(url: str, file: Path) -> None:
    """Take over into a copy the requests that ended after it was made: rows of the lake copied since may name them.

    New requests of the copy get ids above all of them. Raises `sa.exc.SQLAlchemyError`.
    """
    with reading(url) as source, writing(file) as copy:
        columns = _shared(source, copy, requests)
        known = {row.id: row.state for row in copy.execute(sa.select(requests.c.id, requests.c.state))}
        found = source.execute(sa.select(*columns).where(requests.c.state == "done")).mappings()
        for row in (dict(row) for row in found if known.get(row["id"]) != "done"):
            if row["id"] in known:
                copy.execute(requests.update().where(requests.c.id == row["id"]).values(**row))
            else:
                copy.execute(requests.insert().values(**row))
        copy.execute(lake.update().values(ids_above=largest_id(source)))


def load_state(file: Path, url: str) -> None:
    """Put a copy of a state database, as a SQLite file, into the database of the URL, in one transaction.

    A database that holds the same already is left as it is: an earlier restore came so far. Raises `BackupError` for
    one that holds something else.
    """
    register_tables()
    engine = engine_of(url, os.getpid())  # makes a file's folder, and the file its owner's alone
    with write_transaction(engine) as target, reading(f"sqlite:///{file}") as copy:
        may_be_idle(target)  # the rows of a whole table are read in between
        metadata.create_all(target)
        if _same(copy, target):
            return
        if any(
            target.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
            for table in metadata.sorted_tables
        ):
            raise BackupError(
                f"The database {place(engine)} holds a state already, and nothing of it is replaced: name an empty"
                " database in TRADING_ASSETS_DATABASE_URL."
            )
        _move(copy, target)
        if target.dialect.name == "postgresql":
            _count_on(target)


def register_tables() -> None:
    """See that `metadata` knows every table of the state database: each is defined in the module that uses it."""
    from trading_assets import contract_changes, universe  # noqa: F401
    from trading_assets.broker import contact, unit_decisions  # noqa: F401
    from trading_assets.monitoring import run_claims  # noqa: F401
    from trading_assets.monitoring.alerts import alert_tables  # noqa: F401
    from trading_assets.validation import findings, reviews  # noqa: F401


def _move(source: sa.Connection, target: sa.Connection) -> None:
    """Copy the rows of all tables that the source has."""
    present = set(sa.inspect(source).get_table_names())
    for table in metadata.sorted_tables:
        if table.name not in present:
            continue
        chosen = sa.select(*_shared(source, target, table))
        rows = source.execute(chosen.execution_options(yield_per=_BATCH)).mappings()
        for batch in rows.partitions(_BATCH):
            target.execute(table.insert(), [dict(row) for row in batch])


def _count_on(target: sa.Connection) -> None:
    """Let the server number new rows above those that came with their numbers."""
    for table in metadata.sorted_tables:
        counter = table.autoincrement_column
        if counter is not None:
            sequence = sa.func.pg_get_serial_sequence(table.name, counter.name)
            last = sa.select(sa.func.max(counter)).scalar_subquery()
            target.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(last, 1), last.is_not(None))))


def _shared(source: sa.Connection, target: sa.Connection, table: sa.Table) -> list[sa.Column[object]]:
    """The columns of a table that both have: an older version had fewer."""
    names = {column["name"] for column in sa.inspect(source).get_columns(table.name)}
    names &= {column["name"] for column in sa.inspect(target).get_columns(table.name)}
    return [column for column in table.columns if column.name in names]


def _same(source: sa.Connection, target: sa.Connection) -> bool:
    """Whether both hold the same rows in every table that the source has."""
    present = set(sa.inspect(source).get_table_names())
    for table in metadata.sorted_tables:
        columns = _shared(source, target, table) if table.name in present else list(table.columns)
        wanted = sa.select(*columns).order_by(*table.primary_key.columns)
        mine = source.execute(wanted).all() if table.name in present else []
        if list(mine) != list(target.execute(wanted).all()):
            return False
    return True
