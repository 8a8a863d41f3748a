"""American option values, greeks and implied volatility, with cash dividends.

The same functions as in `black_scholes`, with the same names, arguments and units, and one argument more: `dividends`,
the cash dividends of the underlying as pairs (years to the ex-date, dollars a share), valid for all options of the
call. On an ex-date the spot falls by the dividend; between ex-dates it is lognormal with the given volatility. A call
may be exercised just before an ex-date, a put just after. `dividend_yield` is a continuous yield (a borrowing fee, for
instance) beside the cash dividends.

Method (docs/pricing.md has the measured errors): a binomial tree whose last step is a Black-Scholes value, with steps
that divide the time between ex-dates evenly and interpolation on the ex-dates, extrapolated from N/2 = 50 and N = 100
steps (Broadie and Detemple, "American option valuation", Review of Financial Studies 9, 1996; dividends by
interpolation: Vellekoop and Nieuwenhuis, "Efficient pricing of derivatives on assets with discrete dividends", Applied
Mathematical Finance 13, 2006). Where early exercise cannot pay, the value is the European one. `vega` and `rho` are
differences of such values, `theta` follows from the Black-Scholes equation and is 0 where exercise is due now.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.pricing.conventions import (
    IMPLYING,
    MAX_VOLATILITY,
    MIN_VOLATILITY,
    VALUING,
    Floats,
    Greeks,
    aligned_in,
)

__all__ = ["MAX_VOLATILITY", "MIN_VOLATILITY", "Dividends", "Greeks", "greeks", "implied_volatility", "price"]

Dividends = Iterable[tuple[float, float]]
"""Pairs (years to the ex-date, dollars a share), in any order; those in the past or after the expiry do not matter."""

_USUAL_VOLATILITY = 0.3
"""First guess where the European formula has none."""
_LEAST_SPOT = 0.01
"""Part of the spot that is left for the first guess, however large the dividends."""


def greeks(
    spot: Any,
    strike: Any,
    years: Any,
    volatility: Any,
    right: Any,
    rate: Any = 0.0,
    dividend_yield: Any = 0.0,
    dividends: Dividends = (),
) -> Greeks:
    """Price and all greeks at once, in the units of `black_scholes`. Raises `ValueError` as there, and for a dividend
    that is negative or not a number."""
    from trading_assets.pricing.kernels import american, european

    given = aligned_in(VALUING, spot, strike, years, volatility, right, rate, dividend_yield)
    ex_years, amounts = _schedule(dividends)
    plain = _held_to_the_end(given.columns, ex_years)
    table = np.empty((len(plain), len(Greeks._fields)))
    table[plain] = european.values(*(column[plain] for column in given.columns))
    table[~plain] = american.values(*(column[~plain] for column in given.columns), ex_years, amounts)
    return given.greeks(table)


def price(
    spot: Any,
    strike: Any,
    years: Any,
    volatility: Any,
    right: Any,
    rate: Any = 0.0,
    dividend_yield: Any = 0.0,
    dividends: Dividends = (),
) -> Any:
    """Value of one option on one share, dollars: at least what exercise brings now."""
    return greeks(spot, strike, years, volatility, right, rate, dividend_yield, dividends).price


def implied_volatility(
    option_price: Any,
    spot: Any,
    strike: Any,
    years: Any,
    right: Any,
    rate: Any = 0.0,
    dividend_yield: Any = 0.0,
    dividends: Dividends = (),
) -> Any:
    """The volatility at which `price` gives `option_price`, per 1.00; NaN where there is none, as in
    `black_scholes`."""
    from trading_assets.pricing.kernels import american, european

    given = aligned_in(IMPLYING, option_price, spot, strike, years, right, rate, dividend_yield)
    ex_years, amounts = _schedule(dividends)
    prices, spots, strikes, times, signs, rates, yields = given.columns
    plain = _held_to_the_end((spots, strikes, times, prices, signs, rates, yields), ex_years)
    paid = np.where(ex_years < times[:, None], amounts * np.exp(-rates[:, None] * ex_years), 0.0).sum(axis=1)
    near = np.where(plain, spots, np.maximum(spots - paid, _LEAST_SPOT * spots))
    result = european.implied(prices, near, strikes, times, signs, rates, yields)
    start = np.where(np.isnan(result), _USUAL_VOLATILITY, result)
    trees = (column[~plain] for column in (prices, start, *given.columns[1:]))
    result[~plain] = american.implied(*trees, ex_years, amounts)
    return given.like(result)


def _held_to_the_end(columns: tuple[Floats, ...], ex_years: Floats) -> NDArray[np.bool_]:
    """Where early exercise cannot pay, so that the option is worth a European one: no ex-date in its life, and waiting
    to pay the strike (a call) or to deliver the share (a put) costs nothing. Also where no time is left."""
    _, _, years, _, signs, rates, yields = columns
    paying = (ex_years < years[:, None]).any(axis=1)
    waits = np.where(signs > 0, (yields <= 0) & (rates >= 0), (rates <= 0) & (yields >= 0))
    return ~(years > 0) | (waits & ~paying)


def _schedule(dividends: Dividends) -> tuple[Floats, Floats]:
    """Ex-dates (years) in order and amounts of the dividends to come. Raises `ValueError`."""
    table = np.array(sorted((float(years), float(amount)) for years, amount in dividends)).reshape(-1, 2)
    if not np.all(np.isfinite(table)) or np.any(table[:, 1] < 0):
        raise ValueError("A dividend is a pair of years to its ex-date and dollars a share, neither NaN nor negative.")
    table = table[(table > 0).all(axis=1)]
    return table[:, 0].copy(), table[:, 1].copy()
