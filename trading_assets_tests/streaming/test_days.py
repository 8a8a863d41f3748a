"""Sessions and their hours: also over a weekend in which the clocks change, in the recorder as well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from trading_assets.simulator import Simulator
from trading_assets.streaming.days import Days
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets_tests.streaming.recording import QUICK, recording, run


@pytest.mark.parametrize(
    ("friday", "monday", "opens"), [("2024-03-08", "2024-03-11", (14, 13)), ("2024-11-01", "2024-11-04", (13, 14))]
)
def test_the_clocks_change_between_two_sessions(friday: str, monday: str, opens: tuple[int, int]) -> None:
    """The day begins at midnight in New York and the session at half past nine, whatever the hour is in UTC."""
    days, first, last = Days(), date.fromisoformat(friday), date.fromisoformat(monday)
    for day, hour in zip((first, last), opens, strict=True):
        midnight = datetime(day.year, day.month, day.day, hour - 9, tzinfo=UTC)
        assert days.begins(midnight.replace(hour=20)) == midnight
        assert days.session(midnight) == day
        opened = midnight.replace(hour=hour, minute=30)
        assert days.opened_at(opened) == opened and days.is_regular(opened)
        assert not days.is_regular(opened.replace(minute=29))
        closed = opened.replace(hour=hour + 7, minute=0)
        assert days.is_regular(closed.replace(hour=hour + 6, minute=59)) and not days.is_regular(closed)
    assert days.session(datetime(last.year, last.month, last.day, opens[1] - 10, 59, tzinfo=UTC)) == first, "Sunday"


def test_the_recorder_over_such_a_weekend(lake: Path, simulate: Callable[..., Simulator]) -> None:
    """The gap is divided at midnight of the new time, the first bar is that of half past nine of it."""
    friday, early = datetime(2024, 3, 8, 20, 59, tzinfo=UTC), datetime(2024, 3, 11, 13, 29, 50, tzinfo=UTC)
    tws = simulate(now=friday)

    async def work() -> None:
        resumes_soon = replace(QUICK, resume_seconds=0.3)
        async with recording(lake, tws, Subscription("AAA"), timing=resumes_soon) as one:
            await one.until_live("AAA")
            await one.until(lambda: one.asked("realtime_bars") == 1)
            tws.faults.trigger("connectivity_lost", seconds=None)
            await one.until_state("AAA", StreamState.DOWN)
            tws.clock.set(early)
            midnight = datetime(2024, 3, 11, 4, 0, tzinfo=UTC)
            await one.until(lambda: len(one.writer.gaps_of(1)) == 2)
            assert [(gap.session, gap.began, gap.ended) for gap in one.writer.gaps_of(1)] == [
                (date(2024, 3, 8), friday, midnight),
                (date(2024, 3, 11), midnight, None),
            ]
            tws.faults.end("connectivity_lost")
            await one.until(lambda: one.of("AAA").state in (StreamState.LIVE, StreamState.FROZEN))
            await one.until(lambda: one.asked("realtime_bars") == 2)
            before = [bar.start for bar in one.writer.bars]
            tws.clock.set(datetime(2024, 3, 11, 13, 30, 10, tzinfo=UTC))
            await one.until(lambda: len(one.writer.bars) > len(before))
            opened = datetime(2024, 3, 11, 13, 30, tzinfo=UTC)
            assert next(bar.start for bar in one.writer.bars if bar.start > friday) == opened
            await one.until_live("AAA")
            assert one.writer.bars[-1].session == date(2024, 3, 11)

    run(work())
