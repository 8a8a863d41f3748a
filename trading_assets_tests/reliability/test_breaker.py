"""The circuit breaker: opens, waits, tries once, closes."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from trading_assets.reliability import BreakerOpen, BreakerState, CircuitBreaker, MemoryStore, Phase
from trading_assets.reliability import breaker as breaker_module


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


class SharedStore(MemoryStore):
    """As one that several machines share, with the number of looks at it."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def now(self) -> float:
        return time.time()

    def transact(self, name: str, change: Callable[[BreakerState], BreakerState]) -> BreakerState:
        self.looks += 1
        return super().transact(name, change)


@pytest.mark.parametrize("shared", [MemoryStore, SharedStore])
def test_single_failures_of_many_do_not_open_it_while_another_is_answered(
    shared: Callable[[], MemoryStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A success is written to a shared store once in `SUCCESS_SECONDS`, which is 0 here: each is written."""
    monkeypatch.setattr(breaker_module, "SUCCESS_SECONDS", 0.0)
    store = shared()
    answered, *others = (CircuitBreaker(3, 300, store=store) for _ in range(7))
    for other in others:
        answered.record_success()
        other.record_failure()
    answered.record_success()
    assert answered.state == BreakerState()


def test_a_shared_store_is_not_told_of_every_success() -> None:
    store = SharedStore()
    breaker = CircuitBreaker(3, 300, store=store)
    for _ in range(100):
        breaker.record_success()
    assert store.looks == 1 and breaker.clean
    breaker.record_failure()
    assert not breaker.clean
    breaker.record_success()
    assert store.looks == 3 and breaker.state == BreakerState()


def test_what_says_nothing_of_the_other_side_counts_as_neither(clock: Clock, store: MemoryStore) -> None:
    breaker = CircuitBreaker(2, 300, store=store, clock=clock, ignored=(Unavailable,))
    failing(breaker, 1)
    with pytest.raises(Unavailable), breaker:
        raise Unavailable
    assert breaker.state.failures == 1
    failing(breaker, 1)
    clock.now += 301
    with pytest.raises(Unavailable), breaker:
        raise Unavailable
    assert breaker.state.phase is Phase.OPEN and not breaker.state.trial


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


class Unavailable(RuntimeError):
    """An error that says of itself that the same call may succeed later."""

    retryable = True


def test_an_error_that_may_pass_is_a_failure(clock: Clock, store: MemoryStore) -> None:
    breaker = CircuitBreaker(1, 300, store=store, clock=clock)
    with pytest.raises(Unavailable), breaker:
        raise Unavailable
    assert breaker.state.phase is Phase.OPEN


def test_that_another_breaker_is_open_says_nothing(clock: Clock, store: MemoryStore) -> None:
    breaker = CircuitBreaker(3, 300, store=store, clock=clock)
    failing(breaker, 2)
    with pytest.raises(BreakerOpen), breaker:
        raise BreakerOpen("other", 1)
    assert breaker.state.failures == 2


def test_what_the_same_breaker_inside_has_seen_counts_once(clock: Clock, store: MemoryStore) -> None:
    outer = CircuitBreaker(3, 300, store=store, clock=clock)
    inner = CircuitBreaker(3, 300, store=store, clock=clock, inside=True)
    with outer:  # it ends well: what failed inside was handled there
        failing(inner, 2)
    assert outer.state.failures == 2
    with pytest.raises(ConnectionError), outer, inner:
        raise ConnectionError
    assert (outer.state.phase, outer.state.failures) == (Phase.OPEN, 3)


@pytest.mark.parametrize("succeeds", [True, False])
def test_the_trial_of_a_block_is_that_of_the_breaker_inside(clock: Clock, store: MemoryStore, succeeds: bool) -> None:
    outer = CircuitBreaker(1, 300, store=store, clock=clock)
    inner, other = (CircuitBreaker(1, 300, store=store, clock=clock, inside=True) for _ in range(2))
    failing(outer)
    clock.now += 300
    with outer:
        with pytest.raises(BreakerOpen):
            threads_own(other)
        if succeeds:
            with inner:
                pass
        else:
            failing(inner)
    assert outer.state.phase is (Phase.CLOSED if succeeds else Phase.OPEN)


def threads_own(breaker: CircuitBreaker) -> None:
    """Ask leave in another thread, where no block is around."""
    raised: list[BaseException] = []

    def ask() -> None:
        try:
            breaker.acquire()
        except BreakerOpen as error:
            raised.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    for error in raised:
        raise error


@pytest.mark.parametrize("wrong", [{"failure_threshold": value} for value in (0, -1, 1.5, True, "5", None)])
def test_no_number_of_failures_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"failure_threshold is .* at least 1\."):
        CircuitBreaker(**wrong)


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, "300", None])
def test_no_time_of_recovery_is_refused(seconds: Any) -> None:
    with pytest.raises(ValueError, match=r"recovery_timeout is .* number of seconds"):
        CircuitBreaker(recovery_timeout=seconds)
