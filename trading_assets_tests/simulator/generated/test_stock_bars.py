"""Bars of underlyings: sizes agree, half days, halts, splits and dividends, nothing later than now."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.sessions import NEW_YORK, SessionCalendar
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import Bar, MarketRefusal
from trading_assets_tests.simulator.generated.questions import INTRADAY, day_bars, new_york, underlying

CALENDAR = SessionCalendar(last=date(2026, 12, 31))
DAY = date(2025, 6, 17)
EVENING = new_york(DAY, 20, 30)
HALF_DAY = date(2024, 11, 29)
MARKET = GeneratedMarket(42)


def together(bars: list[Bar]) -> tuple[float, float, float, float, float, int]:
    """Open, high, low, close, volume and count of bars taken as one."""
    return (
        bars[0].open, max(bar.high for bar in bars), min(bar.low for bar in bars), bars[-1].close,
        sum(bar.volume for bar in bars),
        sum(bar.count for bar in bars),
    )  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["AAPL", "SPY", "SPX", "VIX", "QWER", "F"]),
    st.sampled_from(CALENDAR.sessions(date(1998, 6, 1), date(2026, 6, 1))),
    st.sampled_from([size for size in INTRADAY if "secs" not in size]),
    st.booleans(),
)
def test_all_sizes_agree_with_the_daily_bar(symbol: str, day: date, size: str, use_rth: bool) -> None:
    now = new_york(day, 20, 30)
    contract = underlying(MARKET, symbol, now)
    (daily,) = day_bars(MARKET, contract, "1 day", day, now, use_rth=use_rth)
    bars = day_bars(MARKET, contract, size, day, now, use_rth=use_rth)
    assert together(bars) == together([daily])
    for bar in [daily, *bars]:
        assert 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert all(price == round(price, 2) for price in (bar.open, bar.high, bar.low, bar.close))
        assert bar.volume == int(bar.volume)
        assert bar.session == day
        if bar.count:
            assert bar.low <= bar.wap <= bar.high
    assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})


@pytest.mark.parametrize("symbol", ["AAPL", "SPX", "QWER"])
@pytest.mark.parametrize("size", ["1 secs", "5 secs", "30 secs"])
def test_seconds_agree_with_their_minutes(market: GeneratedMarket, symbol: str, size: str) -> None:
    contract = underlying(market, symbol, EVENING)
    begin, end = new_york(DAY, 10, 15), new_york(DAY, 10, 20)
    minutes = market.bars(contract, "1 min", "TRADES", begin, end, True, EVENING)
    seconds = market.bars(contract, size, "TRADES", begin, end, True, EVENING)
    assert len(minutes) == 5
    for minute in minutes:
        inside = [bar for bar in seconds if minute.start <= bar.start < minute.start + timedelta(minutes=1)]
        assert together(inside) == together([minute])


def test_bars_are_aligned_to_the_clock(market: GeneratedMarket) -> None:
    stock = underlying(market, "AAPL", EVENING)

    def starts(size: str, use_rth: bool = True) -> list[str]:
        bars = day_bars(market, stock, size, DAY, EVENING, use_rth=use_rth)
        return [f"{bar.start.astimezone(NEW_YORK):%H:%M}" for bar in bars]

    assert starts("1 hour") == ["09:30", "10:00", "11:00", "12:00", "13:00", "14:00", "15:00"]
    assert starts("2 hours") == ["09:30", "10:00", "12:00", "14:00"]
    assert starts("4 hours") == ["09:30", "12:00"]
    assert starts("8 hours") == ["09:30"]
    assert starts("8 hours", use_rth=False) == ["04:00", "08:00", "16:00"]
    assert starts("30 mins")[:3] == ["09:30", "10:00", "10:30"]
    assert len(starts("1 min")) == 390


def test_a_half_day_has_210_minutes(market: GeneratedMarket) -> None:
    now = new_york(HALF_DAY, 18, 0)
    index = underlying(market, "SPX", now)
    bars = day_bars(market, index, "1 min", HALF_DAY, now)
    assert len(bars) == 210
    assert bars[-1].start == new_york(HALF_DAY, 12, 59)
    assert [bar.start for bar in day_bars(market, index, "1 hour", HALF_DAY, now)][-1] == new_york(HALF_DAY, 12, 0)


def test_a_halt_leaves_minutes_out(market: GeneratedMarket) -> None:
    now = new_york(date(2025, 6, 17))
    stock = underlying(market, "AMD", now)
    whole_days = [
        day for day in CALENDAR.sessions(date(2015, 1, 1), date(2025, 6, 16)) if not CALENDAR.is_half_day(day)
    ]
    halted = next(day for day in whole_days if len(day_bars(market, stock, "1 min", day, now)) < 390)
    minutes = day_bars(market, stock, "1 min", halted, now)
    assert len(minutes) > 300
    (daily,) = day_bars(market, stock, "1 day", halted, now)
    assert together(minutes) == together([daily])


def test_weeks_and_months_are_named_by_their_last_session(market: GeneratedMarket) -> None:
    now = new_york(date(2025, 6, 18), 11, 0)
    stock = underlying(market, "AAPL", now)
    weeks = market.bars(stock, "1W", "TRADES", new_york(date(2025, 5, 18)), now, True, now)
    assert [bar.session for bar in weeks] == [
        date(2025, 5, 23),
        date(2025, 5, 30),
        date(2025, 6, 6),
        date(2025, 6, 13),
        date(2025, 6, 18),
    ]
    (may,) = market.bars(stock, "1M", "TRADES", new_york(date(2025, 4, 30)), new_york(date(2025, 5, 31)), True, now)
    days = market.bars(stock, "1 day", "TRADES", new_york(date(2025, 4, 30)), new_york(date(2025, 5, 31)), True, now)
    assert together([may]) == together(days)
    assert may.session == date(2025, 5, 30)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 390 * 60),
    st.sampled_from(["1 day", "8 hours", "1 hour", "5 mins", "1 min", "30 secs"]),
    st.sampled_from(["AAPL", "SPX"]),
)
def test_the_bar_in_progress_holds_what_is_known(second: int, size: str, symbol: str) -> None:
    """What is shown at a moment is what the finished seconds before it say."""
    now = new_york(DAY, 9, 30) + timedelta(seconds=second)
    contract = underlying(MARKET, symbol, now)
    bars = day_bars(MARKET, contract, size, DAY, now)
    assert all(bar.start < now for bar in bars)
    seconds = MARKET.bars(
        contract, "1 secs", "TRADES", max(now - timedelta(minutes=3), new_york(DAY, 9, 30)), now, True, EVENING
    )
    seconds = [bar for bar in seconds if bar.start < now]
    if seconds:
        assert bars[-1].close == seconds[-1].close
        assert MARKET.quote(contract, now).last == bars[-1].close
    finished = day_bars(MARKET, contract, size, DAY, EVENING)
    assert bars[:-1] == finished[: max(len(bars) - 1, 0)]


def test_a_split_restates_history_from_its_first_session(market: GeneratedMarket) -> None:
    split, ratio = next((day, ratio) for day, ratio in market.splits("AAPL") if day > date(2012, 1, 1))
    eve = CALENDAR.previous(split)
    stock = underlying(market, "AAPL", new_york(eve))
    begin = new_york(CALENDAR.previous(split, 20))
    before = market.bars(stock, "1 day", "TRADES", begin, new_york(eve, 23), True, new_york(eve, 23))
    after = market.bars(stock, "1 day", "TRADES", begin, new_york(eve, 23), True, new_york(split, 0, 1))
    assert len(before) == len(after) == 19
    for old, new in zip(before, after, strict=True):
        assert new.close == round(old.close / ratio, 4)
        assert new.volume == old.volume * ratio
    (first,) = day_bars(market, stock, "1 day", split, new_york(split))
    assert abs(first.open / after[-1].close - 1) < 0.2
    hours = day_bars(market, stock, "1 hour", eve, new_york(split))
    assert together(hours) == together(day_bars(market, stock, "1 day", eve, new_york(split)))


def test_adjusted_last_takes_dividends_off(market: GeneratedMarket) -> None:
    ex, amount = next((day, amount) for day, amount in market.dividends("IBM") if day > date(2024, 1, 1))
    now = new_york(ex)
    stock = underlying(market, "IBM", now)
    days = [CALENDAR.previous(ex, 2), ex]
    trades, adjusted = (
        market.bars(stock, "1 day", what, new_york(days[0], 0), now, True, now) for what in ("TRADES", "ADJUSTED_LAST")
    )
    assert adjusted[-1] == trades[-1]
    assert adjusted[-2].close == pytest.approx(trades[-2].close - amount, abs=0.005)


def test_quote_bars_lie_around_the_trades(market: GeneratedMarket) -> None:
    stock = underlying(market, "AAPL", EVENING)
    trades, bid, ask, mid, both = (
        day_bars(market, stock, "5 mins", DAY, EVENING, what)
        for what in ("TRADES", "BID", "ASK", "MIDPOINT", "BID_ASK")
    )
    for t, b, a, m, x in zip(trades, bid, ask, mid, both, strict=True):
        assert b.close < t.close < a.close
        assert b.close < m.close < a.close
        assert (x.high, x.low) == (a.high, b.low)
        assert (b.volume, b.wap, b.count) == (-1, -1, -1)
    assert day_bars(market, underlying(market, "SPX", EVENING), "5 mins", DAY, EVENING, "BID") == []
    with pytest.raises(MarketRefusal):
        day_bars(market, stock, "5 mins", DAY, EVENING, "FEE_RATE")
    with pytest.raises(MarketRefusal):
        day_bars(market, stock, "7 mins", DAY, EVENING)


def test_nothing_before_the_listing(market: GeneratedMarket) -> None:
    now = new_york(DAY)
    stock = underlying(market, "META", now)
    head = market.head_timestamp(stock, "TRADES", True, now)
    assert head is not None
    assert head.year == 2012
    everything = market.bars(stock, "1 day", "TRADES", new_york(date(1998, 1, 1)), now, True, now)
    assert everything[0].start == head
    assert market.head_timestamp(stock, "TRADES", True, head - timedelta(days=3)) is None
