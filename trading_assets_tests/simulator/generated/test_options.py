"""Option bars and quotes: consistent with the underlying, with each other, and with the surface."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trading_assets.pricing import black_scholes
from trading_assets.sessions import SessionCalendar
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ListedContract
from trading_assets_tests.simulator.generated.questions import chain, day_bars, near_the_money, new_york, underlying
from trading_assets_tests.simulator.generated.test_stock_bars import together

CALENDAR = SessionCalendar(last=date(2026, 12, 31))
SESSIONS = CALENDAR.sessions(date(2012, 1, 4), date(2026, 6, 1))
MARKET = GeneratedMarket(42)
CENT = 0.0051
"""Rounding of a price to the cent."""


def pick(symbol: str, day: date, now: datetime, place: float) -> ListedContract:
    """A listed option: `place` in [0, 1) chooses it."""
    contracts = [contract for contract in chain(MARKET, symbol, now) if contract.last_trade >= f"{day:%Y%m%d}"]
    return contracts[int(place * len(contracts))]


def intrinsic(contract: ListedContract, spot: float) -> float:
    return max(spot - contract.strike if contract.right == "C" else contract.strike - spot, 0.0)


places = st.floats(0, 1, exclude_max=True)
symbols = st.sampled_from(["AAPL", "SPY", "SPX", "QWER"])


@settings(max_examples=40, deadline=None)
@given(
    symbols,
    st.sampled_from(SESSIONS),
    places,
    st.sampled_from(["1 min", "5 mins", "30 mins", "1 hour", "4 hours"]),
    st.sampled_from(["TRADES", "BID", "ASK"]),
)
@example("SPY", date(2023, 6, 12), 0.4494853324265036, "1 min", "TRADES")  # a high of 34.27496
def test_all_sizes_agree_with_the_session_bar(symbol: str, day: date, place: float, size: str, what: str) -> None:
    now = new_york(day, 18)
    contract = pick(symbol, day, now, place)
    session, parts = (
        day_bars(MARKET, contract, "8 hours", day, now, what),
        day_bars(MARKET, contract, size, day, now, what),
    )
    assert len(session) <= 1
    assert bool(session) == bool(parts)
    if what == "TRADES" and session:
        assert together(parts) == together(session)
    elif session:
        assert together(parts)[:4] == pytest.approx(together(session)[:4])
    for bar in [*session, *parts]:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.start >= CALENDAR.opens_at(day)


@settings(max_examples=40, deadline=None)
@given(symbols, st.sampled_from(SESSIONS), places)
def test_prices_keep_to_intrinsic_value_and_spot(symbol: str, day: date, place: float) -> None:
    """In each minute an option trades above intrinsic value, at the underlying's prices of that minute."""
    now = new_york(day, 18)
    contract = pick(symbol, day, now, place)
    stock = {bar.start: bar for bar in day_bars(MARKET, underlying(MARKET, symbol, now), "1 min", day, now)}
    for bar in day_bars(MARKET, contract, "1 min", day, now):
        under = stock[bar.start]
        cheapest = under.low if contract.right == "C" else under.high
        assert bar.low >= intrinsic(contract, cheapest) - CENT
        assert bar.high <= (under.high if contract.right == "C" else contract.strike) + CENT
    close = MARKET.quote(contract, now)
    assert close.ask is not None
    assert close.ask > intrinsic(contract, stock[max(stock)].close) - CENT


@settings(max_examples=30, deadline=None)
@given(symbols, st.sampled_from(SESSIONS), places, st.integers(9 * 60 + 31, 15 * 60 + 59))
def test_put_call_parity_holds_within_the_spreads(symbol: str, day: date, place: float, minute: int) -> None:
    if CALENDAR.is_half_day(day):
        minute = 11 * 60
    now = new_york(day, minute // 60, minute % 60, 20)
    one = pick(symbol, day, now, place)
    pair = [
        c
        for c in chain(MARKET, symbol, now, last_trade=one.last_trade, trading_class=one.trading_class)
        if c.strike == one.strike
    ]
    call, put = sorted(pair, key=lambda contract: contract.right)
    spot = MARKET.quote(underlying(MARKET, symbol, now), now).last or 0.0
    c, p = MARKET.quote(call, now), MARKET.quote(put, now)
    assert (c.bid or 0.0) - (p.ask or 0.0) <= spot - one.strike + CENT
    assert (c.ask or 0.0) - (p.bid or 0.0) >= spot - one.strike - CENT
    assert c.greeks["model"].implied_volatility == pytest.approx(p.greeks["model"].implied_volatility)


@pytest.mark.parametrize("symbol", ["AAPL", "SPX"])
def test_prices_are_monotone_in_the_strike_and_in_time(symbol: str) -> None:
    now = new_york(date(2025, 6, 17), 11)
    trading_class = "SPXW" if symbol == "SPX" else symbol
    calls = chain(MARKET, symbol, now, right="C", trading_class=trading_class)
    spot = MARKET.quote(underlying(MARKET, symbol, now), now).last or 0.0
    expiries = sorted({contract.last_trade for contract in calls})
    for expiry in expiries[1::4]:
        ladder = sorted(
            (contract for contract in calls if contract.last_trade == expiry), key=lambda contract: contract.strike
        )
        values = [MARKET.quote(contract, now).greeks["model"].price or 0.0 for contract in ladder[::3]]
        assert all(high >= low - 1e-9 for high, low in pairwise(values))
    asks = [
        MARKET.quote(near_the_money([c for c in calls if c.last_trade == expiry], spot, 1)[0], now)
        .greeks["model"]
        .price
        for expiry in expiries
    ]
    assert asks[0] < asks[len(asks) // 2] < asks[-1]  # type: ignore[operator]


def test_greeks_are_those_of_the_price() -> None:
    now = new_york(date(2025, 6, 17), 11)
    spot = MARKET.quote(underlying(MARKET, "AAPL", now), now).last or 0.0
    for contract in near_the_money(chain(MARKET, "AAPL", now, last_trade="20250718"), spot, 6):
        quote = MARKET.quote(contract, now)
        assert set(quote.greeks) >= {"bid", "ask", "model"}
        model = quote.greeks["model"]
        assert (
            model.implied_volatility
            and model.delta
            and model.price
            and model.vega
            and model.theta
            and model.underlying_price == spot
        )
        assert (model.delta > 0) == (contract.right == "C")
        assert quote.bid and quote.ask and quote.bid < model.price < quote.ask
        for side, price in (("bid", quote.bid), ("ask", quote.ask)):
            implied = quote.greeks[side].implied_volatility
            years = (new_york(date(2025, 7, 18), 16, 0) - now) / timedelta(days=365)
            assert implied is not None
            assert black_scholes.price(spot, contract.strike, years, implied, contract.right) == pytest.approx(
                price, abs=1e-6
            )


def test_some_contracts_never_trade_and_far_ones_have_no_bid() -> None:
    now = new_york(date(2025, 6, 17), 18)
    contracts = chain(MARKET, "AAPL", now)
    untraded = [
        c for c in contracts if not MARKET.bars(c, "8 hours", "TRADES", now - timedelta(days=365), now, True, now)
    ]
    assert 0.02 < len(untraded) / len(contracts) < 0.5
    assert MARKET.head_timestamp(untraded[0], "TRADES", True, now) is None
    assert MARKET.bars(untraded[0], "8 hours", "ASK", now - timedelta(days=365), now, True, now)
    quotes = [MARKET.quote(c, now) for c in contracts]
    assert any(quote.bid is None and quote.bid_size == 0 and quote.ask for quote in quotes)
    assert all(quote.ask and quote.ask > (quote.bid or 0.0) for quote in quotes)
    assert any((quote.call_open_interest or 0) > 100 for quote in quotes)


def test_the_session_so_far() -> None:
    """During a session the quote and the bar in progress tell the same, and less than at its end."""
    day = date(2025, 6, 17)
    now, evening = new_york(day, 11, 7, 33), new_york(day, 18)
    spot = MARKET.quote(underlying(MARKET, "AAPL", now), now).last or 0.0
    for contract in near_the_money(chain(MARKET, "AAPL", now, last_trade="20250627"), spot, 4):
        quote = MARKET.quote(contract, now)
        (bar,) = day_bars(MARKET, contract, "8 hours", day, now)
        (whole,) = day_bars(MARKET, contract, "8 hours", day, evening)
        assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (
            quote.open,
            quote.high,
            quote.low,
            quote.last,
            quote.volume,
        )
        assert bar.volume < whole.volume
        assert bar.open == whole.open
        seconds = MARKET.bars(contract, "30 secs", "TRADES", now - timedelta(minutes=20), now, True, now)
        if seconds:
            assert seconds[-1].close == bar.close


def test_outside_hours_the_quote_is_that_of_the_close() -> None:
    friday, sunday = new_york(date(2025, 6, 13), 16, 0), new_york(date(2025, 6, 15), 12, 0)
    for contract in [underlying(MARKET, "AAPL", friday), *chain(MARKET, "AAPL", sunday)[100:900:200]]:
        assert MARKET.quote(contract, friday) == MARKET.quote(contract, sunday)


def test_on_the_morning_of_a_split_quotes_are_in_new_prices() -> None:
    split, ratio = next((day, ratio) for day, ratio in MARKET.splits("AAPL") if day > date(2012, 1, 1))
    eve, morning = new_york(CALENDAR.previous(split), 18), new_york(split, 8)
    stock = underlying(MARKET, "AAPL", eve)
    old, new = MARKET.quote(stock, eve), MARKET.quote(stock, morning)
    assert new.last == pytest.approx((old.last or 0) / ratio, abs=1e-3)
    contract = near_the_money(chain(MARKET, "AAPL", morning, right="C"), new.last or 0, 1)[0]
    quote = MARKET.quote(contract, morning)
    assert quote.ask and new.last and quote.ask < 0.5 * new.last
    assert quote.greeks["model"].underlying_price == new.last
