"""When a refusal is requested again: the next session at first, later when it was confirmed, and never after the
contract has died."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trading_assets.collecting.decode import Refusal, Retries
from trading_assets.repositories.schemas import Condition
from trading_assets.sessions import calendar

XNYS = calendar()
KEY = ("8 hours", "AAPL", 7)
MONDAY = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
TUESDAY_OPEN = datetime(2024, 6, 4, 13, 30, tzinfo=UTC)
LONG = timedelta(days=30)


def after(
    instant: datetime, *earlier: Refusal, code: int | None = 162, days: int = 30, last_trade: str = ""
) -> datetime:
    retries = Retries(XNYS, days, dict.fromkeys([KEY], earlier[0]) if earlier else {})
    return retries.after(KEY, Condition.ERROR, code, instant, last_trade=last_trade)


def refused(at: datetime, condition: str = "error", code: int | None = 162, retry: datetime | None = None) -> Refusal:
    return Refusal(condition, code, at, retry)


def test_the_first_refusal_is_asked_again_in_the_next_session() -> None:
    assert after(MONDAY) == TUESDAY_OPEN
    friday_night = datetime(2024, 6, 8, 2, 0, tzinfo=UTC)
    assert after(friday_night) == datetime(2024, 6, 10, 13, 30, tzinfo=UTC)
    before_the_open = datetime(2024, 6, 4, 5, 0, tzinfo=UTC)
    assert after(before_the_open) == TUESDAY_OPEN


def test_the_same_refusal_of_a_later_session_is_believed() -> None:
    tuesday = MONDAY + timedelta(days=1)
    assert after(tuesday, refused(MONDAY)) == tuesday + LONG


@pytest.mark.parametrize(
    "earlier", [refused(MONDAY, "not_permitted"), refused(MONDAY, code=321), refused(MONDAY, code=None)]
)
def test_another_refusal_confirms_nothing(earlier: Refusal) -> None:
    assert after(MONDAY + timedelta(days=1), earlier) == datetime(2024, 6, 5, 13, 30, tzinfo=UTC)


def test_a_refusal_repeated_within_its_session_confirms_nothing_and_undoes_nothing() -> None:
    later = MONDAY + timedelta(hours=2)
    assert after(later, refused(MONDAY, retry=TUESDAY_OPEN)) == TUESDAY_OPEN
    assert after(later, refused(MONDAY, retry=MONDAY + LONG)) == later + LONG


def test_no_wait_is_longer_than_the_setting() -> None:
    assert after(MONDAY, days=0) == MONDAY
    assert after(MONDAY, days=0, last_trade="20240603") == MONDAY


def test_an_option_is_asked_again_while_it_lives() -> None:
    confirmed = refused(MONDAY - timedelta(days=3))
    assert after(MONDAY, confirmed, last_trade="20240607") == datetime(2024, 6, 7, 4, 0, tzinfo=UTC), (
        "midnight New York of its last day"
    )
    assert after(MONDAY, confirmed, last_trade="20240719") == MONDAY + LONG
    assert after(MONDAY, last_trade="20240604") == datetime(2024, 6, 4, 4, 0, tzinfo=UTC)


def test_on_its_last_day_an_option_is_asked_again_soon() -> None:
    confirmed = refused(MONDAY - timedelta(days=3))
    for earlier in ((), (confirmed,)):
        assert after(MONDAY, *earlier, last_trade="20240603") == MONDAY + timedelta(hours=1)
    half_past_eleven = datetime(2024, 6, 4, 3, 30, tzinfo=UTC)
    assert after(half_past_eleven, last_trade="20240603") == half_past_eleven, "an hour later it would be too late"


def test_what_says_nothing_about_the_contract_is_never_believed() -> None:
    tuesday, wednesday_open = MONDAY + timedelta(days=1), TUESDAY_OPEN + timedelta(days=1)
    for code in (478, 9999):
        assert after(tuesday, refused(MONDAY, code=code), code=code) == wednesday_open
