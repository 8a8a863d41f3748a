"""Several gateways as one broker, over the wire: two simulated TWS with the same accounts, as two users of one account
have them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from trading_assets.broker.breaker_store import DatabaseStore
from trading_assets.broker.connector import connector_to, endpoint_of
from trading_assets.broker.contact import last_contact
from trading_assets.broker.gateways import Gateways
from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.requests import BarsRequest
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import CollectionReport
from trading_assets.errors import BrokerNotConfigured, BrokerUnavailable, IdentityMismatch
from trading_assets.instrument import Instrument
from trading_assets.monitoring.broker_status import broker_wrong, different_subscriptions, gateway_records
from trading_assets.monitoring.diagnosis import diagnosis
from trading_assets.monitoring.skips import held_back
from trading_assets.monitoring.status import platform_status
from trading_assets.reliability import CircuitBreaker
from trading_assets.settings import Settings
from trading_assets.simulator import SimulatedAccount, SimulatedPosition, Simulator
from trading_assets.simulator.market import ContractQuery
from trading_assets.state.tables import client_ids, pacing_rate
from trading_assets_tests.broker.collecting import QUICK
from trading_assets_tests.broker.conftest import FIRST, SESSION, STOCK_BARS, wall_clock
from trading_assets_tests.coroutines import run_coroutine
from trading_assets_tests.rewriting import Rewriting
from trading_assets_tests.simulator.tiny_market import NOW

pytestmark = pytest.mark.timeout(300)

EAST_BARS = STOCK_BARS
"""AAA goes to east, BBB to west (`test_routing`)."""
WEST_BARS = BarsRequest(
    Instrument("BBB", con_id=2), SESSION, bar_size="1 day", first_session=FIRST, end=NOW, duration="10 D"
)
BOTH = [EAST_BARS, WEST_BARS]

Simulate = Callable[..., Simulator]


@pytest.fixture
def settings_to(settings_for: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings whose gateways east and west have these ports."""

    def make(simulator: Simulator, east: int, west: int, **changes: Any) -> Settings:
        ways = [{"name": "east", "port": east}, {"name": "west", "port": west}]
        return settings_for(simulator, **{"ib_port": None, "gateways": ways, "reconnect_timeout": 0.3, **changes})

    return make


@pytest.fixture
def gateways_for(journal_for: Callable[[Settings], Journal]) -> Iterator[Callable[..., Gateways]]:
    """Gateways with short waits, closed at the end, and their journal."""
    with ExitStack() as stack:

        def make(settings: Settings, **arguments: Any) -> tuple[Gateways, Journal]:
            journal = journal_for(settings)
            return stack.enter_context(Gateways(settings, journal, **{"waits": QUICK, **arguments})), journal

        yield make


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def asked(simulator: Simulator) -> list[str]:
    return [entry.subject for entry in simulator.counters.of("historical_data")]


def test_each_symbol_is_asked_through_its_gateway(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any]
) -> None:
    """And pacing, client ids, breaker and contact are kept by the gateway's name, the journal for both."""
    east, west = simulate(), simulate()
    settings = settings_to(east, east.port, west.port)
    told: list[tuple[int, int, int, int]] = []
    gateways, journal = gateways_for(settings, progress=lambda *numbers: told.append(numbers))
    assert not gateways.connected
    results = gateways.run([*BOTH, EAST_BARS], planned_at=wall_clock())
    assert [r.request for r in results] == [*BOTH, EAST_BARS] and all(r.payload["bars"] for r in results)
    assert (len(asked(east)), len(asked(west))) == (1, 1) and asked(east) != asked(west)
    assert (gateways.connected, gateways.sent, gateways.reused, gateways.identity) == (True, 2, 0, "simulated/tiny/1")
    assert told[-1] == (2, 2, 2, 0)
    with journal.engine.connect() as connection:
        assert set(connection.execute(sa.select(pacing_rate.c.endpoint)).scalars()) == {"east", "west"}
        leased = connection.execute(sa.select(client_ids.c.endpoint, client_ids.c.client_id)).all()
        assert [row.endpoint for row in sorted(leased)] == ["east", "west"]
        assert len({row.client_id for row in leased}) == 1, "the second gateway was not asked with the id of the first"
    contacts = [last_contact(journal.engine, name) for name in ("east", "west")]
    assert all(contact is not None and contact.reachable for contact in contacts)

    again = gateways.run(BOTH, planned_at=wall_clock())
    assert all(result.reused for result in again) and gateways.sent == 2
    found = platform_status(settings, probe=True)
    assert [one["name"] for one in found.gateways] == ["east", "west"]
    assert found.pacing["messages_per_second"]["limit"] == 2 * settings.messages_per_second
    assert found.broker["reachable"] and found.breaker["phase"] == "closed" and not found.notes
    assert f"east 127.0.0.1:{east.port}: reachable, breaker closed" in diagnosis(settings)


def test_symbols_of_a_gateway_that_cannot_be_reached_go_to_the_others(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any], nobody: int
) -> None:
    west = simulate()
    settings = settings_to(west, nobody, west.port)
    gateways, journal = gateways_for(settings)
    assert all(result.payload["bars"] for result in gateways.run(BOTH, planned_at=wall_clock()))
    assert len(asked(west)) == 2
    assert "The gateway east cannot be reached" in wrong(settings, journal), "status does not name the gateway"
    assert held_back(settings) is None

    failures = CircuitBreaker(name="gateway east", store=DatabaseStore(journal.engine)).state.failures
    gateways.run(BOTH, planned_at=wall_clock())
    more = BarsRequest(EAST_BARS.instrument, SESSION, bar_size="8 hours", first_session=FIRST, end=NOW, duration="10 D")
    assert gateways.run([more], planned_at=wall_clock())[0].payload["bars"]
    assert CircuitBreaker(name="gateway east", store=DatabaseStore(journal.engine)).state.failures == failures == 1, (
        "a gateway that was not reached a moment ago was tried again"
    )


def wrong(settings: Settings, journal: Journal) -> str:
    """What status says is wrong with the gateways."""
    records = gateway_records(settings, journal.engine, False)
    return " ".join(
        sentence for one in records for sentence in broker_wrong(settings, one, one["breaker"], None, needed=True)
    )


def test_the_breaker_of_one_gateway_leaves_the_other_alone(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any]
) -> None:
    east, west = simulate(), simulate()
    settings = settings_to(east, east.port, west.port)
    gateways, journal = gateways_for(settings)
    CircuitBreaker(failure_threshold=1, name="gateway east", store=DatabaseStore(journal.engine)).record_failure()
    assert all(result.payload["bars"] for result in gateways.run(BOTH, planned_at=wall_clock()))
    assert (len(asked(east)), len(asked(west))) == (0, 2)
    assert "The circuit breaker of the gateway east is open: the gateway east failed 1 times" in (
        wrong(settings, journal)
    )
    assert held_back(settings) is None
    CircuitBreaker(failure_threshold=1, name="gateway west", store=DatabaseStore(journal.engine)).record_failure()
    held = held_back(settings)
    assert held is not None and "the circuit breaker is open" in held.reason


def test_a_gateway_that_breaks_off_leaves_the_rest_to_the_other(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any]
) -> None:
    """What it answered is not asked for again."""
    east, west = simulate(), simulate(latency=0.2)
    settings = settings_to(east, east.port, west.port)
    sizes = ("1 day", "8 hours", "4 hours", "2 hours", "1 hour")
    requests = [
        BarsRequest(one.instrument, SESSION, bar_size=size, first_session=FIRST, end=NOW, duration="10 D")
        for one in BOTH
        for size in sizes
    ]

    def stop(*_: int) -> None:
        if asked(east):
            east.stop()

    gateways, _ = gateways_for(settings, progress=stop)
    results = gateways.run(requests, planned_at=wall_clock())
    assert len(results) == 10 and all(result.payload["bars"] for result in results)


def test_without_any_gateway_the_run_fails_as_retryable(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any], nobody: int
) -> None:
    settings = settings_to(simulate(), nobody, nobody + 1 if nobody < 65535 else nobody - 1)
    gateways, _ = gateways_for(settings)
    with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:\d+ \(gateway east\)") as caught:
        gateways.run(BOTH, planned_at=wall_clock())
    assert caught.value.retryable
    assert "check TRADING_ASSETS_GATEWAYS, then run again" in str(caught.value)


def test_two_names_of_one_tws_are_refused(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any]
) -> None:
    """Reached through a forwarded port, so that the addresses say nothing."""
    tws = simulate()
    with Rewriting(tws.port) as forwarded:
        gateways, _ = gateways_for(settings_to(tws, tws.port, forwarded.port))
        with pytest.raises(BrokerNotConfigured, match="reach one TWS: the same accounts, and a client id"):
            gateways.run(BOTH, planned_at=wall_clock())
        assert len(asked(tws)) < 2, "the second name was asked as well"


def test_two_names_of_one_address_are_refused(
    simulate: Simulate, settings_for: Callable[..., Settings], gateways_for: Callable[..., Any]
) -> None:
    tws = simulate()
    ways = [{"name": "east", "port": tws.port}, {"name": "west", "host": "localhost", "port": tws.port}]
    gateways, _ = gateways_for(settings_for(tws, ib_port=None, gateways=ways))
    with pytest.raises(BrokerNotConfigured, match="are one address with port"):
        gateways.run(BOTH, planned_at=wall_clock())
    assert not tws.counters.connections.get("accepted")


def test_a_process_without_gateways_at_the_same_tws_is_refused(
    simulate: Simulate,
    settings_to: Callable[..., Settings],
    settings_for: Callable[..., Settings],
    gateways_for: Callable[..., Any],
    broker_for: Callable[..., Any],
) -> None:
    """It would use the limits of the gateway without being counted there."""
    east, west = simulate(), simulate()
    broker_for(settings_for(east)).run([EAST_BARS], planned_at=wall_clock())
    gateways, _ = gateways_for(settings_to(east, east.port, west.port))
    more = BarsRequest(EAST_BARS.instrument, SESSION, bar_size="8 hours", first_session=FIRST, end=NOW, duration="10 D")
    with pytest.raises(BrokerNotConfigured, match="do not name it as a gateway"):
        gateways.run([more, WEST_BARS], planned_at=wall_clock())
    assert (len(asked(east)), len(asked(west))) == (1, 1)


def test_a_gateway_of_another_account_ends_the_run(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any]
) -> None:
    east, west = simulate(), simulate(accounts=["DU1234567"])
    gateways, _ = gateways_for(settings_to(east, east.port, west.port))
    with pytest.raises(IdentityMismatch, match=r"\(gateway west\)"):
        gateways.run(BOTH, planned_at=wall_clock())
    assert not asked(west)


def test_the_archive_collects_through_the_gateways(simulate: Simulate, settings_to: Callable[..., Settings]) -> None:
    """And names the one whose account is not the lake's."""
    east, west = simulate(), simulate(accounts=["SIM-TINY-2"])
    with Archive(settings_to(east, east.port, west.port)) as archive:
        archive.identity.pin("simulated/tiny/1")
        report = CollectionReport("equity_bars", SESSION)
        with pytest.raises(IdentityMismatch, match="The gateway west: The lake in"):
            archive.ask(BOTH, report, planned_at=archive.journal.now(), run_id="")
        assert (report.planned, report.sent) == (2, 1) and len(asked(east)) == 1 and not asked(west)


def test_streams_go_through_the_first_gateway(
    settings_to: Callable[..., Settings], simulate: Simulate, journal_for: Callable[[Settings], Journal]
) -> None:
    """And count as its."""
    settings = settings_to(simulate(), 1, 2)
    owner, clock = journal_for(settings).owner, settings.clock
    with ThreadPoolExecutor(1) as pool:
        found = run_coroutine(
            connector_to(settings, owner, partial(endpoint_of, settings), pool, clock=clock, on_identity=None)
        )
    assert (found.key, found.address) == ("east", ("127.0.0.1", 1))


def test_different_subscriptions_are_told(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any]
) -> None:
    east, west = simulate(), simulate(refuse=["BBB"])
    settings = settings_to(east, east.port, west.port)
    gateways, journal = gateways_for(settings)
    kinds = [result.outcome.kind for result in gateways.run(BOTH, planned_at=wall_clock())]
    assert kinds == [OutcomeKind.COMPLETE, OutcomeKind.NOT_PERMITTED]
    records = gateway_records(settings, journal.engine, False)
    note = different_subscriptions(records)
    assert "east: no quotes yet, nothing refused; west: no quotes yet, refused with code 162 (1 request(s)" in note
    assert note in diagnosis(settings)
    assert different_subscriptions([{**one, "refusals": records[1]["refusals"]} for one in records]) == "", (
        "both refuse the same"
    )


def test_positions_are_those_of_all_gateways(
    simulate: Simulate, settings_to: Callable[..., Settings], gateways_for: Callable[..., Any], nobody: int
) -> None:
    """An account that two of them have counts once; without one of them there is no list."""

    def tws(*names: str) -> Simulator:
        held = SimulatedPosition(ContractQuery(symbol="AAA", sec_type="STK"), 100, 90.0)
        return simulate(accounts=[SimulatedAccount(name, positions=(held,)) for name in names])

    east, west = tws("SIM-TINY-1"), tws("SIM-TINY-1", "SIM-TINY-2")
    gateways, _ = gateways_for(settings_to(east, east.port, west.port))
    look = gateways.positions()
    assert look.accounts == ("SIM-TINY-1", "SIM-TINY-2")
    assert [(one.account, one.quantity) for one in look.holdings] == [("SIM-TINY-1", 100), ("SIM-TINY-2", 100)]
    gone, _ = gateways_for(settings_to(east, east.port, nobody))
    with pytest.raises(BrokerUnavailable):
        gone.positions()
