"""Forward and discount from quotes that a known market gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.pricing import american, black_scholes
from trading_assets.pricing.parity import Pairs, Source, american_forward, european_forward, pairs_of

STRIKES = np.arange(60.0, 141.0, 1.0)


def european_pairs(forward: float, rate: float, years: float, strikes: np.ndarray = STRIKES) -> Pairs:
    """Prices of calls and puts at a forward and rate, with a smile."""
    smile = 0.2 + 0.3 * (strikes / forward - 1) ** 2
    call, put = (black_scholes.price(forward, strikes, years, smile, side, rate, rate) for side in "CP")
    return Pairs(strikes, call, put)


@given(st.floats(85, 115), st.floats(-0.01, 0.08), st.floats(0.3, 2.0))
def test_the_forward_and_discount_of_european_options(forward: float, rate: float, years: float) -> None:
    found = european_forward(european_pairs(forward, rate, years), 100.0, years, 0.03)
    assert found is not None
    assert (found.forward_source, found.discount_source) == (Source.PARITY, Source.PARITY)
    assert found.forward == pytest.approx(forward, rel=1e-9)
    assert found.rate == pytest.approx(rate, abs=1e-9)
    assert 100.0 * math.exp((found.rate - found.dividend_yield) * years) == pytest.approx(forward)


def test_wrong_quotes_do_not_move_the_medians() -> None:
    pairs = european_pairs(101.0, 0.04, 0.5)
    pairs.call[[38, 45]] += 5.0
    pairs.put[42] += 3.0
    found = european_forward(pairs, 100.0, 0.5, 0.0)
    assert found is not None
    assert found.forward == pytest.approx(101.0, abs=0.02)
    assert found.rate == pytest.approx(0.04, abs=0.002)


def test_a_slope_that_says_nothing_leaves_the_rate_of_the_setting() -> None:
    """Options that expire the same day, quoted in cents: the forward is known to a cent, the rate not at all."""
    exact = european_pairs(101.0, 0.04, 0.5 / 365)
    found = european_forward(Pairs(STRIKES, exact.call.round(2), exact.put.round(2)), 100.9, 0.5 / 365, 0.03)
    assert found is not None
    assert (found.forward_source, found.discount_source) == (Source.PARITY, Source.SETTINGS)
    assert found.rate == pytest.approx(0.03)
    assert found.forward == pytest.approx(101.0, abs=0.01)


@pytest.mark.parametrize("find", [european_forward, american_forward])
def test_with_fewer_than_four_pairs_the_settings_decide(find: object) -> None:
    assert callable(find)
    pairs = european_pairs(120.0, 0.04, 0.5, STRIKES[40:43])
    found = find(pairs, 100.0, 0.5, 0.02, [(0.25, 1.5), (0.75, 1.5)])
    assert (found.forward_source, found.discount_source, found.pairs) == (Source.SETTINGS, Source.SETTINGS, 0)
    assert found.forward == pytest.approx(100 * math.exp(0.01) - 1.5 * math.exp(0.005))
    assert found.dividend_yield == 0.0
    assert find(pairs, None, 0.5, 0.02) is None
    assert find(pairs, 100.0, 0.0, 0.02) is None
    four = find(european_pairs(100.5, 0.04, 0.5, STRIKES[39:43]), 100.0, 0.5, 0.02)
    assert (four.forward_source, four.pairs) == (Source.PARITY, 4)


def test_without_a_spot_parity_still_has_a_forward() -> None:
    found = european_forward(european_pairs(101.0, 0.04, 0.5), None, 0.5, 0.0)
    assert found is not None
    assert found.forward == pytest.approx(101.0)
    assert found.dividend_yield == 0.0


@pytest.mark.parametrize("fee", [0.0, 0.03, 0.25, -0.02])
def test_the_forward_of_american_options_holds_what_borrowing_costs(fee: float) -> None:
    dividends, rate, years = [(0.2, 1.0)], 0.03, 0.5
    call, put = (american.price(100.0, STRIKES, years, 0.35, side, rate, fee, dividends) for side in "CP")
    found = american_forward(Pairs(STRIKES, call, put), 100.0, years, rate, dividends)
    assert found is not None
    assert (found.forward_source, found.discount_source) == (Source.PARITY, Source.SETTINGS)
    assert found.dividend_yield == pytest.approx(fee, abs=1e-5)
    growth = rate - fee
    assert found.forward == pytest.approx(100 * math.exp(growth * 0.5) - math.exp(growth * 0.3), abs=1e-3)


def test_pairs_are_strikes_with_both_prices() -> None:
    pairs = pairs_of(
        [100, 95, 95, 100, 105, 105, 110, 95], ["P", "C", "P", "C", "C", "P", "C", "C"],
        [3.0, 7.0, 1.0, 4.0, 2.0, np.nan, 0.5, 9.0],
    )  # fmt: skip
    assert pairs.strike.tolist() == [95, 100]
    assert pairs.call.tolist() == [7.0, 4.0]
    assert pairs.put.tolist() == [1.0, 3.0]
    assert pairs.nearest(1).strike.tolist() == [100]
