"""Which span of time a historical request asks for: its end and duration words as a window of instants.

The rules are the broker's: `D` counts whole sessions back, ending with the session that holds the end; `S` counts
seconds of trading; `W`, `M` and `Y` are calendar spans before that session. Pure functions over the session calendar.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from dateutil.relativedelta import relativedelta

from trading_assets.sessions import NEW_YORK, SessionCalendar, calendar

PRE_MARKET_OPEN = time(4, 0)
"""Start of extended hours of US stocks, New York."""
POST_MARKET_CLOSE = time(20, 0)
"""End of extended hours of US stocks, New York."""

BAR_SECONDS = {
    "1 secs": 1, "5 secs": 5, "10 secs": 10, "15 secs": 15, "30 secs": 30,
    "1 min": 60, "2 mins": 120, "3 mins": 180, "5 mins": 300, "10 mins": 600, "15 mins": 900, "20 mins": 1200,
    "30 mins": 1800,
    "1 hour": 3600, "2 hours": 7200, "3 hours": 10800, "4 hours": 14400, "8 hours": 28800,
    "1 day": 86400, "1 week": 604800, "1 month": 2592000,
}  # fmt: skip
"""Bar sizes and their nominal seconds, in the names the market is asked with."""

DAILY_SIZES = frozenset({"1 day", "1 week", "1 month"})
"""Bar sizes whose time on the wire is a date."""

SMALL_SECONDS = 30
"""Bars of this many seconds or less fall under the small-bar pacing rules."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A valid duration: a positive count of one unit of S, D, W, M, Y."""

    count: int
    unit: str


@dataclass(frozen=True, slots=True)
class Span:
    """The window of an answer: bars that start in [`start`, `end`), both UTC."""

    start: datetime
    end: datetime


def span_of(duration: Duration, end: datetime, use_rth: bool, bar_size: str) -> Span:
    """The window that `duration` before `end` (UTC) asks for.

    A window before the first session of the calendar begins there; one wholly before it is empty (`start` == `end`).
    """
    days = calendar()
    last = last_begun(days, end, use_rth)
    if last is None:
        return Span(end, end)
    if duration.unit == "S" and bar_size not in DAILY_SIZES:
        until = min(end, closing(days, last, use_rth))
        return Span(until - timedelta(seconds=duration.count), end)
    first = _first_day(days, duration, last)
    if bar_size == "1 week":
        first -= timedelta(days=first.weekday())
    elif bar_size == "1 month":
        first = first.replace(day=1)
    return Span(datetime.combine(first, time.min, NEW_YORK).astimezone(UTC), end)


def _first_day(days: SessionCalendar, duration: Duration, last: date) -> date:
    count = duration.count
    if duration.unit == "S":
        return last
    if duration.unit == "D":
        return days.previous(last, count - 1)
    if duration.unit == "W":
        return max(last - timedelta(days=7 * count - 1), days.first)
    return max(months_before(last, count if duration.unit == "M" else 12 * count) + timedelta(days=1), days.first)


def months_before(day: date, count: int) -> date:
    """The same day `count` months before, or the last day of a shorter month."""
    return day - relativedelta(months=min(count, 12 * (day.year - 1)))  # there is no year 0


def last_begun(days: SessionCalendar, end: datetime, use_rth: bool) -> date | None:
    """The latest session in which a bar could have started before `end`; None before the first session."""
    day = end.astimezone(NEW_YORK).date()
    if day < days.first:
        return None
    session = days.on_or_before(day)
    if opening(days, session, use_rth) < end:
        return session
    before = days.previous(session)
    return None if before == session else before


@lru_cache(maxsize=4096)
def _local(day: date, at: time) -> datetime:
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def opening(days: SessionCalendar, session: date, use_rth: bool) -> datetime:
    """When trading of a session begins: 09:30 in regular hours, else 04:00 New York."""
    return days.opens_at(session) if use_rth else _local(session, PRE_MARKET_OPEN)


def closing(days: SessionCalendar, session: date, use_rth: bool) -> datetime:
    """When trading of a session ends: 16:00 (13:00 on half days) in regular hours, else 20:00 (17:00) New York."""
    if use_rth:
        return days.closes_at(session)
    return _local(session, time(17, 0) if days.is_half_day(session) else POST_MARKET_CLOSE)
