"""Prices that changed since they were stored: a split or another corporate action has restated the history, or the
broker has corrected single bars.

Both prices of a pair are rounded, so a pair says of the ratio (new over old) only that it lies in an interval. One
ratio explains a set of pairs when their intervals have a point in common: the test is as wide as the rounding makes it,
whatever the ratio and however small the price.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, isinf, log, sqrt

import numpy as np
import numpy.typing as npt
import pyarrow as pa

PRICES = ("open", "high", "low", "close")

TOLERANCE = 1e-6
"""Relative difference of a price up to which it is the same: above rounding of the broker's text, far below a tick."""

SLACK = 1.02
"""Half a rounding step is taken this many times: what was rounded may itself have been computed with some error."""

LARGEST_CORRECTION = log(1.05)
"""Difference (logarithm) up to which the broker corrects a price; more than that is another basis."""

LARGEST_TERM = 100
SMALL_TERM = 10
"""Corporate actions have ratios of whole numbers of which one is small (7:1, 3:2, 1:35), or that differ by one (a stock
dividend of 5 % is 20:21); with larger ones any interval has a fraction."""

NARROW = 0.02
"""Width (logarithm) up to which an interval tells one ratio from another."""

MOST_DIGITS = 6
"""Decimals of the finest adjusted prices on record."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Restatement:
    """One symbol's bars of one size differ from the stored ones.

    `ratio` is new price over old (0.1428... after a 7:1 split), a simple fraction where one fits. `uniform` says that
    one ratio explains every price of every changed bar. `corrected` says that the broker corrected single bars, and
    storing the new ones is enough; otherwise the stored bars are on another basis than the broker's, in whole or in
    part, and the stored history must be read anew. `largest` is the largest relative change of a price. `bars` are the
    changed ones.
    """

    symbol: str
    bar_size: str
    ratio: float
    uniform: bool
    corrected: bool
    largest: float
    bars: int

    def words(self) -> str:
        """What happened to the prices, for a sentence."""
        if not self.uniform:
            return f"came back changed by up to {self.largest:.0%}, not by one ratio"
        simple = Fraction(self.ratio).limit_denominator(LARGEST_TERM)
        exact = simple.numerator != 1 or simple.denominator != 1
        fraction = (
            f"{simple}, " if exact and simple.denominator > 1 and abs(simple / self.ratio - 1) < TOLERANCE else ""
        )
        return f"were restated by {self.ratio:.6g} ({fraction}a split or another corporate action)"


def restated(new: pa.Table, stored: pa.Table) -> list[Restatement]:
    """Symbols whose new bars differ from stored bars of the same start, by symbol and bar size.

    Both tables have the columns symbol, bar_size, start, open, high, low, close (rows of `equity_bars`); bars that are
    in one of the two only say nothing.
    """
    names, series = ["symbol", "bar_size", "start", *PRICES], ["symbol", "bar_size"]
    both = (
        new.select(names).to_pandas().merge(stored.select(names).to_pandas(), on=names[:3], suffixes=("_new", "_old"))
    )
    fresh, old = (both[[f"{name}{side}" for name in PRICES]].to_numpy(float) for side in ("_new", "_old"))
    both["changed"] = (abs(fresh - old) > TOLERANCE * abs(old)).any(axis=1)
    # Nearly always nothing has: what is left is looked at series by series.
    both = both.merge(both.loc[both["changed"], series].drop_duplicates(), on=series).sort_values("start")
    found = []
    for (symbol, bar_size), rows in both.groupby(series, sort=True):
        fresh, old = (rows[[f"{name}{side}" for name in PRICES]].to_numpy(float) for side in ("_new", "_old"))
        found.append(_compared(str(symbol), str(bar_size), fresh, old, rows["changed"].to_numpy(bool)))
    return found


def _compared(symbol: str, bar_size: str, fresh: Floats, old: Floats, changed: npt.NDArray[np.bool_]) -> Restatement:
    """What became of bars, in their order, of which some changed."""
    least, most = _intervals(fresh, old)
    low, high = float(least[changed].max()), float(most[changed].min())
    ratio = _ratio(low, high)
    uniform = low <= high and not low <= 1.0 <= high
    apart = np.where(least > 1.0, least, np.where(most < 1.0, 1.0 / most, 1.0))
    largest = float(apart[changed].max())
    # A restatement concerns all that lies before some session; a correction concerns single bars and prices.
    before = slice(0, int(np.flatnonzero(changed)[-1]) + 1)
    by_one_ratio = uniform and bool((least[before] <= ratio).all() and (most[before] >= ratio).all())
    corrected = log(largest) <= LARGEST_CORRECTION and not by_one_ratio and not _scaled(least[before], most[before])
    return Restatement(symbol, bar_size, ratio, uniform, corrected, largest - 1.0, int(changed.sum()))


def _scaled(least: Floats, most: Floats) -> bool:
    """Whether each bar has a ratio of its own other than 1: several restatements at once."""
    low, high = least.max(axis=1), most.min(axis=1)
    return bool(((low <= high) & ((low > 1.0) | (high < 1.0))).all())


def _intervals(fresh: Floats, old: Floats) -> tuple[Floats, Floats]:
    """Least and largest ratio that each pair of prices allows; a price of one step may have been raised to it."""
    new_half, old_half = SLACK * _half_step(fresh), SLACK * _half_step(old)
    with np.errstate(divide="ignore"):
        least = np.where(fresh <= 2 * new_half, 0.0, (fresh - new_half) / (old + old_half))
        most = np.where(old <= 2 * old_half, inf, (fresh + new_half) / (old - old_half))
    return least, most


def _half_step(prices: Floats) -> float:
    """Half of the step to which the prices are rounded: cents, unless they show more digits."""
    for digits in range(2, MOST_DIGITS):
        if (abs(prices - np.round(prices, digits)) <= 1e-9 * np.maximum(prices, 1.0)).all():
            return float(0.5 * 10**-digits)
    return float(0.5 * 10**-MOST_DIGITS)


def _ratio(low: float, high: float) -> float:
    """The ratio of an interval: its middle; of a narrow one a simple fraction inside, else the number with the fewest
    digits."""
    low, high = min(low, high), max(low, high)
    if isinf(high):
        return max(low, 1.0)
    middle = sqrt(low * high) if low > 0 else high / 2
    if low > 0 and log(high / low) < NARROW:
        if (simple := simple_between(low, high)) is not None:
            return float(simple)
        rounded = (float(f"{middle:.{digits}g}") for digits in range(1, 9))
        return next((number for number in rounded if low <= number <= high), middle)
    return middle


def simple_between(low: float, high: float) -> Fraction | None:
    """The fraction with the smallest denominator in an interval of positive numbers that is the ratio of a corporate
    action (`SMALL_TERM`, `LARGEST_TERM`); None where there is none."""
    for denominator in range(1, LARGEST_TERM + 1):
        first = max(1, int(np.ceil(low * denominator * (1 - 1e-12))))
        for numerator in range(first, min(LARGEST_TERM, int(high * denominator * (1 + 1e-12))) + 1):
            if min(numerator, denominator) <= SMALL_TERM or abs(numerator - denominator) == 1:
                return Fraction(numerator, denominator)
    return None
