"""Bars of an underlying: daily bars from its path, minutes and seconds made when asked for and kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np

from trading_assets.simulator.generated.columns import Columns, concatenate, merge
from trading_assets.simulator.generated.intraday import all_hours, minutes_of, outside_hours, seconds_of
from trading_assets.simulator.generated.paths import Path
from trading_assets.simulator.generated.timeline import PRE_OPEN, REGULAR_OPEN, Timeline

KEPT_SESSIONS = 3000
"""Symbol-sessions whose minutes a market keeps, all symbols together: about 28 kB each, 84 MB at most."""

MinuteCache = OrderedDict[tuple[str, int], Columns]
"""Regular minutes by symbol and session number, oldest first."""


@dataclass(frozen=True)
class StockSeries:
    """An underlying's bars as traded (before later splits)."""

    path: Path
    sessions: Timeline
    seed: int
    kept: MinuteCache = field(default_factory=OrderedDict, repr=False)

    @property
    def life(self) -> tuple[int, int]:
        return self.path.first, len(self.sessions) - 1

    def daily(self, first: int, last: int, regular_hours: bool) -> Columns:
        path, rows = self.path, np.arange(first, last + 1)
        opened, high, low, closed = (
            array[first : last + 1] / 100.0 for array in (path.open, path.high, path.low, path.close)
        )
        volume, count = path.volume[first : last + 1], path.count[first : last + 1]
        wap = np.round((opened + high + low + 2 * closed) / 5.0, 4) * (volume > 0)
        columns = Columns(
            rows, np.full(len(rows), REGULAR_OPEN * 60, dtype=np.int64), opened, high, low, closed, volume, wap, count
        )
        if regular_hours or path.underlying.is_index:
            return columns
        merged = []
        for row, session in enumerate(rows.tolist()):
            before, after = outside_hours(path, session, self.sessions, self.seed)
            parts = concatenate((before, columns.take(slice(row, row + 1)), after))
            merged.append(merge(parts, np.zeros(1, dtype=np.int64), np.array([PRE_OPEN * 60])))
        return concatenate(merged)

    def minutes(self, session: int, regular_hours: bool) -> Columns:
        key = (self.path.underlying.symbol, session)
        regular = self.kept.get(key)
        if regular is None:
            regular = self.kept[key] = minutes_of(self.path, session, self.sessions, self.seed)
            if len(self.kept) > KEPT_SESSIONS:
                self.kept.popitem(last=False)
        return regular if regular_hours else all_hours(self.path, session, self.sessions, self.seed, regular)

    def seconds(self, minute: Columns) -> Columns:
        return seconds_of(minute, (self.seed, self.path.underlying.symbol))
