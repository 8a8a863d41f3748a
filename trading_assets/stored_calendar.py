"""The sessions of XNYS as a small file, so that a command need not import the calendar library, which takes with pandas
half a second.

The file `xnys.json` holds what `exchange_calendars` of one version says: the weekdays without a session and the early
closes. Another installed version, or a date outside the file, is answered by the library itself. A test holds the file
against the library; `TRADING_ASSETS_TESTS_REWRITE=1 pytest trading_assets_tests/test_stored_calendar.py` writes it
anew.
"""

from __future__ import annotations

import json
import warnings
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

LIBRARY = "exchange-calendars"

FILE = "xnys.json"

STORED_UNTIL = date(2040, 12, 31)
"""The last date of the file: beyond the expiry of any option listed during the life of one version of the library; the
simulator's horizon."""

NEW_YORK = ZoneInfo("America/New_York")
"""The exchange's time zone."""

OPEN, CLOSE = time(9, 30), time(16, 0)
"""Regular hours, New York."""

Sessions = tuple[list[date], list[datetime], list[datetime]]
"""Sessions in order, and the open and close (UTC) of each."""


def stored_sessions(first: date, last: date) -> Sessions | None:
    """The sessions from `first` to `last` of the file; None where it does not hold them or was made with another
    version of the library."""
    file = files("trading_assets").joinpath(FILE)
    if not file.is_file():
        return None
    stored = json.loads(file.read_text("utf-8"))
    if (
        stored["version"] != version(LIBRARY)
        or first < date.fromisoformat(stored["first"])
        or last > date.fromisoformat(stored["last"])
    ):
        return None
    holidays = {date.fromisoformat(day) for day in stored["holidays"]}
    early = {date.fromisoformat(day): time.fromisoformat(at) for day, at in stored["early_closes"].items()}
    weekdays = (first + timedelta(days=i) for i in range((last - first).days + 1) if (first.weekday() + i) % 7 < 5)
    days = [day for day in weekdays if day not in holidays]
    return days, [_at(day, OPEN) for day in days], [_at(day, early.get(day, CLOSE)) for day in days]


def library_sessions(first: date, last: date) -> Sessions:
    """The sessions from `first` to `last`, from the library."""
    import exchange_calendars
    from pandas.errors import Pandas4Warning

    with warnings.catch_warnings():
        # The library itself uses what pandas 4 will change; its pin on pandas is its own affair.
        warnings.simplefilter("ignore", Pandas4Warning)
        xnys = exchange_calendars.get_calendar("XNYS", start=first, end=last)
    days = [stamp.date() for stamp in xnys.sessions]
    opens = [stamp.to_pydatetime().astimezone(UTC) for stamp in xnys.opens]
    return days, opens, [stamp.to_pydatetime().astimezone(UTC) for stamp in xnys.closes]


def described(first: date, last: date) -> dict[str, Any]:
    """The content of the file. Raises `ValueError` where the library knows a late open, which the file cannot say."""
    days, opens, closes = library_sessions(first, last)
    late = [day for day, at in zip(days, opens, strict=True) if at != _at(day, OPEN)]
    if late:
        raise ValueError(f"The file has no place for sessions that open at another time than {OPEN:%H:%M}: {late[0]}.")
    known = set(days)
    span = (first + timedelta(days=i) for i in range((last - first).days + 1))
    local = {day: at.astimezone(NEW_YORK).time() for day, at in zip(days, closes, strict=True)}
    return {
        "version": version(LIBRARY),
        "first": first.isoformat(),
        "last": last.isoformat(),
        "holidays": [day.isoformat() for day in span if day.weekday() < 5 and day not in known],
        "early_closes": {day.isoformat(): f"{at:%H:%M}" for day, at in local.items() if at != CLOSE},
    }


def _at(day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, NEW_YORK).astimezone(UTC)
