"""A circuit breaker in user code that shares the state of the platform's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

import trading_assets as ta
from trading_assets.reliability import BreakerOpen, CircuitBreaker, Phase
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.scenarios.desk import Desk, at, sentences, set_up

FEW = {"option_chains": {"selection": {"max_days_to_expiry": 0, "strikes_around_spot": 1}}}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """AAPL, set up on Monday; it is Tuesday, and everything is to be asked."""
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40-05:00"), limits=False) as simulator:
        desk = set_up(tmp_path / "lake", simulator, "AAPL", FEW)
        desk.move("2025-11-18T16:40-05:00")
        yield desk


def status(desk: Desk) -> str:
    return str(ta.DataPipelineOrchestrator(settings=desk.settings).generate_status_report()["circuit_breaker_status"])


def fail(desk: Desk, wait: float) -> CircuitBreaker:
    """A call of the user's own that fails, in a block of a breaker that shares the platform's state."""
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=wait, store=ta.breaker_store(desk.folder))
    with pytest.raises(ConnectionError), breaker:
        raise ConnectionError("nobody answers")
    return breaker


def test_a_failure_of_the_users_own_calls_stops_the_platform_and_is_in_the_status(desk: Desk) -> None:
    assert status(desk) == "closed"
    fail(desk, 300)
    assert status(desk) == "open"
    operation = desk.update()
    assert not operation.success and "circuit breaker" in operation.runs[0].error
    assert desk.asked() == {}
    with pytest.raises(BreakerOpen), CircuitBreaker(store=ta.breaker_store(settings=desk.settings)):
        pytest.fail("the call was made")


def test_the_trial_of_a_block_is_made_by_the_operation_inside(desk: Desk) -> None:
    breaker = fail(desk, 0)
    with breaker:
        assert breaker.state.phase is Phase.HALF_OPEN
        operation = desk.update()
    assert operation.success, sentences(operation)
    assert status(desk) == "closed" and desk.asked()


def test_an_operation_that_fails_inside_a_block_is_no_success_of_it(desk: Desk) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        desk.changes.update(ib_port=nobody.getsockname()[1], failure_threshold=1, reconnect_timeout=0)
    with CircuitBreaker(store=ta.breaker_store(desk.folder)):
        assert not desk.update().success
    assert status(desk) == "open"
