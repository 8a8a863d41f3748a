"""Every fault, over the wire: the run ends in success after recovery or in a clear failure; never a hang, never a false
"no data"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from trading_assets.broker.broker import Broker
from trading_assets.broker.codes import remedy_of
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.pacing import REFUSED
from trading_assets.broker.requests import ContractDetailsRequest, QuoteRequest, Request
from trading_assets.errors import BrokerUnavailable, PacingExhausted
from trading_assets.instrument import Instrument
from trading_assets.settings import BrokerKind, Settings
from trading_assets.simulator import Faults, Simulator
from trading_assets_tests.broker.conftest import (
    LISTING,
    LIVE_OPTIONS,
    ONE_OF_EACH,
    SESSION,
    STOCK_BARS,
    STOCK_QUOTE,
    option_bars,
    wall_clock,
)

pytestmark = pytest.mark.timeout(300)

Simulate = Callable[..., Simulator]
SettingsFor = Callable[..., Settings]
BrokerFor = Callable[..., Broker]

PASSING: dict[str, list[dict[str, Any]]] = {
    "dropped before an answer": [{"on": "historical_data", "nth": 3, "do": "drop_before"}],
    "dropped in an answer": [{"on": "historical_data", "nth": 3, "do": "drop_during"}],
    "dropped in a listing": [{"on": "contract_details", "nth": 2, "do": "drop_during"}],
    "dropped after an answer": [{"on": "historical_data", "nth": 3, "do": "drop_after"}],
    "dropped twice": [
        {"on": "historical_data", "nth": 2, "do": "drop_before"},
        {"on": "historical_data", "nth": 9, "do": "drop_during"},
    ],
    "dropped in a quote": [{"on": "market_data", "nth": 1, "do": "drop_before"}],
    "a split frame": [{"on": "historical_data", "nth": 2, "do": "split"}],
    "a split listing": [{"on": "contract_details", "nth": 2, "do": "split", "bytes": 3}],
    "merged frames": [{"on": "any", "nth": 1, "times": 0, "do": "merge"}],
    "a silent history": [{"on": "historical_data", "nth": 2, "do": "hang"}],
    "a silent listing": [{"on": "contract_details", "nth": 2, "do": "hang"}],
    "a silent quote": [{"on": "market_data", "nth": 1, "do": "hang"}],
    "a late answer": [{"on": "historical_data", "nth": 2, "do": "delay", "seconds": 1}],
    "a stalled connection": [{"on": "historical_data", "nth": 2, "do": "stall", "seconds": 1}],
    "a pacing violation": [{"on": "historical_data", "nth": 2, "do": "pacing"}],
    "too many open": [{"on": "historical_data", "nth": 2, "times": 2, "do": "too_many_open"}],
    "timed out at the broker": [{"on": "historical_data", "nth": 2, "do": "timed_out"}],
    "a different IP address": [{"on": "historical_data", "nth": 2, "do": "different_ip"}],
    "a competing session": [{"on": "market_data", "nth": 1, "do": "competing_session"}],
    "no market-data line free": [
        {"on": "market_data", "nth": 1, "do": "error", "code": 101, "text": "Max number of tickers has been reached"}
    ],
    "an unknown text of 162": [
        {
            "on": "historical_data",
            "nth": 2,
            "do": "error",
            "code": 162,
            "text": "Historical Market Data Service error message:Something new",
        }
    ],
    "connectivity lost, data kept": [{"on": "historical_data", "nth": 4, "do": "connectivity_lost", "seconds": 0.5}],
    "connectivity lost, data lost": [
        {"on": "historical_data", "nth": 4, "do": "connectivity_lost", "seconds": 0.5, "data_lost": True}
    ],
    "farm down": [{"on": "historical_data", "nth": 2, "do": "farm_down", "seconds": 0.5}],
    "nightly reset": [{"on": "historical_data", "nth": 4, "do": "nightly_reset", "seconds": 1}],
    "client id in use": [{"after_seconds": 0, "do": "duplicate_client_id", "connects": 3}],
    "all connections dropped": [{"after_requests": 5, "do": "drop_all"}],
    "a status message": [
        {"after_requests": 3, "do": "broadcast", "code": 2105, "text": "HMDS data farm connection is broken:ushmds"}
    ],
    "an unknown status message": [{"after_requests": 3, "do": "broadcast", "code": 9999, "text": "Something new"}],
}


@pytest.mark.parametrize("rules", PASSING.values(), ids=PASSING.keys())
def test_passes_and_everything_arrives(
    rules: list[dict[str, Any]], simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(faults=Faults(rules))
    broker = broker_for(settings_for(simulator))

    results = broker.run(ONE_OF_EACH, planned_at=wall_clock())

    assert [result.request for result in results] == ONE_OF_EACH
    assert {result.outcome.kind for result in results} == {OutcomeKind.COMPLETE}
    assert not simulator.counters.violations
    assert sum(simulator.counters.faults.values()) >= 1
    assert simulator.counters.open_now.get("history", 0) == 0, "a history was left open at the broker"


LASTING: dict[str, tuple[dict[str, Any], OutcomeKind]] = {
    "not permitted": ({"on": "historical_data", "do": "not_permitted"}, OutcomeKind.NOT_PERMITTED),
    "malformed": ({"on": "historical_data", "do": "validation"}, OutcomeKind.REJECTED),
    "unknown contract": ({"on": "historical_data", "do": "no_security"}, OutcomeKind.NO_CONTRACT),
    "unknown code": (
        {"on": "historical_data", "do": "error", "code": 7777, "text": "Something new"},
        OutcomeKind.REJECTED,
    ),
    "silent for ever": ({"on": "historical_data", "do": "hang", "times": 0}, OutcomeKind.TIMEOUT),
}


@pytest.mark.parametrize(("rule", "kind"), LASTING.values(), ids=LASTING.keys())
def test_lasting_failure_of_one_request_is_its_result(
    rule: dict[str, Any], kind: OutcomeKind, simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(faults=Faults([rule]))
    broker = broker_for(settings_for(simulator, history_timeout=0.3, max_attempts=2))

    first, second = broker.run([STOCK_BARS, LISTING], planned_at=wall_clock())

    assert (first.outcome.kind, first.payload) == (kind, None)
    assert remedy_of(first.outcome)
    assert second.outcome.kind is OutcomeKind.COMPLETE


def test_quote_not_subscribed(simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor) -> None:
    simulator = simulate(faults=Faults([{"on": "market_data", "do": "not_subscribed"}]))
    [result] = broker_for(settings_for(simulator)).run([STOCK_QUOTE], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.NOT_PERMITTED


def test_delayed_data_never_enters_a_lake_of_live_data(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(live_data=False)
    [result] = broker_for(settings_for(simulator)).run([STOCK_QUOTE], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.NOT_PERMITTED


def test_delayed_data_for_a_lake_of_delayed_data(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(live_data=False)
    broker = broker_for(settings_for(simulator, market_data="delayed"))
    [result] = broker.run([STOCK_QUOTE], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert result.payload["market_data_type"] in (3, 4)
    assert result.payload["bid"] is not None
    assert broker.identity == "simulated/tiny/1/delayed"


def test_broker_that_never_answers_again(simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor) -> None:
    """A drop for good: the run fails as retryable, and what came before is in the journal."""
    simulator = simulate()
    settings = settings_for(simulator, reconnect_timeout=0.5)
    broker = broker_for(settings)
    broker.run([STOCK_BARS], planned_at=wall_clock())
    simulator.stop()
    with pytest.raises(BrokerUnavailable) as caught:
        broker.run([LISTING, option_bars(6)], planned_at=wall_clock())
    assert caught.value.retryable
    assert "TRADING_ASSETS_IB_PORT" in str(caught.value)


def test_no_broker_at_all(simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor) -> None:
    simulator = simulate()
    settings = settings_for(simulator, reconnect_timeout=0.3)
    simulator.stop()
    broker = broker_for(settings)
    with pytest.raises(BrokerUnavailable):
        broker.run([STOCK_BARS], planned_at=wall_clock())
    assert not broker.connected
    assert broker.sent == 0


def test_pacing_that_keeps_several_requests_out_ends_the_run_as_retryable(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading_assets.broker.pacing.TOLD_SECONDS", 0.0)
    told: list[tuple[str, datetime | None]] = []
    simulator = simulate(faults=Faults([{"on": "historical_data", "do": "pacing", "times": 0}]))
    broker = broker_for(settings_for(simulator, max_attempts=2), on_wait=lambda *wait: told.append(wait))
    with pytest.raises(PacingExhausted) as caught:
        broker.run([STOCK_BARS, option_bars(6)], planned_at=wall_clock())
    assert caught.value.retryable
    assert [why for why, until in told if until is not None] == [REFUSED, REFUSED], "before the second try of each"


ONE_REQUESTS: dict[str, tuple[dict[str, Any], OutcomeKind]] = {
    "162 in Spanish": (
        {"do": "error", "code": 162, "text": "Mensaje de error:La consulta HMDS no devolvió datos: AAA@SMART Trades"},
        OutcomeKind.REJECTED,
    ),
    "162 pacing": ({"do": "pacing"}, OutcomeKind.PACING),
    "162 different IP": ({"do": "different_ip"}, OutcomeKind.UNAVAILABLE),
    "162 timed out": ({"do": "timed_out"}, OutcomeKind.TIMEOUT),
    "166 of what is alive": (
        {"do": "error", "code": 166, "text": "HMDS Expired Contract Violation"},
        OutcomeKind.REJECTED,
    ),
    "300": ({"do": "error", "code": 300, "text": "Can't find EId with tickerId:7"}, OutcomeKind.UNAVAILABLE),
    "322 in German": (
        {"do": "error", "code": 322, "text": "Fehler bei der Verarbeitung der Anfrage"},
        OutcomeKind.REJECTED,
    ),
    "322 too many": ({"do": "too_many_open"}, OutcomeKind.PACING),
    "322 duplicate": (
        {"do": "error", "code": 322, "text": "Error processing request.-'bX' : cause - Duplicate ticker id"},
        OutcomeKind.UNAVAILABLE,
    ),
    "366": (
        {"do": "error", "code": 366, "text": "No historical data query found for ticker id:7"},
        OutcomeKind.UNAVAILABLE,
    ),
    "420 in French": ({"do": "error", "code": 420, "text": "Requête en temps réel non valide"}, OutcomeKind.REJECTED),
    "10197": ({"do": "competing_session"}, OutcomeKind.UNAVAILABLE),
    "an unknown code": ({"do": "error", "code": 7777, "text": "Something new"}, OutcomeKind.REJECTED),
}
"""What the broker says every time to one request, and what that comes to."""


@pytest.mark.parametrize(("what", "kind"), ONE_REQUESTS.values(), ids=ONE_REQUESTS.keys())
def test_the_lasting_error_of_one_request_ends_it_alone(
    what: dict[str, Any], kind: OutcomeKind, simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(faults=Faults([{"on": "historical_data", "contract": "AAA STK", "times": 0, **what}]))
    requests = [STOCK_BARS, *(option_bars(i) for i in LIVE_OPTIONS)]

    first, *others = broker_for(settings_for(simulator)).run(requests, planned_at=wall_clock())

    assert (first.outcome.kind, first.payload) == (kind, None)
    assert remedy_of(first.outcome).endswith(".")
    assert {result.outcome.kind for result in others} == {OutcomeKind.COMPLETE}
    assert simulator.counters.connections["accepted"] == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (102, "Duplicate ticker ID"),
        (322, "Error processing request.-'bX' : cause - Duplicate ticker ID for API historical data query"),
        (386, "Duplicate ticker ID for API historical data query"),
    ],
)
@pytest.mark.parametrize("request_", [STOCK_BARS, STOCK_QUOTE, LISTING], ids=["bars", "quote", "listing"])
def test_a_duplicate_id_is_sent_again_with_another(
    code: int, text: str, request_: Request, simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(faults=Faults([{"on": "any", "do": "error", "code": code, "text": text, "times": 2}]))
    broker = broker_for(settings_for(simulator))
    [result] = broker.run([request_], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert broker.sent == 3
    ids = [entry.req_id for entry in simulator.counters.log if entry.req_id >= 0]
    assert len(set(ids)) >= 3, "each with an id of its own"


@pytest.mark.parametrize(
    "unknown", [ContractDetailsRequest(Instrument("NOSUCH"), SESSION), QuoteRequest(Instrument("NOSUCH"), SESSION)]
)
def test_a_200_in_the_reset_window_ends_its_request_alone(
    unknown: Request, simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    in_window = datetime(2024, 6, 4, 4, 30, tzinfo=UTC)
    settings = settings_for(simulate(), broker=BrokerKind.TWS)
    first, second = broker_for(settings, clock=lambda: in_window).run([unknown, LISTING], planned_at=wall_clock())
    assert (first.outcome.kind, first.outcome.code) == (OutcomeKind.UNAVAILABLE, 200)
    assert second.outcome.kind is OutcomeKind.COMPLETE
