"""Dividends of the broker's tick 456 and of the setting."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from trading_assets.pricing.dividends import Dividend, DividendSource, broker_dividends, expected_dividends
from trading_assets.sessions import calendar

TODAY = date(2013, 1, 15)


def test_a_quarterly_dividend_is_repeated_over_the_next_year() -> None:
    assert broker_dividends("0.83,0.92,20130219,0.23", TODAY) == [
        Dividend(date(2013, 2, 19), 0.23),
        Dividend(date(2013, 5, 19), 0.23),
        Dividend(date(2013, 8, 19), 0.23),
        Dividend(date(2013, 11, 19), 0.23),
    ]


@pytest.mark.parametrize(("text", "months"), [("1,1,20130131,1", [1]), ("1.9,2,20130131,1", [1, 7])])
def test_once_or_twice_a_year(text: str, months: list[int]) -> None:
    assert [dividend.ex_date.month for dividend in broker_dividends(text, TODAY)] == months


def test_a_monthly_dividend_at_the_end_of_months() -> None:
    days = [dividend.ex_date for dividend in broker_dividends("1.2,1.2,20130131,0.1", TODAY)]
    assert days[:3] == [date(2013, 1, 31), date(2013, 2, 28), date(2013, 3, 31)]
    assert len(days) == 12


def test_a_next_date_that_has_passed_is_followed_by_those_to_come() -> None:
    days = [dividend.ex_date for dividend in broker_dividends("0.92,0.92,20121120,0.23", TODAY)]
    assert days == [date(2013, 2, 20), date(2013, 5, 20), date(2013, 8, 20), date(2013, 11, 20)]


@pytest.mark.parametrize("text", [",,,", "0,0,,", "0.5,0,20130219,0"])
def test_an_underlying_without_dividends(text: str) -> None:
    assert broker_dividends(text, TODAY) == []


@pytest.mark.parametrize(
    "text", ["0.83", "a,b,c,d", "1,1,2013-02-19,1", "1,1,20131319,1", "1,1,20130219,-1", "1,nan,,1"]
)
def test_a_text_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        broker_dividends(text, TODAY)


def test_the_setting_goes_before_the_broker() -> None:
    setting = {"IBM": [(date(2013, 5, 8), 0.95), (date(2013, 2, 6), 0.85), (date(2012, 11, 7), 0.85)]}
    named = expected_dividends("IBM", TODAY, "3.3,3.4,20130206,0.85", setting)
    assert named.source is DividendSource.SETTING
    assert named.dividends == (Dividend(date(2013, 2, 6), 0.85), Dividend(date(2013, 5, 8), 0.95))
    assert expected_dividends("KO", TODAY, "1,1.1,20130313,0.28", setting).source is DividendSource.BROKER
    assert expected_dividends("KO", TODAY, None, setting).source is DividendSource.NONE


def test_the_schedule_counts_to_the_open_of_the_ex_date() -> None:
    expected = expected_dividends("IBM", TODAY, None, {"IBM": [(date(2013, 2, 6), 0.85), (date(2013, 5, 8), 0.95)]})
    at = datetime(2013, 2, 5, 14, 30, tzinfo=UTC)
    schedule = expected.schedule(at, calendar())
    assert schedule[0] == (pytest.approx(1 / 365), 0.85)
    later = datetime(2013, 2, 6, 14, 30, tzinfo=UTC)  # from the open on the share trades without it
    assert [amount for _, amount in expected.schedule(later, calendar())] == [0.95]
