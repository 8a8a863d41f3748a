"""A stream of five-second bars of an underlying: real-time bars of trades in regular hours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trading_assets.broker.messages import REALTIME_BAR_SECONDS, REALTIME_BARS_SHOW
from trading_assets.broker.numbers import number
from trading_assets.streaming.stream import Stream
from trading_assets.streaming.updates import BarUpdate


class Bars(Stream):
    """The stream of one contract's bars; a `broker.streams.BarStream`. A bar that came already is not stored again."""

    _latest = 0

    def bar(
        self, start: int, open_: float, high: float, low: float, close: float, volume: float, wap: float, count: int
    ) -> None:
        """A bar that has ended; `start` in epoch seconds."""
        prices = [number(price) for price in (open_, high, low, close)]
        if None in prices or min(prices) <= 0:  # type: ignore[type-var, operator]
            self.unreadable(f"a bar without a price came: {open_}, {high}, {low}, {close}")
            return
        self.heard_at = self._time()
        if self._unsettled:
            self._settle()
        began = datetime.fromtimestamp(start, UTC)
        if start <= self._latest or began < self._days.opened_at(began):
            return
        if self._context.replay is not None:
            self._context.replay.has_passed(began + timedelta(seconds=REALTIME_BAR_SECONDS))
        self._latest, now = start, self._clock()
        self.last_update = now
        self.updates += 1
        self._quiet = 0
        self._outlet.bar(
            BarUpdate(
                self._days.session(began), self.con_id, self.subject.symbol, REALTIME_BARS_SHOW, began,
                open_, high, low, close, number(volume, -1), number(wap, -1), None if count == -1 else count,
                now, self.stream_id,
            )
        )  # fmt: skip
