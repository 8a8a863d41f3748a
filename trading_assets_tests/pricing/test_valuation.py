"""Volatilities and greeks of quotes, and the reasons where there are none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from trading_assets.pricing import american, black_scholes
from trading_assets.pricing.exercise import ExerciseStyle
from trading_assets.pricing.parity import Source
from trading_assets.pricing.valuation import Model, NullReason, Valuation, middle, value_prices, value_quotes

STRIKES = np.repeat(np.arange(80.0, 121.0, 2.0), 2)
RIGHTS = np.tile(["C", "P"], 21)
STYLES = list(ExerciseStyle)
SPOT, YEARS, RATE, DIVIDENDS = 100.0, 0.25, 0.03, [(0.1, 0.6)]


def market(style: ExerciseStyle, volatility: float = 0.25) -> np.ndarray:
    """Prices of the options at one volatility."""
    if style is ExerciseStyle.AMERICAN:
        return american.price(SPOT, STRIKES, YEARS, volatility, RIGHTS, RATE, 0.0, DIVIDENDS)
    return black_scholes.price(SPOT, STRIKES, YEARS, volatility, RIGHTS, RATE, 0.01)


def valued(style: ExerciseStyle, prices: Any, **changes: Any) -> Valuation:
    given = {"spot": SPOT, "years": YEARS, "rate": RATE, "dividends": DIVIDENDS, **changes}
    return value_prices(style, STRIKES, RIGHTS, prices, **given)


@pytest.mark.parametrize("style", STYLES)
def test_a_market_of_one_volatility(style: ExerciseStyle) -> None:
    found = valued(style, market(style))
    assert set(found.null_reason) == {None}
    assert found.implied_volatility == pytest.approx(np.full(42, 0.25), abs=2e-4)
    assert found.forward is not None
    assert found.forward.forward_source is Source.PARITY
    assert found.model is (Model.AMERICAN_TREE if style is ExerciseStyle.AMERICAN else Model.BLACK_76)
    calls = RIGHTS == "C"
    assert ((found.greeks.delta > 0) == calls).all()
    assert (np.diff(found.greeks.delta[calls]) < 0).all()
    assert (found.greeks.vega > 0).all() and (found.greeks.gamma > 0).all()


@pytest.mark.parametrize("style", STYLES)
def test_each_reason(style: ExerciseStyle) -> None:
    """One quote a reason, in a chain that is otherwise whole; 0 and the bounds of the search never appear."""
    prices = market(style)
    bid, ask = prices - 0.01, prices + 0.01
    bid[0] = np.nan  # 80 C
    bid[2] = 0.0  # 82 C
    ask[4] = np.nan  # 84 C
    bid[6], ask[6] = 14.0, 13.0  # 86 C
    bid[8], ask[8] = 11.0, 11.02  # 88 C, worth 12 now
    bid[41], ask[41] = 20.0, 20.01  # 120 P, worth 20 now, 19.1 at expiry discounted
    bid[11], ask[11] = 95.0, 99.0  # 90 P, whose strike is 90
    bid[20], ask[20] = 99.0, 100.5  # 100 C, nearly the share
    age = np.zeros(42)
    age[22] = 61.0
    found = value_quotes(
        style, STRIKES, RIGHTS, bid, ask,
        spot=SPOT, years=YEARS, rate=RATE, dividends=DIVIDENDS, min_tick=0.05, age=age, max_age=60.0,
    )  # fmt: skip
    reasons = dict(enumerate(found.null_reason))
    for number in (0, 2, 4):
        assert reasons[number] is NullReason.NO_BID
    assert reasons[6] is NullReason.CROSSED
    assert reasons[8] is NullReason.BELOW_INTRINSIC
    assert reasons[11] is NullReason.ABOVE_MAXIMUM
    assert reasons[20] is NullReason.ABOVE_MAXIMUM
    assert reasons[22] is NullReason.STALE
    if style is ExerciseStyle.AMERICAN:
        assert reasons[41] is NullReason.TIME_VALUE_UNDER_TICK
    without = np.array([reason is not None for reason in found.null_reason])
    assert (np.isnan(found.implied_volatility) == without).all()
    for greek in found.greeks:
        assert (np.isnan(greek) == without).all()
    known = found.implied_volatility[~without]
    assert ((known > 0.1) & (known < 1.0)).all()


@pytest.mark.parametrize("style", STYLES)
def test_reasons_of_the_whole_expiry(style: ExerciseStyle) -> None:
    for changes, reason in (({"years": 0.0}, NullReason.EXPIRED), ({"years": -1.0}, NullReason.EXPIRED)):
        found = valued(style, market(style), **changes)
        assert set(found.null_reason) == {reason}
        assert np.isnan(found.implied_volatility).all() and np.isnan(found.greeks.delta).all()
    few = value_prices(style, STRIKES[:4], RIGHTS[:4], market(style)[:4], spot=None, years=YEARS, rate=RATE)
    assert set(few.null_reason) == {NullReason.NO_UNDERLYING}
    assert few.forward is None


def test_an_index_whose_price_is_not_known_is_valued_at_the_forward() -> None:
    found = valued(ExerciseStyle.EUROPEAN, market(ExerciseStyle.EUROPEAN), spot=math.nan)
    assert set(found.null_reason) == {None}
    assert found.implied_volatility == pytest.approx(np.full(42, 0.25), abs=1e-6)
    assert set(valued(ExerciseStyle.AMERICAN, market(ExerciseStyle.AMERICAN), spot=None).null_reason) == {
        NullReason.NO_UNDERLYING
    }


def test_time_value_of_a_tick_is_enough_and_less_is_not() -> None:
    found = value_prices(
        ExerciseStyle.AMERICAN, [80.0, 82.0, 82.0], ["C", "C", "C"], [20.01, 18.009, 18.0],
        spot=100.0, years=0.25, rate=0.0,
    )  # fmt: skip
    assert found.null_reason[0] is None
    assert found.null_reason[1:].tolist() == [NullReason.TIME_VALUE_UNDER_TICK] * 2


def test_a_price_under_the_value_without_volatility_is_below_intrinsic() -> None:
    """A call before a large dividend and a put after it: what exercise brings now is not all that is certain."""
    found = value_prices(
        ExerciseStyle.AMERICAN, [100.0], ["P"], [5.0], spot=100.0, years=0.5, rate=0.0, dividends=[(0.25, 10.0)]
    )
    assert found.null_reason.tolist() == [NullReason.BELOW_INTRINSIC]


def test_the_middle_of_bid_and_ask() -> None:
    price, reasons = middle([1.0, np.nan, 0.0, 2.0, 1.0, -1.0], [1.2, 1.0, 0.05, 1.9, 1.0, 0.1])
    assert price[[0, 4]].tolist() == [1.1, 1.0]
    assert np.isnan(price[[1, 2, 3, 5]]).all()
    no_bid, crossed = NullReason.NO_BID, NullReason.CROSSED
    assert reasons.tolist() == [None, no_bid, no_bid, crossed, None, no_bid]
    with pytest.raises(ValueError, match=r"^There are 2 bids and 1 asks"):
        middle([1.0, 2.0], [1.0])


def test_wrong_contracts_are_refused_in_one_sentence() -> None:
    given: dict[str, Any] = {"spot": 100.0, "years": 0.5, "rate": 0.0}
    with pytest.raises(ValueError, match=r"^An option's right is 'C' or 'P', not X\.$"):
        value_prices(ExerciseStyle.EUROPEAN, [100.0], ["X"], [5.0], **given)
    with pytest.raises(ValueError, match=r"^Strike 2 of 2 is not a number"):
        value_prices(ExerciseStyle.EUROPEAN, [100.0, math.nan], ["C", "P"], [5.0, 5.0], **given)
    with pytest.raises(ValueError, match=r"^The arguments have different lengths"):
        value_quotes(ExerciseStyle.AMERICAN, [100.0, 101.0, 102.0], ["C", "P"], [5.0, 5.0], [6.0, 6.0], **given)


@pytest.mark.parametrize("style", STYLES)
def test_without_parity_the_forward_is_that_of_spot_rate_and_dividends(style: ExerciseStyle) -> None:
    found = valued(style, market(style), parity=False)
    assert found.forward is not None
    assert (found.forward.forward_source, found.forward.pairs) == (Source.SETTINGS, 0)
    paid = 0.6 * math.exp(-RATE * 0.1)
    assert found.forward.forward == pytest.approx((SPOT - paid) * math.exp(RATE * YEARS))
    assert valued(style, market(style)).forward != found.forward
