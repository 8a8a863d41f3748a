"""Prices that changed since they were stored: a split or another corporate action has restated the history."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

PRICES = ("open", "high", "low", "close")

TOLERANCE = 1e-6
"""Relative difference of a price up to which it is the same: above rounding of the broker's text, far below a tick."""

ROUNDING = 0.011
"""Dollars by which a scaled price may miss its new value: the broker rounds adjusted prices to cents."""


@dataclass(frozen=True, slots=True)
class Restatement:
    """One symbol's bars of one size differ from the stored ones.

    `ratio` is new price over old (0.1428... after a 7:1 split). `uniform` says that one ratio explains every price of
    every changed bar: then the whole stored history is restated and must be read anew. Otherwise the broker corrected
    single bars, and storing the new ones is enough.
    """

    symbol: str
    bar_size: str
    ratio: float
    uniform: bool
    bars: int


def restated(new: pa.Table, stored: pa.Table) -> list[Restatement]:
    """Symbols whose new bars differ from stored bars of the same start, by symbol and bar size.

    Both tables have the columns symbol, bar_size, start, open, high, low, close (rows of `equity_bars`); bars that are
    in one of the two only say nothing.
    """
    names = ["symbol", "bar_size", "start", *PRICES]
    both = (
        new.select(names)
        .to_pandas()
        .merge(stored.select(names).to_pandas(), on=["symbol", "bar_size", "start"], suffixes=("_new", "_old"))
    )
    found = []
    for (symbol, bar_size), rows in both.groupby(["symbol", "bar_size"], sort=True):
        fresh = rows[[f"{name}_new" for name in PRICES]].to_numpy(float)
        old = rows[[f"{name}_old" for name in PRICES]].to_numpy(float)
        differs = abs(fresh - old) > TOLERANCE * abs(old)
        changed = differs.any(axis=1)
        if not changed.any():
            continue
        fresh, old = fresh[changed], old[changed]
        ratio = float(fresh.sum() / old.sum())
        uniform = bool(differs[changed].all() and (abs(fresh - old * ratio) <= ROUNDING + TOLERANCE * old).all())
        found.append(Restatement(str(symbol), str(bar_size), ratio, uniform, int(changed.sum())))
    return found
