"""Bar sizes: how bars are aligned, and larger bars from smaller ones.

Intraday bars are aligned to the clock in New York, as at the broker: the first hourly bar of regular hours starts at
09:30, the next at 10:00; a bar of 8 hours in regular hours is the whole session. Weekly bars are calendar weeks,
monthly bars calendar months; each is named by the last session in it that has begun.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from trading_assets.simulator.generated.columns import Columns, Ints, concatenate, merge
from trading_assets.simulator.generated.timeline import POST_MINUTES, PRE_OPEN, REGULAR_OPEN, Timeline
from trading_assets.simulator.market import MarketRefusal

MINUTE = 60
HOUR = 3600


@dataclass(frozen=True, slots=True)
class BarSize:
    """`seconds` of an intraday bar, or the calendar `period` ("day", "week", "month") of a larger one."""

    seconds: int = 0
    period: str = ""


BAR_SIZES: dict[str, BarSize] = {
    "1 secs": BarSize(1), "5 secs": BarSize(5), "10 secs": BarSize(10), "15 secs": BarSize(15), "30 secs": BarSize(30),
    "1 min": BarSize(60), "2 mins": BarSize(120), "3 mins": BarSize(180), "5 mins": BarSize(300),
    "10 mins": BarSize(600),
    "15 mins": BarSize(900), "20 mins": BarSize(1200), "30 mins": BarSize(1800), "1 hour": BarSize(HOUR),
    "2 hours": BarSize(2 * HOUR),
    "3 hours": BarSize(3 * HOUR), "4 hours": BarSize(4 * HOUR), "8 hours": BarSize(8 * HOUR),
    "1 day": BarSize(period="day"),
    "1W": BarSize(period="week"), "1 week": BarSize(period="week"), "1M": BarSize(period="month"),
    "1 month": BarSize(period="month"),
}  # fmt: skip
"""Every legal bar size by the broker's words."""


def bar_size(words: str) -> BarSize:
    """The bar size of the broker's words. Raises `MarketRefusal` for others."""
    try:
        return BAR_SIZES[words]
    except KeyError:
        raise MarketRefusal(
            321, f"Error validating request.-'bM' : cause - Historical data bar size setting is invalid: {words}"
        ) from None


class Series(Protocol):
    """Something with bars: an underlying or an option contract. Session numbers are those of the timeline."""

    @property
    def life(self) -> tuple[int, int]:
        """First and last session that can have bars."""

    def daily(self, first: int, last: int, regular_hours: bool) -> Columns:
        """One bar a session (none where nothing traded) for whole sessions, both ends included."""

    def minutes(self, session: int, regular_hours: bool) -> Columns:
        """The minute bars of a whole session."""

    def seconds(self, minute: Columns) -> Columns:
        """The second bars of one minute bar (one row)."""


def columns_for(
    series: Series, words: str, start: datetime, end: datetime, regular_hours: bool, now: datetime, timeline: Timeline
) -> Columns:
    """Bars of a series that start in [`start`, `end`) and whose trades happened before `now`."""
    size = bar_size(words)
    first, last = _session_range(series, start, end, now, timeline)
    if first > last:
        return concatenate(())
    if size.period:
        return _periods(series, size.period, first, last, regular_hours, start, end, now, timeline)
    if size.seconds == 8 * HOUR and regular_hours:
        found = _days(series, first, last, True, now, timeline)
    else:
        parts = [series.minutes(session, regular_hours) for session in range(first, last)]
        known = concatenate((*parts, known_minutes(series, last, regular_hours, now, timeline)))
        found = _by_clock(series, known, size.seconds, regular_hours, start, end, now, timeline)
    return _between(found, start, end, timeline)


def known_minutes(series: Series, session: int, regular_hours: bool, now: datetime, timeline: Timeline) -> Columns:
    """The minutes of a session as known at `now`; the minute in progress holds its finished seconds."""
    minutes = series.minutes(session, regular_hours)
    elapsed = seconds_of_day(now, session, timeline)
    done = int(np.searchsorted(minutes.start, elapsed - MINUTE, side="right"))
    if done == len(minutes):
        return minutes
    finished, current = minutes.take(slice(0, done)), minutes.take(slice(done, done + 1))
    if current.start[0] >= elapsed:
        return finished
    seconds = series.seconds(current)
    seconds = seconds.take(seconds.start < elapsed)
    return concatenate(
        (finished, merge(seconds, np.zeros(1, dtype=np.int64), current.start) if len(seconds) else seconds)
    )


def seconds_of_day(instant: datetime, session: int, timeline: Timeline) -> int:
    """Whole seconds from New York midnight of a session to an instant (any day)."""
    return int(instant.timestamp()) - int(timeline.open_seconds[session]) + REGULAR_OPEN * MINUTE


def _session_range(
    series: Series, start: datetime, end: datetime, now: datetime, timeline: Timeline
) -> tuple[int, int]:
    """The first and last session that may have bars in [start, end) before `now`; all hours count."""
    alive_from, alive_to = series.life
    # Post-market trading ends at most 10.5 hours after the open, pre-market trading begins 5.5 hours before it.
    first = timeline.first_open_from(start - timedelta(hours=11))
    last = timeline.last_opened(min(end, now) + timedelta(minutes=REGULAR_OPEN - PRE_OPEN))
    return max(first, alive_from), min(last, alive_to)


def _over(session: int, regular_hours: bool, now: datetime, timeline: Timeline) -> bool:
    ended = timeline.closes[session] if regular_hours else timeline.closes[session] + timedelta(minutes=POST_MINUTES)
    return ended <= now


def _days(series: Series, first: int, last: int, regular_hours: bool, now: datetime, timeline: Timeline) -> Columns:
    """One bar a session, the session of `now` as far as it is known."""
    whole = last
    while whole >= first and not _over(whole, regular_hours, now, timeline):
        whole -= 1
    parts = [series.daily(first, whole, regular_hours)] if whole >= first else []
    for session in range(whole + 1, last + 1):
        known = known_minutes(series, session, regular_hours, now, timeline)
        if len(known):
            parts.append(merge(known, np.zeros(1, dtype=np.int64), known.start[:1]))
    found = concatenate(parts)
    opening = REGULAR_OPEN if regular_hours else PRE_OPEN
    return Columns(found.session, np.full(len(found), opening * MINUTE, dtype=np.int64), *found.fields()[2:])


def _periods(
    series: Series,
    period: str,
    first: int,
    last: int,
    regular_hours: bool,
    start: datetime,
    end: datetime,
    now: datetime,
    timeline: Timeline,
) -> Columns:
    """Daily, weekly or monthly bars. A bar counts as starting at the regular open of its first session."""
    if period != "day":
        while last + 1 <= timeline.last_opened(now) and _period(timeline, last + 1, period) == _period(
            timeline, last, period
        ):
            last += 1
        last = min(last, series.life[1])
        while first > series.life[0] and _period(timeline, first - 1, period) == _period(timeline, first, period):
            first -= 1
    days = _days(series, first, last, regular_hours, now, timeline)
    if not len(days):
        return days
    if period == "day":
        found = days
    else:
        keys = np.array([_period(timeline, session, period) for session in days.session.tolist()])
        firsts = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))
        found = merge(days, firsts, days.start[firsts])
    opens = timeline.open_seconds[found.session]
    return found.take((opens >= start.timestamp()) & (opens < end.timestamp()))


def last_session_of(columns: Columns, words: str, series: Series, now: datetime, timeline: Timeline) -> Ints:
    """The session that names each bar: the last one begun in its week or month, its own for other sizes."""
    period = bar_size(words).period
    if period in ("", "day"):
        return columns.session
    limit = min(timeline.last_opened(now), series.life[1])
    names = []
    for session in columns.session.tolist():
        key, name = _period(timeline, session, period), session
        while name < limit and _period(timeline, name + 1, period) == key:
            name += 1
        names.append(name)
    return np.array(names, dtype=np.int64)


def _period(timeline: Timeline, session: int, period: str) -> int:
    day = timeline.dates[session]
    return (day.toordinal() - 1) // 7 if period == "week" else day.year * 12 + day.month


def _by_clock(
    series: Series,
    minutes: Columns,
    seconds: int,
    regular_hours: bool,
    start: datetime,
    end: datetime,
    now: datetime,
    timeline: Timeline,
) -> Columns:
    """Bars of `seconds` aligned to the clock, from minute bars (from their seconds for sizes under a minute)."""
    if seconds < MINUTE:
        parts = []
        near = _between(minutes, start - timedelta(seconds=MINUTE), end, timeline)
        for row in range(len(near)):
            minute = near.take(slice(row, row + 1))
            found = series.seconds(_whole_minute(series, minute, regular_hours))
            parts.append(found.take(found.start < seconds_of_day(now, int(minute.session[0]), timeline)))
        minutes = concatenate(parts)
    if not len(minutes) or seconds in (1, MINUTE):
        return minutes
    opening = (REGULAR_OPEN if regular_hours else PRE_OPEN) * MINUTE
    bucket = minutes.start // seconds
    firsts = np.flatnonzero(np.diff(minutes.session * 100_000 + bucket, prepend=-1))
    return merge(minutes, firsts, np.maximum(bucket[firsts] * seconds, opening))


def _whole_minute(series: Series, minute: Columns, regular_hours: bool) -> Columns:
    """The finished form of a minute bar that may be cut at `now`: seconds are always drawn from the whole minute."""
    minutes = series.minutes(int(minute.session[0]), regular_hours)
    row = int(np.searchsorted(minutes.start, minute.start[0]))
    return minutes.take(slice(row, row + 1))


def _between(columns: Columns, start: datetime, end: datetime, timeline: Timeline) -> Columns:
    instants = timeline.open_seconds[columns.session] + columns.start - REGULAR_OPEN * MINUTE
    return columns.take((instants >= start.timestamp()) & (instants < end.timestamp()))
