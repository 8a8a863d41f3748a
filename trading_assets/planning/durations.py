"""From missing sessions to the fewest end instants and durations the broker accepts.

Here belong the broker's duration rules and the splitting of a span under them. Which sessions are missing, and of
which instrument, belongs to `planning.bars`.

How the broker counts back from an end (limits.md; observed in the simulator as well):

- `N D` is N trading sessions, the last of which is the session the end lies in;
- `N W`, `N M`, `N Y` are calendar spans; only sessions *after* the date the span begins on are surely whole;
- `N S` are seconds of the clock.

The end asked for is an hour after the close of the last session (`END_MARGIN`), never later than now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from dateutil.relativedelta import relativedelta

from trading_assets.bar_sizes import bar_seconds
from trading_assets.errors import SpanTooLong
from trading_assets.sessions import NEW_YORK, SessionCalendar

END_MARGIN = timedelta(hours=1)
"""The end asked for lies this far after the close. Half-hour option trades can carry a settlement bar stamped at the
close itself, and the end of a request is exclusive (limits.md); an hour keeps the end on the session's own date, in
New York and in UTC."""

SESSION_SECONDS = 23_400
"""Regular trading of a full session: 6.5 hours."""

LARGEST_FINE_ANSWER = 8_580
"""Bars of 1 min or less in one answer: the largest on record ("1 M" of 1 min: 8,580 bars in 8.8 s, limits.md)."""

LARGEST_ANSWER = 50_000
"""Bars of more than 1 min in one answer: some 50 s at the rate on record, well within the timeout of a request."""

MOST_SECONDS_OF_SECONDS = 2_000
"""Longest duration of `1 secs` bars, in seconds (limits.md)."""

MOST = {"D": 365, "W": 52, "M": 12, "Y": 68}
"""The largest number before each unit (errors.md, causes 5 to 7 of code 321; 68 years: limits.md)."""

REACH_OF_SMALL_BARS = timedelta(days=180)
"""Bars of 30 s or less reach back six months (limits.md); counted as 180 days, so that it is never asked for in
vain."""

_UNITS = {"D": (5, 3_600), "W": (10, 14_400), "M": (30, 28_800), "Y": (60, 86_400)}
"""The finest and the coarsest bar of each duration unit, in seconds (limits.md)."""


@dataclass(frozen=True, slots=True)
class Span:
    """What one bars request asks for: the sessions `first` to `last`, as the broker words it.

    `end` is an instant in UTC, `duration` the broker's words. The answer holds all of the sessions, and may hold more
    before.
    """

    first: date
    last: date
    end: datetime
    duration: str


def bars_in_session(bar_size: str) -> int:
    """How many bars a full session has at most."""
    return -(-SESSION_SECONDS // min(bar_seconds(bar_size), SESSION_SECONDS))


def longest_durations(bar_size: str, *, sparse: bool = False) -> dict[str, int]:
    """The duration units allowed for a bar size, each with its largest number.

    `sparse` is for options: they have a bar only where they traded, so that 12 months of `1 min` bars fit one answer
    (limits.md: one request for a contract's whole listed life up to 12 M), and the answer's size sets no bound.
    `1 secs` bars have none: their 2,000 seconds are shorter than a session (see `second_windows`).
    """
    seconds = bar_seconds(bar_size)
    units = {unit: MOST[unit] for unit, (finest, coarsest) in _UNITS.items() if finest <= seconds <= coarsest}
    if seconds < 60 or (seconds == 60 and not sparse):
        sessions = max(1, LARGEST_FINE_ANSWER // bars_in_session(bar_size))
        bounds = {"D": sessions, "M": sessions // 22, "W": sessions // 5, "Y": 0}
    else:
        bounds = {"Y": max(1, LARGEST_ANSWER // (bars_in_session(bar_size) * 252))}
        if seconds == 60:
            bounds["Y"] = 0
    return {unit: n for unit, most in units.items() if (n := min(most, bounds.get(unit, most))) > 0}


def end_of(last: date, now: datetime, calendar: SessionCalendar) -> datetime:
    """The end to ask for, UTC: `END_MARGIN` after the close of the last session, but not after `now`.

    Raises `ValueError` for a session that is not closed at `now`: its bars are not finished.
    """
    close = calendar.closes_at(last)
    if close > now:
        raise ValueError(
            f"The session {last} is not closed at {now.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York: its bars are not"
            " finished."
        )
    return min(close + END_MARGIN, now.astimezone(UTC))


def first_covered(unit: str, number: int, last: date, calendar: SessionCalendar) -> date:
    """The earliest session that a duration ending with the session `last` surely covers whole."""
    if unit == "D":
        return calendar.previous(last, number - 1) if number > 1 else last
    return calendar.on_or_after(_back(last, unit, number) + timedelta(days=1))


def duration_for(
    bar_size: str, first: date, last: date, now: datetime, calendar: SessionCalendar, *, sparse: bool = False
) -> tuple[datetime, str]:
    """End (UTC) and shortest duration that surely cover the sessions `first` to `last` in one request.

    Of several units the one that reaches least far before `first` is taken: nothing is asked for needlessly.
    Raises `SpanTooLong` when no single duration covers the span.
    """
    end = end_of(last, now, calendar)
    best: tuple[date, str] | None = None
    for unit, most in longest_durations(bar_size, sparse=sparse).items():
        number = _least_number(unit, first, last, calendar)
        if number <= most:
            reached = first_covered(unit, number, last, calendar)
            if best is None or reached > best[0]:
                best = reached, f"{number} {unit}"
    if best is None:
        raise SpanTooLong(f"No duration of {bar_size} bars covers {first} to {last} in one request.")
    return end, best[1]


def earliest_reach(bar_size: str, last: date, calendar: SessionCalendar, *, sparse: bool = False) -> date:
    """The earliest session that one request ending with the session `last` can cover."""
    return min(
        first_covered(unit, most, last, calendar) for unit, most in longest_durations(bar_size, sparse=sparse).items()
    )


def spans(
    bar_size: str, missing: Iterable[date], now: datetime, calendar: SessionCalendar, *, sparse: bool = False
) -> list[Span]:
    """The fewest requests that cover all missing sessions, earliest first; of `1 secs` bars the windows of each
    (`second_windows`).

    Covered sessions between missing ones are requested again where that saves a request. Taking the longest reach
    from the last missing session backwards is optimal: the reach never moves back when the end moves forward.
    """
    ordered = sorted(set(missing))
    if bar_size == "1 secs":
        return [window for session in ordered for window in second_windows(session, now, calendar)]
    found: list[Span] = []
    while ordered:
        last = ordered[-1]
        reach = earliest_reach(bar_size, last, calendar, sparse=sparse)
        inside = [session for session in ordered if session >= reach]
        end, duration = duration_for(bar_size, inside[0], last, now, calendar, sparse=sparse)
        found.append(Span(inside[0], last, end, duration))
        del ordered[-len(inside) :]
    return found[::-1]


def second_windows(session: date, now: datetime, calendar: SessionCalendar) -> list[Span]:
    """The requests for the `1 secs` bars of one session: windows of at most 2,000 seconds, latest end at the close."""
    end_of(session, now, calendar)
    opened, close = calendar.opens_at(session), calendar.closes_at(session)
    found = []
    while opened < close:
        end = min(opened + timedelta(seconds=MOST_SECONDS_OF_SECONDS), close)
        found.append(Span(session, session, end, f"{int((end - opened).total_seconds())} S"))
        opened = end
    return found


def within_reach(bar_size: str, sessions: Iterable[date], now: datetime) -> list[date]:
    """The sessions whose bars of that size the broker still has: small bars only for some six months, others without
    bound."""
    if bar_seconds(bar_size) > 30:
        return sorted(sessions)
    horizon = (now - REACH_OF_SMALL_BARS).astimezone(NEW_YORK).date()
    return sorted(session for session in sessions if session > horizon)


def _least_number(unit: str, first: date, last: date, calendar: SessionCalendar) -> int:
    if unit == "D":
        return calendar.count_between(first, last)
    days = (last - first).days
    number = max(1, {"W": days // 7, "M": days // 31, "Y": days // 366}[unit])
    while _back(last, unit, number) >= first:
        number += 1
    return number


_CALENDAR_UNITS = {"W": "weeks", "M": "months", "Y": "years"}


def _back(day: date, unit: str, number: int) -> date:
    """The calendar date a number of weeks, months or years before; the last of the month where there is no such day."""
    return day - relativedelta(**{_CALENDAR_UNITS[unit]: number})
