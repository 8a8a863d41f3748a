"""Restatements told from corrections, by prices as the broker rounds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.collecting.decode import Restatement, restated
from trading_assets.collecting.decode.restated import PRICES, simple_between

START = datetime(2024, 6, 3, 13, 30, tzinfo=UTC)

Bars = Sequence[Sequence[float]]


def bars(prices: Bars, size: str = "1 day") -> pa.Table:
    columns = {name: [float(bar[place]) for bar in prices] for place, name in enumerate(PRICES)}
    starts = [START + timedelta(days=day) for day in range(len(prices))]
    return pa.table({"symbol": ["ABC"] * len(prices), "bar_size": [size] * len(prices), "start": starts, **columns})


def flat(price: float, days: int = 4, spread: float = 0.03) -> list[list[float]]:
    """Bars around a price, in cents."""
    return [[round(price * (1 + day * 0.01 + part), 2) for part in (0.0, spread, -spread, 0.01)] for day in range(days)]


def scaled(prices: Bars, ratio: float, digits: int = 2) -> list[list[float]]:
    return [[max(round(price * ratio, digits), 10**-digits) for price in bar] for bar in prices]


def found(old: Bars, new: Bars) -> Restatement:
    [one] = restated(bars(new), bars(old))
    return one


@pytest.mark.parametrize(
    ("price", "ratio", "digits", "said"),
    [
        (645.57, 1 / 7, 6, "0.142857 (1/7, a split"),
        (645.57, 1 / 7, 2, "0.142857 (1/7, a split"),
        (1.27, 20.0, 2, "20 (a split"),
        (1.27, 35.0, 4, "35 (a split"),
        (84.0, 2 / 3, 2, "0.666667 (2/3, a split"),
        (84.0, 1 / 1.05, 4, "0.952381 (20/21, a split"),
        (184.0, 0.99, 2, "0.99 (99/100, a split"),
        (101.05, 0.9137, 2, "0.9137 (a split"),
        (0.03, 20.0, 2, "a split"),
        (0.01, 100.0, 2, "a split"),
    ],
)
def test_one_ratio_explains_what_a_corporate_action_restated(
    price: float, ratio: float, digits: int, said: str
) -> None:
    old = flat(price)
    change = found(old, scaled(old, ratio, digits))
    assert (change.uniform, change.corrected) == (True, False)
    assert said in change.words()


def test_rounding_that_was_rounded_before_hides_no_ratio() -> None:
    """Traded at three times the price, restated and rounded, then restated by a reverse split from what was traded."""
    traded = flat(1.07 * 3)
    change = found(scaled(traded, 1 / 3), scaled(traded, 20 / 3))
    assert (change.ratio, change.uniform, change.corrected) == (20.0, True, False)


@pytest.mark.parametrize(
    "correct",
    [
        lambda old: [[*old[0][:3], old[0][3] + 0.01], *old[1:]],
        lambda old: [*old[:-1], [price * 0.99 for price in old[-1]]],
        lambda old: [old[0], [old[1][0], old[1][1] * 1.04, *old[1][2:]], *old[2:]],
    ],
    ids=["a cent", "the last bar", "a high"],
)
def test_a_small_change_of_single_bars_is_a_correction(correct: Callable[[Bars], Bars]) -> None:
    old = flat(101.0)
    change = found(old, correct(old))
    assert change.corrected
    assert change.bars == 1
    assert change.largest < 0.05


def test_a_history_restated_in_part_is_no_correction() -> None:
    old = flat(101.0)
    change = found(old, [*scaled(old[:2], 0.25), *old[2:]])
    assert (change.ratio, change.uniform, change.corrected, change.bars) == (0.25, True, False, 2)


@pytest.mark.parametrize("ratios", [(0.25, 0.5), (0.98, 0.96)])
def test_two_restatements_at_once_are_no_correction(ratios: tuple[float, float]) -> None:
    old = flat(101.0)
    change = found(old, [*scaled(old[:2], ratios[0]), *scaled(old[2:], ratios[1])])
    assert (change.uniform, change.corrected) == (False, False)
    assert f"changed by up to {change.largest:.0%}, not by one ratio" in change.words()


def test_equal_bars_and_bars_of_one_side_say_nothing() -> None:
    old = flat(101.0)
    assert restated(bars(old), bars(old)) == []
    assert restated(bars(old), bars([])) == []


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.3, 900.0),
    st.sampled_from([(1, 2), (1, 3), (1, 4), (1, 7), (1, 20), (2, 3), (4, 5), (20, 21), (5, 1), (20, 1), (35, 1)]),
    st.sampled_from([2, 4, 6]),
    st.floats(0.2, 3.0),
)
def test_no_restatement_is_taken_for_a_correction(
    price: float, terms: tuple[int, int], digits: int, earlier: float
) -> None:
    """Whatever the price, the ratio, the rounding, and an earlier restatement that was rounded as well; unless rounding
    hides it."""
    ratio, traded = terms[0] / terms[1], flat(price)
    old, new = scaled(traded, earlier), scaled(traded, earlier * ratio, digits)
    least = min(min(bar) for bar in old)
    steps = 1.02 * (0.01 + 10**-digits)  # the rounding of an old and of a new price, twice
    if least * abs(1 - ratio) > steps and least * ratio > 10**-digits:
        change = found(old, new)
        assert (change.uniform, change.corrected) == (True, False)
        assert change.ratio == pytest.approx(ratio, rel=max(0.05, steps / least * max(1.0, 1 / ratio)))


def test_the_fraction_of_an_interval_has_a_small_term() -> None:
    assert simple_between(0.1427, 0.1430) == Fraction(1, 7)
    assert simple_between(34.9, 35.1) == 35
    assert simple_between(0.00731, 0.007311) is None
