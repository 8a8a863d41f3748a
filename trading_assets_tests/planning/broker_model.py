"""A model of the broker's history rules, written apart from the planner: what a bars request is answered with."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

import pandas as pd

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import BarsRequest
from trading_assets.sessions import NEW_YORK, SessionCalendar, session_date

UNITS_OF_BAR_SIZE = {
    "1 secs": "S",
    "5 secs": "SD",
    **dict.fromkeys(("10 secs", "15 secs"), "SDW"),
    "30 secs": "SDWM",
    "1 min": "SDWMY",
    **dict.fromkeys(("2 mins", "3 mins", "5 mins", "10 mins", "15 mins", "20 mins", "30 mins", "1 hour"), "DWMY"),
    **dict.fromkeys(("2 hours", "3 hours", "4 hours"), "WMY"),
    "8 hours": "MY",
    "1 day": "Y",
}
"""Duration units the broker documents for each bar size (limits.md)."""


def check_legal(request: BarsRequest, now: datetime) -> None:
    """The causes of code 321 in the gateway's order, and the documented unit of the bar size."""
    count, unit = request.duration.split(" ")
    number = int(count)
    assert str(number) == count
    assert number >= 1
    assert unit in UNITS_OF_BAR_SIZE[request.bar_size]
    assert number <= {"S": 2_000 if request.bar_size == "1 secs" else 86_400, "D": 365, "W": 52, "M": 12, "Y": 68}[unit]
    assert unit != "S" or number >= 30
    assert request.end.tzinfo is not None
    assert request.end.utcoffset() == timedelta(0)
    assert request.end <= now


def sessions_answered(end: datetime, duration: str, calendar: SessionCalendar) -> set[date]:
    """The sessions that lie whole in a request's span."""
    number, unit = int(duration.split()[0]), duration.split()[1]
    last = calendar.on_or_before(session_date(end))
    if unit == "D":
        return set(calendar.sessions(calendar.previous(last, number - 1) if number > 1 else last, last))
    local = pd.Timestamp(end).tz_convert(NEW_YORK).tz_localize(None)
    step = {"W": pd.DateOffset(weeks=number), "M": pd.DateOffset(months=number), "Y": pd.DateOffset(years=number)}[unit]
    begin = (local - step).tz_localize(NEW_YORK)
    days = calendar.sessions(begin.date(), last)
    return {day for day in days if calendar.opens_at(day) >= begin and calendar.closes_at(day) <= end}


def answer(
    request: BarsRequest, traded: Collection[date], calendar: SessionCalendar, finished_at: datetime, request_id: int
) -> Result:
    """What the broker answers for a contract that traded in the given sessions: one bar a session, or "no data"."""
    inside = sorted(sessions_answered(request.end, request.duration, calendar) & set(traded))
    if not inside:
        return Result(
            request, Outcome(OutcomeKind.EMPTY, 162, "HMDS query returned no data"), None, request_id, finished_at
        )
    bars = [
        [
            f"{day:%Y%m%d}" if request.bar_size == "1 day" else calendar.opens_at(day).timestamp(),
            10.0,
            12.0,
            9.0,
            11.0,
            100.0,
            10.5,
            7,
        ]
        for day in inside
    ]
    return Result(request, Outcome(OutcomeKind.COMPLETE), {"bars": bars}, request_id, finished_at)
