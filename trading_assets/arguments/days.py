"""Days, ranges of days and sessions as users write them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np

from trading_assets.arguments.columns import plain
from trading_assets.errors import InvalidRequest, NotASession
from trading_assets.sessions import NEW_YORK, calendar

Day = date | datetime | np.datetime64 | str
"""What is accepted where a day is; pandas `Timestamp` is a `datetime`."""

_ALLOWED = "give a date, a datetime, a pandas Timestamp, a numpy datetime64 or ISO text such as '2024-06-14'"

_COARSE = ("Y", "M", "W", "generic")
"""Units of numpy's `datetime64` that name no day."""


def day(value: Any, name: str = "date") -> date:
    """The exchange date that is meant. Raises `InvalidRequest`.

    A datetime with a time zone is an instant and means its day in New York; one without a zone means the day written.
    """
    value = plain(value)
    if isinstance(value, str):
        value = _from_text(value.strip(), value, name)
    elif isinstance(value, np.datetime64):
        value = _from_numpy(value, name)
    if isinstance(value, datetime):
        if value != value:  # pandas' NaT is a datetime that equals nothing
            raise _no_day(value, name)
        try:
            return (value if value.tzinfo is None else value.astimezone(NEW_YORK)).date()
        except OverflowError:  # at the ends of the years that `datetime` knows
            raise _no_day(value, name) from None
    if isinstance(value, date):
        return value
    raise _no_day(value, name)


def optional_day(value: Any, name: str = "date") -> date | None:
    """The same; None stays None."""
    return None if value is None else day(value, name)


def day_range(
    first: Any, last: Any, names: tuple[str, str] = ("start_date", "end_date")
) -> tuple[date | None, date | None]:
    """Two days, both included; None does not bound. Raises `InvalidRequest` when the range ends before it begins."""
    begin, end = optional_day(first, names[0]), optional_day(last, names[1])
    if begin is not None and end is not None and end < begin:
        raise InvalidRequest(
            f"The range cannot end ({names[1]} {end}) before it begins ({names[0]} {begin}): exchange the two."
        )
    return begin, end


def end_of_range(first: date, last: Any, default: date, name: str = "end_date") -> date:
    """The last day of a range from `first`, `default` where none is given. Raises as `day_range`."""
    _, end = day_range(first, default if last is None else last, ("the first day", name))
    assert end is not None
    return end


def session(value: Any, name: str = "session") -> date:
    """A day with trading on XNYS. Raises `NotASession` with the nearest sessions, and `InvalidRequest`."""
    found, xnys = day(value, name), calendar()
    if xnys.is_session(found):
        return found
    if not xnys.first <= found <= xnys.last:
        raise NotASession(
            f"{name} {found} is outside the trading calendar, which has the sessions from {xnys.first} to {xnys.last}."
        )
    why = f"a {found:%A}" if found.weekday() >= 5 else "a holiday"
    raise NotASession(
        f"{name} {found} is no trading session of the New York Stock Exchange ({why}). {_nearest(found, found)}"
    )


def session_range(first: Any, last: Any, names: tuple[str, str] = ("first", "last")) -> list[date]:
    """The sessions from one day to another, in order; at least one. Raises `NotASession` when there is none, and
    `InvalidRequest`."""
    begin, end = day_range(day(first, names[0]), day(last, names[1]), names)
    assert begin is not None
    assert end is not None
    found = calendar().sessions(begin, end)
    if not found:
        raise NotASession(f"There is no trading session from {begin} to {end}. {_nearest(begin, end)}")
    return found


def _nearest(first: date, last: date) -> str:
    """The sessions on both sides of days without one; one of them at an end of the calendar."""
    near = dict.fromkeys((calendar().on_or_before(first), calendar().on_or_after(last)))
    return f"The nearest session{'s are' if len(near) > 1 else ' is'} {' and '.join(f'{one}' for one in near)}."


def _from_text(text: str, given: str, name: str) -> date:
    try:
        if not text.isascii():
            raise ValueError(text)
        return datetime.fromisoformat(text) if len(text) > len("2024-06-14") else date.fromisoformat(text)
    except ValueError:
        raise _no_day(given, name) from None


def _from_numpy(value: np.datetime64, name: str) -> date:
    if np.isnat(value) or np.datetime_data(value.dtype)[0] in _COARSE:
        raise _no_day(value, name)
    found = value.astype("datetime64[D]").astype(object)
    if not isinstance(found, date):  # beyond the years that `date` knows numpy gives a number
        raise _no_day(value, name)
    return found


def _no_day(value: Any, name: str) -> InvalidRequest:
    return InvalidRequest(f"{name} is {value!r}, which names no day: {_ALLOWED}.")


__all__ = ["Day", "day", "day_range", "end_of_range", "optional_day", "session", "session_range"]
