"""Implied volatilities and greeks of the options of one expiry, each with a reason where there are none.

Here the parts meet: a price from bid and ask, the forward (`parity`), the model by exercise style, and the reasons. One
call is one trading class and expiry of one underlying at one instant. What does not belong here: where quotes come from
and where results are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.pricing import american, black_scholes
from trading_assets.pricing.conventions import MIN_VOLATILITY, Floats, Greeks, aligned
from trading_assets.pricing.exercise import ExerciseStyle
from trading_assets.pricing.parity import Forward, american_forward, european_forward, pairs_of


class NullReason(StrEnum):
    """Why an option has no implied volatility."""

    EXPIRED = "expired"
    """No time is left to settlement."""
    NO_UNDERLYING = "no_underlying"
    """Neither a price of the underlying nor a forward from parity is known."""
    ADJUSTED_DELIVERABLE = "adjusted_deliverable"
    """A corporate action has adjusted the contract, and what it delivers is not known."""
    STALE = "stale"
    """The price is older than allowed."""
    NO_BID = "no_bid"
    """A side of the quote is missing, so that there is no price."""
    CROSSED = "crossed"
    """The bid is above the ask."""
    BELOW_INTRINSIC = "below_intrinsic"
    """The price is under what exercise brings, or under the value without any volatility."""
    TIME_VALUE_UNDER_TICK = "time_value_under_tick"
    """What is above the intrinsic value is less than the smallest price step: noise."""
    ABOVE_MAXIMUM = "above_maximum"
    """The price is not under the value at the highest volatility (1000 %)."""


class Model(StrEnum):
    """The formula of a row."""

    BLACK_76 = "black_76"
    AMERICAN_TREE = "american_tree"


@dataclass(frozen=True, slots=True)
class Valuation:
    """Results of one call, arrays of the length of the strikes.

    `price` the price the volatility belongs to; `implied_volatility` per 1.00 and `greeks` in the units of
    `black_scholes`, NaN where `null_reason` is not None; `forward` is None where none is known.
    """

    price: Floats
    implied_volatility: Floats
    greeks: Greeks
    null_reason: NDArray[np.object_]
    model: Model
    forward: Forward | None


def middle(bid: Any, ask: Any) -> tuple[Floats, NDArray[np.object_]]:
    """The middle of bid and ask where both are positive and not crossed (NaN elsewhere), and the reasons elsewhere.

    A side that is NaN or not above 0 is missing. Raises `ValueError` when bids and asks differ in number.
    """
    bids, asks = (np.atleast_1d(np.asarray(side, dtype=np.float64)) for side in (bid, ask))
    if bids.shape != asks.shape:
        raise ValueError(f"There are {bids.size} bids and {asks.size} asks: give one of each for every option.")
    reasons = np.full(bids.shape, None, dtype=object)
    missing = ~((bids > 0) & (asks > 0))
    crossed = ~missing & (bids > asks)
    reasons[missing], reasons[crossed] = NullReason.NO_BID, NullReason.CROSSED
    return np.where(missing | crossed, np.nan, 0.5 * (bids + asks)), reasons


def value_quotes(
    style: ExerciseStyle,
    strike: Any,
    right: Any,
    bid: Any,
    ask: Any,
    *,
    spot: float | None,
    years: float,
    rate: float,
    dividends: Sequence[tuple[float, float]] = (),
    min_tick: float = 0.01,
    age: Any = 0.0,
    max_age: float | None = None,
) -> Valuation:
    """Volatilities and greeks at the middle of bid and ask, with the forward that the same quotes imply.

    `strike` and `right` ("C", "P") an option; `spot` in dollars, None where unknown; `years` to settlement; `rate` per
    1.00 and `dividends` (years to the ex-date, dollars) from settings or broker; `age` of the quotes and `max_age` in
    seconds. Raises `ValueError` for a wrong right, a strike that is NaN and lengths that do not agree.
    """
    price, reasons = middle(bid, ask)
    return value_prices(
        style,
        strike,
        right,
        price,
        spot=spot,
        years=years,
        rate=rate,
        dividends=dividends,
        min_tick=min_tick,
        age=age,
        max_age=max_age,
        reasons=reasons,
    )


def value_prices(
    style: ExerciseStyle,
    strike: Any,
    right: Any,
    price: Any,
    *,
    spot: float | None,
    years: float,
    rate: float,
    dividends: Sequence[tuple[float, float]] = (),
    min_tick: float = 0.01,
    age: Any = 0.0,
    max_age: float | None = None,
    reasons: NDArray[np.object_] | None = None,
    parity: bool = True,
) -> Valuation:
    """The same for prices of any kind (closes of bars). `reasons` are those already known, None elsewhere; a price that
    is NaN without one counts as `no_bid`. Without `parity` the forward is that of spot, rate and dividends: for prices
    of different times."""
    strikes, signs, prices, ages = (
        np.atleast_1d(column) for column in aligned(strike=strike, right=right, price=price, age=age).columns
    )
    rights = np.where(signs > 0, "C", "P")
    found = np.full(len(strikes), None, dtype=object) if reasons is None else reasons.copy()
    found[np.isnan(prices) & (found == None)] = NullReason.NO_BID  # noqa: E711 - elementwise
    if max_age is not None:
        found[ages > max_age] = NullReason.STALE
    fresh = np.where(found == None, prices, np.nan)  # noqa: E711 - elementwise
    european = style is ExerciseStyle.EUROPEAN
    forward = (european_forward if european else american_forward)(
        pairs_of(strikes, rights, fresh if parity else np.full(len(fresh), np.nan)), spot, years, rate, dividends
    )
    model = _model(style)
    if forward is None:
        return without_value(style, prices, NullReason.NO_UNDERLYING if years > 0 else NullReason.EXPIRED)
    priced = _Priced(style, strikes, rights, signs, years, _spot(spot, forward), forward, dividends)
    volatility, more = priced.implied(fresh, min_tick)
    found = np.where(found == None, more, found)  # noqa: E711 - elementwise
    volatility = np.where(found == None, volatility, np.nan)  # noqa: E711 - elementwise
    return Valuation(prices, volatility, priced.greeks(volatility), found, model, forward)


def without_value(style: ExerciseStyle, price: Any, reason: NullReason) -> Valuation:
    """The results of options at these prices none of which has a volatility, all for one reason."""
    prices = np.atleast_1d(np.asarray(price, dtype=np.float64))
    nothing = np.full(len(prices), np.nan)
    greeks = Greeks(*(nothing.copy() for _ in Greeks._fields))
    return Valuation(prices, nothing, greeks, np.full(len(prices), reason, dtype=object), _model(style), None)


def _model(style: ExerciseStyle) -> Model:
    return Model.BLACK_76 if style is ExerciseStyle.EUROPEAN else Model.AMERICAN_TREE


def _spot(spot: float | None, forward: Forward) -> float:
    """The spot; where it is not known, the one the forward belongs to without dividends (`dividend_yield` is 0)."""
    return spot if spot is not None and spot > 0 else forward.forward * forward.discount


@dataclass(frozen=True, slots=True)
class _Priced:
    """The options of one call with all that their model takes but the volatility."""

    style: ExerciseStyle
    strikes: Floats
    rights: NDArray[np.str_]
    signs: Floats
    years: float
    spot: float
    forward: Forward
    dividends: Sequence[tuple[float, float]]

    def implied(self, prices: Floats, min_tick: float) -> tuple[Floats, NDArray[np.object_]]:
        """Volatilities, and the reason where a price that is known has none."""
        time_value = prices - np.maximum(self._exercised(), 0.0)
        tolerance = 1e-9 * self.strikes  # prices and strikes are decimal: differences of them are not exact
        known = np.isfinite(prices)
        below = known & (time_value < -tolerance)
        little = known & ~below & (time_value < min_tick - tolerance)
        usable = known & ~below & ~little
        volatility = np.full(len(prices), np.nan)
        volatility[usable] = self._solve(prices, usable)
        unsolved = usable & np.isnan(volatility)
        reasons = np.full(len(prices), None, dtype=object)
        reasons[below], reasons[little] = NullReason.BELOW_INTRINSIC, NullReason.TIME_VALUE_UNDER_TICK
        if unsolved.any():
            still = self.greeks(np.full(len(prices), MIN_VOLATILITY)).price
            reasons[unsolved] = NullReason.ABOVE_MAXIMUM
            reasons[unsolved & (prices <= still)] = NullReason.BELOW_INTRINSIC
        return volatility, reasons

    def greeks(self, volatility: Floats) -> Greeks:
        """Greeks at a volatility an option; NaN where it is NaN."""
        terms = (self.spot, self.strikes, self.years, volatility, self.rights, self.forward.rate)
        if self.style is ExerciseStyle.EUROPEAN:
            return black_scholes.greeks(*terms, self.forward.dividend_yield)
        return american.greeks(*terms, self.forward.dividend_yield, self.dividends)

    def _exercised(self) -> Floats:
        """What exercise brings: now for American options, at expiry and discounted for European ones."""
        if self.style is ExerciseStyle.AMERICAN:
            return self.signs * (self.spot - self.strikes)
        return self.signs * self.forward.discount * (self.forward.forward - self.strikes)

    def _solve(self, prices: Floats, usable: NDArray[np.bool_]) -> Floats:
        terms = (prices[usable], self.spot, self.strikes[usable], self.years, self.rights[usable], self.forward.rate)
        if self.style is ExerciseStyle.EUROPEAN:
            return np.asarray(black_scholes.implied_volatility(*terms, self.forward.dividend_yield))
        return np.asarray(american.implied_volatility(*terms, self.forward.dividend_yield, self.dividends))
