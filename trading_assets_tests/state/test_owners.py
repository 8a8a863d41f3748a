"""Owners: who is alive."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.state import connect_state, owners
from trading_assets.state.owners import Owner, lease_client_id, live_owners
from trading_assets.state.tables import owners as table
from trading_assets_tests.observing import eventually


def test_a_heart_beats_on_after_the_database_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On other hosts, an owner without a heartbeat is dead after two minutes, and stays it."""
    monkeypatch.setattr(owners, "HEARTBEAT", 0.01)
    engine = connect_state(f"sqlite:///{tmp_path / 'state.sqlite'}")
    owner = Owner(engine)
    owner.ensure()
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table owners rename to elsewhere")
    eventually(lambda: "took no heartbeat" in caplog.text, between_looks=0.01)
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table elsewhere rename to owners")
        connection.exec_driver_sql("delete from owners")

    def alive() -> bool:
        with engine.connect() as connection:
            return owner.name in live_owners(connection)

    eventually(alive, between_looks=0.01)
    owner.close()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    monkeypatch.setattr(owners, "HEARTBEAT", 0.01)
    return connect_state(f"sqlite:///{tmp_path / 'state.sqlite'}")


@contextmanager
def failing(engine: sa.Engine) -> Iterator[None]:
    """No write to the owners until the block ends."""
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table owners rename to elsewhere")
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("alter table elsewhere rename to owners")


def is_alive(engine: sa.Engine, name: str) -> bool:
    with engine.connect() as connection:
        return name in live_owners(connection)


@pytest.mark.parametrize("end", [Owner.close, Owner.lapse])
def test_an_end_that_the_database_did_not_take_is_repeated(
    engine: sa.Engine, end: Callable[[Owner], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The process goes on: nothing else would tell others that the owner has gone."""
    owner = Owner(engine)
    owner.ensure()
    with failing(engine):
        end(owner)
        assert "did not take the end" in caplog.text
        end(owner)  # once more changes nothing

    def host() -> str | None:
        with engine.connect() as connection:
            return connection.execute(sa.select(table.c.host).where(table.c.owner == owner.name)).scalar_one_or_none()

    expected = None if end is Owner.close else ""
    eventually(lambda: host() == expected, between_looks=0.01)
    assert is_alive(engine, owner.name) is (end is Owner.lapse)
    eventually(lambda: not [one for one in threading.enumerate() if one.name == f"end-{owner.name}"])


def test_an_owner_that_is_used_again_before_its_end_was_taken_stays(engine: sa.Engine) -> None:
    """What it had leased before is free; its new life is not ended by the old end."""
    owner = Owner(engine)
    owner.ensure()
    assert lease_client_id(engine, owner.name, "here:1", (1, 1), set()) == 1
    with failing(engine):
        owner.close()
    owner.ensure()
    assert lease_client_id(engine, Owner(engine).ensure(), "here:1", (1, 1), set()) == 1
    eventually(lambda: not [one for one in threading.enumerate() if one.name == f"end-{owner.name}"])
    assert is_alive(engine, owner.name)
    owner.close()
    assert not is_alive(engine, owner.name)


def test_an_owner_that_lapsed_is_alive_after_its_process(engine: sa.Engine) -> None:
    """For as long as a heartbeat counts, on its own host as on others: another process may go on with its run."""
    code = (
        "import sys; from trading_assets.state import connect_state; from trading_assets.state.owners import Owner\n"
        "owner = Owner(connect_state(sys.argv[1]), 'run-1'); owner.ensure(); owner.lapse()"
    )
    subprocess.run([sys.executable, "-c", code, engine.url.render_as_string()], check=True)
    assert is_alive(engine, "run-1")
    with engine.begin() as connection:
        connection.execute(table.update().values(heartbeat=table.c.heartbeat - owners.OWNER_TIMEOUT - 1))
    assert not is_alive(engine, "run-1")


def test_what_is_done_after_a_heartbeat_may_fail(engine: sa.Engine, caplog: pytest.LogCaptureFixture) -> None:
    calls = []

    def broken() -> None:
        calls.append(1)
        raise sa.exc.OperationalError("select", {}, Exception("gone"))

    owner = Owner(engine, after_beat=broken)
    owner.ensure()
    eventually(lambda: len(calls) > 1, between_looks=0.01)
    assert "the next one is due soon" in caplog.text
    owner.close()
