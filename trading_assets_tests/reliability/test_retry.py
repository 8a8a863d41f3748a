"""Retries: how long they wait, and what is worth one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.reliability import BreakerOpen, RetryConfig

AT_ONCE = RetryConfig(attempts=3, wait_initial=0.0)


@given(st.integers(1, 10_000), st.floats(0, 100), st.floats(0, 1000), st.floats(1, 10), st.floats(0, 2))
def test_waits_stay_within_their_bounds(
    attempt: int, initial: float, most: float, factor: float, jitter: float
) -> None:
    wait = RetryConfig(4, initial, most, factor, jitter).wait(attempt)
    assert 0 <= wait <= most * (1 + jitter) + 1e-9


def test_waits_grow() -> None:
    assert list(RetryConfig(5, 1.0, 6.0, 2.0, 0.0).waits()) == [1.0, 2.0, 4.0, 6.0]


def test_tries_until_it_succeeds() -> None:
    outcomes = iter([ConnectionError(), TimeoutError(), None])

    def call(value: int) -> int:
        if (error := next(outcomes)) is not None:
            raise error
        return value

    assert AT_ONCE.retrying(call, 7) == 7


def test_the_last_error_is_raised() -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise ConnectionError("down")

    with pytest.raises(ConnectionError, match="down"):
        AT_ONCE.retrying(call)
    assert len(calls) == 3


def test_an_error_that_says_it_is_retryable_is_tried_again_and_others_are_not() -> None:
    errors = iter([BreakerOpen("x", 0), ValueError("no")])

    def call() -> None:
        raise next(errors)

    with pytest.raises(ValueError, match="no"):
        AT_ONCE.retrying(call)


def test_impossible_settings_are_refused() -> None:
    nan = float("nan")
    impossible: list[dict[str, Any]] = [{"attempts": attempts} for attempts in (0, 1.5, True, "4")]
    for given_ in (*impossible, {"wait_initial": -1}, {"wait_max": nan}, {"factor": 0.5}, {"jitter": "1"}):
        with pytest.raises(ValueError, match="at least 1"):
            RetryConfig(**given_)
