"""American options against QuantLib and against what must hold of any of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trading_assets.pricing import american, black_scholes
from trading_assets_tests.pricing import quantlib
from trading_assets_tests.pricing.quantlib import Terms

moneyness = st.floats(0.6, 1.6)
days = st.integers(2, 700)
volatilities = st.floats(0.08, 1.2)
rates = st.floats(0.0, 0.08)
rights = st.sampled_from("CP")
payments = st.lists(st.tuples(st.floats(0.001, 2.0), st.floats(0.0, 4.0)), max_size=5)
few = settings(max_examples=40, deadline=None)
SPOT = 100.0


def ours(terms: Terms) -> american.Greeks:
    spot, strike, life, volatility, right, rate, dividends = terms
    in_years = [(day / 365, amount) for day, amount in dividends]
    return american.greeks(spot, strike, life / 365, volatility, right, rate, 0.0, in_years)


@pytest.mark.parametrize(
    "terms",
    [
        Terms(100, 100, 365, 0.2, "P", 0.05),
        Terms(100, 110, 90, 0.4, "P", 0.03),
        Terms(100, 90, 180, 0.3, "P", 0.02),
        Terms(100, 120, 700, 0.25, "P", 0.04),
        Terms(100, 100, 2, 0.6, "P", 0.05),
    ],
)
def test_without_ex_dates_like_the_exact_method(terms: Terms) -> None:
    found, exact = ours(terms), quantlib.exact(terms)
    assert found.price == pytest.approx(exact.price, abs=3e-4 * 100 * found.vega)
    assert found.delta == pytest.approx(exact.delta, abs=1.2e-3)


@pytest.mark.parametrize(
    "terms",
    [
        Terms(450, 450, 200, 0.3, "C", 0.005, ((66, 3.05), (156, 3.05))),
        Terms(450, 440, 200, 0.3, "P", 0.005, ((66, 3.05), (156, 3.05))),
        Terms(450, 350, 120, 0.3, "C", 0.005, ((66, 3.05),)),
        Terms(450, 420, 120, 0.3, "C", 0.005, ((1, 3.05),)),  # ex-date tomorrow
        Terms(450, 400, 67, 0.3, "C", 0.005, ((66, 3.05),)),  # ex-date the day before expiry
        Terms(200, 170, 90, 0.2, "C", 0.02, ((60, 1.0), (61, 1.0))),  # two ex-dates nearer than a step
        Terms(450, 420, 120, 0.3, "P", 0.05, ((60, 40.0),)),  # a large one
        Terms(100, 100, 730, 0.25, "C", 0.03, tuple((30 * month, 0.3) for month in range(1, 25))),  # monthly
    ],
)
def test_with_ex_dates_like_finite_differences(terms: Terms) -> None:
    found, reference = ours(terms), quantlib.finite_differences(terms)
    assert found.price == pytest.approx(reference.price, abs=1e-3 * 100 * found.vega)
    assert found.delta == pytest.approx(reference.delta, abs=1.2e-3)


@few
@given(moneyness, days, volatilities, rights, rates, payments)
def test_the_implied_volatility_gives_the_price_back(
    m: float, life: int, v: float, right: str, rate: float, dividends: list[tuple[float, float]]
) -> None:
    terms = (SPOT, SPOT * m, life / 365)
    greeks = american.greeks(*terms, v, right, rate, 0.0, dividends)
    exercised = SPOT - terms[1] if right == "C" else terms[1] - SPOT
    assume(greeks.vega > 1e-3 and greeks.price > exercised + 1e-3)
    implied = american.implied_volatility(greeks.price, *terms, right, rate, 0.0, dividends)
    assert american.price(*terms, implied, right, rate, 0.0, dividends) == pytest.approx(greeks.price, abs=1e-6)
    assert implied == pytest.approx(v, abs=1e-3)


@few
@given(moneyness, days, volatilities, rights, rates, payments)
def test_the_price_is_within_its_bounds_and_rises_with_volatility(
    m: float, life: int, v: float, right: str, rate: float, dividends: list[tuple[float, float]]
) -> None:
    strike, years = SPOT * m, life / 365
    price = american.price(SPOT, strike, years, v, right, rate, 0.0, dividends)
    exercised = SPOT - strike if right == "C" else strike - SPOT
    assert max(exercised, 0.0) <= price <= (SPOT if right == "C" else strike)
    higher = american.price(SPOT, strike, years, v + 0.1, right, rate, 0.0, dividends)
    assert higher >= price - 1e-3  # what the trees leave of their error, in dollars of a spot of 100
    longer = american.price(SPOT, strike, years + 0.1, v, right, rate, 0.0, dividends)
    assert longer >= price - 5e-3


@few
@given(moneyness, days, volatilities, rights, rates, st.floats(0.0, 0.08))
def test_early_exercise_is_worth_something_or_nothing(
    m: float, life: int, v: float, right: str, rate: float, dividend_yield: float
) -> None:
    arguments = (SPOT, SPOT * m, life / 365, v, right, rate, dividend_yield)
    european = black_scholes.greeks(*arguments)
    assert american.price(*arguments) >= european.price - 1e-2 * (european.vega + 1e-2)


@given(moneyness, days, volatilities, rates)
def test_a_call_without_dividends_is_a_european_one(m: float, life: int, v: float, rate: float) -> None:
    arguments = (SPOT, SPOT * m, life / 365, v, "C", rate)
    for found, european in zip(american.greeks(*arguments), black_scholes.greeks(*arguments), strict=True):
        assert found == european
    past = american.price(*arguments, 0.0, [(-0.1, 5.0), (life / 365, 5.0), (3.0, 5.0)])
    assert past == black_scholes.price(*arguments)  # none of these is paid in the option's life


@few
@given(st.floats(0.8, 1.25), st.integers(30, 500), st.floats(0.15, 0.8), rights, st.floats(0.005, 0.06))
def test_greeks_are_the_slopes_of_the_price(m: float, life: int, v: float, right: str, rate: float) -> None:
    """Against differences of prices, which have an error of their own: they are taken over a tenth of a deviation
    and more."""
    strike, years, dividends = SPOT * m, life / 365, [(0.05, 0.5), (0.3, 0.5)]
    assume(abs(years - 0.3) > 0.02)

    def price(spot: float = SPOT, later: float = 0.0, volatility: float = v, interest: float = rate) -> float:
        to_come = [(t - later, amount) for t, amount in dividends]
        return american.price(spot, strike, years - later, volatility, right, interest, 0.0, to_come)

    found, value = american.greeks(SPOT, strike, years, v, right, rate, 0.0, dividends), price()
    assert found.price == value
    assume(value > max(SPOT - strike if right == "C" else strike - SPOT, 0.0) + 1.0)  # held, not exercised
    h = 0.1 * SPOT * v * math.sqrt(years)
    assert found.delta == pytest.approx((price(SPOT + h) - price(SPOT - h)) / (2 * h), abs=5e-3)
    wide = 2.5 * h
    bend = (price(SPOT + wide) - 2 * value + price(SPOT - wide)) / wide**2
    assert found.gamma == pytest.approx(bend, rel=0.1, abs=1e-3)
    rise = (price(volatility=v + 0.01) - price(volatility=v - 0.01)) / 2
    assert found.vega == pytest.approx(rise, rel=0.05, abs=5e-3)
    dearer = (price(interest=rate + 0.004) - price(interest=rate - 0.004)) / 0.8
    assert found.rho == pytest.approx(dearer, rel=0.1, abs=5e-3)
    day = 1 / 365
    assert found.theta == pytest.approx((price(later=day) - price(later=-day)) / 2, rel=0.1, abs=5e-3)


def test_exercise_now() -> None:
    """A put far in the money is worth its exercise: nothing moves it but the spot, and no volatility explains it."""
    greeks = american.greeks(50, 100, 0.5, 0.2, "P", 0.05)
    assert greeks.price == 50
    assert greeks.delta == pytest.approx(-1)
    assert abs(greeks.gamma) + abs(greeks.vega) + abs(greeks.theta) + abs(greeks.rho) < 1e-9
    assert math.isnan(american.implied_volatility(50.0, 50, 100, 0.5, "P", 0.05))


def test_a_negative_yield_or_rate_raises_what_an_option_can_be_worth() -> None:
    """The forward of the share, or of the strike, may be worth more than it is now."""
    assert american.price(100, 1, 5, 0.5, "C", 0.0, -0.05) == pytest.approx(100 * math.exp(0.25) - 1, abs=0.01)
    assert american.price(1, 100, 5, 0.3, "P", -0.05) == pytest.approx(100 * math.exp(0.25) - 1, abs=0.01)
    worth = american.price(100, 20, 5, 0.5, "C", 0.0, -0.05)
    assert worth > 105
    assert american.implied_volatility(worth, 100, 20, 5, "C", 0.0, -0.05) == pytest.approx(0.5, abs=1e-4)


def test_a_call_is_exercised_before_a_large_dividend() -> None:
    held = black_scholes.price(100 - 20, 60, 0.5, 0.2, "C")
    assert american.price(100, 60, 0.5, 0.2, "C", 0.0, 0.0, [(0.25, 20.0)]) == pytest.approx(40, abs=0.05)
    assert held < 21


@pytest.mark.parametrize("value", [4.0, 5.0, 105.0, 200.0, math.nan, -1.0])
def test_a_price_outside_the_bounds_has_no_implied_volatility(value: float) -> None:
    assert math.isnan(american.implied_volatility(value, 105, 100, 0.5, "C", 0.0, 0.0, [(0.1, 1.0)]))
    assert math.isnan(american.implied_volatility(5.5, 105, 100, 0.0, "C"))


def test_extremes_end_without_an_error() -> None:
    """Each of these is a number, and no search ends at a bound."""
    spot, strike = np.array([1e-3, 1e6, 100, 100, 100]), np.array([100, 100, 100, 1e6, 100])
    years, volatility = np.array([1e-7, 5.0, 1e-6, 3.0, 10.0]), np.array([3.0, 5.0, 1e-4, 0.01, 3.0])
    for right in "CP":
        greeks = american.greeks(spot, strike, years, volatility, right, 0.05, 0.01, [(0.5, 1.0), (2.5, 1.0)])
        assert all(np.isfinite(column).all() for column in greeks)
        implied = american.implied_volatility(greeks.price, spot, strike, years, right, 0.05, 0.01, [(0.5, 1.0)])
        known = implied[np.isfinite(implied)]
        assert ((known > american.MIN_VOLATILITY * 1.0001) & (known < american.MAX_VOLATILITY * 0.9999)).all()


@pytest.mark.parametrize("dividends", [[(0.1, math.nan)], [(math.nan, 1.0)], [(0.1, -1.0)]])
def test_a_wrong_dividend_is_refused(dividends: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="neither NaN nor negative"):
        american.price(100, 100, 0.5, 0.2, "C", 0.0, 0.0, dividends)


def test_wrong_arguments_are_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^An option's right is 'C' or 'P', not X\.$"):
        american.price(100, 100, 1, 0.2, "X")
    with pytest.raises(ValueError, match=r"^Strike 2 of 2 is not a number: leave that contract out\.$"):
        american.price(100, [100, math.nan], 1, 0.2, "C")
    with pytest.raises(ValueError, match=r"^The arguments have different lengths \(strike 2, right 3\): "):
        american.implied_volatility(5.0, 100, [100, 101], 1, ["C", "C", "P"])
