"""European option values, greeks and implied volatility (Black-Scholes-Merton; Black-76 through `spot=forward,
dividend_yield=rate`).

Here belong formulas on numbers and arrays only. What does not belong here: market data, volatility surfaces, choice of
rates.

With  d1 = (ln(S/K) + (r - q + v^2/2) T) / (v sqrt(T)),  d2 = d1 - v sqrt(T),  w = +1 for calls, -1 for puts:

    price = w (S e^(-qT) N(w d1) - K e^(-rT) N(w d2))

Source: Hull, "Options, Futures, and Other Derivatives", chapters 15, 17 (q) and 19 (greeks).

Units, as the broker reports them: prices in dollars a share (not a contract); `years` = calendar days / 365; volatility
per 1.00; `delta`, `gamma` per dollar of the underlying; `vega` per volatility *point* (0.01); `theta` per calendar
*day*.

Every function takes numbers or arrays (broadcast together; `right` is "C" or "P", or an array of those) and returns a
`float` when all arguments are numbers, else a float64 array. At `years <= 0` or `volatility <= 0` the price is the
discounted intrinsic value, delta is 0, 0.5 (exactly at the money) or +-1 and the other greeks are 0.
"""

from __future__ import annotations

import math
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

DAYS_A_YEAR = 365.0
"""Calendar days a year: the day count of the broker's theta and of the vendors' recorded volatilities."""

_SQRT_2 = math.sqrt(2.0)
_INVERSE_SQRT_2PI = 1.0 / math.sqrt(2.0 * math.pi)

MAX_VOLATILITY = 10.0
"""Upper end of the search for an implied volatility (1000 %); recorded deep wings stay below 5."""
MIN_VOLATILITY = 1e-4
"""Lower end of that search; a price that needs less has no usable time value."""
_PRICE_TOLERANCE = 1e-12
"""Relative error (of the strike) at which the implied-volatility search ends."""
_ITERATIONS = 80
"""Enough halvings of [MIN, MAX] for full double precision; Newton steps usually need 4 to 8."""

Floats = NDArray[np.float64]


@overload
def price(
    spot: float,
    strike: float,
    years: float,
    volatility: float,
    right: str,
    rate: float = 0.0,
    dividend_yield: float = 0.0,
) -> float: ...
@overload
def price(
    spot: ArrayLike,
    strike: ArrayLike,
    years: ArrayLike,
    volatility: ArrayLike,
    right: Any,
    rate: ArrayLike = 0.0,
    dividend_yield: ArrayLike = 0.0,
) -> Any: ...
def price(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Value of one option on one share, dollars."""
    if _scalars(spot, strike, years, volatility, right, rate, dividend_yield):
        return _price(
            float(spot),
            float(strike),
            float(years),
            float(volatility),
            _sign(right),
            float(rate),
            float(dividend_yield),
        )
    s, k, t, v, w, r, q = _arrays(spot, strike, years, volatility, right, rate, dividend_yield)
    forward, bond = s * np.exp(-q * t), k * np.exp(-r * t)
    d1, d2, live = _d1_d2(forward, bond, t, v)
    value = w * (forward * ndtr(w * d1) - bond * ndtr(w * d2))
    return np.where(live, np.maximum(value, 0.0), np.maximum(w * (forward - bond), 0.0))


def delta(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of the price for a dollar of the underlying: 0..1 for calls, -1..0 for puts."""
    s, k, t, v, w, r, q = _arrays(spot, strike, years, volatility, right, rate, dividend_yield)
    carry = np.exp(-q * t)
    d1, _, live = _d1_d2(s * carry, k * np.exp(-r * t), t, v)
    moneyness = w * (s * carry - k * np.exp(-r * t))
    at_end = np.where(moneyness > 0, 1.0, np.where(moneyness == 0, 0.5, 0.0))
    return _like(w * carry * np.where(live, ndtr(w * d1), at_end))


def gamma(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any = "C", rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of delta for a dollar of the underlying; the same for calls and puts."""
    s, k, t, v, _, r, q = _arrays(spot, strike, years, volatility, right, rate, dividend_yield)
    carry = np.exp(-q * t)
    d1, _, live = _d1_d2(s * carry, k * np.exp(-r * t), t, v)
    safe = np.where(live, s * v * np.sqrt(np.maximum(t, 0.0)), 1.0)
    return _like(np.where(live, carry * _density(d1) / safe, 0.0))


def vega(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any = "C", rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of the price for one volatility point (0.01); the same for calls and puts."""
    s, k, t, v, _, r, q = _arrays(spot, strike, years, volatility, right, rate, dividend_yield)
    forward = s * np.exp(-q * t)
    d1, _, live = _d1_d2(forward, k * np.exp(-r * t), t, v)
    return _like(np.where(live, 0.01 * forward * _density(d1) * np.sqrt(np.maximum(t, 0.0)), 0.0))


def theta(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of the price for one calendar day that passes (usually negative)."""
    s, k, t, v, w, r, q = _arrays(spot, strike, years, volatility, right, rate, dividend_yield)
    forward, bond = s * np.exp(-q * t), k * np.exp(-r * t)
    d1, d2, live = _d1_d2(forward, bond, t, v)
    decay = -forward * _density(d1) * v / (2.0 * np.sqrt(np.where(live, t, 1.0)))
    carry = w * (q * forward * ndtr(w * d1) - r * bond * ndtr(w * d2))
    return _like(np.where(live, (decay + carry) / DAYS_A_YEAR, 0.0))


def implied_volatility(
    option_price: Any, spot: Any, strike: Any, years: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """The volatility at which `price` gives `option_price`, per 1.00.

    NaN where there is none: price at or under the discounted intrinsic value, at or above the price at
    `MAX_VOLATILITY`, no time left, or an input that is not positive. Newton's method kept inside a shrinking bracket,
    on the out-of-the-money side of put-call parity, so that it always ends and deep in-the-money options lose no
    precision.
    """
    if _scalars(option_price, spot, strike, years, right, rate, dividend_yield):
        return _implied(
            float(option_price),
            float(spot),
            float(strike),
            float(years),
            _sign(right),
            float(rate),
            float(dividend_yield),
        )
    p, s, k, t, r, q = (
        np.asarray(x, dtype=np.float64) for x in (option_price, spot, strike, years, rate, dividend_yield)
    )
    p, s, k, t, w, r, q = np.broadcast_arrays(p, s, k, t, _sign_array(right), r, q)
    shape = p.shape
    p, s, k, t, w, r, q = (x.ravel() for x in (p, s, k, t, w, r, q))
    with np.errstate(invalid="ignore", over="ignore"):
        forward, bond = s * np.exp(-q * t), k * np.exp(-r * t)
        # parity: time value is the other side's price
        out = np.where(w * (forward - bond) > 0, p - w * (forward - bond), p)
    side = np.where(w * (forward - bond) > 0, -w, w)
    low, high = np.full(p.shape, MIN_VOLATILITY), np.full(p.shape, MAX_VOLATILITY)
    inputs_ok = (s > 0) & (k > 0) & (t > 0) & np.isfinite(p)
    f, b, t_ok = np.where(inputs_ok, forward, 1.0), np.where(inputs_ok, bond, 1.0), np.where(inputs_ok, t, 1.0)
    ok = inputs_ok & (out > _value(f, b, t_ok, low, side)) & (out < _value(f, b, t_ok, high, side))
    guess = np.clip(np.sqrt(2.0 * np.abs(np.log(f / b)) / t_ok), 0.2, 3.0)
    for _ in range(_ITERATIONS):
        error = _value(f, b, t_ok, guess, side) - out
        if not np.any(ok & (np.abs(error) > _PRICE_TOLERANCE * b)):
            break
        high, low = np.where(error > 0, guess, high), np.where(error > 0, low, guess)
        d1, _, _ = _d1_d2(f, b, t_ok, guess)
        slope = f * _density(d1) * np.sqrt(t_ok)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = guess - error / slope
        inside = np.isfinite(newton) & (newton > low) & (newton < high)
        guess = np.where(inside, newton, 0.5 * (low + high))
    return np.where(ok, guess, np.nan).reshape(shape)


def _scalars(*values: Any) -> bool:
    return all(isinstance(value, (float, int, str)) for value in values)


def _sign(right: str) -> float:
    if right in ("C", "CALL"):
        return 1.0
    if right in ("P", "PUT"):
        return -1.0
    raise ValueError(f"An option's right is 'C' or 'P', not {right!r}.")


def _sign_array(right: Any) -> Floats:
    if isinstance(right, str):
        return np.float64(_sign(right)) * np.ones(())
    rights = np.asarray(right)
    calls, puts = rights == "C", rights == "P"
    if not np.all(calls | puts):
        raise ValueError("An option's right is 'C' or 'P'.")
    return np.where(calls, 1.0, -1.0)


def _arrays(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any, dividend_yield: Any
) -> tuple[Floats, ...]:
    s, k, t, v, r, q = (
        np.asarray(x, dtype=np.float64) for x in (spot, strike, years, volatility, rate, dividend_yield)
    )
    return s, k, np.maximum(t, 0.0), v, _sign_array(right), r, q


def _like(value: Floats) -> Any:
    """A float for a 0-dimensional result, as promised to callers that give numbers."""
    return float(value) if np.ndim(value) == 0 else value


def _density(x: Floats) -> Floats:
    return _INVERSE_SQRT_2PI * np.exp(-0.5 * x * x)


def _d1_d2(
    forward: Floats, bond: Floats, years: Floats, volatility: Floats
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """d1 and d2 from the discounted forward and strike, and where they are defined (0 elsewhere)."""
    deviation = volatility * np.sqrt(years)
    live = deviation > 0
    safe = np.where(live, deviation, 1.0)
    d1 = np.where(live, np.log(forward / bond) / safe + 0.5 * safe, 0.0)
    return d1, np.where(live, d1 - safe, 0.0), live


def _value(forward: Floats, bond: Floats, years: Floats, volatility: Floats, sign: Floats) -> Floats:
    d1, d2, _ = _d1_d2(forward, bond, years, volatility)
    return sign * (forward * ndtr(sign * d1) - bond * ndtr(sign * d2))


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / _SQRT_2)


def _price(
    spot: float, strike: float, years: float, volatility: float, sign: float, rate: float, dividend_yield: float
) -> float:
    years = max(years, 0.0)
    return _discounted(
        spot * math.exp(-dividend_yield * years), strike * math.exp(-rate * years), years, volatility, sign
    )[0]


def _discounted(forward: float, bond: float, years: float, volatility: float, sign: float) -> tuple[float, float]:
    """Price and its slope in the volatility (per 1.00), from the discounted forward and strike."""
    deviation = volatility * math.sqrt(years)
    if deviation <= 0:
        return max(sign * (forward - bond), 0.0), 0.0
    d1 = math.log(forward / bond) / deviation + 0.5 * deviation
    value = sign * (forward * _normal(sign * d1) - bond * _normal(sign * (d1 - deviation)))
    return max(value, 0.0), forward * math.exp(-0.5 * d1 * d1) * _INVERSE_SQRT_2PI * math.sqrt(years)


def _implied(
    option_price: float, spot: float, strike: float, years: float, sign: float, rate: float, dividend_yield: float
) -> float:
    if not (spot > 0 and strike > 0 and years > 0 and math.isfinite(option_price)):
        return math.nan
    forward, bond = spot * math.exp(-dividend_yield * years), strike * math.exp(-rate * years)
    intrinsic = sign * (forward - bond)
    target, side = (option_price - intrinsic, -sign) if intrinsic > 0 else (option_price, sign)
    low, high = MIN_VOLATILITY, MAX_VOLATILITY
    if (
        target <= _discounted(forward, bond, years, low, side)[0]
        or target >= _discounted(forward, bond, years, high, side)[0]
    ):
        return math.nan
    guess = min(max(math.sqrt(2.0 * abs(math.log(forward / bond)) / years), 0.2), 3.0)
    for _ in range(_ITERATIONS):
        value, slope = _discounted(forward, bond, years, guess, side)
        error = value - target
        if abs(error) <= _PRICE_TOLERANCE * bond:
            break
        low, high = (low, guess) if error > 0 else (guess, high)
        newton = guess - error / slope if slope > 1e-300 else low
        guess = newton if low < newton < high else 0.5 * (low + high)
    return guess
