"""Days, ranges and sessions, as users write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.arguments import day, day_range, session, session_range
from trading_assets.errors import InvalidRequest, NotASession
from trading_assets.sessions import NEW_YORK, calendar

DAYS = st.dates(date(1998, 1, 2), date(2028, 1, 1))
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(DAYS, st.times())
def test_every_form_of_a_day_names_the_same_date(wanted: date, at: time) -> None:
    instant = datetime.combine(wanted, at)
    forms: list[Any] = [
        wanted,
        instant,
        pd.Timestamp(instant),
        np.datetime64(wanted),
        np.datetime64(instant, "ns"),
        wanted.isoformat(),
        f" {wanted:%Y%m%d} ",
        instant.isoformat(),
        f"{instant}",
    ]
    assert {day(form) for form in forms} == {wanted}
    assert {type(day(form)) for form in forms} == {date}


@given(st.datetimes(datetime(1998, 1, 3), datetime(2028, 1, 1)), OFFSETS)
def test_an_instant_means_its_day_in_new_york(instant: datetime, zone: timezone) -> None:
    aware = instant.replace(tzinfo=zone)
    expected = aware.astimezone(NEW_YORK).date()
    assert day(aware) == day(pd.Timestamp(aware)) == day(aware.isoformat()) == day(aware.astimezone(UTC)) == expected


def test_the_evening_in_new_york_is_the_next_day_in_utc() -> None:
    assert day("2024-06-04T01:00Z") == date(2024, 6, 3) and day("2024-06-04T01:00") == date(2024, 6, 4)


@pytest.mark.parametrize(
    "value",
    [
        None,
        pd.NaT,
        np.datetime64("NaT"),
        np.datetime64("2024-06"),
        np.datetime64("2024"),
        np.datetime64("40000-01-01"),
        20240614,
        20240614.0,
        True,
        "",
        "2024-06",
        "2024-02-30",
        "14.06.2024",
        "yesterday",
        "２０２４-06-14",
        b"2024-06-14",
        [date(2024, 6, 14)],
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_what_names_no_day_is_refused_and_what_is_allowed_is_said(value: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        day(value, "start_date")
    assert str(caught.value).startswith(f"start_date is {value!r}, which names no day: give a date, a datetime, ")


@given(DAYS, DAYS)
def test_a_range_is_in_order_or_refused(first: date, last: date) -> None:
    if first <= last:
        assert day_range(first, f"{last}") == (first, last)
    else:
        with pytest.raises(InvalidRequest, match=rf"cannot end \(end_date {last}\) before .* \(start_date {first}\)"):
            day_range(first, last)
    assert day_range(None, last) == (None, last) and day_range(first, None) == (first, None)


@given(DAYS)
def test_a_day_without_trading_is_no_session_and_the_nearest_are_named(value: date) -> None:
    xnys = calendar()
    if xnys.is_session(value):
        assert session(value) == value
        return
    with pytest.raises(NotASession) as caught:
        session(value)
    assert f"The nearest sessions are {xnys.on_or_before(value)} and {xnys.on_or_after(value)}." in str(caught.value)


def test_weekends_holidays_and_days_beyond_the_calendar_are_told_apart() -> None:
    for text, why in (("2024-06-15", "a Saturday"), ("2024-07-04", "a holiday"), ("1997-06-16", "from 1998-01-02 to")):
        with pytest.raises(NotASession, match=why):
            session(text)


def test_a_range_without_a_session_is_refused() -> None:
    assert session_range("2024-06-14", "2024-06-17") == [date(2024, 6, 14), date(2024, 6, 17)]
    with pytest.raises(NotASession, match="The nearest sessions are 2024-06-14 and 2024-06-17"):
        session_range("2024-06-15", "2024-06-16")
