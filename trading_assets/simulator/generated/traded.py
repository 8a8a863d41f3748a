"""What of an option has traded in a session up to an instant.

A stream asks this several times a second for each contract: the finished minutes are summed once a session and the
seconds of the minute in progress are made once a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import cast

import numpy as np

from trading_assets.simulator.generated.aggregation import MINUTE, seconds_of_day
from trading_assets.simulator.generated.columns import NO_ROWS, Columns, Floats, Ints
from trading_assets.simulator.generated.option_series import TradeSeries


@dataclass(frozen=True, slots=True)
class Traded:
    """What has traded; `last` and `last_time` may be of an earlier session. Prices in dollars, volume in contracts."""

    last: float | None = None
    last_size: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    volume: float = 0.0
    close_before: float | None = None
    last_time: datetime | None = None


NOTHING_TRADED = Traded()


class SessionTrades:
    """The trades of one contract in one session of its life."""

    def __init__(self, trades: TradeSeries, session: int) -> None:
        self._trades, self._session = trades, session
        self._in_progress = -1
        self._seconds = NO_ROWS

    def at(self, instant: datetime) -> Traded:
        """What has traded at an instant, at most the session's close."""
        sessions = self._trades.model.sessions
        if instant >= sessions.closes[self._session]:
            return self._whole
        elapsed = seconds_of_day(instant, self._session, sessions)
        minutes = self._minutes
        done = int(np.searchsorted(minutes.start, elapsed - MINUTE, side="right"))
        current = self._current(done, elapsed)
        if not done and not len(current):
            return self._before
        opened = minutes.open[0] if done else current.open[0]
        last, high, low, volume, row = -1.0, -np.inf, np.inf, 0, done - 1
        if done:
            last, high, low, volume = minutes.close[row], self._high[row], self._low[row], self._volume[row]
        if len(current):
            last, row = current.close[-1], done
            high, low = max(high, current.high.max()), min(low, current.low.min())
            volume += current.volume.sum()
        ended = min(instant, sessions.at(self._session, int(minutes.start[row]) // MINUTE + 1))
        return self._found(opened, high, low, last, volume, ended)

    def _current(self, row: int, elapsed: int) -> Columns:
        """The finished seconds of the minute in progress, the `row`-th of the session."""
        if row >= len(self._minutes) or int(self._minutes.start[row]) >= elapsed:
            return NO_ROWS
        if row != self._in_progress:
            self._seconds = self._trades.seconds(self._minutes.take(slice(row, row + 1)))
            self._in_progress = row
        return self._seconds.take(slice(0, int(np.searchsorted(self._seconds.start, elapsed))))

    def _found(self, opened: float, high: float, low: float, last: float, volume: float, ended: datetime) -> Traded:
        before = self._before.close_before
        return Traded(float(last), 1.0, float(opened), float(high), float(low), float(volume), before, ended)

    @cached_property
    def _minutes(self) -> Columns:
        return self._trades.minutes(self._session, True)

    @cached_property
    def _high(self) -> Floats:
        return cast(Floats, np.maximum.accumulate(self._minutes.high))

    @cached_property
    def _low(self) -> Floats:
        return cast(Floats, np.minimum.accumulate(self._minutes.low))

    @cached_property
    def _volume(self) -> Ints:
        return np.cumsum(self._minutes.volume)

    @cached_property
    def _before(self) -> Traded:
        """What had traded before the session."""
        model = self._trades.model
        earlier = np.flatnonzero(model.volume[: model.row(self._session)] > 0)
        if not len(earlier):
            return NOTHING_TRADED
        session = model.first + int(earlier[-1])
        close = float(self._trades.daily(session, session, True).close[0])
        return Traded(last=close, last_size=1.0, close_before=close, last_time=model.sessions.closes[session])

    @cached_property
    def _whole(self) -> Traded:
        today = self._trades.daily(self._session, self._session, True)
        if not len(today):
            return self._before
        ended = self._trades.model.sessions.closes[self._session]
        return self._found(today.open[0], today.high[0], today.low[0], today.close[0], today.volume[0], ended)
