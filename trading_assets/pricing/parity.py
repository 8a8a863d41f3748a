"""Forward and discount of one expiry, from put-call parity where there are pairs, else from the settings.

European options: C - P = D (F - K) at each strike. The slope over the strikes gives the discount D, and each pair then
a forward F; both are medians, which a wrong quote or two do not move. American options have no such equation. There
the forward is the one at which calls and puts of the same strikes imply the same volatility: it is found through the
yield beside the cash dividends (a borrowing fee, mostly). The discount is that of the setting `rate`.

Here belongs one expiry of one trading class at one instant. What does not belong here: which quotes are usable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from trading_assets.pricing import american
from trading_assets.pricing.conventions import Floats, aligned

LEAST_PAIRS = 4
"""Fewer strikes with a call and a put say nothing: one wrong quote would decide."""
NEAREST_PAIRS = 20
"""Strikes nearest the money whose median is the forward."""
NEAREST_PAIRS_AMERICAN = 8
"""The same for American options, where in-the-money quotes say more about early exercise than about the forward."""
SLOPE_PAIRS = 80
"""Strikes nearest the money whose slopes give the discount: a slope needs distance. Measured on SPX 2019: median error
of the discount 0.0001 with 80 strikes, 0.0004 with 20."""
RATE_ERROR = 0.01
"""A discount whose interest rate has a larger standard error (per 1.00 a year) is not used: of options that expire in
days, the slope says nothing about the rate."""
LARGEST_YIELD = 5.0
"""Range of the yield (per 1.00 a year) in which the forward of American options is looked for; a spot that does not
belong to the quotes shows as a large yield on short expiries."""
_STEPS = 40


class Source(StrEnum):
    """Where a forward or a discount comes from."""

    PARITY = "parity"
    SETTINGS = "settings"


@dataclass(frozen=True, slots=True)
class Pairs:
    """Strikes with the prices of call and put, in order of the strikes: dollars, no NaN."""

    strike: Floats
    call: Floats
    put: Floats

    def __len__(self) -> int:
        return len(self.strike)

    def nearest(self, count: int) -> Pairs:
        """The pairs nearest the strike where call and put cost the same."""
        money = self.strike[np.argmin(np.abs(self.call - self.put))]
        chosen = np.sort(np.argsort(np.abs(self.strike - money), kind="stable")[:count])
        return Pairs(self.strike[chosen], self.call[chosen], self.put[chosen])


@dataclass(frozen=True, slots=True)
class Forward:
    """Forward and discount of an expiry and where they come from.

    `forward` in dollars, `discount` the value now of a dollar at expiry, `rate` = -ln(discount) / years per 1.00,
    `dividend_yield` the continuous yield that leads from spot and cash dividends to the forward (per 1.00 a year), 0
    when the spot is not known. `pairs` is the number of strikes the forward is the median of.
    """

    forward: float
    discount: float
    rate: float
    dividend_yield: float
    forward_source: Source
    discount_source: Source
    pairs: int


def pairs_of(strike: Any, right: Any, price: Any) -> Pairs:
    """The strikes at which both call and put have a price above 0; of two at one strike, the first counts.

    Raises `ValueError` as `black_scholes` does for rights, strikes and lengths.
    """
    strikes, signs, prices = aligned(strike=strike, right=right, price=price).columns
    usable = np.isfinite(prices) & (prices > 0)
    sides = []
    for sign in (1.0, -1.0):
        chosen = usable & (signs == sign)
        of_side, first = np.unique(strikes[chosen], return_index=True)
        sides.append((of_side, prices[chosen][first]))
    (calls_at, calls), (puts_at, puts) = sides
    both, of_calls, of_puts = np.intersect1d(calls_at, puts_at, return_indices=True)
    return Pairs(both, calls[of_calls], puts[of_puts])


def european_forward(
    pairs: Pairs, spot: float | None, years: float, rate: float, dividends: Sequence[tuple[float, float]] = ()
) -> Forward | None:
    """Forward and discount of European options.

    `rate` (per 1.00, continuous) and `dividends` (years to the ex-date, dollars) are used where parity says nothing:
    fewer than `LEAST_PAIRS` pairs. None when the spot is not known then, or no time is left.
    """
    if not years > 0:
        return None
    if len(pairs) < LEAST_PAIRS:
        return forward_of_settings(spot, years, rate, dividends)
    discount, source = math.exp(-rate * years), Source.SETTINGS
    sloped = _discount(pairs.nearest(SLOPE_PAIRS), years)
    if sloped is not None:
        discount, source = sloped, Source.PARITY
    near = pairs.nearest(NEAREST_PAIRS)
    forward = float(np.median(near.strike + (near.call - near.put) / discount))
    if forward <= 0:
        return forward_of_settings(spot, years, rate, dividends)
    rate = -math.log(discount) / years
    known = _known(spot)
    carry = rate - math.log(forward / known) / years if known else 0.0
    return Forward(forward, discount, rate, carry, Source.PARITY, source, len(near))


def american_forward(
    pairs: Pairs, spot: float | None, years: float, rate: float, dividends: Sequence[tuple[float, float]] = ()
) -> Forward | None:
    """The forward of American options, with the discount of the setting.

    With fewer than `LEAST_PAIRS` usable pairs, spot and cash dividends alone give it. None when the spot is not known
    or no time is left.
    """
    settings = forward_of_settings(spot, years, rate, dividends)
    if settings is None or len(pairs) < LEAST_PAIRS:
        return settings
    assert spot is not None
    near = pairs.nearest(NEAREST_PAIRS_AMERICAN)
    carry = _balanced_yield(near, spot, years, rate, dividends)
    if carry is None:
        return settings
    return Forward(
        _forward(spot, years, rate, carry, dividends),
        settings.discount, rate, carry, Source.PARITY, Source.SETTINGS, len(near),
    )  # fmt: skip


def forward_of_settings(
    spot: float | None, years: float, rate: float, dividends: Sequence[tuple[float, float]] = ()
) -> Forward | None:
    """The forward of a spot with cash dividends and no other yield; None without a spot or time."""
    known = _known(spot)
    if known is None or not years > 0:
        return None
    forward = _forward(known, years, rate, 0.0, dividends)
    if forward <= 0:
        return None
    return Forward(forward, math.exp(-rate * years), rate, 0.0, Source.SETTINGS, Source.SETTINGS, 0)


def _known(spot: float | None) -> float | None:
    return spot if spot is not None and math.isfinite(spot) and spot > 0 else None


def _forward(spot: float, years: float, rate: float, carry: float, dividends: Sequence[tuple[float, float]]) -> float:
    growth = rate - carry
    paid = sum(amount * math.exp(growth * (years - t)) for t, amount in dividends if 0 < t < years)
    return spot * math.exp(growth * years) - paid


def _discount(pairs: Pairs, years: float) -> float | None:
    """The median slope between the lower and the upper half of the strikes; None where it is not sharp enough."""
    half = len(pairs) // 2
    difference = pairs.call - pairs.put
    slopes = (difference[:half] - difference[-half:]) / (pairs.strike[-half:] - pairs.strike[:half])
    discount = float(np.median(slopes))
    spread = 1.4826 * float(np.median(np.abs(slopes - discount)))
    # Prices are on a grid of ticks: slopes that happen to agree are no sharper than a cent over their distance.
    grid = 0.01 / float(np.median(pairs.strike[-half:] - pairs.strike[:half]))
    error = max(spread, grid) / math.sqrt(half)
    return discount if discount > 0 and error <= RATE_ERROR * years * discount else None


def _balanced_yield(
    pairs: Pairs, spot: float, years: float, rate: float, dividends: Sequence[tuple[float, float]]
) -> float | None:
    """The yield at which the median difference between the volatilities of calls and puts is 0; None where fewer than
    `LEAST_PAIRS` have both."""
    strikes = np.concatenate((pairs.strike, pairs.strike))
    prices = np.concatenate((pairs.call, pairs.put))
    rights = np.repeat(["C", "P"], len(pairs))

    def difference(carry: float) -> float | None:
        implied = american.implied_volatility(prices, spot, strikes, years, rights, rate, carry, dividends)
        gap = implied[: len(pairs)] - implied[len(pairs) :]
        gap = gap[np.isfinite(gap)]
        return float(np.median(gap)) if len(gap) >= LEAST_PAIRS else None

    return _root(difference, years)


def _root(difference: Any, years: float) -> float | None:
    """The zero of a function that rises with the yield, by secant steps inside a shrinking bracket."""
    carry, before, error_before = 0.0, None, 0.0
    low, high = -LARGEST_YIELD, LARGEST_YIELD
    for _ in range(_STEPS):
        error = difference(carry)
        if error is None:
            return None
        if abs(error) < 1e-7:
            return carry
        low, high = (low, carry) if error > 0 else (carry, high)
        if before is None:  # a volatility point is about 0.4 sqrt(years) of the spot, in call and put
            step = carry - error * 0.8 / math.sqrt(years)
        elif error != error_before:
            step = carry - error * (carry - before) / (error - error_before)
        else:
            step = math.inf
        before, error_before = carry, error
        carry = step if low < step < high else 0.5 * (low + high)
        if high - low < 1e-9:
            return carry
    return None
