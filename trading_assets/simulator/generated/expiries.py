"""Which option expiries exist, and in which sessions they are listed: functions of the calendar only.

Schedules ("daily" holds all of "weekly", "weekly" all of "monthly"):

- monthly: third Fridays, listed 240 days ahead; the quarter months 370 days, June 540, January (LEAPS) 790 days.
- weekly: all other Fridays from June 2010, listed 43 days (about six weeks) ahead.
- daily: Mondays and Wednesdays from September 2016 (30 days ahead), Tuesdays and Thursdays from May 2022 (16 days
  ahead), and the last session of each month from July 2007 (300 days ahead).
- am_monthly: third Fridays, settled at the open: the last trading session is the one before.
- vix: the Wednesday 30 days before the third Friday of the month after, settled at the open.

An expiry that falls on a holiday is the session before (Good Friday: Thursday). The starting years follow the
exchanges'.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from dateutil.relativedelta import FR, relativedelta

from trading_assets.simulator.generated.columns import Ints
from trading_assets.simulator.generated.timeline import Timeline, timeline

_AHEAD_MONTHLY = 240
_AHEAD_BY_MONTH = {1: 790, 3: 370, 6: 540, 9: 370, 12: 370}
"""Calendar days from listing to expiry, by the month of expiry."""
_AHEAD_WEEKLY, _AHEAD_MONDAY_WEDNESDAY, _AHEAD_TUESDAY_THURSDAY, _AHEAD_MONTH_END = 43, 30, 16, 300
_WEEKLY_FROM, _MONDAY_WEDNESDAY_FROM, _TUESDAY_THURSDAY_FROM = date(2010, 6, 1), date(2016, 9, 1), date(2022, 5, 1)
_MONTH_END_FROM = date(2007, 7, 1)


@dataclass(frozen=True, slots=True)
class Expiry:
    """One expiry: its date, the last session it trades in, the first it is listed in (session numbers)."""

    day: date
    last_trade: int
    listed: int
    at_open: bool
    """Settled at the open of `day` (else at the close)."""

    def end_seconds(self, sessions: Timeline) -> int:
        """Epoch seconds at which the options' life ends."""
        session = sessions.index[self.day]
        return (
            int(sessions.open_seconds[session])
            if self.at_open
            else int(sessions.open_seconds[session] + 60 * sessions.minutes[session])
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """All expiries of a schedule in order, and their `last_trade` and `listed` as arrays."""

    expiries: tuple[Expiry, ...]
    last_trade: Ints
    listed: Ints
    by_day: dict[date, Expiry]

    def alive(self, listed_by: int, not_before: int) -> list[Expiry]:
        """Expiries listed in or before session `listed_by` whose last session is `not_before` or later."""
        rows = np.flatnonzero((self.listed <= listed_by) & (self.last_trade >= not_before))
        return [self.expiries[row] for row in rows.tolist()]


@lru_cache(maxsize=8)
def schedule(name: str) -> Schedule:
    """The expiries of a schedule ("monthly", "weekly", "daily", "am_monthly", "vix") up to the horizon."""
    sessions = timeline()
    days: dict[date, int] = {}  # expiry -> days ahead; the longest listing wins

    def add(day: date, ahead: int) -> None:
        held = sessions.dates[sessions.on_or_before(day)]
        days[held] = max(ahead, days.get(held, 0))

    first, last = sessions.dates[0], sessions.dates[-1] - timedelta(days=7)
    months = [(year, month) for year in range(first.year, last.year + 1) for month in range(1, 13)]
    for year, month in months:
        friday = date(year, month, 1) + relativedelta(weekday=FR(3))
        if name == "vix":
            following = friday + relativedelta(months=1, day=1, weekday=FR(3))
            day, ahead = following - timedelta(days=30), _AHEAD_MONTHLY
        else:
            day, ahead = friday, _AHEAD_BY_MONTH.get(month, _AHEAD_MONTHLY)
        if first + timedelta(days=7) < day <= last:
            add(day, ahead)
        if name == "daily" and date(year, month, 1) >= _MONTH_END_FROM and date(year, month, 28) <= last:
            add(friday + relativedelta(day=31), _AHEAD_MONTH_END)
    if name in ("weekly", "daily"):
        for day in (_WEEKLY_FROM + timedelta(days=i) for i in range((last - _WEEKLY_FROM).days)):
            weekday = day.weekday()
            if weekday == 4:
                add(day, _AHEAD_WEEKLY)
            elif name == "daily" and day in sessions.index:
                if weekday in (0, 2) and day >= _MONDAY_WEDNESDAY_FROM:
                    add(day, _AHEAD_MONDAY_WEDNESDAY)
                elif weekday in (1, 3) and day >= _TUESDAY_THURSDAY_FROM:
                    add(day, _AHEAD_TUESDAY_THURSDAY)
    at_open = name in ("am_monthly", "vix")
    found = tuple(
        Expiry(day, sessions.index[day] - at_open, sessions.on_or_after(day - timedelta(days=ahead)), at_open)
        for day, ahead in sorted(days.items())
    )
    return Schedule(
        found,
        np.array([e.last_trade for e in found]),
        np.array([e.listed for e in found]),
        {expiry.day: expiry for expiry in found},
    )
