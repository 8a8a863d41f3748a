"""How long a PostgreSQL server and its clients wait for each other, so that a machine that loses power, its network or
is suspended does not stop the others.

Without these settings a server learns of a dead client from TCP alone, after two hours by default, and keeps until
then what its transaction has locked.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

IDLE_SECONDS = 30.0
"""Seconds that a write transaction may be idle before the server ends it: its process was stopped, or its machine is
gone. Less than `daemon_duty.TAKEN_OVER_AFTER` and `owners.OWNER_TIMEOUT`, so that processes whose heartbeat waits for
such a transaction are not taken for dead."""

WRITE_LOCK_SECONDS = 60.0
"""Seconds a writer waits for another one's transaction; as long as with SQLite (`engine.BUSY_TIMEOUT`)."""

_KEEPALIVE = {"idle": 10, "interval": 5, "count": 3}
"""When one side is silent for `idle` seconds the other asks, every `interval` seconds, `count` times."""

_CLIENT = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,  # milliseconds that sent data may stay unacknowledged
    "keepalives": 1,
    **{f"keepalives_{name}": value for name, value in _KEEPALIVE.items()},
}

KEEPALIVES_OF_SERVER = {f"tcp_keepalives_{name}": value for name, value in _KEEPALIVE.items()}
"""Settings of a session with which the server asks a silent client."""


def client_arguments(url: sa.URL) -> dict[str, Any]:
    """What libpq is given beside a URL; what the URL says itself is left as it is. Empty for another database or
    driver."""
    if url.get_backend_name() != "postgresql" or url.get_driver_name() not in ("psycopg2", "psycopg"):
        return {}
    return {name: value for name, value in _CLIENT.items() if name not in url.query}


def keep_alive(engine: sa.Engine) -> None:
    """See that the server asks the clients of an engine whether they are there."""
    if engine.dialect.name == "postgresql":
        sa.event.listen(engine, "connect", _ask_client)


def _ask_client(connection: Any, _record: Any) -> None:
    # not in libpq's `options`, which poolers refuse
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET {name} = {value}" for name, value in KEEPALIVES_OF_SERVER.items()))
    connection.commit()


def lock_writes(connection: sa.Connection, key: int) -> None:
    """Take the advisory lock of that key until the transaction ends, and let the server end a transaction that is idle
    for `IDLE_SECONDS`. Raises `sqlalchemy.exc.OperationalError` after `WRITE_LOCK_SECONDS`."""
    limits = {"lock_timeout": WRITE_LOCK_SECONDS, "idle_in_transaction_session_timeout": IDLE_SECONDS}
    local = [sa.func.set_config(name, f"{round(seconds * 1000)}ms", True) for name, seconds in limits.items()]
    # one statement, in this order: it is in front of every write
    connection.execute(sa.select(*local, sa.func.pg_advisory_xact_lock(key)))


def may_be_idle(connection: sa.Connection) -> None:
    """Let a write transaction be idle for as long as it likes: it reads something else meanwhile."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
