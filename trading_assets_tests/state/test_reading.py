"""A state database that lacks what this version has is read as if it had it, by its indices, and stays as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.broker.journal import Journal
from trading_assets.broker.requests import ContractDetailsRequest
from trading_assets.instrument import Instrument
from trading_assets.state import read_state
from trading_assets.state.tables import client_ids, requests


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A journal with a request, of a version without the size of answers and without client ids."""
    file = tmp_path / "state.db"
    journal = Journal(f"sqlite:///{file}")
    journal.claim([ContractDetailsRequest(Instrument("AAPL"), date(2024, 6, 3))], datetime.now(UTC))
    journal.close()
    journal.engine.dispose()
    with closing(sqlite3.connect(file)) as database:
        database.execute("alter table requests drop column answer_bytes")
        database.execute("drop table client_ids")
        database.execute("pragma wal_checkpoint(truncate)")
    return file


def test_what_an_older_database_lacks_is_empty_and_the_file_stays(older: Path) -> None:
    before = older.read_bytes()
    with read_state(f"sqlite:///{older}") as connection:
        (row,) = connection.execute(sa.select(requests)).all()
        assert (row.symbol, row.answer_bytes) == ("AAPL", None)
        assert connection.execute(sa.select(client_ids)).all() == []
    assert older.read_bytes() == before


def test_an_older_database_is_not_copied_and_its_indices_are_used(older: Path) -> None:
    with read_state(f"sqlite:///{older}") as connection:
        plan = connection.exec_driver_sql("explain query plan select answer_bytes from requests where run_id = 'x'")
        assert "INDEX requests_by_run (run_id=?)" in str(plan.all())
        (place,) = [row.file for row in connection.exec_driver_sql("pragma database_list") if row.name == "main"]
        assert Path(place) == older
