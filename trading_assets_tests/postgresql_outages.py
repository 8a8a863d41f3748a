"""A PostgreSQL database that nobody reaches for a while, as when its server is started again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


@contextmanager
def outage(url: str) -> Iterator[None]:
    """End every connection to the database and refuse new ones, until the block ends."""
    parsed = sa.make_url(url)
    engine = sa.create_engine(parsed.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as server:
            server.exec_driver_sql(f"ALTER DATABASE {parsed.database} WITH ALLOW_CONNECTIONS false")
            interrupt(server, parsed.database)
        yield
    finally:
        with engine.connect() as server:
            server.exec_driver_sql(f"ALTER DATABASE {parsed.database} WITH ALLOW_CONNECTIONS true")
        engine.dispose()


def interrupt(server: sa.Connection, database: str | None) -> None:
    """End every connection to a database, over a connection to another one of its server."""
    mine = sa.text("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = :database")
    server.execute(mine, {"database": database})
