"""European options: prices, greeks and implied volatilities, compiled.

Each entry point takes contiguous float64 arrays of one length: `sign` is +1 for calls and -1 for puts, `carry` the
continuous dividend yield. Units and conventions are those of `pricing.black_scholes`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trading_assets.pricing.conventions import DAYS_A_YEAR, MAX_VOLATILITY, MIN_VOLATILITY
from trading_assets.pricing.kernels.compiling import DELTA, GAMMA, PRICE, RHO, THETA, VEGA, compiled, inline

_POINT = 0.01
_SQRT_HALF = math.sqrt(0.5)
_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)
_ITERATIONS = 80
"""Enough halvings of [MIN, MAX] for full double precision; Newton's steps usually need 3 to 5."""
_ROUNDING = 1e-15
"""A time value under this part of the price of the underlying is a rounding error of an in-the-money price."""


@inline
def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x * _SQRT_HALF)


@inline
def _density(x: float) -> float:
    return _INVERSE_SQRT_2PI * math.exp(-0.5 * x * x)


@inline
def _value(
    spot: float, strike: float, years: float, volatility: float, sign: float, rate: float, carry: float, out: Any
) -> None:
    """Price and greeks of one option into `out`."""
    years = max(years, 0.0)
    yielded, discount = math.exp(-carry * years), math.exp(-rate * years)
    forward, bond = spot * yielded, strike * discount
    deviation = volatility * math.sqrt(years)
    known = spot > 0.0 and strike > 0.0 and not math.isnan(deviation)
    for column in range(6):
        out[column] = 0.0 if known else math.nan
    if not known:
        return
    if deviation <= 0.0:
        value = sign * (forward - bond)
        out[PRICE] = max(value, 0.0)
        out[DELTA] = sign * yielded * (1.0 if value > 0.0 else 0.5 if value == 0.0 else 0.0)
        return
    d1 = math.log(forward / bond) / deviation + 0.5 * deviation
    above, below = _normal(sign * d1), _normal(sign * (d1 - deviation))
    density = _density(d1)
    out[PRICE] = max(sign * (forward * above - bond * below), 0.0)
    out[DELTA] = sign * yielded * above
    out[GAMMA] = yielded * density / (spot * deviation)
    out[VEGA] = _POINT * forward * density * math.sqrt(years)
    decay = -0.5 * forward * density * volatility / math.sqrt(years)
    out[THETA] = (decay + sign * (carry * forward * above - rate * bond * below)) / DAYS_A_YEAR
    out[RHO] = _POINT * sign * years * bond * below


@inline
def _implied(price: float, spot: float, strike: float, years: float, sign: float, rate: float, carry: float) -> float:
    """Implied volatility of one European option, NaN where there is none.

    Newton's method inside a shrinking bracket, on the out-of-the-money side of put-call parity. The start is the point
    of inflection of the price as a function of the deviation s = v sqrt(T); above it Newton's steps on the price
    converge from one side, below it the logarithm of the price is nearly linear in 1/s^2, and the steps are made there.
    """
    if not (spot > 0.0 and strike > 0.0 and years > 0.0):
        return math.nan
    forward, bond = spot * math.exp(-carry * years), strike * math.exp(-rate * years)
    intrinsic = sign * (forward - bond)
    target, side = (price - intrinsic, -sign) if intrinsic > 0.0 else (price, sign)
    if intrinsic > 0.0 and target <= _ROUNDING * max(forward, bond):
        return math.nan
    if not (0.0 < target < (forward if side > 0.0 else bond)):
        return math.nan
    root, distance = math.sqrt(years), math.log(forward / bond)
    low, high = MIN_VOLATILITY * root, MAX_VOLATILITY * root
    inflection = math.sqrt(2.0 * abs(distance))
    s = min(max(inflection, target / math.sqrt(forward * bond) / _INVERSE_SQRT_2PI, low), high)
    for _ in range(_ITERATIONS):
        d1 = distance / s + 0.5 * s
        value = side * (forward * _normal(side * d1) - bond * _normal(side * (d1 - s)))
        if value > target:
            high = s
        else:
            low = s
        slope = forward * _density(d1)
        if s <= inflection and value > 0.0:
            inverse = 1.0 / (s * s) + 2.0 * math.log(value / target) * value / (slope * s * s * s)
            step = 1.0 / math.sqrt(inverse) if inverse > 0.0 else math.inf
        else:
            step = s - (value - target) / slope
        if abs(step - s) <= 1e-9 * s:
            s = step
            break
        s = step if low < step < high else 0.5 * (low + high)
        if high - low <= 1e-15 * high:
            break
    volatility = s / root
    inside = MIN_VOLATILITY * (1.0 + 1e-9) < volatility < MAX_VOLATILITY * (1.0 - 1e-9)
    return volatility if inside else math.nan


@compiled
def values(spot: Any, strike: Any, years: Any, volatility: Any, sign: Any, rate: Any, carry: Any) -> Any:
    """Prices and greeks, one row an option and the six columns that `compiling` names."""
    out = np.empty((len(spot), 6))
    for i in range(len(spot)):
        _value(spot[i], strike[i], years[i], volatility[i], sign[i], rate[i], carry[i], out[i])
    return out


@compiled
def implied(price: Any, spot: Any, strike: Any, years: Any, sign: Any, rate: Any, carry: Any) -> Any:
    """Implied volatilities, NaN where there is none."""
    out = np.empty(len(spot))
    for i in range(len(spot)):
        out[i] = _implied(price[i], spot[i], strike[i], years[i], sign[i], rate[i], carry[i])
    return out
