"""European option values, greeks and implied volatility (Black-Scholes-Merton; Black-76 through `spot=forward,
dividend_yield=rate`).

Here belong formulas on numbers and arrays only. What does not belong here: market data, volatility surfaces, choice of
rates, early exercise (`american`).

With  d1 = (ln(S/K) + (r - q + v^2/2) T) / (v sqrt(T)),  d2 = d1 - v sqrt(T),  w = +1 for calls, -1 for puts:

    price = w (S e^(-qT) N(w d1) - K e^(-rT) N(w d2))

Source: Hull, "Options, Futures, and Other Derivatives", chapters 15, 17 (q) and 19 (greeks).

Units, as the broker reports them: prices in dollars a share (not a contract); `years` = calendar days / 365; volatility
per 1.00; `delta`, `gamma` per dollar of the underlying; `vega` per volatility *point* (0.01); `theta` per calendar
*day*; `rho` per rate *point* (0.01), spot and dividend yield held.

Every function takes numbers or arrays (broadcast together; `right` is "C" or "P", or an array of those) and returns a
`float` when all arguments are numbers, else a float64 array. At `years <= 0` or `volatility <= 0` the price is the
discounted intrinsic value, delta is 0, 0.5 (exactly at the money) or +-1 and the other greeks are 0. A spot, strike or
time that is not positive or not known (NaN) gives NaN. A wrong right, a strike that is NaN or arrays of different
lengths raise `ValueError`.

The computing is done by compiled code (`kernels`), which is loaded at the first call.
"""

from __future__ import annotations

from typing import Any

from trading_assets.pricing.conventions import (
    DAYS_A_YEAR,
    IMPLYING,
    MAX_VOLATILITY,
    MIN_VOLATILITY,
    VALUING,
    Aligned,
    Floats,
    Greeks,
    aligned_in,
)

__all__ = [
    "DAYS_A_YEAR",
    "MAX_VOLATILITY",
    "MIN_VOLATILITY",
    "delta",
    "gamma",
    "greeks",
    "implied_volatility",
    "price",
    "rho",
    "theta",
    "vega",
]


def greeks(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Greeks:
    """Price and all greeks at once, in the units of the module."""
    given, table = _table(spot, strike, years, volatility, right, rate, dividend_yield)
    return given.greeks(table)


def price(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Value of one option on one share, dollars."""
    return _column("price", spot, strike, years, volatility, right, rate, dividend_yield)


def delta(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of the price for a dollar of the underlying: 0..1 for calls, -1..0 for puts."""
    return _column("delta", spot, strike, years, volatility, right, rate, dividend_yield)


def gamma(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any = "C", rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of delta for a dollar of the underlying; the same for calls and puts."""
    return _column("gamma", spot, strike, years, volatility, right, rate, dividend_yield)


def vega(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any = "C", rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of the price for one volatility point (0.01); the same for calls and puts."""
    return _column("vega", spot, strike, years, volatility, right, rate, dividend_yield)


def theta(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of the price for one calendar day that passes (usually negative)."""
    return _column("theta", spot, strike, years, volatility, right, rate, dividend_yield)


def rho(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """Change of the price for one point (0.01) of the interest rate, spot and dividend yield held."""
    return _column("rho", spot, strike, years, volatility, right, rate, dividend_yield)


def implied_volatility(
    option_price: Any, spot: Any, strike: Any, years: Any, right: Any, rate: Any = 0.0, dividend_yield: Any = 0.0
) -> Any:
    """The volatility at which `price` gives `option_price`, per 1.00.

    NaN where there is none: price at or under the discounted intrinsic value, at or above the price at
    `MAX_VOLATILITY`, no time left, or an input that is not positive. `null_reasons` says which.
    """
    from trading_assets.pricing.kernels import european

    given = aligned_in(IMPLYING, option_price, spot, strike, years, right, rate, dividend_yield)
    return given.like(european.implied(*given.columns))


def _column(name: str, *arguments: Any) -> Any:
    given, table = _table(*arguments)
    return given.like(table[:, Greeks._fields.index(name)].copy())


def _table(
    spot: Any, strike: Any, years: Any, volatility: Any, right: Any, rate: Any, dividend_yield: Any
) -> tuple[Aligned, Floats]:
    """The arguments and the kernel's table, one row an option, columns in the order of `Greeks`."""
    from trading_assets.pricing.kernels import european

    given = aligned_in(VALUING, spot, strike, years, volatility, right, rate, dividend_yield)
    return given, european.values(*given.columns)
