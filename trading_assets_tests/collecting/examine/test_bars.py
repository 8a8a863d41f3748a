"""Which bars cannot be stored, and of which sessions something is missing because of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from trading_assets.collecting.examine.bars import examine_bars
from trading_assets_tests.collecting.decode.answers import AAPL, CALL, NOW, XNYS, bar, bars_request

DAYS = [date(2015, 12, day) for day in (21, 22, 23)]
DAILY = bars_request(AAPL, DAYS[0], DAYS[-1], "1 day")
MINUTES = bars_request(AAPL, DAYS[0], DAYS[-1], "1 min")


def daily(*changes: tuple[int, int, Any]) -> list[list[Any]]:
    """Bars of `DAYS` and of the two sessions before; a change is (bar, field, value)."""
    bars = [bar(f"{day:%Y%m%d}") for day in (date(2015, 12, 17), date(2015, 12, 18), *DAYS)]
    for position, field, value in changes:
        bars[position][field] = value
    return bars


def minute(day: date, number: int) -> int:
    return int((XNYS.opens_at(day) + timedelta(minutes=number)).timestamp())


def test_what_is_possible_is_kept_as_it_is() -> None:
    assert examine_bars(DAILY, daily(), XNYS, NOW) == (daily(), [], set())
    assert examine_bars(DAILY, daily((2, 5, None), (2, 6, -1), (2, 7, -1), (3, 5, 1.7976931348623157e308)), XNYS, NOW)[
        1:
    ] == ([], set())


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        *(
            (field, value, name)
            for field, name in ((1, "open"), (2, "high"), (3, "low"), (4, "close"))
            for value in (None, 0, -1.0, True, "10", "1,234.5", [])
        ),
        *(
            (field, value, name)
            for field, name in ((1, "open"), (2, "high"), (4, "close"))
            for value in (1e13, 1.7976931348623157e308, 10**31)
        ),
        *(
            (field, value, name)
            for field, name in ((5, "volume"), (6, "wap"))
            for value in (-5, 1e16, 10**400, True, "5", "", {})
        ),
        *((7, value, "bar_count") for value in (-3, 10**31, 1.5, "7", False)),
        *(
            (0, value, "start")
            for value in (
                None,
                "",
                "20151235",
                "2015-12-22",
                1450708200,
                "20151225",
                "19800102",
                "20991231",
                "２０１５１２２２",
            )
        ),
    ],
)
def test_an_impossible_value_costs_its_bar_alone(field: int, value: Any, name: str) -> None:
    bars = daily((3, field, value))
    possible, faults, lacking = examine_bars(DAILY, bars, XNYS, NOW)
    assert possible == daily()[:3] + daily()[4:]
    assert [fault.field for fault in faults] == [name]
    assert lacking == {DAYS[1]}
    assert all(len(str(fault)) < 300 for fault in faults)


@pytest.mark.parametrize(
    ("changes", "name"), [(((3, 3, 10.5),), "low"), (((3, 2, 10.5),), "high"), (((3, 2, 8.0),), "high")]
)
def test_prices_that_contradict_each_other(changes: Any, name: str) -> None:
    _, faults, lacking = examine_bars(DAILY, daily(*changes), XNYS, NOW)
    assert [fault.field for fault in faults] == [name]
    assert lacking == {DAYS[1]}


def test_two_bars_of_one_start_that_differ_are_both_doubtful() -> None:
    twice = [*daily(), bar("20151222", price=11.0)]
    possible, faults, lacking = examine_bars(DAILY, twice, XNYS, NOW)
    assert DAYS[1] in lacking
    assert [fault.field for fault in faults] == ["start", "start"]
    assert [each[0] for each in possible] == ["20151217", "20151218", "20151221", "20151223"]


def test_a_bar_that_comes_twice_alike_is_one() -> None:
    assert examine_bars(DAILY, [*daily(), daily()[3]], XNYS, NOW) == (daily(), [], set())


def test_a_bar_moved_to_another_session_leaves_both_unanswered() -> None:
    """The session whose bar it was must not count as one without trades."""
    _, _, lacking = examine_bars(DAILY, daily((3, 0, "20151223"), (3, 4, 10.5)), XNYS, NOW)
    assert lacking == {DAYS[1], DAYS[2]}
    _, _, lacking = examine_bars(DAILY, daily((3, 0, "20151216")), XNYS, NOW)
    assert lacking == {DAYS[1]}, "not in order"
    _, _, lacking = examine_bars(DAILY, daily((3, 0, "20151223")), XNYS, NOW)
    assert lacking == {DAYS[1]}, "another bar comes twice"


def test_what_nobody_asked_for_is_no_fault() -> None:
    assert examine_bars(DAILY, daily((0, 4, None)), XNYS, NOW)[1:] == ([], set())
    before_the_close = datetime(2015, 12, 23, 18, 0, tzinfo=UTC)
    assert examine_bars(DAILY, daily((4, 4, None)), XNYS, before_the_close)[1:] == ([], set())


def test_a_bar_that_is_no_bar() -> None:
    bars = daily()
    bars[3] = bars[3][:5]
    _, faults, lacking = examine_bars(DAILY, bars, XNYS, NOW)
    assert faults
    assert lacking == {DAYS[1]}


@pytest.mark.parametrize("number", [-1, 390, 400])
def test_bars_outside_the_regular_hours(number: int) -> None:
    bars = [bar(minute(DAYS[0], 0)), bar(minute(DAYS[0], number)), bar(minute(DAYS[1], 0)), bar(minute(DAYS[2], 0))]
    possible, faults, lacking = examine_bars(MINUTES, bars, XNYS, NOW)
    assert len(possible) == 3
    assert [fault.field for fault in faults] == ["start"]
    assert DAYS[0] in lacking


@pytest.mark.parametrize("start", ["20151221", "20151221 09:31:00", -5, 0, 10**31, 1.5e9, True, None])
def test_a_start_that_is_no_instant_makes_the_sessions_beside_it_doubtful(start: Any) -> None:
    bars = [bar(minute(DAYS[0], n)) for n in range(3)] + [bar(minute(DAYS[1], 0)), bar(minute(DAYS[2], 0))]
    bars[1][0] = start
    possible, faults, lacking = examine_bars(MINUTES, bars, XNYS, NOW)
    assert len(possible) == 4
    assert len(faults) == 1
    assert lacking == {DAYS[0]}


def test_a_settlement_bar_of_an_option_is_possible() -> None:
    request = bars_request(CALL, DAYS[0], DAYS[0], "8 hours")
    bars = [bar(minute(DAYS[0], 0)), bar(minute(DAYS[0], 390))]
    assert examine_bars(request, bars, XNYS, NOW) == (bars, [], set())
    assert examine_bars(request, [*bars, bar(minute(DAYS[0], 420))], XNYS, NOW)[2] == {DAYS[0]}
