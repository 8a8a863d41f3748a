"""The broker over the wire: what it asks, what it does not ask, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from trading_assets.broker import claims
from trading_assets.broker.broker import Broker
from trading_assets.broker.codes import remedy_of
from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.requests import BarsRequest, ContractDetailsRequest, Request
from trading_assets.errors import BreakerOpen, BrokerError, BrokerNotConfigured, ClientIdsExhausted, IdentityMismatch
from trading_assets.instrument import Instrument
from trading_assets.reliability import BreakerState, Phase
from trading_assets.settings import BrokerKind, Settings
from trading_assets.simulator import Faults, Simulator
from trading_assets.state import write_transaction
from trading_assets_tests.broker.conftest import (
    DETAILS,
    FIRST,
    LISTING,
    LIVE_OPTIONS,
    ONE_OF_EACH,
    OPTION_QUOTE,
    PARAMETERS,
    SESSION,
    STOCK,
    STOCK_BARS,
    STOCK_QUOTE,
    option,
    option_bars,
    wall_clock,
)
from trading_assets_tests.observing import eventually
from trading_assets_tests.simulator.tiny_market import NOW

pytestmark = pytest.mark.timeout(300)

Simulate = Callable[..., Simulator]
SettingsFor = Callable[..., Settings]
BrokerFor = Callable[..., Broker]
JournalFor = Callable[[Settings], Journal]


@pytest.mark.parametrize("version", [157, 176, 178])
def test_every_kind_of_answer(
    version: int, simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(server_version=version)
    broker = broker_for(settings_for(simulator))
    details, parameters, listing, bars, intraday, stock, quote = (
        result.payload
        for result in broker.run(
            [DETAILS, PARAMETERS, LISTING, STOCK_BARS, option_bars(6), STOCK_QUOTE, OPTION_QUOTE],
            planned_at=wall_clock(),
        )
    )
    assert [(c["con_id"], c["symbol"], c["sec_type"], c["primary_exchange"]) for c in details["contracts"]] == [
        (1, "AAA", "STK", "NASDAQ")
    ]
    assert {p["exchange"] for p in parameters["parameters"]} == {"SMART", "CBOE"}
    assert parameters["parameters"][0]["underlying_con_id"] == 1
    assert {(c["strike"], c["right"]) for c in listing["contracts"]} == {
        (s, r) for s in (95.0, 100.0, 105.0) for r in "CP"
    }
    assert {c["last_trade"] for c in listing["contracts"]} == {"20240621"}
    assert all(isinstance(start, str) and len(start) == 8 for start, *_ in bars["bars"])
    assert all(isinstance(start, int) for start, *_ in intraday["bars"])
    assert datetime.fromtimestamp(intraday["bars"][0][0], UTC) <= NOW
    assert (stock["bid"], stock["ask"], stock["last"]) == (99.99, 100.01, 100.0)
    assert stock["time"] == NOW.timestamp()
    assert quote["open_interest"] == 77.0
    assert quote["delta"] == 0.5
    eventually(lambda: simulator.counters.open_now.get("lines", 0) == 0)  # the last cancel is still on its way
    assert not simulator.counters.violations


def test_nothing_to_ask_opens_no_connection(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate()
    broker = broker_for(settings_for(simulator))
    assert broker.run([], planned_at=wall_clock()) == []
    assert not broker.connected
    assert simulator.counters.connections.get("accepted", 0) == 0


def test_a_known_answer_opens_no_connection(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, journal_for: JournalFor
) -> None:
    simulator = simulate()
    settings = settings_for(simulator)
    journal = journal_for(settings)
    first = broker_for(settings, journal)
    asked = first.run(ONE_OF_EACH, planned_at=wall_clock())
    first.close()
    accepted = simulator.counters.connections["accepted"]

    second = broker_for(settings, journal)
    known = second.run(ONE_OF_EACH, planned_at=wall_clock())

    assert [r.payload for r in known] == [r.payload for r in asked]
    assert all(r.reused for r in known)
    assert not any(r.reused for r in asked)
    assert (second.sent, second.reused, second.connected) == (0, len(ONE_OF_EACH), False)
    assert simulator.counters.connections["accepted"] == accepted
    assert not simulator.counters.repeated("historical_data", "contract_details", "option_parameters", "market_data")


@pytest.mark.parametrize("known", [2, 5, len(ONE_OF_EACH)])
def test_a_whole_chunk_that_is_known_does_not_hold_up_the_rest(
    known: int,
    simulate: Simulate,
    settings_for: SettingsFor,
    broker_for: BrokerFor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another run has asked for the first of them since the plan: of that chunk nothing is sent."""
    monkeypatch.setattr(claims, "CLAIM_CHUNK", 2)
    planned_at = wall_clock()
    broker = broker_for(settings_for(simulate()))
    broker.run(ONE_OF_EACH[:known], planned_at=planned_at)
    results = broker.run(ONE_OF_EACH, planned_at=planned_at)
    assert {result.outcome.kind for result in results} == {OutcomeKind.COMPLETE}
    assert (broker.sent, broker.reused) == (len(ONE_OF_EACH), known)


def test_equal_requests_are_asked_once_and_results_keep_the_order(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate()
    broker = broker_for(settings_for(simulator))
    requests: list[Request] = [STOCK_BARS, DETAILS, STOCK_BARS, option_bars(7), DETAILS]
    results = broker.run(requests, planned_at=wall_clock())
    assert [r.request for r in results] == requests
    assert broker.sent == 3


def test_sends_in_the_given_order(simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor) -> None:
    simulator = simulate()
    order = [*LIVE_OPTIONS][::-1]
    broker_for(settings_for(simulator)).run([option_bars(i) for i in order], planned_at=wall_clock())
    asked = [entry.subject for entry in simulator.counters.of("historical_data")]
    assert len(asked) == len(order)
    strikes = [f"{option(i).strike:g}" for i in order]
    assert all(strike in subject for strike, subject in zip(strikes, asked, strict=True))


def test_results_are_in_the_journal_before_they_are_handed_on(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, journal_for: JournalFor
) -> None:
    simulator = simulate()
    settings = settings_for(simulator)
    journal = journal_for(settings)
    seen: list[int] = []

    def look(done: int, *_: int) -> None:
        datasets = ["contracts", "option_chains", "equity_bars", "option_bars"]
        assert len({r.request_id for r in journal.unapplied(datasets)}) >= done
        seen.append(done)

    broker_for(settings, journal, progress=look).run(ONE_OF_EACH, planned_at=wall_clock())
    assert seen == list(range(1, len(ONE_OF_EACH) + 1))


def test_progress_counts_to_the_end(simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor) -> None:
    seen: list[tuple[int, int, int, int]] = []
    broker = broker_for(settings_for(simulate()), progress=lambda *counts: seen.append(counts))
    broker.run([DETAILS, STOCK_BARS], planned_at=wall_clock())
    assert [counts[:2] for counts in seen] == [(1, 2), (2, 2)]
    assert seen[-1] == (2, 2, 2, 0)


def test_a_callback_that_raises_ends_the_run_and_leaves_no_claim(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, journal_for: JournalFor
) -> None:
    settings = settings_for(simulate())
    journal = journal_for(settings)

    def refuse(*_: int) -> None:
        raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="disk is full"):
        broker_for(settings, journal, progress=refuse).run(ONE_OF_EACH, planned_at=wall_clock())

    other = broker_for(settings)
    results = other.run(ONE_OF_EACH, planned_at=wall_clock())
    assert {r.outcome.kind for r in results} == {OutcomeKind.COMPLETE}
    assert other.reused >= 1


def test_failures_of_the_question_are_results(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    unknown = ContractDetailsRequest(Instrument("NOSUCH"), SESSION)
    quiet = BarsRequest(Instrument("QUIET", con_id=4), SESSION, first_session=FIRST, end=NOW, duration="10 D")
    daily = option_bars(6, "1 day")
    expired = option_bars(0)
    results = broker_for(settings_for(simulate())).run([unknown, quiet, daily, expired], planned_at=wall_clock())
    kinds = [r.outcome.kind for r in results]
    assert kinds == [OutcomeKind.NO_CONTRACT, OutcomeKind.EMPTY, OutcomeKind.REJECTED, OutcomeKind.EXPIRED]
    assert all(remedy_of(r.outcome) and r.payload is None for r in results)


def test_identity_is_told_before_any_data_is_asked_for(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate()
    told: list[tuple[str, dict[str, int]]] = []
    broker = broker_for(
        settings_for(simulator), on_identity=lambda identity: told.append((identity, simulator.counters.requests))
    )
    broker.run([STOCK_BARS], planned_at=wall_clock())
    [(identity, requests)] = told
    assert identity == broker.identity == "simulated/tiny/1"
    assert "historical_data" not in requests


def test_a_refused_identity_ends_the_run_before_any_data(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate()

    def refuse(identity: str) -> None:
        raise IdentityMismatch(f"This lake was filled by another broker than {identity}.")

    with pytest.raises(IdentityMismatch, match="another broker"):
        broker_for(settings_for(simulator), on_identity=refuse).run([STOCK_BARS], planned_at=wall_clock())
    assert "historical_data" not in simulator.counters.requests


@pytest.mark.parametrize(
    ("accounts", "identity"), [(["DU1234567"], "paper"), (["U1234567"], "live"), (["DU1", "U2"], "live")]
)
def test_real_accounts(
    accounts: list[str], identity: str, simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(accounts=accounts)
    with pytest.raises(IdentityMismatch, match="TRADING_ASSETS_BROKER=tws"):
        broker_for(settings_for(simulator)).run([STOCK_BARS], planned_at=wall_clock())
    broker = broker_for(settings_for(simulator, broker=BrokerKind.TWS))
    broker.run([STOCK_BARS], planned_at=wall_clock())
    assert broker.identity == identity


def test_a_false_200_in_the_reset_window_is_asked_again(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(faults=Faults([{"on": "contract_details", "do": "no_security"}]))
    in_window = datetime(2024, 6, 4, 4, 30, tzinfo=UTC)
    broker = broker_for(settings_for(simulator, broker=BrokerKind.TWS), clock=lambda: in_window)
    [result] = broker.run([DETAILS], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert broker.sent == 2


def test_no_port_and_no_simulator(settings_for: SettingsFor, simulate: Simulate, broker_for: BrokerFor) -> None:
    with pytest.raises(BrokerNotConfigured, match="TRADING_ASSETS_IB_PORT"):
        broker_for(settings_for(simulate(), ib_port=None)).run([STOCK_BARS], planned_at=wall_clock())


def test_endpoint_is_asked_for_only_when_something_must_be_sent(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate()
    calls: list[int] = []

    def endpoint() -> tuple[str, int]:
        calls.append(1)
        return "127.0.0.1", simulator.port

    broker = broker_for(settings_for(simulator, ib_port=None), endpoint=endpoint)
    broker.run([], planned_at=wall_clock())
    assert not calls
    broker.run([STOCK_BARS], planned_at=wall_clock())
    broker.run([DETAILS], planned_at=wall_clock())
    assert len(calls) == 1


def test_pacing_violations_open_the_breaker_for_every_process_and_a_trial_closes_it(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    simulator = simulate(faults=Faults([{"on": "historical_data", "do": "pacing", "times": 3}]))
    settings = settings_for(simulator, failure_threshold=3, recovery_timeout=1000, max_attempts=4)
    first = broker_for(settings)
    with pytest.raises(BreakerOpen) as caught:
        first.run([STOCK_BARS], planned_at=wall_clock())
    assert caught.value.retryable
    assert 0 < caught.value.seconds_left <= 1000

    second = broker_for(settings)
    with pytest.raises(BreakerOpen):
        second.run([DETAILS], planned_at=wall_clock())
    assert (second.sent, second.connected) == (0, False)

    third = broker_for(settings.model_copy(update={"recovery_timeout": 0.0}))
    results = third.run([STOCK_BARS, DETAILS], planned_at=wall_clock())
    assert {r.outcome.kind for r in results} == {OutcomeKind.COMPLETE}
    assert third.breaker.state.phase is Phase.CLOSED


def test_used_up_client_ids_are_no_failure_of_the_broker(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, journal_for: JournalFor
) -> None:
    settings = settings_for(simulate(), ib_client_ids=(50, 50), failure_threshold=1)
    first, second = broker_for(settings), broker_for(settings)
    first.run([DETAILS], planned_at=wall_clock())
    with pytest.raises(ClientIdsExhausted):
        second.run([LISTING], planned_at=wall_clock())
    with pytest.raises(ClientIdsExhausted):
        second.positions()
    assert second.breaker.state == BreakerState()


def test_empty_answers_never_open_the_breaker(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    settings = settings_for(simulate(), failure_threshold=2)
    quiet = [
        BarsRequest(
            Instrument("QUIET", con_id=4), SESSION, bar_size=size, first_session=FIRST, end=NOW, duration="10 D"
        )
        for size in ("1 day", "1 hour", "30 mins", "15 mins")
    ]
    broker = broker_for(settings)
    results = broker.run(quiet, planned_at=wall_clock())
    assert {r.outcome.kind for r in results} == {OutcomeKind.EMPTY}
    assert broker.breaker.state.phase is Phase.CLOSED


def test_small_bars_keep_within_their_windows(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor
) -> None:
    """Seven requests for one contract and tick type: the sixth would be a violation within two seconds."""
    simulator = simulate()
    requests = [
        BarsRequest(
            STOCK,
            SESSION,
            bar_size="30 secs",
            first_session=SESSION - timedelta(days=i),
            end=NOW - timedelta(minutes=i),
            duration="1800 S",
        )
        for i in range(7)
    ]
    broker = broker_for(settings_for(simulator, history_timeout=20.0))
    results = broker.run(requests, planned_at=wall_clock())
    assert {r.outcome.kind for r in results} == {OutcomeKind.COMPLETE}
    assert not simulator.counters.violations


def test_planned_at_needs_a_zone(simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor) -> None:
    with pytest.raises(ValueError, match="time zone"):
        broker_for(settings_for(simulate())).run([DETAILS], planned_at=NOW.replace(tzinfo=None))


def test_a_journal_that_cannot_be_written_ends_the_run(
    simulate: Simulate, settings_for: SettingsFor, broker_for: BrokerFor, journal_for: JournalFor
) -> None:
    settings = settings_for(simulate(latency=0.1))
    journal = journal_for(settings)

    def destroy(*_: int) -> None:
        with write_transaction(journal.engine) as connection:
            connection.exec_driver_sql("DROP TABLE IF EXISTS requests")

    with pytest.raises(BrokerError, match="journal cannot be written"):
        broker_for(settings, journal, progress=destroy).run(ONE_OF_EACH, planned_at=wall_clock())
