"""A recorded minute as moments of that minute, in order: what a stream shows while it replays a session.

A minute row says open, high, low, close, not when they happened. It is replayed as four moments, `OFFSETS` seconds
after its start: the open, the two extremes, the close. So what a stream showed in the minute has exactly the recorded
open, high, low and close, the recorded sizes and volume.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trading_assets.simulator.recorded.candles import Candles
from trading_assets.simulator.recorded.grid import Floats, Ints, Mask
from trading_assets.simulator.recorded.recorded_files import Rows

OFFSETS = (5, 20, 35, 50)
"""Seconds of a minute at which its moments are: whole five-second bars apart, none at its ends."""

_OFFSETS: Ints = np.array(OFFSETS, dtype=np.int64)
_MOMENTS = len(OFFSETS)


@dataclass(frozen=True, slots=True)
class QuoteTape:
    """The quotes of a contract, one row a moment: `at` epoch seconds, prices in dollars (NaN: none), sizes."""

    at: Ints
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats

    def row(self, instant: float) -> int:
        """The row in force at an instant, -1 before the first."""
        return int(np.searchsorted(self.at, instant, side="right")) - 1


@dataclass(frozen=True, slots=True)
class TradeTape:
    """The trades of a contract, one row a moment. `size` of a moment at which only the minute's shape is shown is 0.

    `high`, `low` and `volume` are those of the session so far.
    """

    at: Ints
    price: Floats
    size: Floats
    high: Floats
    low: Floats
    volume: Floats

    def row(self, instant: float) -> int:
        """The row in force at an instant, -1 before the first."""
        return int(np.searchsorted(self.at, instant, side="right")) - 1


def quote_tape(rows: Rows) -> QuoteTape:
    """The tape of minute rows with quotes."""
    with np.errstate(invalid="ignore"):
        middle = [rows[f"bid_{name}"] + rows[f"ask_{name}"] for name in ("open", "close")]
        rising = middle[1] >= middle[0]
    bid, ask = (
        _moments(rows[f"{side}_open"], rows[f"{side}_high"], rows[f"{side}_low"], rows[f"{side}_close"], rising)
        for side in ("bid", "ask")
    )
    bid[~(bid > 0)] = np.nan
    ask[~(ask > 0)] = np.nan
    sizes = (np.repeat(np.nan_to_num(rows[f"{side}_size"]), _MOMENTS) for side in ("bid", "ask"))
    return QuoteTape(_instants(rows.start), bid.ravel(), ask.ravel(), *sizes)


def trade_tape(rows: Candles) -> TradeTape:
    """The tape of minutes with trades."""
    high_first, low_first = (
        _moments(rows.open, rows.high, rows.low, rows.close, np.full(len(rows), rising)) for rising in (False, True)
    )
    fewer = _steps(low_first).sum(axis=1) < _steps(high_first).sum(axis=1)
    price = np.where(fewer[:, None], low_first, high_first)
    size = _sizes(price, rows.volume)
    return TradeTape(
        _instants(rows.start),
        price.ravel(),
        size.ravel(),
        np.maximum.accumulate(price.ravel()) if len(rows) else price.ravel(),
        np.minimum.accumulate(price.ravel()) if len(rows) else price.ravel(),
        np.cumsum(size.ravel()),
    )


def _instants(start: Ints) -> Ints:
    return (start[:, None] + _OFFSETS).ravel()


def _moments(opened: Floats, high: Floats, low: Floats, closed: Floats, rising: Mask) -> Floats:
    """Four prices a row in order of time: a rising minute has its low first."""
    first, second = np.where(rising, low, high), np.where(rising, high, low)
    return np.stack((opened, first, second, closed), axis=1)


def _steps(price: Floats) -> Mask:
    """Where the price moves; the first moment always counts."""
    return np.diff(price, axis=1, prepend=np.nan) != 0


def _sizes(price: Floats, volume: Floats) -> Floats:
    """The volume of each minute over its moments: at least one share where the price moves, the rest evenly, whole
    numbers. A minute with less volume than moves has equal parts."""
    least = _steps(price).astype(np.float64)
    rest = volume - least.sum(axis=1)
    part = np.floor(rest / _MOMENTS)
    size = least + part[:, None]
    size[:, -1] += rest - part * _MOMENTS
    return np.where((rest < 0)[:, None], (volume / _MOMENTS)[:, None], size)
