"""Exercise style and the minute of settlement."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from trading_assets.pricing.exercise import ExerciseStyle, exercise_style, settlement, years_until
from trading_assets.sessions import calendar
from trading_assets.stored_calendar import NEW_YORK


@pytest.mark.parametrize("symbol", ["SPX", "NDX", "RUT", "VIX", "XSP"])
def test_index_options_are_european(symbol: str) -> None:
    assert exercise_style(symbol) is ExerciseStyle.EUROPEAN
    assert exercise_style(symbol, "IND") is ExerciseStyle.EUROPEAN


@pytest.mark.parametrize(("symbol", "sec_type"), [("AAPL", "STK"), ("SPY", "STK"), ("SPY", None), ("OEX", "IND")])
def test_options_on_stocks_funds_and_oex_are_american(symbol: str, sec_type: str | None) -> None:
    assert exercise_style(symbol, sec_type) is ExerciseStyle.AMERICAN


def test_an_index_that_is_in_no_list_is_european() -> None:
    assert exercise_style("MNX", "IND") is ExerciseStyle.EUROPEAN


@pytest.mark.parametrize(
    ("symbol", "trading_class", "expiry", "known", "expected"),
    [
        # PM: the close of the expiry date; 13:00 on half days
        ("AAPL", "AAPL", date(2024, 6, 21), {}, datetime(2024, 6, 21, 16, 0)),
        ("SPX", "SPXW", date(2024, 6, 21), {}, datetime(2024, 6, 21, 16, 0)),
        ("XSP", "XSP", date(2024, 6, 21), {}, datetime(2024, 6, 21, 16, 0)),
        ("GOOG", "GOOG", date(2015, 12, 24), {}, datetime(2015, 12, 24, 13, 0)),
        # beyond the calendar: a usual day, a Saturday's Friday
        ("AAPL", "AAPL", date(2099, 6, 19), {}, datetime(2099, 6, 19, 16, 0)),
        ("AAPL", "AAPL", date(2099, 6, 20), {}, datetime(2099, 6, 19, 16, 0)),
        ("SPY", "SPY", date(2099, 6, 19), {}, datetime(2099, 6, 19, 16, 15)),
        ("SPX", "SPX", date(2099, 6, 19), {"last_trade": date(2099, 6, 18)}, datetime(2099, 6, 19, 9, 30)),
        # 16:15 where listed so, or where the contract details say so
        ("SPY", "SPY", date(2025, 3, 26), {}, datetime(2025, 3, 26, 16, 15)),
        ("SPY", "SPY", date(2024, 11, 29), {}, datetime(2024, 11, 29, 13, 15)),
        ("SPY", "SPY", date(2025, 3, 26), {"last_trade_time": time(16, 0)}, datetime(2025, 3, 26, 16, 0)),
        ("ABC", "ABC", date(2025, 3, 26), {"last_trade_time": time(16, 15)}, datetime(2025, 3, 26, 16, 15)),
        # AM: the open of the expiry date, by class or by a last trading day before
        ("SPX", "SPX", date(2020, 1, 17), {"last_trade": date(2020, 1, 16)}, datetime(2020, 1, 17, 9, 30)),
        ("SPX", "SPX", date(2020, 1, 17), {}, datetime(2020, 1, 17, 9, 30)),
        ("VIX", "VIXW", date(2024, 6, 26), {}, datetime(2024, 6, 26, 9, 30)),
        ("ZZZ", "ZZZ", date(2020, 1, 17), {"last_trade": date(2020, 1, 16)}, datetime(2020, 1, 17, 9, 30)),
        # A Saturday (until 2015) and Good Friday count as the session before
        ("AAPL", "AAPL", date(2014, 6, 21), {"last_trade": date(2014, 6, 20)}, datetime(2014, 6, 20, 16, 0)),
        ("SPX", "SPX", date(2014, 6, 21), {"last_trade": date(2014, 6, 19)}, datetime(2014, 6, 20, 9, 30)),
        ("AAPL", "AAPL", date(2014, 4, 18), {}, datetime(2014, 4, 17, 16, 0)),
    ],
)
def test_settlement(symbol: str, trading_class: str, expiry: date, known: dict, expected: datetime) -> None:
    assert settlement(symbol, trading_class, expiry, calendar(), **known) == expected.replace(tzinfo=NEW_YORK)


def test_years_are_counted_to_the_second_and_end_at_zero() -> None:
    settled = datetime(2024, 6, 21, 20, 0, tzinfo=UTC)
    assert years_until(settled, datetime(2023, 6, 22, 20, 0, tzinfo=UTC)) == 1.0
    assert years_until(settled, datetime(2024, 6, 21, 19, 59, tzinfo=UTC)) == pytest.approx(1 / (365 * 1440))
    assert years_until(settled, datetime(2024, 6, 21, 20, 0, 1, tzinfo=UTC)) == 0.0
    with pytest.raises(ValueError, match="two instants with a time zone"):
        years_until(settled, datetime(2024, 6, 21))
