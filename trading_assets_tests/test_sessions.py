"""The calendar: sessions of instants, windows of sessions, what is missing; random instants in winter and summer
time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.errors import NotASession
from trading_assets.sessions import (
    FIRST_SESSION,
    NEW_YORK,
    SessionCalendar,
    Window,
    calculate_missing_windows,
    calendar,
    session_date,
)

XNYS = calendar()

BLACK_FRIDAY = date(2023, 11, 24)
THANKSGIVING = date(2023, 11, 23)

days = st.dates(date(1998, 1, 5), date(2027, 12, 31))
instants = st.datetimes(datetime(1998, 1, 5), datetime(2027, 12, 31), timezones=st.sampled_from([UTC, NEW_YORK]))
spans = st.tuples(days, st.integers(0, 120)).map(lambda span: XNYS.sessions(span[0], span[0] + timedelta(days=span[1])))


@st.composite
def some_sessions(draw: st.DrawFn) -> list[date]:
    """Sessions with gaps, in any order."""
    span = draw(spans)
    chosen = draw(st.lists(st.booleans(), min_size=len(span), max_size=len(span)))
    return draw(st.permutations([session for session, wanted in zip(span, chosen, strict=True) if wanted]))


def ny(day: date, hour: int, minute: int = 0) -> datetime:
    """An instant of New York's clock."""
    return datetime.combine(day, time(hour, minute), NEW_YORK)


@given(instants)
def test_current_is_the_latest_session_that_has_opened(now: datetime) -> None:
    current = XNYS.current(now)
    assert XNYS.is_session(current)
    assert XNYS.opens_at(current) <= now < XNYS.opens_at(XNYS.following(current))


@given(instants)
def test_last_closed_is_over_and_the_next_one_is_not(now: datetime) -> None:
    closed = XNYS.last_closed(now)
    assert XNYS.closes_at(closed) <= now < XNYS.closes_at(XNYS.following(closed))
    assert XNYS.is_closed(closed, now)
    assert not XNYS.is_closed(XNYS.following(closed), now)
    assert XNYS.current(now) in (closed, XNYS.following(closed))


@given(instants, st.integers(0, 400))
def test_lookback_holds_closed_sessions_of_the_calendar_days_only(now: datetime, count: int) -> None:
    found = XNYS.lookback(now, count)
    earliest = XNYS.current(now) - timedelta(days=count)
    assert all(XNYS.is_closed(session, now) and session >= earliest for session in found)
    assert found == [session for session in XNYS.sessions(earliest, XNYS.current(now)) if XNYS.is_closed(session, now)]


@given(some_sessions())
def test_windows_cover_exactly_the_sessions_without_a_gap(sessions: list[date]) -> None:
    windows = XNYS.windows(sessions)
    inside = [session for window in windows for session in XNYS.sessions(window.first, window.last)]
    assert inside == sorted(sessions)
    for one, other in pairwise(windows):
        assert XNYS.following(one.last) < other.first  # else one window would do


@given(some_sessions(), some_sessions(), instants)
def test_missing_is_wanted_and_closed_and_not_present(wanted: list[date], present: list[date], now: datetime) -> None:
    missing = XNYS.missing(wanted, present, now)
    assert missing == sorted(missing)
    assert set(missing) == {session for session in wanted if session not in present and XNYS.is_closed(session, now)}
    assert XNYS.missing(wanted, [*present, *missing], now) == []


@given(days, st.integers(0, 90), st.data())
def test_calculate_missing_windows_and_what_is_present_make_the_whole(
    first: date, length: int, data: st.DataObject
) -> None:
    last = first + timedelta(days=length)
    wanted = XNYS.sessions(first, last)
    present = data.draw(st.sets(st.sampled_from(wanted))) if wanted else set()
    windows = calculate_missing_windows(present, first, last)
    missing = [session for begin, end in windows for session in XNYS.sessions(begin, end)]
    assert sorted([*missing, *present]) == wanted
    assert calculate_missing_windows(wanted, first, last) == []


def test_calculate_missing_windows_spans_weekends_and_holidays() -> None:
    present = [date(2023, 11, 21)]
    assert calculate_missing_windows(present, date(2023, 11, 20), date(2023, 11, 28)) == [
        (date(2023, 11, 20), date(2023, 11, 20)),
        (date(2023, 11, 22), date(2023, 11, 28)),  # Thanksgiving and a weekend are no gap
    ]


def test_calculate_missing_windows_is_restricted_to_the_given_sessions() -> None:
    closed = XNYS.sessions(date(2023, 11, 20), date(2023, 11, 22))
    assert calculate_missing_windows([], date(2023, 11, 21), date(2023, 11, 28), sessions=closed) == [
        (date(2023, 11, 21), date(2023, 11, 22))
    ]


@pytest.mark.parametrize(
    ("now", "current", "closed"),
    [
        (ny(date(2023, 11, 22), 15, 59), date(2023, 11, 22), date(2023, 11, 21)),
        (ny(date(2023, 11, 22), 16), date(2023, 11, 22), date(2023, 11, 22)),
        (ny(THANKSGIVING, 12), date(2023, 11, 22), date(2023, 11, 22)),
        (ny(BLACK_FRIDAY, 9, 29), date(2023, 11, 22), date(2023, 11, 22)),  # the quotes are still Wednesday's
        (ny(BLACK_FRIDAY, 9, 30), BLACK_FRIDAY, date(2023, 11, 22)),
        (ny(BLACK_FRIDAY, 12, 59), BLACK_FRIDAY, date(2023, 11, 22)),
        (ny(BLACK_FRIDAY, 13), BLACK_FRIDAY, BLACK_FRIDAY),
        (ny(date(2023, 11, 26), 23, 59), BLACK_FRIDAY, BLACK_FRIDAY),
        (ny(date(2023, 11, 27), 9), BLACK_FRIDAY, BLACK_FRIDAY),
        (ny(date(2023, 11, 27), 10), date(2023, 11, 27), BLACK_FRIDAY),
        # 20:00 UTC is after the close in summer, an hour before it in winter.
        (datetime(2024, 3, 8, 20, tzinfo=UTC), date(2024, 3, 8), date(2024, 3, 7)),
        (datetime(2024, 3, 11, 20, tzinfo=UTC), date(2024, 3, 11), date(2024, 3, 11)),
        # An evening in New York is the next day in UTC.
        (datetime(2024, 6, 4, 3, 59, tzinfo=UTC), date(2024, 6, 3), date(2024, 6, 3)),
        (datetime(2024, 6, 4, 14, 0, tzinfo=UTC), date(2024, 6, 4), date(2024, 6, 3)),
    ],
)
def test_current_and_last_closed_around_holidays_and_clock_changes(now: datetime, current: date, closed: date) -> None:
    assert (XNYS.current(now), XNYS.last_closed(now)) == (current, closed)


def test_hours_of_full_and_half_days_in_utc() -> None:
    assert XNYS.opens_at(date(2024, 1, 2)) == datetime(2024, 1, 2, 14, 30, tzinfo=UTC)
    assert XNYS.opens_at(date(2024, 7, 1)) == datetime(2024, 7, 1, 13, 30, tzinfo=UTC)
    assert XNYS.closes_at(BLACK_FRIDAY) == datetime(2023, 11, 24, 18, tzinfo=UTC)
    assert XNYS.is_half_day(BLACK_FRIDAY)
    assert not XNYS.is_half_day(date(2023, 11, 22))
    assert XNYS.is_half_day(date(2024, 7, 3))


@pytest.mark.parametrize(
    "day",
    [
        date(2001, 9, 11),
        date(2012, 10, 29),
        date(2018, 12, 5),
        date(2025, 1, 9),
        THANKSGIVING,
        date(2021, 12, 24),
        date(2024, 6, 19),
    ],
)
def test_days_the_exchange_was_closed_are_weekday_holidays(day: date) -> None:
    assert not XNYS.is_session(day)
    assert day in XNYS.weekday_holidays()


def test_sessions_and_weekday_holidays_make_all_weekdays() -> None:
    small = SessionCalendar(date(2020, 1, 2), date(2022, 12, 30))
    weekdays = [
        day
        for n in range((small.last - small.first).days + 1)
        if (day := small.first + timedelta(days=n)).weekday() < 5
    ]
    assert sorted([*small.weekday_holidays(), *small.sessions(small.first, small.last)]) == weekdays


def test_neighbours_of_a_session_and_of_a_day() -> None:
    assert XNYS.previous(BLACK_FRIDAY) == date(2023, 11, 22)
    assert XNYS.following(date(2023, 11, 22)) == BLACK_FRIDAY
    assert XNYS.following(BLACK_FRIDAY, 2) == date(2023, 11, 28)
    assert XNYS.on_or_before(THANKSGIVING) == date(2023, 11, 22)
    assert XNYS.on_or_after(THANKSGIVING) == BLACK_FRIDAY
    assert XNYS.previous(FIRST_SESSION) == FIRST_SESSION
    assert XNYS.following(XNYS.last) == XNYS.last


@given(days, days)
def test_count_between_counts_the_sessions(first: date, last: date) -> None:
    assert XNYS.count_between(first, last) == len(XNYS.sessions(first, last))


def test_the_calendar_reaches_past_the_listed_options() -> None:
    assert XNYS.first == FIRST_SESSION
    assert XNYS.last > datetime.now(UTC).date() + timedelta(days=540)


@pytest.mark.parametrize(
    "question", [XNYS.current, XNYS.last_closed, session_date, lambda now: XNYS.is_closed(BLACK_FRIDAY, now)]
)
def test_a_naive_instant_is_refused(question: object) -> None:
    assert callable(question)
    with pytest.raises(ValueError, match="has no time zone: give an instant with a zone"):
        question(datetime(2024, 1, 2, 12))


@pytest.mark.parametrize("question", [XNYS.current, XNYS.last_closed])
def test_an_instant_before_the_calendar_has_no_session(question: object) -> None:
    assert callable(question)
    with pytest.raises(NotASession, match="is before the first session of the calendar, 1998-01-02"):
        question(datetime(1997, 6, 2, 18, tzinfo=UTC))


@pytest.mark.parametrize("question", [XNYS.current, XNYS.last_closed])
def test_an_instant_past_the_calendar_has_no_session(question: object) -> None:
    assert callable(question)
    with pytest.raises(NotASession, match=f"is past the end of the calendar, {XNYS.last}: set the clock right"):
        question(XNYS.closes_at(XNYS.last))
    assert question(XNYS.opens_at(XNYS.last) - timedelta(minutes=1)) == XNYS.previous(XNYS.last)


def test_a_day_without_trading_is_no_session() -> None:
    for question in (XNYS.opens_at, XNYS.closes_at, XNYS.previous, XNYS.following):
        with pytest.raises(NotASession, match="2023-11-23 is not a trading session of the New York Stock Exchange"):
            question(THANKSGIVING)
    with pytest.raises(NotASession):
        XNYS.windows([THANKSGIVING])


def test_a_window_does_not_end_before_it_begins() -> None:
    with pytest.raises(ValueError, match="cannot end"):
        Window(BLACK_FRIDAY, THANKSGIVING)


@given(instants)
def test_session_date_is_the_date_in_new_york(now: datetime) -> None:
    assert session_date(now) == session_date(now.astimezone(UTC)) == now.astimezone(NEW_YORK).date()
