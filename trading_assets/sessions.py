"""The trading calendar: which sessions exist, which one is current, which are closed, which are missing.

A *session* is one XNYS trading day, named by its exchange date. Here belongs everything that turns
instants into sessions and back. What does not belong here: what to collect for a session (`planning`)
and Dagster's partitions (`assets.partitions`, built from `weekday_holidays`).

Source of the calendar: the `exchange_calendars` library, calendar `XNYS` (see `trading_assets.stored_calendar`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import numpy as np

from trading_assets.errors import NotASession
from trading_assets.stored_calendar import NEW_YORK, library_sessions, stored_sessions

FIRST_SESSION = date(1998, 1, 2)
"""The first session the platform can hold: the recorded market and the broker's daily bars of the large names begin in
1998."""

CALENDAR_HORIZON = timedelta(days=550)
"""How far past today the calendar reaches. `exchange_calendars` ends a year ahead by default; listed options reach
further."""

Clock = Callable[[], datetime]
"""Returns the present instant, time zone UTC."""


@dataclass(frozen=True, slots=True)
class Window:
    """A closed interval of sessions without a gap between them: `first` and `last` are both in it."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"A window cannot end ({self.last}) before it begins ({self.first}).")


class SessionCalendar:
    """Sessions of XNYS from `FIRST_SESSION` to the horizon.

    All instants given and returned are aware and in UTC; all sessions are exchange dates.
    """

    def __init__(self, first: date = FIRST_SESSION, last: date | None = None) -> None:
        end = last or (datetime.now(UTC).date() + CALENDAR_HORIZON)
        self._sessions, self._opens, self._closes = stored_sessions(first, end) or library_sessions(first, end)
        self._index = {session: i for i, session in enumerate(self._sessions)}

    @property
    def first(self) -> date:
        """The first session of the calendar."""
        return self._sessions[0]

    @property
    def last(self) -> date:
        """The last session of the calendar (its horizon)."""
        return self._sessions[-1]

    def is_session(self, day: date) -> bool:
        """Whether the exchange trades on that date."""
        return day in self._index

    def _position(self, session: date) -> int:
        try:
            return self._index[session]
        except KeyError:
            raise NotASession(
                f"{session} is not a trading session of the New York Stock Exchange (weekend, holiday, or outside"
                f" {self.first} to {self.last})."
            ) from None

    def _at(self, position: int, now: datetime) -> date:
        if position >= len(self._sessions) - 1:
            raise NotASession(f"{now.isoformat()} is past the end of the calendar, {self.last}: set the clock right.")
        if position < 0:
            raise NotASession(
                f"{now.isoformat()} is before the first session of the calendar, {self.first}: set the clock right."
            )
        return self._sessions[position]

    def opens_at(self, session: date) -> datetime:
        """The regular open of a session, UTC."""
        return self._opens[self._position(session)]

    def closes_at(self, session: date) -> datetime:
        """The regular close of a session, UTC; 13:00 New York on half days."""
        return self._closes[self._position(session)]

    def is_half_day(self, session: date) -> bool:
        """Whether the session closes early."""
        return self.closes_at(session).astimezone(NEW_YORK).time() < time(16, 0)

    def sessions(self, first: date, last: date) -> list[date]:
        """All sessions from `first` to `last`, both included if they are sessions."""
        return self._sessions[bisect_left(self._sessions, first) : bisect_right(self._sessions, last)]

    def current(self, now: datetime) -> date:
        """The session a snapshot taken at `now` belongs to: the latest one whose regular open is not after `now`.

        Before the open, on a weekend or a holiday this is the session before: the quotes are still its own, frozen at
        its close. Raises `NotASession` for an instant before the calendar, or from the open of its last session on:
        what follows is not known any more.
        """
        return self._at(bisect_right(self._opens, _aware(now)) - 1, now)

    def last_closed(self, now: datetime) -> date:
        """The latest session whose regular close is not after `now`. Raises `NotASession` before the first close and
        from the last one on."""
        return self._at(bisect_right(self._closes, _aware(now)) - 1, now)

    def is_closed(self, session: date, now: datetime) -> bool:
        """Whether the session's regular trading is over at `now`."""
        return self.closes_at(session) <= _aware(now)

    def previous(self, session: date, count: int = 1) -> date:
        """The session `count` before."""
        return self._sessions[max(0, self._position(session) - count)]

    def following(self, session: date, count: int = 1) -> date:
        """The session `count` after."""
        return self._sessions[min(len(self._sessions) - 1, self._position(session) + count)]

    def on_or_before(self, day: date) -> date:
        """The latest session not after `day`."""
        return self._sessions[max(0, bisect_right(self._sessions, day) - 1)]

    def on_or_after(self, day: date) -> date:
        """The earliest session not before `day`."""
        return self._sessions[min(len(self._sessions) - 1, bisect_left(self._sessions, day))]

    def lookback(self, now: datetime, days: int) -> list[date]:
        """The closed sessions of the last `days` calendar days, counted back from the current session."""
        return self.sessions(self.current(now) - timedelta(days=days), self.last_closed(now))

    def count_between(self, first: date, last: date) -> int:
        """How many sessions lie in the closed interval; none when it ends before it begins."""
        return max(0, bisect_right(self._sessions, last) - bisect_left(self._sessions, first))

    def windows(self, sessions: Iterable[date]) -> list[Window]:
        """Group sessions into the fewest windows without a gap, in order. Weekends and holidays are no gap."""
        ordered = sorted(set(sessions))
        if not ordered:
            return []
        positions = np.array([self._position(session) for session in ordered])
        breaks = np.flatnonzero(np.diff(positions) > 1)
        starts = [0, *(breaks + 1).tolist()]
        ends = [*breaks.tolist(), len(ordered) - 1]
        return [Window(ordered[a], ordered[b]) for a, b in zip(starts, ends, strict=True)]

    def missing(self, wanted: Iterable[date], present: Iterable[date], now: datetime) -> list[date]:
        """Wanted sessions that are closed at `now` and not present, in order."""
        limit = self.last_closed(now)
        have = set(present)
        return sorted(session for session in set(wanted) if session <= limit and session not in have)

    def weekday_holidays(self) -> list[date]:
        """Weekdays from the first to the last session on which the exchange is closed."""
        span = (self.last - self.first).days + 1
        days = (self.first + timedelta(days=i) for i in range(span))
        return [day for day in days if day.weekday() < 5 and day not in self._index]


def session_date(instant: datetime) -> date:
    """The New York date of an instant: the session a regular-hours bar that starts then belongs to."""
    return _aware(instant).astimezone(NEW_YORK).date()


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone: give an instant with a zone, for example in UTC.")
    return instant


@lru_cache(maxsize=4)
def _calendar_until(last: date) -> SessionCalendar:
    return SessionCalendar(last=last)


def calendar() -> SessionCalendar:
    """The calendar of this process. It is built once a year of the wall clock."""
    today = datetime.now(UTC).date()
    return _calendar_until(date(today.year, 1, 1) + CALENDAR_HORIZON + timedelta(days=366))


def calculate_missing_windows(
    present: Iterable[date], start_date: date, end_date: date, *, sessions: Sequence[date] | None = None
) -> list[tuple[date, date]]:
    """Windows of sessions between two dates that are not present: `[(first, last), ...]`, in order.

    `sessions` restricts the answer (for instance to closed sessions); by default every XNYS session between the dates
    counts.
    """
    xnys = calendar()
    wanted = sessions if sessions is not None else xnys.sessions(start_date, end_date)
    have = set(present)
    return [(w.first, w.last) for w in xnys.windows(s for s in wanted if start_date <= s <= end_date and s not in have)]


__all__ = [
    "CALENDAR_HORIZON",
    "FIRST_SESSION",
    "NEW_YORK",
    "Clock",
    "SessionCalendar",
    "Window",
    "calculate_missing_windows",
    "calendar",
    "session_date",
]
