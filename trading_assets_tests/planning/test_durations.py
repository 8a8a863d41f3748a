from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.bar_sizes import BAR_SECONDS
from trading_assets.broker.requests import BarsRequest
from trading_assets.errors import SpanTooLong, UnknownBarSize
from trading_assets.instrument import Instrument
from trading_assets.planning.durations import (
    Span,
    duration_for,
    earliest_reach,
    longest_durations,
    second_windows,
    spans,
    within_reach,
)
from trading_assets.sessions import calendar
from trading_assets.simulator.durations import span_of
from trading_assets.simulator.request_checks import check_duration
from trading_assets_tests.planning.broker_model import check_legal, sessions_answered

XNYS = calendar()
SESSIONS = XNYS.sessions(date(2005, 1, 3), date(2015, 12, 24))
NOW = datetime(2015, 12, 24, 18, 30, tzinfo=UTC)
"""Half an hour after the close of a half day."""
SPANNED = [size for size in BAR_SECONDS if size != "1 secs"]


def as_request(bar_size: str, span: Span) -> BarsRequest:
    return BarsRequest(
        Instrument("AAPL"), span.last, bar_size=bar_size, first_session=span.first, end=span.end, duration=span.duration
    )


def fewest(bar_size: str, missing: list[date], sparse: bool) -> int:
    """The least number of requests, counted forward from the first session by the broker model alone."""
    pending, count = list(missing), 0
    while pending:
        reachable = pending[0]
        for last in pending:
            _, most = best_reach(bar_size, last, sparse)
            if pending[0] in most:
                reachable = last
        pending = [session for session in pending if session > reachable]
        count += 1
    return count


def best_reach(bar_size: str, last: date, sparse: bool) -> tuple[str, set[date]]:
    end = min(XNYS.closes_at(last) + timedelta(hours=1), NOW)
    options = [
        (f"{n} {unit}", sessions_answered(end, f"{n} {unit}", XNYS))
        for unit, n in longest_durations(bar_size, sparse=sparse).items()
    ]
    return max(options, key=lambda option: len(option[1]))


@given(st.sampled_from(SPANNED), st.sets(st.sampled_from(SESSIONS[-600:]), min_size=1, max_size=40), st.booleans())
@settings(max_examples=150, deadline=None)
def test_spans_cover_all_missing_sessions_with_legal_durations(bar_size: str, missing: set[date], sparse: bool) -> None:
    planned = spans(bar_size, missing, NOW, XNYS, sparse=sparse)
    answered: set[date] = set()
    for span in planned:
        check_legal(as_request(bar_size, span), NOW)
        assert span.first in missing
        assert span.last in missing
        covered = sessions_answered(span.end, span.duration, XNYS)
        assert set(XNYS.sessions(span.first, span.last)) <= covered
        answered |= covered
    assert missing <= answered
    assert planned == sorted(planned, key=lambda span: span.first)
    assert planned == spans(bar_size, sorted(missing), NOW, XNYS, sparse=sparse)


@given(
    st.sampled_from(["5 secs", "15 secs", "30 secs", "1 min"]), st.integers(0, 500), st.integers(1, 70), st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_a_contiguous_span_costs_the_fewest_requests(bar_size: str, start: int, length: int, sparse: bool) -> None:
    missing = SESSIONS[start : start + length]
    assert len(spans(bar_size, missing, NOW, XNYS, sparse=sparse)) == fewest(bar_size, missing, sparse)


@pytest.mark.parametrize(
    ("bar_size", "first", "last", "sparse", "requests"),
    [
        ("1 day", date(2005, 1, 3), date(2015, 12, 24), False, 1),
        ("1 day", date(2015, 12, 24), date(2015, 12, 24), False, 1),
        ("1 min", date(2014, 1, 2), date(2014, 12, 31), False, 12),
        ("1 min", date(2015, 1, 2), date(2015, 12, 24), True, 1),
        ("30 mins", date(2015, 1, 2), date(2015, 12, 24), True, 1),
        ("8 hours", date(2014, 12, 24), date(2015, 12, 24), True, 1),
        ("1 hour", date(2014, 1, 2), date(2015, 12, 24), False, 1),
    ],
)
def test_tasks_cost_what_the_table_of_least_costs_says(
    bar_size: str, first: date, last: date, sparse: bool, requests: int
) -> None:
    assert len(spans(bar_size, XNYS.sessions(first, last), NOW, XNYS, sparse=sparse)) == requests


@pytest.mark.parametrize("year", [2007, 2010, 2013])
def test_a_symbol_year_of_minutes_is_twelve_requests_in_any_year(year: int) -> None:
    assert len(spans("1 min", XNYS.sessions(date(year, 1, 1), date(year, 12, 31)), NOW, XNYS)) == 12


@given(
    st.sampled_from(list(BAR_SECONDS)),
    st.sets(st.sampled_from(SESSIONS[-400:]), min_size=1, max_size=10),
    st.booleans(),
    st.integers(0, 90),
)
@settings(max_examples=100, deadline=None)
def test_the_simulator_reads_the_durations_as_they_are_meant(
    bar_size: str, missing: set[date], sparse: bool, minutes: int
) -> None:
    """What the simulator answers holds every session from its first bar to its last, also just after the close."""
    now = XNYS.closes_at(max(missing)) + timedelta(minutes=minutes)
    single = bar_size == "1 secs"
    planned = second_windows(max(missing), now, XNYS) if single else spans(bar_size, missing, now, XNYS, sparse=sparse)
    for span in planned:
        answered = span_of(check_duration(span.duration), span.end, True, bar_size)
        if single:
            assert answered.end - answered.start == timedelta(seconds=int(span.duration.split()[0]))
        else:
            assert answered.start <= XNYS.opens_at(span.first)
        assert answered.end == span.end
    assert planned[-1].end >= XNYS.closes_at(max(missing))


def test_bridging_covered_sessions_is_cheaper_than_two_requests() -> None:
    holes = [*SESSIONS[-40:-35], *SESSIONS[-10:-5]]
    assert len(spans("1 day", holes, NOW, XNYS)) == 1
    assert len(spans("1 hour", holes, NOW, XNYS)) == 1


def test_the_end_is_after_the_close_and_never_in_the_future() -> None:
    half_day = date(2015, 12, 24)
    assert duration_for("1 hour", half_day, half_day, NOW, XNYS) == (NOW, "1 D")
    end, _ = duration_for("1 hour", date(2015, 12, 22), date(2015, 12, 23), NOW, XNYS)
    assert end == datetime(2015, 12, 23, 22, 0, tzinfo=UTC)
    with pytest.raises(ValueError, match="not closed"):
        duration_for("1 hour", half_day, half_day, datetime(2015, 12, 24, 17, 59, tzinfo=UTC), XNYS)


def test_the_shortest_sufficient_duration_is_taken() -> None:
    assert duration_for("1 min", SESSIONS[-3], SESSIONS[-1], NOW, XNYS)[1] == "3 D"
    assert duration_for("8 hours", SESSIONS[-3], SESSIONS[-1], NOW, XNYS)[1] == "1 M"
    assert duration_for("1 day", date(2014, 12, 24), SESSIONS[-1], NOW, XNYS)[1] == "2 Y"
    assert duration_for("1 day", date(2014, 12, 26), SESSIONS[-1], NOW, XNYS)[1] == "1 Y"


def test_a_span_too_long_for_one_request_is_refused() -> None:
    with pytest.raises(SpanTooLong, match="1 min"):
        duration_for("1 min", SESSIONS[-60], SESSIONS[-1], NOW, XNYS)


@pytest.mark.parametrize("words", ["1 sec", "1 mins", "1W", "1M", "day"])
def test_words_the_broker_refuses_are_refused_before(words: str) -> None:
    with pytest.raises(UnknownBarSize, match="Bar sizes are"):
        spans(words, SESSIONS[-2:], NOW, XNYS)


@pytest.mark.parametrize(("session", "windows"), [(date(2015, 12, 23), 12), (date(2015, 12, 24), 7)])
def test_second_bars_tile_the_session(session: date, windows: int) -> None:
    found = second_windows(session, NOW, XNYS)
    assert len(found) == windows
    begin = XNYS.opens_at(session)
    for window in found:
        seconds = int(window.duration.removesuffix(" S"))
        assert window.end - timedelta(seconds=seconds) == begin
        assert 30 <= seconds <= 2_000
        begin = window.end
    assert begin == XNYS.closes_at(session)
    requests = [as_request("1 secs", window) for window in found]
    assert len({request.key for request in requests}) == windows


@given(st.sampled_from(SPANNED), st.integers(300, len(SESSIONS) - 2))
@settings(max_examples=60, deadline=None)
def test_the_reach_never_moves_back_when_the_end_moves_forward(bar_size: str, index: int) -> None:
    assert earliest_reach(bar_size, SESSIONS[index], XNYS) <= earliest_reach(bar_size, SESSIONS[index + 1], XNYS)


def test_small_bars_reach_back_six_months_only() -> None:
    assert within_reach("30 secs", SESSIONS, NOW)[0] > date(2015, 6, 26)
    assert within_reach("1 min", SESSIONS, NOW) == SESSIONS
