"""Formulas against a textbook, against each other, and against recorded vendor values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trading_assets.pricing import black_scholes as bs

spots = st.floats(5, 5000)
moneyness = st.floats(0.5, 2.0)
years = st.floats(1 / 365, 3)
volatilities = st.floats(0.05, 2.0)
rates = st.floats(-0.02, 0.10)
rights = st.sampled_from("CP")


def test_textbook_prices() -> None:
    """Hull, example 15.6: S=42, K=40, r=10 %, v=20 %, half a year."""
    assert bs.price(42, 40, 0.5, 0.2, "C", 0.1) == pytest.approx(4.76, abs=0.005)
    assert bs.price(42, 40, 0.5, 0.2, "P", 0.1) == pytest.approx(0.81, abs=0.005)
    # Example 17.1, an index: S=930, K=900, r=8 %, v=20 %, two months, dividends 3 %.
    assert bs.price(930, 900, 2 / 12, 0.2, "C", 0.08, 0.03) == pytest.approx(51.83, abs=0.005)


def test_textbook_greeks() -> None:
    """Hull, chapter 19: S=49, K=50, r=5 %, v=20 %, 0.3846 years; vega 12.1 per 1.00, theta -4.31 a year."""
    arguments = (49, 50, 0.3846, 0.2, "C", 0.05)
    assert bs.delta(*arguments) == pytest.approx(0.522, abs=0.0005)
    assert bs.gamma(*arguments) == pytest.approx(0.066, abs=0.0005)
    assert bs.vega(*arguments) == pytest.approx(0.121, abs=0.0005)
    assert bs.theta(*arguments) == pytest.approx(-4.31 / 365, abs=0.00005)


@given(spots, moneyness, years, volatilities, rates, rates)
def test_put_call_parity(spot: float, m: float, t: float, v: float, r: float, q: float) -> None:
    strike = spot * m
    call, put = bs.price(spot, strike, t, v, "C", r, q), bs.price(spot, strike, t, v, "P", r, q)
    assert call - put == pytest.approx(spot * math.exp(-q * t) - strike * math.exp(-r * t), abs=1e-9 * spot)


@given(spots, moneyness, years, volatilities, rights, rates)
def test_the_implied_volatility_gives_the_price_back(
    spot: float, m: float, t: float, v: float, right: str, r: float
) -> None:
    strike = spot * m
    value = bs.price(spot, strike, t, v, right, r)
    assume(bs.vega(spot, strike, t, v, right, r) > 1e-7 * spot)
    implied = bs.implied_volatility(value, spot, strike, t, right, r)
    assert implied == pytest.approx(v, rel=1e-4)
    assert bs.price(spot, strike, t, implied, right, r) == pytest.approx(value, abs=1e-9 * spot)
    assert bs.implied_volatility(np.array([value]), spot, strike, t, right, r)[0] == pytest.approx(implied, rel=1e-6)


@given(spots, moneyness, years, st.floats(0.1, 1.5), rights, rates, rates)
def test_greeks_are_the_slopes_of_the_price(
    spot: float, m: float, t: float, v: float, right: str, r: float, q: float
) -> None:
    strike, h = spot * m, 1e-4 * spot

    def price(s: float = spot, time: float = t, volatility: float = v) -> float:
        return bs.price(s, strike, time, volatility, right, r, q)

    assert bs.delta(spot, strike, t, v, right, r, q) == pytest.approx(
        (price(spot + h) - price(spot - h)) / (2 * h), abs=1e-4
    )
    rise = price(volatility=v + 1e-5) - price(volatility=v - 1e-5)
    assert bs.vega(spot, strike, t, v, right, r, q) == pytest.approx(rise / 2e-3, abs=1e-6 * spot)
    slope = -(price(time=t * (1 + 1e-5)) - price(time=t * (1 - 1e-5))) / (2e-5 * t * 365)
    assert bs.theta(spot, strike, t, v, right, r, q) == pytest.approx(slope, abs=1e-5 * spot)
    bend = (price(spot + h) - 2 * price() + price(spot - h)) / h**2
    assert bs.gamma(spot, strike, t, v, right, r, q) == pytest.approx(bend, abs=1e-3 + 1e-2 * bend)
    steeper = bs.price(spot, strike, t, v, right, r + 1e-5, q) - bs.price(spot, strike, t, v, right, r - 1e-5, q)
    assert bs.rho(spot, strike, t, v, right, r, q) == pytest.approx(steeper / 2e-3, abs=1e-6 * spot)


@given(spots, moneyness, years, volatilities, rights, rates, rates)
def test_the_price_is_within_its_bounds_and_rises_with_volatility(
    spot: float, m: float, t: float, v: float, right: str, r: float, q: float
) -> None:
    strike = spot * m
    forward, bond = spot * math.exp(-q * t), strike * math.exp(-r * t)
    sign, most = (1, forward) if right == "C" else (-1, bond)
    value = bs.price(spot, strike, t, v, right, r, q)
    assert max(sign * (forward - bond), 0) - 1e-12 * spot <= value <= most
    assert bs.price(spot, strike, t, v + 0.01, right, r, q) >= value - 1e-12 * spot


def test_greeks_are_all_at_once_what_they_are_alone() -> None:
    arguments = (100.0, np.array([80.0, 100.0, 120.0]), 0.5, 0.3, np.array(["C", "P", "C"]), 0.02, 0.01)
    together = bs.greeks(*arguments)
    for name in together._fields:
        assert getattr(together, name).tolist() == getattr(bs, name)(*arguments).tolist()
    assert all(isinstance(value, float) for value in bs.greeks(100, 100, 1, 0.2, "C"))


def test_textbook_rho() -> None:
    """Hull, chapter 19: the same option; rho 8.91 per 1.00 of the rate."""
    assert bs.rho(49, 50, 0.3846, 0.2, "C", 0.05) == pytest.approx(0.0891, abs=0.00005)


@given(st.floats(0.01, 100), st.floats(0.02, 3), st.integers(1, 700), rights)
def test_tiny_prices_have_exact_volatilities(distance: float, v: float, life: int, right: str) -> None:
    """Deep out of the money, where a volatility is found from the logarithm of the price."""
    t = life / 365
    strike = 100 * math.exp((1 if right == "C" else -1) * min(distance, 30) * v * math.sqrt(t))
    assume(1e-3 < strike < 1e7)
    value = bs.price(100.0, strike, t, v, right)
    assume(value > 1e-200)
    assert bs.implied_volatility(value, 100.0, strike, t, right) == pytest.approx(v, rel=1e-6)


def test_arrays_and_numbers_agree() -> None:
    strikes, sides = np.array([80.0, 100.0, 120.0]), np.array(["C", "P", "C"])
    together = bs.price(100, strikes, 0.5, 0.3, sides, 0.02)
    assert together == pytest.approx(
        [bs.price(100, float(k), 0.5, 0.3, str(w), 0.02) for k, w in zip(strikes, sides, strict=True)]
    )
    assert isinstance(bs.price(100, 100, 1, 0.2, "C"), float)
    assert isinstance(bs.delta(100, 100, 1, 0.2, "C"), float)


def test_no_time_left() -> None:
    assert bs.price(105, 100, 0, 0.2, "C") == 5
    assert bs.price(np.array([105.0, 95.0]), 100, 0, 0.2, "P").tolist() == [0, 5]
    assert bs.delta(105, 100, 0, 0.2, "C") == 1
    assert bs.delta(105, 100, 0, 0.2, "P") == 0
    assert bs.gamma(105, 100, 0, 0.2) == bs.vega(105, 100, 0, 0.2) == bs.theta(105, 100, 0, 0.2, "C") == 0


@pytest.mark.parametrize("value", [4.0, 5.0, 105.0, 200.0, math.nan, -1.0])
def test_a_price_outside_the_bounds_has_no_implied_volatility(value: float) -> None:
    assert math.isnan(bs.implied_volatility(value, 105, 100, 0.5, "C"))
    assert np.isnan(bs.implied_volatility(np.array([value]), 105, 100, 0.5, "C")).all()
    assert math.isnan(bs.implied_volatility(5.5, 105, 100, 0.0, "C"))


def test_a_wrong_right_is_refused() -> None:
    with pytest.raises(ValueError, match="'C' or 'P'"):
        bs.price(100, 100, 1, 0.2, "X")
    with pytest.raises(ValueError, match="'C' or 'P'"):
        bs.price(np.array([100.0]), 100, 1, 0.2, ["X"])


def test_a_strike_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^The strike is not a number: leave that contract out\.$"):
        bs.price(100, math.nan, 1, 0.2, "C")
    with pytest.raises(ValueError, match=r"^Strike 2 of 3 is not a number: leave that contract out\.$"):
        bs.implied_volatility(5.0, 100, [90, math.nan, 110], 1, "C")


def test_unequal_lengths_are_refused() -> None:
    sentence = r"^The arguments have different lengths \(strike 3, volatility 2\): give one value, or one an option\.$"
    with pytest.raises(ValueError, match=sentence):
        bs.price(100, [90, 100, 110], 1, [0.2, 0.3], "C")
    with pytest.raises(ValueError, match=r"^spot must be a number or an array of numbers, not 'much'\.$"):
        bs.price("much", 100, 1, 0.2, "C")


def test_unknown_and_impossible_inputs_give_nan() -> None:
    assert math.isnan(bs.price(math.nan, 100, 1, 0.2, "C"))
    assert math.isnan(bs.price(100, -5, 1, 0.2, "C"))
    assert math.isnan(bs.price(100, 100, 1, math.nan, "C"))
    assert np.isnan(bs.greeks(np.array([math.nan, 0.0, -1.0]), 100, 1, 0.2, "P").delta).all()
