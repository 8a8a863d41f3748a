"""The daemon runs on one of the machines that share a history, and on the next one when that stops."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.serving import daemon_duty
from trading_assets.serving.daemon_duty import DaemonDuty
from trading_assets.state import connect_state, write_transaction
from trading_assets.state.tables import duties, owners


class Machine:
    """A machine whose daemon is a flag."""

    def __init__(self, state_url: str) -> None:
        self.works = False
        self.said: list[str] = []
        self.duty = DaemonDuty(state_url, self.start, self.stop, self.said.append)

    def start(self) -> None:
        assert not self.works
        self.works = True

    def stop(self) -> None:
        assert self.works
        self.works = False


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Machine]:
    """Makes machines with one state database."""
    monkeypatch.setattr(daemon_duty, "LOOK_SECONDS", 0.0)
    return lambda: Machine(f"sqlite:///{tmp_path / 'state.db'}")


def test_the_daemon_of_one_works_and_the_other_takes_over(machine: Callable[[], Machine]) -> None:
    one, other = machine(), machine()
    for _ in range(3):
        one.duty.look()
        other.duty.look()
    assert (one.works, other.works) == (True, False)
    here = socket.gethostname()
    waits = f"The daemon of {here} works: this one waits, and takes over when that one stops or dies."
    assert (one.said, other.said) == ([], [waits])
    one.duty.end()
    other.duty.look()
    assert (one.works, other.works) == (False, True)
    assert other.said[1:] == [f"The daemon works on this machine now: that of {here} has stopped."]
    other.duty.end()
    with connect_state(str(one.duty._owner.engine.url)).connect() as connection:
        assert connection.execute(sa.select(duties)).all() == connection.execute(sa.select(owners)).all() == []


def test_one_that_was_not_heard_of_ends_its_daemon_when_it_comes_back(machine: Callable[[], Machine]) -> None:
    one, other = machine(), machine()
    one.duty.look()
    one.duty._owner.lapse()  # a suspended machine
    with one.duty._owner.engine.begin() as connection:
        connection.execute(owners.update().values(host="another#0123456789.pid", heartbeat=0.0))
    other.duty.look()
    assert (one.works, other.works) == (True, True), "for a moment"
    one.duty.look()
    assert (one.works, other.works) == (False, True)
    assert one.said == [
        f"This machine was not heard of: the daemon of {socket.gethostname()} has taken over, this one waits."
    ]
    one.duty.end()
    other.duty.end()


def test_a_state_database_that_does_not_answer_changes_nothing(machine: Callable[[], Machine]) -> None:
    one, other = machine(), machine()
    one.duty.look()
    other.duty.look()
    with one.duty._owner.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE duties RENAME TO away")
    one.duty.look()
    other.duty.look()
    assert (one.works, other.works) == (True, False)
    with one.duty._owner.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO duties")
    one.duty.end()
    other.duty.end()


def test_a_state_database_that_is_held_up_holds_up_nobody(
    machine: Callable[[], Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks and the end return, so that the services' supervisor hears a signal."""
    monkeypatch.setattr(daemon_duty, "ANSWER_SECONDS", 0.02)
    monkeypatch.setattr(daemon_duty, "GIVE_BACK_SECONDS", 0.02)
    one, other = machine(), machine()
    with write_transaction(one.duty._owner.engine):
        one.duty.look()
        one.duty.look()
        assert one.duty._asked is not None and not one.works
    monkeypatch.setattr(daemon_duty, "ANSWER_SECONDS", 10.0)
    one.duty.look()
    assert one.works
    with write_transaction(one.duty._owner.engine) as connection:
        one.duty.end()
        assert not one.works
        assert connection.execute(sa.select(duties)).all()
    monkeypatch.setattr(daemon_duty, "GIVE_BACK_SECONDS", 10.0)
    other.duty.end()
