"""The circuit breaker: opens, waits, tries once, closes."""

from __future__ import annotations

import threading
import uuid

import pytest

from trading_assets.reliability import BreakerOpen, CircuitBreaker, MemoryStore, Phase


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def failing(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError), breaker:
            raise ConnectionError("down")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def test_opens_after_failures_in_a_row_and_says_for_how_long(clock: Clock, store: MemoryStore) -> None:
    breaker = CircuitBreaker(3, 300, store=store, clock=clock)
    failing(breaker, 3)
    clock.now += 60
    with pytest.raises(BreakerOpen, match="240 s") as caught, breaker:
        pytest.fail("the call was made")
    assert caught.value.seconds_left == 240
    assert caught.value.retryable


def test_a_success_between_failures_keeps_it_closed(clock: Clock, store: MemoryStore) -> None:
    breaker = CircuitBreaker(3, 300, store=store, clock=clock)
    for _ in range(4):
        failing(breaker, 2)
        with breaker:
            pass
    assert breaker.state.phase is Phase.CLOSED


def test_an_answer_the_caller_dislikes_is_no_failure(clock: Clock, store: MemoryStore) -> None:
    breaker = CircuitBreaker(1, 300, store=store, clock=clock)
    with pytest.raises(ValueError), breaker:
        raise ValueError("no data")
    assert breaker.state.phase is Phase.CLOSED


def test_one_trial_call_after_the_wait_closes_it(clock: Clock, store: MemoryStore) -> None:
    first, second = (CircuitBreaker(1, 300, store=store, clock=clock) for _ in range(2))
    failing(first)
    clock.now += 300
    with first:
        assert first.state.phase is Phase.HALF_OPEN
        with pytest.raises(BreakerOpen), second:
            pytest.fail("a second trial call was made")
    with second:
        assert second.state.phase is Phase.CLOSED


def test_a_failed_trial_opens_it_again_for_the_whole_time(clock: Clock, store: MemoryStore) -> None:
    breaker = CircuitBreaker(5, 300, store=store, clock=clock)
    failing(breaker, 5)
    clock.now += 300
    failing(breaker)
    clock.now += 299
    with pytest.raises(BreakerOpen), breaker:
        pytest.fail("the call was made")


def test_a_trial_that_never_reported_is_replaced(clock: Clock, store: MemoryStore) -> None:
    dead, alive = (CircuitBreaker(1, 300, store=store, clock=clock) for _ in range(2))
    failing(dead)
    clock.now += 300
    dead.acquire()
    clock.now += 300
    with alive:
        assert alive.state.phase is Phase.HALF_OPEN
    assert alive.state.phase is Phase.CLOSED


def test_a_withdrawn_trial_leaves_the_next_one_free(clock: Clock, store: MemoryStore) -> None:
    breaker = CircuitBreaker(1, 300, store=store, clock=clock)
    failing(breaker)
    clock.now += 300
    with pytest.raises(KeyboardInterrupt), breaker:
        raise KeyboardInterrupt
    with breaker:
        pass
    assert breaker.state.phase is Phase.CLOSED


def test_blocks_of_one_name_remember_each_other() -> None:
    """As in the guide: a new object for every block."""
    name = uuid.uuid4().hex
    for _ in range(2):
        with pytest.raises(TimeoutError), CircuitBreaker(failure_threshold=2, recovery_timeout=300, name=name):
            raise TimeoutError
    with pytest.raises(BreakerOpen), CircuitBreaker(failure_threshold=2, recovery_timeout=300, name=name):
        pytest.fail("the call was made")


def test_decorator(clock: Clock, store: MemoryStore) -> None:
    @CircuitBreaker(1, 300, store=store, clock=clock)
    def halve(value: int) -> int:
        if value < 0:
            raise ConnectionError
        return value // 2

    assert halve(4) == 2
    with pytest.raises(ConnectionError):
        halve(-1)
    with pytest.raises(BreakerOpen):
        halve(4)


def test_only_one_of_many_threads_gets_the_trial(clock: Clock, store: MemoryStore) -> None:
    failing(CircuitBreaker(1, 300, store=store, clock=clock))
    clock.now += 300
    admitted: list[int] = []
    start = threading.Barrier(8)

    def call(number: int) -> None:
        start.wait()
        try:
            CircuitBreaker(1, 300, store=store, clock=clock).acquire()
        except BreakerOpen:
            return
        admitted.append(number)

    threads = [threading.Thread(target=call, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 1


def test_threshold_must_be_positive() -> None:
    with pytest.raises(ValueError, match="failure_threshold"):
        CircuitBreaker(0)
