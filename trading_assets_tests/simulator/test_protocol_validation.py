"""Historical requests are judged in the gateway's order with its texts, and mean the span the broker gives."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.simulator.durations import Duration, months_before, opening, span_of
from trading_assets.simulator.request_checks import Refusal, check_history
from trading_assets.simulator.requests import HistoricalData
from trading_assets.simulator.timetext import parse_end

GOOD = HistoricalData("historical_data", 1, end="", bar_size="1 day", duration="5 D", what_to_show="TRADES")

CAUSES: list[tuple[dict[str, Any], int, str]] = [
    ({"end": "yesterday"}, 10314, "End Date/Time: The date, time, or time-zone entered is invalid."),
    ({"duration": ""}, 321, "Historical data request duration not specified."),
    ({"duration": "5D"}, 321, "historical data request duration format is integer{SPACE}unit (S|D|W|M|Y)."),
    ({"duration": "0 D"}, 321, "Historical data requested duration is invalid."),
    ({"duration": "29 S"}, 321, "Historical data requested duration is invalid."),
    ({"duration": "86401 S"}, 321, "Historical data request for greater than 86400 seconds rejected."),
    ({"duration": "366 D"}, 321, "Historical data requests for durations longer than 365 days must be made in years."),
    ({"duration": "53 W"}, 321, "Historical data request for durations longer than 52 weeks must be made in years."),
    ({"duration": "13 M"}, 321, "Historical data request for durations longer than 12 months must be made in years."),
    ({"what_to_show": "ADJUSTED_LAST", "end": "20240603-20:00:00"}, 321, "End date not supported with adjusted last"),
    ({"bar_size": "1 sec"}, 321, "Historical data bar size setting is invalid. Legal ones are: 1 secs, 5 secs,"),
    ({"bar_size": "1W", "what_to_show": "ADJUSTED_LAST"}, 321, "Multi day bar size not supported with adjusted last"),
    ({"what_to_show": "SOLD"}, 321, "What to show value of SOLD rejected."),
    ({"format_date": 3}, 321, "Date formatting selection of 3 rejected."),
    ({"bar_size": "1 hour", "what_to_show": "SCHEDULE"}, 321, "Only daily resolution supported for Schedule requests"),
    ({"keep_up_to_date": True, "end": "20240603-20:00:00"}, 321, "End date not supported with live updates"),
    ({"bar_size": "1 secs", "duration": "2001 S"}, 162, "Invalid time length"),
    ({"duration": "69 Y"}, 162, "Invalid time length"),
]


@pytest.mark.parametrize(("change", "code", "text"), CAUSES, ids=[text[:40] for _, _, text in CAUSES])
def test_each_cause(change: dict[str, Any], code: int, text: str) -> None:
    with pytest.raises(Refusal) as raised:
        check_history(replace(GOOD, **change))
    assert raised.value.code == code
    assert text in raised.value.text


@pytest.mark.parametrize("first", range(len(CAUSES) - 2))
def test_the_first_cause_in_order_wins(first: int) -> None:
    own = CAUSES[first][0]
    # an end date beside ADJUSTED_LAST would be an earlier cause
    taken = {*own, "end"} if own.get("what_to_show") == "ADJUSTED_LAST" else set(own)
    later = [change for change, code, _ in CAUSES[first + 1 :] if code == 321 and not set(change) & taken]
    broken = {name: value for change in reversed(later) for name, value in change.items()} | own
    with pytest.raises(Refusal) as raised:
        check_history(replace(GOOD, **broken))
    assert CAUSES[first][2] in raised.value.text


@pytest.mark.parametrize(
    "size", ["1 secs", "30 secs", "1 min", "2 mins", "20 mins", "1 hour", "8 hours", "1 day", "1W", "1M"]
)
def test_legal_bar_sizes(size: str) -> None:
    duration = "1800 S" if size == "1 secs" else "5 D"
    assert check_history(replace(GOOD, bar_size=size, duration=duration)).daily == (size in ("1 day", "1W", "1M"))


@pytest.mark.parametrize(
    ("text", "instant", "zone_missing"),
    [
        ("20240603-20:00:00", "2024-06-03T20:00:00+00:00", False),
        ("20240603 16:00:00 US/Eastern", "2024-06-03T20:00:00+00:00", False),
        ("20240603 16:00:00 America/New_York", "2024-06-03T20:00:00+00:00", False),
        ("20240603 20:00:00 UTC", "2024-06-03T20:00:00+00:00", False),
        ("20240603  16:00:00", None, False),
        ("20240603 16:00:00", "2024-06-03T20:00:00+00:00", True),
        ("20240103 16:00:00 EST", "2024-01-03T21:00:00+00:00", False),
    ],
)
def test_end_dates(text: str, instant: str | None, zone_missing: bool) -> None:
    if instant is None:
        with pytest.raises(ValueError, match="no end date"):
            parse_end(text)
    else:
        assert parse_end(text) == (datetime.fromisoformat(instant), zone_missing)


@pytest.mark.parametrize(
    "text", ["20241301-00:00:00", "20240603-25:00:00", "20240603 16:00:00 Mars/Base", "20240603", "now"]
)
def test_impossible_end_dates(text: str) -> None:
    with pytest.raises(ValueError, match=r"no (date|end date|time zone)"):
        parse_end(text)


def _sessions(duration: str, end: datetime, *, rth: bool = True, size: str = "1 day") -> list[date]:
    """Sessions whose daily bar starts in the span."""
    count, unit = duration.split()
    span = span_of(Duration(int(count), unit), end, rth, size)
    return [
        s
        for s in calendar().sessions(date(1998, 1, 2), date(2025, 1, 1))
        if span.start <= opening(calendar(), s, rth) < span.end
    ]


def ny(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


@pytest.mark.parametrize(
    ("duration", "end", "first", "last", "count"),
    [
        ("1 D", "2024-06-03T14:00", "2024-06-03", "2024-06-03", 1),  # in the session: its own bar, unfinished
        ("1 D", "2024-06-03T09:00", "2024-05-31", "2024-05-31", 1),  # before the open: the session before
        ("1 D", "2024-06-02T12:00", "2024-05-31", "2024-05-31", 1),  # Sunday
        ("5 D", "2024-05-30T23:59", "2024-05-23", "2024-05-30", 5),  # over Memorial Day
        ("1 W", "2024-06-03T16:00", "2024-05-28", "2024-06-03", 5),
        # counted from the last session, Good Friday was closed
        ("1 M", "2024-03-31T23:00", "2024-02-29", "2024-03-28", 21),
        ("1 Y", "2024-06-03T16:00", "2023-06-05", "2024-06-03", 251),
        ("3600 S", "2024-06-03T16:30", "2024-06-03", "2024-06-03", 1),
    ],
)
def test_spans(duration: str, end: str, first: str, last: str, count: int) -> None:
    sessions = _sessions(duration, ny(end))
    assert (sessions[0].isoformat(), sessions[-1].isoformat(), len(sessions)) == (first, last, count)


def test_seconds_count_trading_only() -> None:
    span = span_of(Duration(1800, "S"), ny("2024-06-02T12:00"), True, "1 min")
    assert span.start == ny("2024-05-31T15:30")
    all_hours = span_of(Duration(1800, "S"), ny("2024-06-02T12:00"), False, "1 min")
    assert all_hours.start == ny("2024-05-31T19:30")
    half_day = span_of(Duration(1800, "S"), ny("2023-11-24T18:00"), True, "1 min")
    assert half_day.start == ny("2023-11-24T12:30")


def test_weekly_and_monthly_spans_begin_with_a_whole_period() -> None:
    assert span_of(Duration(2, "W"), ny("2024-06-05T16:00"), True, "1 week").start == ny("2024-05-20T00:00")
    assert span_of(Duration(1, "Y"), ny("2024-06-05T16:00"), True, "1 month").start == ny("2023-06-01T00:00")


def test_a_span_before_all_sessions_is_empty() -> None:
    span = span_of(Duration(5, "D"), datetime(1990, 1, 1, tzinfo=UTC), True, "1 day")
    assert span.start == span.end


@given(
    st.datetimes(datetime(1998, 2, 1), datetime(2024, 12, 1)).map(lambda d: d.replace(tzinfo=UTC)),
    st.sampled_from([("D", 365), ("W", 52), ("M", 12), ("Y", 68)]),
    st.data(),
)
def test_a_longer_duration_never_holds_less(end: datetime, unit: tuple[str, int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, unit[1] - 1))
    shorter, longer = (span_of(Duration(n, unit[0]), end, True, "1 day") for n in (count, count + 1))
    assert longer.start <= shorter.start <= end
    assert shorter.end == longer.end == end


@given(st.dates(date(1999, 1, 1), date(2025, 1, 1)), st.integers(0, 900))
def test_months_before_is_never_more_than_a_month_off(day: date, count: int) -> None:
    found = months_before(day, count)
    assert (day.year * 12 + day.month) - (found.year * 12 + found.month) == count
    assert found.day == day.day or (found + timedelta(days=1)).day == 1
