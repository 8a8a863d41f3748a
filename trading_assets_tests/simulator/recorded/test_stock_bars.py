"""Stock bars equal the source files, adjusted as the broker does, and never with a split or dividend that is still to
come."""

from __future__ import annotations

from bisect import bisect_left
from datetime import date

import numpy as np
import pandas as pd
import pytest

from trading_assets.sessions import NEW_YORK
from trading_assets.simulator.market import Bar, MarketRefusal
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets_tests.simulator.recorded.conftest import Read, at, underlying

SPLIT_DAY = at("2014-06-09T16:30-04:00")
DAY_BEFORE = at("2014-06-06T16:30-04:00")
FIRST = at("1998-01-01T00:00-05:00")
COLUMNS = ["session", "open", "high", "low", "close", "volume"]


def frame(bars: list[Bar]) -> pd.DataFrame:
    return pd.DataFrame([[getattr(bar, name) for name in COLUMNS] for bar in bars], columns=COLUMNS)


def source(read: Read, symbol: str, first: date, last: date) -> pd.DataFrame:
    daily = read("equity_bars_daily").query("symbol == @symbol and date >= @first and date <= @last")
    return daily.rename(columns={"date": "session"})[COLUMNS].reset_index(drop=True)


def test_daily_bars_before_a_split_are_as_recorded(market: RecordedMarket, read: Read) -> None:
    bars = market.bars(
        underlying(market, "AAPL", DAY_BEFORE),
        "1 day",
        "TRADES",
        at("2013-06-06T00:00-04:00"),
        DAY_BEFORE,
        True,
        DAY_BEFORE,
    )
    expected = source(read, "AAPL", date(2013, 6, 6), date(2014, 6, 6))
    pd.testing.assert_frame_equal(frame(bars), expected, check_dtype=False, check_exact=True)
    assert all(
        bar.start.astimezone(NEW_YORK).strftime("%H:%M") == "09:30" and bar.wap == -1 and bar.count == -1
        for bar in bars
    )


def test_daily_bars_on_the_split_day_are_divided_by_seven(market: RecordedMarket, read: Read) -> None:
    bars = market.bars(
        underlying(market, "AAPL", SPLIT_DAY),
        "1 day",
        "TRADES",
        at("2013-06-09T00:00-04:00"),
        SPLIT_DAY,
        True,
        SPLIT_DAY,
    )
    expected = source(read, "AAPL", date(2013, 6, 9), date(2014, 6, 9))
    before = expected["session"] < date(2014, 6, 9)
    prices = expected.columns[1:5]
    expected[prices] = expected[prices].where(~before, expected[prices] / 7)
    expected["volume"] = expected["volume"].where(~before, expected["volume"] * 7)
    pd.testing.assert_frame_equal(frame(bars), expected, check_dtype=False, rtol=0, atol=1e-6)
    assert bars[-2].close == 92.224286
    assert bars[-1].close == 93.70


def test_the_split_is_shown_from_its_session_on_and_not_on_the_weekend_before(market: RecordedMarket) -> None:
    for now, close in (("2014-06-08T12:00-04:00", 645.57), ("2014-06-09T04:00-04:00", 92.224286)):
        bars = market.bars(
            underlying(market, "AAPL", at(now)), "1 day", "TRADES", at("2014-06-06T00:00-04:00"), at(now), True, at(now)
        )
        assert [bar.close for bar in bars] == [close]


@pytest.mark.parametrize(
    ("symbol", "now"),
    [("AAPL", "2015-12-24T13:30-05:00"), ("IBM", "2019-03-01T17:00-05:00"), ("AIG", "2015-01-02T17:00-05:00")],
)
def test_whole_histories_are_adjusted_by_the_recorded_factors(
    market: RecordedMarket, read: Read, symbol: str, now: str
) -> None:
    today = at(now).date()
    factors = read("corporate_factors").query("symbol == @symbol").sort_values("date")
    expected = source(read, symbol, date(1998, 1, 1), today)
    ends = factors["date"].tolist()
    rows = [bisect_left(ends, session) for session in expected["session"]]
    in_force = bisect_left(ends, today)
    split = factors["split_factor"].to_numpy()[rows] / factors["split_factor"].iloc[in_force]
    price = factors["price_factor"].to_numpy()[rows] / factors["price_factor"].iloc[in_force]
    contract = underlying(market, symbol, at(now))
    trades = frame(market.bars(contract, "1 day", "TRADES", FIRST, at(now), True, at(now)))
    adjusted = frame(market.bars(contract, "1 day", "ADJUSTED_LAST", FIRST, at(now), True, at(now)))
    assert trades["session"].tolist() == expected["session"].tolist()
    np.testing.assert_allclose(trades["close"], expected["close"] * split, rtol=1e-5)
    np.testing.assert_allclose(trades["volume"], expected["volume"] / split, rtol=2e-5)
    np.testing.assert_allclose(adjusted["close"], expected["close"] * split * price, rtol=1e-5)
    assert adjusted["close"].iloc[-1] == trades["close"].iloc[-1] == expected["close"].iloc[-1]


def test_a_stock_dividend_is_applied_as_recorded(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    goog = underlying(market, "GOOG", now)
    (bar,) = market.bars(goog, "1 day", "TRADES", at("2015-04-24T00:00-04:00"), at("2015-04-25T00:00-04:00"), True, now)
    assert bar.close == pytest.approx(565.06 * 0.997307, abs=1e-6)


def test_rows_of_an_earlier_user_of_the_ticker_are_not_shown(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    head = market.head_timestamp(underlying(market, "GOOG", now), "TRADES", True, now)
    assert head == at("2014-03-27T09:30-04:00")


def test_a_closed_half_day_is_whole_and_an_open_one_in_progress(market: RecordedMarket, read: Read) -> None:
    start = at("2015-12-24T00:00-05:00")
    closed, before_close = at("2015-12-24T13:00-05:00"), at("2015-12-24T11:30:40-05:00")
    goog = underlying(market, "GOOG", closed)
    (bar,) = market.bars(goog, "1 day", "TRADES", start, closed, True, closed)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (749.55, 751.30, 746.56, 748.40, 517084)
    minutes = read("equity_bars_minute").query("symbol == 'GOOG'")
    minutes = minutes[
        (minutes["ts_utc"] >= at("2015-12-24T09:30-05:00")) & (minutes["ts_utc"] < at("2015-12-24T11:30-05:00"))
    ]
    minutes = minutes.dropna(subset=["open"])
    (bar,) = market.bars(goog, "1 day", "TRADES", start, closed, True, before_close)
    expected = (
        minutes["open"].iloc[0],
        minutes["high"].max(),
        minutes["low"].min(),
        minutes["close"].iloc[-1],
        minutes["volume"].sum(),
    )
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == expected


def test_intraday_bars_lie_on_the_clock_and_within_regular_hours(market: RecordedMarket) -> None:
    since, evening = at("2015-12-24T00:00-05:00"), at("2015-12-24T20:30-05:00")
    goog = underlying(market, "GOOG", evening)
    starts = {
        size: [
            bar.start.astimezone(NEW_YORK).strftime("%H:%M")
            for bar in market.bars(goog, size, "TRADES", since, evening, True, evening)
        ]
        for size in ("1 hour", "2 hours", "4 hours", "30 mins", "1 min")
    }
    assert starts["1 hour"] == ["09:30", "10:00", "11:00", "12:00"]
    assert starts["2 hours"] == ["09:30", "10:00", "12:00"]
    assert starts["4 hours"] == ["09:30", "12:00"]
    assert starts["30 mins"] == ["09:30", "10:00", "10:30", "11:00", "11:30", "12:00", "12:30"]
    assert (starts["1 min"][0], starts["1 min"][-1], len(starts["1 min"])) == ("09:30", "12:59", 210)


def test_all_hours_show_the_recorded_pre_and_post_market(market: RecordedMarket, read: Read) -> None:
    now = at("2014-06-06T23:00-04:00")
    bars = market.bars(
        underlying(market, "AAPL", now), "1 min", "TRADES", at("2014-06-06T00:00-04:00"), now, False, now
    )
    minutes = read("equity_bars_minute").query("symbol == 'AAPL' and volume > 0")
    minutes = minutes[minutes["date"] == date(2014, 6, 6)]
    assert [bar.start for bar in bars] == minutes["ts_utc"].tolist()
    assert [bar.close for bar in bars] == minutes["close"].tolist()


def test_hourly_bars_before_the_minutes_come_from_the_hour_file(market: RecordedMarket, read: Read) -> None:
    now = at("2013-06-17T16:30-04:00")
    bars = market.bars(underlying(market, "IBM", now), "1 hour", "TRADES", at("2013-06-17T00:00-04:00"), now, True, now)
    hours = read("equity_bars_hour").query("symbol == 'IBM'")
    hours = hours[hours["ts_utc"].dt.tz_convert("America/New_York").dt.date == date(2013, 6, 17)]
    assert [bar.close for bar in bars] == hours["close"].tolist()
    assert [bar.volume for bar in bars] == hours["volume"].tolist()
    assert bars[0].start == at("2013-06-17T09:30-04:00")


def test_hours_within_a_session_make_its_day_and_weeks_and_months_are_made_of_days(market: RecordedMarket) -> None:
    now = at("2013-06-17T16:30-04:00")
    ibm = underlying(market, "IBM", now)
    since = at("2013-04-01T00:00-04:00")  # a Monday and the first of a month
    days = market.bars(ibm, "1 day", "TRADES", since, now, True, now)
    sessions = market.bars(ibm, "8 hours", "TRADES", since, now, True, now)
    assert [(b.session, b.open, b.close) for b in days] == [(b.session, b.open, b.close) for b in sessions]
    for size in ("1 week", "1W", "1 month", "1M"):
        periods = market.bars(ibm, size, "TRADES", since, now, True, now)
        assert sum(bar.volume for bar in periods) == sum(bar.volume for bar in days)
        assert (periods[0].open, periods[-1].close, max(b.high for b in periods)) == (
            days[0].open,
            days[-1].close,
            max(b.high for b in days),
        )
    assert [bar.session for bar in market.bars(ibm, "1 month", "TRADES", since, now, True, now)][:2] == [
        date(2013, 4, 30),
        date(2013, 5, 31),
    ]


def test_a_request_begins_and_ends_where_it_says(market: RecordedMarket) -> None:
    now = at("2013-06-17T16:30-04:00")
    ibm = underlying(market, "IBM", now)
    bars = market.bars(ibm, "1 week", "TRADES", at("2013-05-15T00:00-04:00"), at("2013-06-03T00:00-04:00"), True, now)
    assert [bar.session for bar in bars] == [date(2013, 5, 24), date(2013, 5, 31)]
    days = market.bars(ibm, "1 day", "TRADES", at("2013-05-24T09:30-04:00"), at("2013-05-28T09:30-04:00"), True, now)
    assert [bar.session for bar in days] == [date(2013, 5, 24)]


def test_quotes_of_a_stock(market: RecordedMarket, read: Read) -> None:
    now = at("2015-12-24T13:30-05:00")
    goog = underlying(market, "GOOG", now)
    start, end = at("2015-12-24T10:00-05:00"), at("2015-12-24T10:01-05:00")
    row = read("equity_bars_minute").query("symbol == 'GOOG'").set_index("ts_utc").loc[start]
    (bid,), (ask,), (middle,), (both,) = (
        market.bars(goog, "1 min", what, start, end, True, now) for what in ("BID", "ASK", "MIDPOINT", "BID_ASK")
    )
    assert (bid.open, bid.high, bid.low, bid.close, bid.volume) == (
        row["bid_open"],
        row["bid_high"],
        row["bid_low"],
        row["bid_close"],
        -1,
    )
    assert (ask.close, middle.close) == (row["ask_close"], (row["bid_close"] + row["ask_close"]) / 2)
    assert (both.high, both.low) == (row["ask_high"], row["bid_low"])


def test_what_was_never_recorded_is_empty_and_a_wrong_size_is_refused(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    goog = underlying(market, "GOOG", now)
    assert market.bars(goog, "30 secs", "TRADES", FIRST, now, True, now) == []
    assert market.bars(goog, "1 day", "HISTORICAL_VOLATILITY", FIRST, now, True, now) == []
    assert market.bars(goog, "1 day", "TRADES", now, FIRST, True, now) == []
    with pytest.raises(MarketRefusal, match="bar size"):
        market.bars(goog, "7 mins", "TRADES", FIRST, now, True, now)
