"""What recorder and clients know of each other: subscriptions that lapse with their owners, one lease, one health."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from trading_assets.state import connect_state
from trading_assets.streaming import registry
from trading_assets.streaming.health import StreamHealth, StreamState, Subscription
from trading_assets.streaming.registry import NO_RECORDER, LiveRegistry

AT = datetime(2024, 6, 14, 14, 30, tzinfo=UTC)

HEALTH = StreamHealth("AAPL-1", 265598, "AAPL", "AAPL", "quote", StreamState.STALLED, AT, AT, 12, 3.5, 0.01, 1, 2, None)


@pytest.fixture
def registries(state_url: str) -> Iterator[tuple[LiveRegistry, LiveRegistry]]:
    """Two owners at one state database."""
    connect_state(state_url)
    pair = LiveRegistry(state_url), LiveRegistry(state_url)
    yield pair
    for one in pair:
        one.close()


def test_what_owners_want_is_one_list_and_lapses_with_them(registries: tuple[LiveRegistry, LiveRegistry]) -> None:
    first, second = registries
    assert first.wanted() == []
    first.want([Subscription("MSFT"), Subscription("AAPL", 4)])
    second.want([Subscription("AAPL", 10)])
    assert first.wanted() == second.wanted() == [Subscription("AAPL", 10), Subscription("MSFT", 0)]
    second.want([Subscription("TSLA", 1)])
    assert first.wanted() == [Subscription("AAPL", 4), Subscription("MSFT", 0), Subscription("TSLA", 1)]
    second.close()
    assert first.wanted() == [Subscription("AAPL", 4), Subscription("MSFT", 0)]
    first.want([])
    assert first.wanted() == []


def test_what_an_owner_wanted_lapses_where_that_could_not_be_written(
    registries: tuple[LiveRegistry, LiveRegistry], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = registries
    second.want([Subscription("AAPL", 10)])
    with monkeypatch.context() as patch, pytest.raises(sa.exc.OperationalError):
        patch.setattr(registry, "write_transaction", unavailable)
        second.close()
    assert first.wanted() == []


def unavailable(*_: object, **__: object) -> None:
    raise sa.exc.OperationalError("delete", {}, Exception("gone"))


KILLED = """
import os, signal, sys
from trading_assets.streaming.health import Subscription
from trading_assets.streaming.registry import LiveRegistry
registry = LiveRegistry(sys.argv[1])
registry.want([Subscription("AAPL", 4)])
assert registry.take() and registry.publish([])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_wants_nothing_and_holds_nothing(registries: tuple[LiveRegistry, LiveRegistry]) -> None:
    first, _ = registries
    url = first._engine.url.render_as_string(hide_password=False)
    assert subprocess.run([sys.executable, "-c", KILLED, url], timeout=300, check=False).returncode == -9
    state = first.state()
    assert not state.running and state.reason == "The recorder's process was killed."
    assert first.wanted() == []
    assert first.take()
    assert first.state().running and first.state().reason == ""


def test_one_owner_has_the_lease(registries: tuple[LiveRegistry, LiveRegistry]) -> None:
    first, second = registries
    assert first.state() == NO_RECORDER
    assert first.take() and first.take(), "it may be taken again by who has it"
    assert not second.take()
    assert not second.publish([HEALTH]), "only who has the lease says how streams are"
    second.release("not mine to give back")
    assert first.state().running
    first.release("The lake belongs to another account.")
    state = second.state()
    assert not state.running and state.pid is None and state.reason == "The lake belongs to another account."
    assert not first.publish([HEALTH])
    assert second.take()
    assert second.state().reason == "", "a new recorder has no past"


def test_health_is_read_as_it_was_published(registries: tuple[LiveRegistry, LiveRegistry]) -> None:
    first, second = registries
    assert first.take()
    assert second.state().age is None and second.state().streams == ()
    assert first.publish([HEALTH])
    state = second.state()
    assert state.streams == (HEALTH,)
    assert state.age is not None and 0 <= state.age < 30
