"""Split and dividend factors, applied as the broker does: as of `now`, never with a split or dividend that is still to
come.

Source of the form: Lean factor files. A row's factors hold for all dates up to and including its own, back to the row
before. A price of day d in the terms of `now` is therefore price x factor(d) / factor(now), a volume the inverse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.simulator.recorded.grid import Floats, Ints

_LARGEST_DENOMINATOR = 200
_ROUNDING = 1e-5
"""Factors are recorded with six digits (0.0357143 is 1/28). A ratio this close, relatively, to a ratio of small whole
numbers is that ratio; a stock dividend such as 0.997307 is close to none and stays as recorded."""

_NEW_STRIKES = 1.05
"""A split ratio above this (or below its inverse) gives every option a new strike and symbol; a small stock dividend
does not."""


@dataclass(frozen=True, slots=True)
class _Factors:
    day: Ints
    price: Floats
    split: Floats
    reference: Floats
    """Close of the row's day, as traded."""

    def row_of(self, days: Ints) -> Ints:
        """The row in force on each date; past the last row, the last."""
        return np.minimum(np.searchsorted(self.day, days, side="left"), len(self.day) - 1).astype(np.int64)


class CorporateFactors:
    """Factors per symbol; a symbol without any is unadjusted. Days are counted from 1970-01-01."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._by_symbol: dict[str, _Factors] = {}
        for file in files:
            table = pq.read_table(file).sort_by([("symbol", "ascending"), ("date", "ascending")])
            symbols = np.array(table.column("symbol").to_pylist(), dtype=object)
            days = table.column("date").cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64)
            price, split = table.column("price_factor").to_numpy(), table.column("split_factor").to_numpy()
            named = "reference_price" in table.column_names
            reference = table.column("reference_price").to_numpy() if named else np.zeros(len(days))
            for symbol in sorted(set(symbols.tolist())):
                mine = symbols == symbol
                self._by_symbol[symbol] = _Factors(days[mine], price[mine], split[mine], reference[mine])

    def first_day(self, symbol: str) -> int:
        """The day the security began under this ticker; rows before it belong to an earlier user of the ticker. 0 if
        unknown."""
        factors = self._by_symbol.get(symbol)
        return int(factors.day[0]) if factors is not None else 0

    def split_ratio(self, symbol: str, days: Ints, now_day: int) -> Floats:
        """What a price of each day is multiplied with to stand in the shares of `now_day` (a volume is divided by
        it)."""
        factors = self._by_symbol.get(symbol)
        if factors is None or not len(days):
            return np.ones(len(days))
        at = _row(factors, now_day)
        exact = np.array([_exact(split / factors.split[at]) for split in factors.split[: at + 1]])
        return exact[np.minimum(factors.row_of(days), at)]

    def dividend_ratio(self, symbol: str, days: Ints, now_day: int) -> Floats:
        """What a split-adjusted price is multiplied with to be adjusted for the dividends up to `now_day` as well."""
        factors = self._by_symbol.get(symbol)
        if factors is None or not len(days):
            return np.ones(len(days))
        at = _row(factors, now_day)
        return factors.price[np.minimum(factors.row_of(days), at)] / factors.price[at]

    def dividends(self, symbol: str, today: int) -> list[tuple[int, float]] | None:
        """The dividends up to a day: the last day before each ex-date, and dollars a share of `today`; None for a
        symbol without factors."""
        factors = self._by_symbol.get(symbol)
        if factors is None:
            return None
        at = _row(factors, today)
        found = []
        for row in range(at):  # a row's factors hold up to its day, so row `at` is in force today
            part = 1.0 - float(factors.price[row] / factors.price[row + 1])
            paid = round(part * float(factors.reference[row]), 2)
            if paid > 0:
                found.append((int(factors.day[row]), paid * _exact(float(factors.split[row] / factors.split[at]))))
        return found

    def strikes_changed(self, symbol: str, after_day: int, until_day: int) -> bool:
        """Whether a split that changes strikes became effective on a day in (`after_day`, `until_day`]."""
        factors = self._by_symbol.get(symbol)
        if factors is None or after_day >= until_day:
            return False
        ratio = factors.split[_row(factors, after_day)] / factors.split[_row(factors, until_day)]
        return not 1 / _NEW_STRIKES < ratio < _NEW_STRIKES


def _row(factors: _Factors, day: int) -> int:
    return int(factors.row_of(np.array([day], dtype=np.int64))[0])


def _exact(ratio: float) -> float:
    """The ratio of small whole numbers that a rounded ratio stands for, else the ratio itself."""
    near = Fraction(ratio).limit_denominator(_LARGEST_DENOMINATOR)
    return float(near) if near and abs(float(near) / ratio - 1) < _ROUNDING else float(ratio)
