"""Open, high, low, close and volume of recorded rows, and their aggregation into bars of a wanted size.

Here belongs what a row says for a `whatToShow` and which bar it falls into. Which rows are known at an instant, and
which file is asked, belongs to `history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trading_assets.simulator.recorded.grid import Floats, Ints, Mask, grid
from trading_assets.simulator.recorded.recorded_files import Rows

MINUTE = 60
HOUR = 3_600
SESSION = 86_400
WEEK = 7 * SESSION
MONTH = 30 * SESSION
"""Bar sizes in seconds. From `SESSION` on they name calendar periods rather than lengths of time."""

EIGHT_HOURS = 8 * HOUR

TRADE_BARS = ("TRADES", "ADJUSTED_LAST")
"""The `whatToShow` made of trades; the others are made of quotes."""

BAR_SECONDS: dict[str, int] = {
    "1 secs": 1, "5 secs": 5, "10 secs": 10, "15 secs": 15, "30 secs": 30,
    "1 min": 60, "2 mins": 120, "3 mins": 180, "5 mins": 300, "10 mins": 600, "15 mins": 900, "20 mins": 1_200,
    "30 mins": 1_800,
    "1 hour": HOUR, "2 hours": 2 * HOUR, "3 hours": 3 * HOUR, "4 hours": 4 * HOUR, "8 hours": EIGHT_HOURS,
    "1 day": SESSION, "1 week": WEEK, "1W": WEEK, "1 month": MONTH, "1M": MONTH,
}  # fmt: skip
"""The broker's words for bar sizes (broker documentation, "Historical Bar Sizes")."""

_MONDAY = 3
"""1970-01-01 was a Thursday: three days after the Monday its week began with."""


@dataclass(frozen=True, slots=True)
class Candles:
    """Bars as arrays, in order. `start` epoch seconds, `session` session index; `volume` is -1 for quotes."""

    start: Ints
    session: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.start)

    def where(self, wanted: Mask | Ints | slice) -> Candles:
        """The bars of a mask, of places or of a slice."""
        return Candles(
            self.start[wanted],
            self.session[wanted],
            self.open[wanted],
            self.high[wanted],
            self.low[wanted],
            self.close[wanted],
            self.volume[wanted],
        )

    def scaled(self, price: Floats, shares: Floats) -> Candles:
        """Prices multiplied with `price`, rounded to a millionth of a dollar; volumes divided by `shares`, whole
        shares."""
        if not len(self) or (np.all(price == 1.0) and np.all(shares == 1.0)):
            return self
        opened, high, low, closed = (
            np.round(values * price, 6) for values in (self.open, self.high, self.low, self.close)
        )
        volume = np.where(self.volume >= 0, np.round(self.volume / shares), self.volume)
        return Candles(self.start, self.session, opened, high, low, closed, volume)


NOTHING = Candles(
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
    np.empty(0),
    np.empty(0),
    np.empty(0),
    np.empty(0),
    np.empty(0),
)
"""No bars."""


def joined(parts: Sequence[Candles]) -> Candles:
    """Several runs of bars as one, in order of start."""
    if len(parts) == 1:
        return parts[0]
    start = np.concatenate([part.start for part in parts])
    everything = Candles(
        start,
        np.concatenate([part.session for part in parts]),
        np.concatenate([part.open for part in parts]),
        np.concatenate([part.high for part in parts]),
        np.concatenate([part.low for part in parts]),
        np.concatenate([part.close for part in parts]),
        np.concatenate([part.volume for part in parts]),
    )
    return everything.where(np.argsort(start, kind="stable"))


def candles(rows: Rows, what_to_show: str, is_index: bool = False) -> Candles:
    """What the rows say for a `whatToShow`; rows that say nothing (no trade, no bid) are left out.

    TRADES and ADJUSTED_LAST: the trade columns; a row without volume is no trade, except for an index, which has none.
    BID, ASK: those of one side. MIDPOINT: the mean of both sides, where both are quoted. BID_ASK: as the broker defines
    it, open = average bid, high = highest ask, low = lowest bid, close = average ask; the recorded averages are
    unknown, the mean of a row's first and last quote stands for them.
    """
    if what_to_show in TRADE_BARS:
        opened, high, low, closed = (rows[name] for name in ("open", "high", "low", "close"))
        volume = np.nan_to_num(rows["volume"])
        return Candles(rows.start, rows.session, opened, high, low, closed, volume).where(
            ~np.isnan(closed) & ((volume > 0) | is_index)
        )
    bid = [rows[f"bid_{name}"] for name in ("open", "high", "low", "close")]
    ask = [rows[f"ask_{name}"] for name in ("open", "high", "low", "close")]
    if what_to_show == "BID":
        opened, high, low, closed = bid
    elif what_to_show == "ASK":
        opened, high, low, closed = ask
    elif what_to_show == "MIDPOINT":
        opened, high, low, closed = ((lower + upper) / 2 for lower, upper in zip(bid, ask, strict=True))
    elif what_to_show == "BID_ASK":
        opened, high, low, closed = (bid[0] + bid[3]) / 2, ask[1], bid[2], (ask[0] + ask[3]) / 2
    else:  # volatilities, yields, schedules: never recorded
        return NOTHING
    said = ~np.isnan(opened + high + low + closed)
    return Candles(rows.start, rows.session, opened, high, low, closed, np.full(len(rows), -1.0)).where(said)


def bucket_starts(rows: Candles, seconds: int, regular_hours: bool, whole_session: bool) -> Ints:
    """The start of the bar each row falls into.

    Bars lie on the New York clock as the broker's do: hourly bars of regular hours start at 09:30, 10:00, 11:00, ...
    With `whole_session` (option bars of 8 hours, daily bars) a session is one bar from its regular open; weeks begin on
    Monday and months on the first, and start with the first row in them.
    """
    sessions = grid()
    opens = sessions.opens[rows.session]
    if not len(rows):
        return opens
    if seconds >= WEEK:
        days = sessions.days[rows.session]
        period = (
            (days + _MONDAY) // 7
            if seconds == WEEK
            else days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        )
        first = np.flatnonzero(np.diff(period, prepend=period[0] - 1))
        return np.repeat(opens[first], np.diff(np.append(first, len(period))))
    if whole_session or seconds == SESSION:
        return opens
    if seconds <= HOUR:
        start = rows.start - rows.start % seconds
    else:
        midnight = sessions.midnights[rows.session]
        start = midnight + (rows.start - midnight) // seconds * seconds
    return np.maximum(start, opens) if regular_hours else start


def aggregate(rows: Candles, starts: Ints, averaged: bool = False) -> Candles:
    """One bar for each run of equal `starts`: first open, highest high, lowest low, last close, volume summed.

    With `averaged` (BID_ASK) open and close are means. A bar of several sessions is named by the last of them.
    """
    if not len(rows):
        return rows
    first = np.flatnonzero(np.diff(starts, prepend=starts[0] - 1))
    last = np.append(first[1:], len(starts)) - 1
    count = last - first + 1
    opened = np.add.reduceat(rows.open, first) / count if averaged else rows.open[first]
    closed = np.add.reduceat(rows.close, first) / count if averaged else rows.close[last]
    volume = np.where(rows.volume[first] >= 0, np.add.reduceat(rows.volume, first), -1.0)
    return Candles(
        starts[first],
        rows.session[last],
        opened,
        np.maximum.reduceat(rows.high, first),
        np.minimum.reduceat(rows.low, first),
        closed,
        volume,
    )
