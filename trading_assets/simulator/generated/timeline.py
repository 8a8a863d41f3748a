"""The sessions of the generated market as arrays and lists, indexed by session number (0 = the first session).

The horizon is fixed, not relative to the wall clock: a market must list the same contracts whenever it is started.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, datetime, timedelta
from functools import lru_cache

import numpy as np

from trading_assets.sessions import NEW_YORK, SessionCalendar

HORIZON = date(2040, 12, 31)
"""The last date the generated market knows. Options reach 2.2 years ahead, so it serves any `now` until autumn 2038."""

REGULAR_OPEN = 9 * 60 + 30
"""Minute of the New York day at which regular trading begins."""
PRE_OPEN = 4 * 60
"""Minute at which pre-market trading begins (04:00 New York)."""
POST_MINUTES = 240
"""Minutes of post-market trading after the regular close: until 20:00, until 17:00 on half days."""


class Timeline:
    """Sessions as columns.

    `dates`, `opens`, `closes` are lists (dates; aware UTC instants). `open_seconds` are epoch seconds of the open,
    `minutes` the regular minutes of each session (390; 210 on half days), `ordinals` proleptic day numbers, `weekdays`
    the number of weekdays since 1998-01-01 (the index of random draws: it does not move when a holiday is added).
    """

    def __init__(self) -> None:
        calendar = SessionCalendar(last=HORIZON)
        self.calendar = calendar
        self.dates: list[date] = calendar.sessions(calendar.first, calendar.last)
        self.opens: list[datetime] = [calendar.opens_at(day) for day in self.dates]
        self.closes: list[datetime] = [calendar.closes_at(day) for day in self.dates]
        self.index: dict[date, int] = {day: i for i, day in enumerate(self.dates)}
        self.open_seconds = np.array([int(instant.timestamp()) for instant in self.opens], dtype=np.int64)
        close_seconds = np.array([int(instant.timestamp()) for instant in self.closes], dtype=np.int64)
        self.minutes = ((close_seconds - self.open_seconds) // 60).astype(np.int64)
        self.ordinals = np.array([day.toordinal() for day in self.dates], dtype=np.int64)
        days = self.ordinals - date(1998, 1, 1).toordinal() + 3  # 1998-01-01 was a Thursday: count from its Monday
        self.weekdays = days // 7 * 5 + days % 7
        self._close_list: list[int] = close_seconds.tolist()
        self._open_list: list[int] = self.open_seconds.tolist()

    def __len__(self) -> int:
        return len(self.dates)

    def on_or_before(self, day: date) -> int:
        """Number of the latest session not after `day` (0 if there is none)."""
        return max(0, bisect_right(self.dates, day) - 1)

    def on_or_after(self, day: date) -> int:
        """Number of the earliest session not before `day`."""
        return min(len(self.dates) - 1, bisect_left(self.dates, day))

    def current(self, now: datetime) -> int:
        """Number of the latest session whose New York date has begun at `now`."""
        return self.on_or_before(now.astimezone(NEW_YORK).date())

    def last_opened(self, now: datetime) -> int:
        """Number of the latest session that is open or over at `now`; -1 before the first."""
        return bisect_right(self._open_list, now.timestamp()) - 1

    def last_closed(self, now: datetime) -> int:
        """Number of the latest session whose regular close is not after `now`; -1 before the first."""
        return bisect_right(self._close_list, now.timestamp()) - 1

    def first_open_from(self, instant: datetime) -> int:
        """Number of the first session that opens at or after `instant` (the number of sessions if none)."""
        return bisect_left(self._open_list, instant.timestamp())

    def at(self, session: int, minute: float) -> datetime:
        """The instant of a minute (with seconds as a fraction) of the New York day in a session, UTC. Clocks never
        change on a session's date."""
        return (
            self.opens[session] + timedelta(minutes=minute - REGULAR_OPEN)
            if minute != REGULAR_OPEN
            else self.opens[session]
        )


@lru_cache(maxsize=1)
def timeline() -> Timeline:
    """The timeline of this process (built once, about 0.4 s)."""
    return Timeline()
