"""The operator's day over ten years: New York time, half days, daylight saving, weekends and holidays."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.monitoring.hours import (
    DAILY_BARS,
    DAILY_SNAPSHOT,
    LAST_CHANCE,
    QUALITY_CHECK,
    clock_time,
    due_at,
    latest_due,
    next_due,
)
from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.settings import Settings

XNYS = calendar()
TEN_YEARS = XNYS.sessions(date(2015, 1, 1), date(2024, 12, 31))
SETTINGS = Settings()


def local(instant: datetime) -> tuple[date, time]:
    there = instant.astimezone(NEW_YORK)
    return there.date(), there.time()


def test_ten_years_hold_what_can_go_wrong() -> None:
    assert len(TEN_YEARS) == 2516
    assert sum(XNYS.is_half_day(session) for session in TEN_YEARS) >= 20
    assert {XNYS.closes_at(session).hour for session in TEN_YEARS} == {
        17,
        18,
        20,
        21,
    }, "both sides of daylight saving, half days on both"


@pytest.mark.parametrize(
    ("schedule", "whole", "half"),
    [
        (DAILY_SNAPSHOT, time(15, 45), time(12, 45)),
        (DAILY_BARS, time(16, 30), time(13, 30)),
        (LAST_CHANCE, time(15, 0), time(12, 0)),
    ],
)
def test_each_session_has_its_time_in_new_york(schedule: str, whole: time, half: time) -> None:
    for session in TEN_YEARS:
        assert local(due_at(schedule, SETTINGS, XNYS, session)) == (
            session,
            half if XNYS.is_half_day(session) else whole,
        )


def test_the_times_are_settings() -> None:
    settings = Settings(snapshot_lead_minutes=5, bars_delay_minutes=90, last_chance_lead_minutes=120)
    half = date(2024, 11, 29)
    assert [local(due_at(name, settings, XNYS, half))[1] for name in (DAILY_SNAPSHOT, DAILY_BARS, LAST_CHANCE)] == [
        time(12, 55),
        time(14, 30),
        time(11),
    ]


@given(
    now=st.datetimes(datetime(2015, 2, 1), datetime(2024, 12, 20)).map(lambda naive: naive.replace(tzinfo=NEW_YORK)),
    schedule=st.sampled_from([DAILY_SNAPSHOT, DAILY_BARS, LAST_CHANCE]),
)
def test_the_latest_due_session_and_the_next_instant_leave_nothing_between(now: datetime, schedule: str) -> None:
    latest, following = latest_due(schedule, SETTINGS, XNYS, now), next_due(SETTINGS, XNYS, now)[schedule]
    assert due_at(schedule, SETTINGS, XNYS, latest) <= now < following
    assert following == due_at(schedule, SETTINGS, XNYS, XNYS.following(latest))


def test_the_next_quality_check_is_at_the_full_hour() -> None:
    now = datetime(2024, 3, 10, 1, 59, 30, tzinfo=NEW_YORK)  # the clocks go forward at two
    following = next_due(SETTINGS, XNYS, now)[QUALITY_CHECK]
    assert following - now == timedelta(seconds=30)


def test_an_instant_is_said_as_people_say_it() -> None:
    assert (
        clock_time(due_at(DAILY_SNAPSHOT, SETTINGS, XNYS, date(2015, 12, 24)))
        == "Thursday 2015-12-24 at 12:45 New York"
    )
