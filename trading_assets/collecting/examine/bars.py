"""Bars: which of an answer are impossible, and of which sessions something may be missing because of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from trading_assets.broker.numbers import numbers
from trading_assets.broker.outcomes import Fault
from trading_assets.broker.requests import BarsRequest
from trading_assets.collecting.examine.values import LARGEST_COUNT, LARGEST_PRICE, day, shown
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.sessions import NEW_YORK, SessionCalendar

FIELDS = ("start", "open", "high", "low", "close", "volume", "wap", "bar_count")
"""What a bar of a payload holds, in order (`broker.payloads`)."""

DAILY_SIZES = frozenset({"1 day", "1 week", "1 month"})
"""Bar sizes whose start is a date."""

SLACK = timedelta(days=10)
"""By how much the answer may begin before the span that was asked for: the broker counts years, weeks and holidays in
its own way."""

_DAYS = {"S": 1 / 86_400, "D": 1.6, "W": 7.0, "M": 31.0, "Y": 366.0}
"""Calendar days of a unit of a duration at most; `D` are sessions."""

LATER = timedelta(minutes=15)
"""Options of some indices trade so much longer than the regular hours."""

_ANY = (-np.inf, np.inf)

Mask = npt.NDArray[np.bool_]


def examine_bars(
    request: BarsRequest, bars: Sequence[Any], calendar: SessionCalendar, known_at: datetime
) -> tuple[list[Any], list[Fault], set[date]]:
    """The possible bars in their order, the faults, and the sessions asked for that lack something because of them.

    `known_at` is the instant of the answer: later sessions are not missing. Where a start is wrong, any session without
    a bar may lack that very bar, so that none of them counts as answered. What leaves every session asked for whole is
    no fault: nobody wanted it.
    """
    whole = [bar if type(bar) is list and len(bar) == len(FIELDS) else [None] * len(FIELDS) for bar in bars]
    spans = _RequestedSessions(request, calendar)
    columns = list(zip(*whole, strict=True)) if whole else [()] * len(FIELDS)
    sessions = [spans.session_of(start) for start in columns[0]]
    found: dict[int, Fault] = {}

    def fault(position: int, field: str, reason: str, session: date | None) -> None:
        value = whole[position][FIELDS.index(field)]
        found.setdefault(position, Fault(field, _where(position, sessions[position]), shown(value), reason, session))

    for position, session in enumerate(sessions):
        if (reason := spans.wrong_start(session)) is not None:
            fault(position, "start", reason, None)
    for position in _contradicting(whole, columns[0]):
        fault(position, "start", "comes twice, with different values", sessions[position])
    inside = np.array([session is not None and session in spans.dates for session in sessions], dtype=bool)
    for field, rows, reason in _impossible(request, columns):
        for position in np.flatnonzero(rows & inside).tolist():
            fault(position, field, reason, sessions[position])
    outside_hours = spans.outside_hours(columns[0], sessions)
    for position in np.flatnonzero(outside_hours & inside).tolist():
        fault(position, "start", "is outside the session's regular hours", sessions[position])

    possible = _once([bar for position, bar in enumerate(whole) if position not in found])
    present = {session for position, session in enumerate(sessions) if position not in found}
    lacking = {f.session for f in found.values() if f.session is not None}
    misplaced = [position for position, f in found.items() if f.field == "start"]
    if misplaced and not spans.daily:
        lacking |= _beside(misplaced, sessions, found)
    absent = {session for session in spans.dates if session not in present}
    if misplaced:
        lacking |= absent
    elif absent and not _ascending(columns[0], found):
        lacking |= absent
        found[len(whole)] = Fault(
            "start", "the answer", "", "is not in order, so that it cannot be told which session has no bar"
        )
    lacking &= spans.closed_by(known_at)
    return possible, [found[position] for position in sorted(found)] if lacking else [], lacking


def _beside(positions: Sequence[int], sessions: Sequence[date | None], found: Mapping[int, Fault]) -> set[date]:
    """The sessions of the nearest possible bars before and after each position: a bar of one of them may be the one
    that is misplaced."""
    possible = [position for position in range(len(sessions)) if position not in found]
    places = [(bisect_right(possible, position) - 1, bisect_right(possible, position)) for position in positions]
    nearest = {possible[place] for pair in places for place in pair if 0 <= place < len(possible)}
    return {session for session in (sessions[position] for position in nearest) if session is not None}


class _RequestedSessions:
    """The sessions of a request, and what a start may be in its answer."""

    def __init__(self, request: BarsRequest, calendar: SessionCalendar) -> None:
        self._calendar = calendar
        self.daily = request.bar_size in DAILY_SIZES
        self._equity = request.dataset == EQUITY_BARS.name
        self._first, self._last = request.first_session, request.session
        listed = calendar.sessions(self._first, self._last)
        self.dates = frozenset(listed)
        self._listed = listed
        amount, _, unit = request.duration.partition(" ")
        days = float(amount) * _DAYS[unit] if amount.isdecimal() and unit in _DAYS else None
        self._earliest = None if days is None else min(self._first, (request.end - timedelta(days=days)).date()) - SLACK
        self._midnights = [datetime.combine(session, time.min, NEW_YORK).timestamp() for session in listed]

    def session_of(self, start: Any) -> date | None:
        """The New York date of a start; None for what is no start of this bar size."""
        if self.daily:
            return day(start)
        if type(start) is not int or not 0 < start < 2**32:
            return None
        position = bisect_right(self._midnights, start) - 1
        # surely within the day, also where it has 23 hours
        if position >= 0 and start < self._midnights[position] + 82_800:
            return self._listed[position]
        return datetime.fromtimestamp(start, UTC).astimezone(NEW_YORK).date()

    def wrong_start(self, session: date | None) -> str | None:
        """Why a bar cannot start in that session, None for a start in no session; None when it can."""
        if session is None:
            return "is no date" if self.daily else "is no instant"
        if session in self.dates:
            return None
        if self._first <= session <= self._last:
            return "is not in a session"
        if session > self._last + SLACK or (self._earliest is not None and session < self._earliest):
            return "is far outside of what was asked for"
        if self.daily and not self._calendar.is_session(session):
            return "is not in a session"
        return None

    def outside_hours(self, starts: Sequence[Any], sessions: Sequence[date | None]) -> Mask:
        """Starts of intraday bars outside their session's regular hours; of options a settlement bar may come at the
        close or `LATER` still."""
        if self.daily:
            return np.zeros(len(starts), dtype=bool)
        later = 0.0 if self._equity else LATER.total_seconds() + 1
        known = set(sessions) & self.dates
        hours = {
            s: (self._calendar.opens_at(s).timestamp(), self._calendar.closes_at(s).timestamp() + later)
            for s in known
            if s
        }
        bounds = np.array([hours.get(session, _ANY) if session else _ANY for session in sessions]).reshape(-1, 2)
        instants = np.array(
            [start if type(start) is int and start < 2**32 else 0 for start in starts], dtype=np.float64
        )
        return (instants < bounds[:, 0]) | (instants >= bounds[:, 1])

    def closed_by(self, instant: datetime) -> set[date]:
        """The sessions asked for that were closed at an instant."""
        last = self._calendar.last_closed(instant)
        return {session for session in self.dates if session <= last}


def _where(position: int, session: date | None) -> str:
    return f"bar of {session}" if session is not None else f"bar {position + 1}"


def _impossible(request: BarsRequest, columns: Sequence[Sequence[Any]]) -> list[tuple[str, Mask, str]]:
    """Field, rows and reason of every impossible value."""
    found: list[tuple[str, Mask, str]] = []
    values: dict[str, npt.NDArray[np.float64]] = {}
    for name, column in zip(FIELDS[1:], columns[1:], strict=True):
        strange = _not_numeric(column)
        if strange.any():
            found.append((name, strange, "is no number"))
            column = [None if wrong else value for value, wrong in zip(column, strange.tolist(), strict=True)]
        values[name] = numbers(column, None if name in ("open", "high", "low", "close") else -1)
    first, high, low, last = (values[name] for name in ("open", "high", "low", "close"))
    zero_too = request.dataset == EQUITY_BARS.name
    for name in ("open", "high", "low", "close"):
        price = values[name]
        found.append((name, np.isnan(price), "is missing, unset or no number"))
        found.append(
            (
                name,
                (price <= 0) if zero_too else (price < 0),
                "is no price of an underlying" if zero_too else "is a negative price",
            )
        )
        found.append((name, price > LARGEST_PRICE, "is beyond any price"))
    found.append(("high", high < low, "is below the low"))
    found.append(("high", high < np.maximum(first, last), "is below the open or the close"))
    found.append(("low", low > np.minimum(first, last), "is above the open or the close"))
    for name, most in (("volume", LARGEST_COUNT), ("wap", LARGEST_PRICE), ("bar_count", LARGEST_COUNT)):
        found.append((name, values[name] < 0, "is negative"))
        found.append((name, values[name] > most, "is impossibly large"))
    counts = values["bar_count"]
    found.append(("bar_count", ~np.isnan(counts) & (counts != np.rint(counts)), "is no whole number"))
    return found


def _not_numeric(column: Sequence[Any]) -> Mask:
    """What is neither a number nor null; whole numbers that no double holds are strange, too."""
    if set(map(type, column)) <= {float, int, type(None)} and not any(
        type(v) is int and abs(v) >= 2**63 for v in column
    ):
        return np.zeros(len(column), dtype=bool)
    return np.array(
        [not (v is None or type(v) is float or (type(v) is int and abs(v) < 2**63)) for v in column], dtype=bool
    )


def _contradicting(bars: Sequence[list[Any]], starts: Sequence[Any]) -> list[int]:
    """Positions of bars of one start that differ."""
    plain = [start for start in starts if type(start) in (int, str)]
    if len(set(plain)) == len(plain):
        return []
    by_start: dict[Any, list[int]] = {}
    for position, start in enumerate(starts):
        if type(start) in (int, str):
            by_start.setdefault(start, []).append(position)
    return [
        position
        for group in by_start.values()
        if any(bars[position] != bars[group[0]] for position in group)
        for position in group
    ]


def _once(bars: list[list[Any]]) -> list[list[Any]]:
    """Without the repetition of equal bars."""
    if len({bar[0] for bar in bars}) == len(bars):
        return bars
    return list({bar[0]: bar for bar in bars}.values())


def _ascending(starts: Sequence[Any], found: dict[int, Fault]) -> bool:
    """Whether the starts that are possible come in order, each once."""
    kept = [start for position, start in enumerate(starts) if position not in found]
    return all(a < b for a, b in pairwise(kept))
