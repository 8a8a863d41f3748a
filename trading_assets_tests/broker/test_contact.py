"""The record of the last contact, as the broker writes it over the wire and as the table keeps it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from trading_assets.broker.broker import Broker
from trading_assets.broker.contact import (
    last_contact,
    market_data_word,
    record_connected,
    record_failure,
    record_market_data,
)
from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.errors import BrokerUnavailable
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state
from trading_assets_tests.broker.conftest import DETAILS, OPTION_QUOTE, STOCK_QUOTE, wall_clock
from trading_assets_tests.simulator.tiny_market import NOW

pytestmark = pytest.mark.timeout(300)

OPEN = NOW
CLOSED = datetime(2024, 6, 3, 21, 0, tzinfo=UTC)

Simulate = Callable[..., Simulator]
SettingsFor = Callable[..., Settings]
BrokerFor = Callable[..., Broker]
JournalFor = Callable[[Settings], Journal]


def test_a_connect_is_recorded(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, journal_for: JournalFor
) -> None:
    simulator = simulate(server_version=176)
    settings = settings_for(simulator)
    journal = journal_for(settings)
    assert last_contact(journal.engine) is None
    broker = broker_for(settings, journal)
    broker.run([DETAILS], planned_at=wall_clock())
    contact = last_contact(journal.engine)
    assert contact is not None
    assert (contact.endpoint, contact.reachable, contact.error) == (f"127.0.0.1:{simulator.port}", True, "")
    assert (contact.identity, contact.server_version, contact.market_data) == (broker.identity, 176, "")
    assert wall_clock() - contact.at < timedelta(minutes=5)
    assert last_contact(journal.engine, "127.0.0.1:1") is None


@pytest.mark.parametrize(
    ("now", "account", "setting", "word"),
    [
        (OPEN, {}, "live", "live"),
        (CLOSED, {}, "live", "frozen"),
        (OPEN, {"live_data": False}, "delayed", "delayed"),
        (CLOSED, {"live_data": False}, "delayed", "delayed frozen"),
    ],
)
def test_a_quote_tells_the_kind_of_market_data(
    now: datetime,
    account: dict[str, bool],
    setting: str,
    word: str,
    simulate: Simulate,
    settings_for: SettingsFor,
    broker_for: BrokerFor,
    journal_for: JournalFor,
) -> None:
    settings = settings_for(simulate(now=now, **account), now=now, market_data=setting)
    journal = journal_for(settings)
    broker_for(settings, journal).run([STOCK_QUOTE], planned_at=wall_clock())
    contact = last_contact(journal.engine)
    assert contact is not None
    assert (contact.market_data, contact.delayed) == (word, word.startswith("delayed"))


def test_live_data_that_is_not_subscribed_is_told(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, journal_for: JournalFor
) -> None:
    settings = settings_for(simulate(live_data=False))
    journal = journal_for(settings)
    (result,) = broker_for(settings, journal).run([OPTION_QUOTE], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.NOT_PERMITTED
    contact = last_contact(journal.engine)
    assert contact is not None
    assert (contact.reachable, contact.market_data, contact.delayed) == (True, "not subscribed", True)


def test_a_broker_that_is_away_is_recorded_and_its_return_too(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, journal_for: JournalFor
) -> None:
    simulator = simulate()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = taken.getsockname()[1]
        settings = settings_for(simulator, ib_port=nobody, reconnect_timeout=0.0)
        journal = journal_for(settings)
        with pytest.raises(BrokerUnavailable):
            broker_for(settings, journal).run([DETAILS], planned_at=wall_clock())
    contact = last_contact(journal.engine)
    assert contact is not None
    assert (contact.endpoint, contact.reachable) == (f"127.0.0.1:{nobody}", False)
    assert "No connection to TWS or IB Gateway at 127.0.0.1" in contact.error
    broker_for(settings_for(simulator), journal).run([DETAILS], planned_at=wall_clock())
    newest = last_contact(journal.engine)
    assert newest is not None
    assert newest.reachable
    assert newest.endpoint.endswith(str(simulator.port)), "the endpoint contacted last"


def test_a_failure_keeps_what_was_known(state_url: str) -> None:
    engine = connect_state(state_url)
    record_connected(engine, "tws:7497", "paper DU1", 178)
    record_market_data(engine, "tws:7497", "delayed")
    record_failure(engine, "tws:7497", "No connection.")
    contact = last_contact(engine, "tws:7497")
    assert contact is not None
    assert (contact.reachable, contact.error, contact.identity, contact.server_version) == (
        False,
        "No connection.",
        "paper DU1",
        178,
    )
    record_connected(engine, "tws:7497", "paper DU1", 178)
    again = last_contact(engine)
    assert again is not None
    assert (again.reachable, again.error, again.market_data) == (True, "", "delayed")
    record_connected(engine, "tws:7497", "live U2", 178)
    other = last_contact(engine)
    assert other is not None
    assert other.market_data == "", "another account has other subscriptions"
    assert set(other.as_dict()) == {"endpoint", "reachable", "at", "identity", "server_version", "market_data", "error"}


@pytest.mark.parametrize(
    ("kind", "codes", "word"),
    [
        (1, set(), "live"),
        (3, {10167}, "delayed"),
        (1, {10167}, "delayed"),
        (0, {354}, "not subscribed"),
        (0, {10168}, "not subscribed"),
        (0, set(), ""),
    ],
)
def test_the_words_of_market_data(kind: int, codes: set[int], word: str) -> None:
    assert market_data_word(kind, frozenset(codes)) == word
