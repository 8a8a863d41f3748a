"""One owner at a time has a duty: it is passed on when the owner gives it back, ends, or is not heard of."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from trading_assets.state import connect_state, database_now
from trading_assets.state.duties import take_duty
from trading_assets.state.owners import OWNER_TIMEOUT, Owner
from trading_assets.state.tables import owners

DUTY, TIMEOUT = "daemon", 45.0


@pytest.fixture
def owner(state_url: str) -> Iterator[Callable[[str], Owner]]:
    """Makes owners in one state database."""
    made: list[Owner] = []

    def make(name: str) -> Owner:
        made.append(Owner(connect_state(state_url), name))
        return made[-1]

    yield make
    for one in made:
        one.close()


def heard_of(owner: Owner, seconds_ago: float) -> None:
    """The owner was last heard of so long ago, on another machine."""
    with owner.engine.begin() as connection:
        there = {"host": "another#0123456789.pid", "heartbeat": database_now(connection) - seconds_ago}
        connection.execute(owners.update().where(owners.c.owner == owner.name).values(**there))


def test_one_has_it_until_it_gives_it_back(owner: Callable[[str], Owner]) -> None:
    one, other = owner("one"), owner("other")
    assert take_duty(one, DUTY, TIMEOUT) is None
    assert take_duty(other, DUTY, TIMEOUT) == socket.gethostname()
    assert take_duty(other, "another duty", TIMEOUT) is None
    assert take_duty(one, DUTY, TIMEOUT) is None, "it keeps it"
    one.close()
    assert take_duty(other, DUTY, TIMEOUT) is None
    assert take_duty(one, DUTY, TIMEOUT) == socket.gethostname()


def test_one_that_is_not_heard_of_loses_it_and_learns_that(owner: Callable[[str], Owner]) -> None:
    one, other = owner("one"), owner("other")
    assert take_duty(one, DUTY, TIMEOUT) is None
    heard_of(one, TIMEOUT - 10)
    assert take_duty(other, DUTY, TIMEOUT) is not None
    heard_of(one, TIMEOUT + 1)
    assert TIMEOUT + 1 < OWNER_TIMEOUT, "its runs and requests are still its own"
    assert take_duty(other, DUTY, TIMEOUT) is None
    assert take_duty(one, DUTY, TIMEOUT) == socket.gethostname()
    with one.engine.connect() as connection:
        assert set(connection.execute(sa.select(owners.c.owner)).scalars()) == {"one", "other"}
