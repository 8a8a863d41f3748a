"""Dagster's history on a PostgreSQL server (`dagster_database_url`): where its tables are, whose lake it belongs to.

The tables are in a schema of their own, so that the database of the state may hold them too, and one `pg_dump` has
both. A row beside them names the lake: two lakes in one history would show each other's partitions as materialized, and
their schedules, which have the same names, would run once for both.

Knows nothing of Dagster: `status` reads through this module as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from trading_assets.errors import HistoryUnavailable, StateMismatch
from trading_assets.resources.database_errors import database_errors
from trading_assets.settings import Settings
from trading_assets.state import connect_state, read_state, read_transaction
from trading_assets.state.pin import pinned_lake
from trading_assets.state.server import KEEPALIVES_OF_SERVER, client_arguments

SCHEMA = "dagster"
"""PostgreSQL schema of Dagster's tables and of the row that names the lake."""

_MAKING = 0x7A55E8
"""Key of the PostgreSQL advisory lock held while the tables are made: Dagster's own making of them is not safe among
processes."""

_RECYCLE = 1800
"""Seconds after which an idle connection is opened anew: firewalls forget connections after an hour."""

_ours = sa.MetaData(schema=SCHEMA)

_lake = sa.Table(
    "trading_assets_lake",
    _ours,
    sa.Column("one", sa.Integer, primary_key=True, doc="Always 1: there is one row"),
    sa.Column("lake_id", sa.Text, nullable=False),
)

output = sa.Table(
    "trading_assets_run_output",
    _ours,
    sa.Column("log_key", sa.Text, primary_key=True, doc="Dagster's key of a step's output, joined by /: the run first"),
    sa.Column("stream", sa.Text, primary_key=True, doc="`stdout`, `stderr`; `end` when it is complete"),
    sa.Column("begins", sa.BigInteger, primary_key=True, autoincrement=False, doc="Bytes of the stream before these"),
    sa.Column("content", sa.LargeBinary, nullable=False),
)

_TABLES = (
    *("runs", "instance_info", "event_logs", "asset_keys", "instigators", "job_ticks", "alembic_version"),
    *(_lake.name, output.name),
)
"""Tables that are looked for: of each of Dagster's three storages, its revision, and ours."""


def dagster_url(url: str) -> str:
    """The URL with which connections find the tables in their schema, take instants as UTC, and learn that the other
    side is gone (`state.server`). It carries the password."""
    parsed = sa.make_url(url)
    given = parsed.query.get("options", "")
    silent = " ".join(f"-c{name}={value}" for name, value in KEEPALIVES_OF_SERVER.items())  # given ones come later
    ours = f"-csearch_path={SCHEMA} -ctimezone=UTC"  # instants are written into columns without a zone
    options = " ".join(filter(None, (silent, given if isinstance(given, str) else " ".join(given), ours)))
    limits = {name: str(value) for name, value in client_arguments(parsed).items()}
    return parsed.update_query_dict({**limits, "options": options}).render_as_string(hide_password=False)


def place(url: str) -> str:
    """The database as it is named to users and in files: without user, password and options."""
    parsed = sa.make_url(url)
    named = sa.URL.create(parsed.drivername, host=parsed.host, port=parsed.port, database=parsed.database)
    return named.render_as_string()


def history_engine(url: str) -> sa.Engine:
    """The engine of a history's database, each statement a transaction of its own. One a process: it keeps one
    connection open, where Dagster opens one for each statement."""
    return _engine(url, os.getpid())


@lru_cache(maxsize=16)
def _engine(url: str, pid: int) -> sa.Engine:
    engine = sa.create_engine(
        dagster_url(url),
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=-1,  # threads of a daemon do not wait for each other
        pool_pre_ping=True,
        pool_recycle=_RECYCLE,
    )

    @sa.event.listens_for(engine, "checkout")
    def _checkout(_connection: Any, record: Any, proxy: Any) -> None:
        if os.getpid() != pid:  # forked: the connection is the parent's
            record.dbapi_connection = proxy.dbapi_connection = None
            raise sa.exc.DisconnectionError("opened by another process")

    return engine


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """A connection to the history's database. Every error of the database within it becomes `HistoryUnavailable`."""
    with answering(url), history_engine(url).connect() as connection:
        yield connection


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Every error of the history's database within it becomes `HistoryUnavailable`."""
    try:
        yield
    except database_errors() as error:
        cause = error.__cause__ if isinstance(error.__cause__, sa.exc.SQLAlchemyError) else error  # of Dagster's own
        raise HistoryUnavailable(
            f"Dagster's history in {place(url)} cannot be used ({_first_line(cause)}). See that the server runs and"
            " that TRADING_ASSETS_DAGSTER_DATABASE_URL is right. The lake is not concerned."
        ) from error


def is_made(connection: sa.Connection) -> bool:
    """Whether the database holds Dagster's tables."""
    names = [sa.cast(sa.func.to_regclass(f"{SCHEMA}.{name}"), sa.Text) for name in _TABLES]
    return None not in connection.execute(sa.select(*names)).one()


@contextmanager
def opening(settings: Settings, url: str) -> Iterator[bool]:
    """See that the database belongs to the lake of the settings, or make it; whether its tables are there. Where they
    are not, nobody else makes them within it.

    Raises `StateMismatch` for the database of another lake, `HistoryUnavailable`, and what opening the state database
    raises.
    """
    with read_transaction(connect_state(settings.state_url)) as state:
        lake_id = pinned_lake(state)
    with connected(url) as connection:
        if is_made(connection):
            _settle(connection, lake_id, settings, url)
            yield True
            return
        connection.execute(sa.select(sa.func.pg_advisory_lock(_MAKING)))
        try:
            if connection.execute(sa.text(f"select to_regnamespace('{SCHEMA}')::text")).scalar_one() is None:
                connection.execute(sa.schema.CreateSchema(SCHEMA))
            _ours.create_all(connection)
            _settle(connection, lake_id, settings, url)
            yield is_made(connection)
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_MAKING)))


def bytes_of(connection: sa.Connection) -> int:
    """Bytes of the history's tables and indices. Those of deleted rows count until the server's own clean-up."""
    of_schema = "relkind = 'r' and relnamespace = cast(:name as regnamespace)"
    query = sa.text(f"select coalesce(sum(pg_total_relation_size(oid)), 0)::bigint from pg_class where {of_schema}")
    return int(connection.execute(query, {"name": SCHEMA}).scalar_one())


@contextmanager
def reading(settings: Settings, url: str) -> Iterator[sa.Connection | None]:
    """A connection that reads the history; None where it is not made yet. Nothing is made or pinned. Raises
    `HistoryUnavailable`, `StateMismatch`, and what reading the state database raises."""
    with read_state(settings.state_url) as state:
        lake_id = pinned_lake(state)
    with connected(url) as connection:
        made = is_made(connection)
        if made and lake_id:
            _refuse_another(_held(connection), lake_id, settings, url)
        yield connection if made else None


def _settle(connection: sa.Connection, lake_id: str, settings: Settings, url: str) -> None:
    """Pin the database to the lake where it is of none yet; refuse that of another one."""
    held = _held(connection)
    if held is None and lake_id:
        pin = f"insert into {SCHEMA}.{_lake.name} values (1, :lake_id) on conflict do nothing"
        connection.execute(sa.text(pin), {"lake_id": lake_id})
        held = _held(connection)  # another lake may have been quicker
    _refuse_another(held, lake_id, settings, url)


def _refuse_another(held: str | None, lake_id: str, settings: Settings, url: str) -> None:
    if held is not None and held != lake_id:
        raise StateMismatch(
            f"Dagster's history in {place(url)} belongs to lake {held[:8]}, and {settings.data_dir} holds lake"
            f" {lake_id[:8] or 'without an id'}: one history serves one lake. Set TRADING_ASSETS_DAGSTER_DATABASE_URL"
            " to a database of this lake's own, or TRADING_ASSETS_DATA_DIR to the folder of that lake."
        )


def _held(connection: sa.Connection) -> str | None:
    return connection.execute(sa.select(_lake.c.lake_id)).scalar_one_or_none()


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
