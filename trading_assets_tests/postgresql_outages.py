"""A PostgreSQL database that nobody reaches for a while, as when its server is started again, and commits whose answer
is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

GONE = sa.exc.OperationalError("commit", {}, Exception("server closed the connection unexpectedly"))
"""What the client sees of a server in an outage."""


def lose_next_answer(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[Exception]:
    """The next write transaction that the module begins is committed, and its answer lost. Empty once that happened."""
    begin, losses = module.write_transaction, [GONE]

    @contextmanager
    def committed_without_an_answer(*given: Any, **named: Any) -> Iterator[sa.Connection]:
        with begin(*given, **named) as connection:
            yield connection
        if losses:
            raise losses.pop()

    monkeypatch.setattr(module, "write_transaction", committed_without_an_answer)
    return losses


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
