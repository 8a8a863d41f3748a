"""Bars as columns: the form in which the generated market computes and aggregates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Columns:
    """Bars in order of time, one array a field, all of one length.

    `session` is the session number (`timeline`), `start` the start in seconds since New York midnight of that session.
    Prices in dollars, `volume` and `count` numbers of shares (contracts) and trades, `wap` dollars.
    """

    session: Ints
    start: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Ints
    wap: Floats
    count: Ints

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: Any) -> Columns:
        """The rows of a mask, slice or index array."""
        return Columns(*(column[rows] for column in self.fields()))

    def fields(self) -> tuple[NDArray[Any], ...]:
        """The arrays in the order of the constructor."""
        return (self.session, self.start, self.open, self.high, self.low, self.close, self.volume, self.wap, self.count)


_NO_INTS: Ints = np.empty(0, np.int64)
_NO_FLOATS: Floats = np.empty(0)
NO_ROWS = Columns(_NO_INTS, _NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_INTS, _NO_FLOATS, _NO_INTS)
"""Columns without a row."""


def concatenate(parts: Sequence[Columns]) -> Columns:
    """The rows of all parts one after another."""
    filled = [part for part in parts if len(part)]
    if not filled:
        return NO_ROWS
    if len(filled) == 1:
        return filled[0]
    return Columns(*(np.concatenate(arrays) for arrays in zip(*(part.fields() for part in filled), strict=True)))


def merge(columns: Columns, firsts: Ints, starts: Ints) -> Columns:
    """Merge runs of rows into one bar each; `firsts` are the rows that begin a run, `starts` the new bars' start
    seconds.

    The volume-weighted price is weighted by volume, by nothing where there is no volume (an index).
    """
    if not len(columns):
        return NO_ROWS
    lasts = np.append(firsts[1:], len(columns)) - 1
    volume = np.add.reduceat(columns.volume, firsts)
    turnover = np.add.reduceat(columns.wap * columns.volume, firsts)
    wap = np.divide(turnover, volume, out=np.zeros(len(firsts)), where=volume > 0)
    return Columns(
        columns.session[firsts],
        starts,
        columns.open[firsts],
        cast(Floats, np.maximum.reduceat(columns.high, firsts)),
        cast(Floats, np.minimum.reduceat(columns.low, firsts)),
        columns.close[lasts],
        volume,
        wap,
        np.add.reduceat(columns.count, firsts),
    )
