"""Limited text of an earlier version's PostgreSQL database: it loses its limit, or keeps it and stops nobody."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import sqlalchemy as sa

from trading_assets.monitoring.run_claims import claim, run_claims_table
from trading_assets.state import connect_state, widening
from trading_assets.state.engine import ensure_tables, write_transaction

Hindrance = Callable[[sa.Engine], AbstractContextManager[object]]


def a_view(engine: sa.Engine) -> AbstractContextManager[object]:
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE VIEW asked AS SELECT key FROM asked_runs")
    return nullcontext()


def a_reader(engine: sa.Engine) -> AbstractContextManager[object]:
    reader = engine.connect()
    reader.execute(sa.select(run_claims_table)).all()
    return reader


def earlier(url: str) -> sa.Engine:
    """An engine of its own to the database, in which one column is limited."""
    connect_state(url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE asked_runs ALTER COLUMN key TYPE VARCHAR(8)")
    return engine


def is_limited(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        (column,) = [one for one in sa.inspect(connection).get_columns("asked_runs") if one["name"] == "key"]
    return column["type"].length is not None


def test_a_limit_goes_with_the_first_use(postgresql: str) -> None:
    engine = earlier(postgresql)
    ensure_tables(engine)
    assert not is_limited(engine) and claim(postgresql, "a key of more than eight characters")
    engine.dispose()


@pytest.mark.parametrize("hinders", [a_view, a_reader])
def test_what_hinders_it_is_named_and_stops_nobody(
    hinders: Hindrance, postgresql: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widening, "WAIT_SECONDS", 0.1)
    engine = earlier(postgresql)
    with hinders(engine):
        ensure_tables(engine)
        assert "ALTER TABLE asked_runs ALTER COLUMN key TYPE TEXT" in caplog.text
        assert is_limited(engine) and claim(postgresql, "a key")
    engine.dispose()


def test_the_role_of_a_process_need_not_own_the_tables(postgresql: str, caplog: pytest.LogCaptureFixture) -> None:
    engine = earlier(postgresql)
    role = f"reader_of_{sa.make_url(postgresql).database}"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        connection.exec_driver_sql(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    others = sa.create_engine(sa.make_url(postgresql).set(username=role))
    try:
        ensure_tables(others)
        assert "must be owner of table asked_runs" in caplog.text
        with write_transaction(others) as connection:
            connection.execute(run_claims_table.insert().values(key="a key", at=0.0))
    finally:
        others.dispose()
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}")
            connection.exec_driver_sql(f"DROP ROLE {role}")
        engine.dispose()
