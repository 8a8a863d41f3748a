"""Marks from a recorder's quotes: only fresh and live ones count, before chain and close."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.collecting.decode.chains import option_expiry
from trading_assets.repositories import ParquetStore, query
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, OPTION_CHAINS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.streaming.store import LiveWriter
from trading_assets.streaming.updates import QuoteUpdate
from trading_assets.trading import Position, PositionGreeks
from trading_assets.trading.live_quotes import LiveQuotes
from trading_assets.trading.valuing import Valuer
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.repositories.frames import bar, option_bar, table
from trading_assets_tests.streaming.live_rows import quote
from trading_assets_tests.trading.desk import CALL, SHARES

SPY, STRIKES = 756733, {607: (1835668648, 1835668649), 608: (1835668650, 1835668651)}
NOW = PLAIN_NOW.astimezone(UTC)


def position(con_id: int, symbol: str, sec_type: str = "STK", **terms: Any) -> Position:
    given = {"local_symbol": symbol, "trading_class": symbol, "expiry": None, "strike": None, "right": None}
    account = {"account": "U1", "multiplier": 1.0, "currency": "USD", "quantity": 1.0, "average_cost": 1.0, "at": NOW}
    return Position(con_id=con_id, symbol=symbol, sec_type=sec_type, **{**given, **account, **terms})


OPTION_TERMS = {"sec_type": "OPT", "expiry": option_expiry("", "20240105"), "multiplier": 100.0}
SPY_CALL = position(1835668648, "SPY", strike=607.0, right="C", **OPTION_TERMS)
AAPL_CALL = position(CALL, "AAPL", strike=68.0, right="C", **OPTION_TERMS)
SPY_SHARES, AAPL_SHARES = position(SPY, "SPY"), position(SHARES, "AAPL")

OPEN = calendar().opens_at(PLAIN_NOW.date())


def recorded(folder: Path, *updates: QuoteUpdate) -> Path:
    """The lake with these quotes recorded."""
    writer = LiveWriter(copy_of(PLAIN, folder))
    writer.append([update._replace(seq=writer.next_seq + place) for place, update in enumerate(updates)])
    writer.close()
    return folder


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quotes of SPY's shares and of one of its calls, five seconds old; of AAPL only a trade of before the open and a
    frozen quote."""
    five = NOW - timedelta(seconds=5)
    update = quote(1, SPY, PLAIN_NOW.date(), "SPY")._replace(underlying_price=None)
    return recorded(
        tmp_path_factory.mktemp("live") / "lake",
        update._replace(received_at=five, bid=611.0, ask=611.02),
        update._replace(con_id=SPY_CALL.con_id, received_at=five, bid=7.6, ask=7.7),
        update._replace(
            con_id=SHARES, symbol="AAPL", received_at=five, bid=None, ask=None, last=70.0,
            last_trade_at=OPEN - timedelta(minutes=1),
        ),
        update._replace(con_id=CALL, symbol="AAPL", received_at=five, bid=2.0, ask=2.1, market_data_type=2),
    )  # fmt: skip


def valued(lake: Path, *positions: Position, now: datetime = NOW, **settings: Any) -> list[PositionGreeks]:
    return Valuer(Settings(data_dir=lake, now=now, **settings), calendar()).value(positions, now)


def test_fresh_quotes_are_the_marks(lake: Path) -> None:
    shares, call = valued(lake, SPY_SHARES, SPY_CALL)
    assert (shares.source, shares.mark, shares.age, shares.delta) == ("live", pytest.approx(611.01), 5.0, 1.0)
    assert (call.source, call.mark, call.age) == ("live", pytest.approx(7.65), 5.0)
    assert call.underlying_price == pytest.approx(611.01), "the price of the shares at that time"
    assert 0.1 < call.implied_volatility < 0.5 and 0.6 < call.delta < 0.9 and call.null_reason is None


def test_an_option_whose_value_is_settled_has_a_mark_and_no_greeks(lake: Path) -> None:
    expired = position(1835665500, "SPY", strike=607.0, right="C", **OPTION_TERMS | {"expiry": PLAIN_NOW.date()})
    (found,) = valued(lake, expired)
    assert (found.source, found.null_reason) == ("chain", "expired") and found.mark > 0 and found.delta != found.delta


@pytest.mark.parametrize("last_trade", ["20991231", "", "2024", "20241399"])
def test_an_option_of_a_far_day_is_not_settled(lake: Path, last_trade: str) -> None:
    far = position(1835668648, "SPY", strike=607.0, right="C", **OPTION_TERMS | {"expiry": date(2099, 12, 31)})
    (found,) = valued(lake, replace(far, last_trade=last_trade))
    assert found.null_reason is None and found.delta > 0


def test_old_quotes_are_not(lake: Path) -> None:
    later = NOW + timedelta(seconds=56)
    assert [one.source for one in valued(lake, SPY_SHARES, SPY_CALL, now=later)] == ["chain", "chain"]
    assert [one.source for one in valued(lake, SPY_SHARES, SPY_CALL, now=later, mark_max_age=90)] == ["live", "live"]


def test_frozen_quotes_and_trades_of_before_the_open_are_not(lake: Path) -> None:
    shares, call = valued(lake, AAPL_SHARES, AAPL_CALL)
    assert (shares.source, shares.mark) == ("chain", 68.26) and (call.source, call.mark) == ("chain", 0.79)


@pytest.mark.parametrize(
    ("seconds", "source", "mark", "age"), [(20, "live", 69.0, 20.0), (61, "chain", 68.26, None)], ids=["fresh", "old"]
)
def test_a_trade_is_a_mark_as_old_as_itself_and_a_quote_without_a_bid_is_none(
    tmp_path: Path, seconds: int, source: str, mark: float, age: float | None
) -> None:
    update = quote(1, SHARES, PLAIN_NOW.date(), "AAPL")._replace(received_at=NOW, bid=None, ask=None)
    trade = update._replace(last=69.0, last_trade_at=NOW - timedelta(seconds=seconds))
    folder = recorded(tmp_path / "lake", trade, update._replace(con_id=CALL, ask=0.05))
    shares, call = valued(folder, AAPL_SHARES, AAPL_CALL)
    assert (shares.source, shares.mark) == (source, mark) and call.source == "chain"
    assert age is None or shares.age == age


@pytest.mark.parametrize(("seconds", "underlying_price"), [(5, 611.0), (61, None)], ids=["fresh", "old"])
def test_the_price_of_the_underlying_in_the_brokers_model_is_not_older_than_a_mark_may_be(
    tmp_path: Path, seconds: int, underlying_price: float | None
) -> None:
    update = quote(1, SPY_CALL.con_id, PLAIN_NOW.date(), "SPY")._replace(
        received_at=NOW, bid=7.6, ask=7.7, underlying_price=611.0, greeks_at=NOW - timedelta(seconds=seconds)
    )
    (call,) = valued(recorded(tmp_path / "lake", update), SPY_CALL)
    assert (call.source, call.mark) == ("live", pytest.approx(7.65))
    if underlying_price is None:
        assert call.null_reason == "no_underlying" and call.delta != call.delta
    else:
        assert call.underlying_price == underlying_price and call.null_reason is None


def test_before_the_open_time_goes_on_and_a_trade_is_no_mark(tmp_path: Path) -> None:
    early = datetime(2024, 1, 3, 13, 0, tzinfo=UTC)
    update = quote(1, SPY_CALL.con_id, early.date(), "SPY")._replace(received_at=early, underlying_price=None)
    folder = recorded(
        tmp_path / "lake",
        update._replace(bid=7.6, ask=7.7),
        update._replace(con_id=SPY, bid=611.0, ask=611.02),
        update._replace(con_id=SHARES, symbol="AAPL", bid=None, ask=None, last=70.0, last_trade_at=early),
    )
    call, shares = valued(folder, SPY_CALL, AAPL_SHARES, now=early)
    settled = datetime(2024, 1, 5, 21, 15, tzinfo=UTC)
    assert call.source == "live" and call.pricing is not None
    assert call.pricing.years == pytest.approx((settled - early) / timedelta(days=365)), "not that of the last close"
    assert shares.source == "chain"


def test_shares_have_the_median_of_the_chain_at_the_median_of_its_times(tmp_path: Path) -> None:
    folder = copy_of(PLAIN, tmp_path / "lake")
    sql = "select * from option_chains where symbol = 'AAPL' and quoted_at is not null order by session desc, con_id"
    row = query(folder, sql).to_pylist()[0]
    late = row | {name: row[name] + timedelta(minutes=20) for name in ("quoted_at", "collected_at")}
    (before,) = valued(folder, AAPL_SHARES)
    ParquetStore(folder).upsert(OPTION_CHAINS, pa.Table.from_pylist([late], schema=OPTION_CHAINS.schema))
    (after,) = valued(folder, AAPL_SHARES)
    assert (after.source, after.mark, after.at) == ("chain", before.mark, before.at), "one late quote makes it no newer"


def test_a_close_counts_where_it_is_of_a_later_session_than_the_chain(tmp_path: Path) -> None:
    store = ParquetStore(copy_of(PLAIN, tmp_path / "lake"))
    marks = {}
    for session in (PLAIN_NOW.date(), date(2024, 1, 3)):
        option = option_bar(session, 1.2, con_id=CALL, strike=68.0, expiry=date(2024, 1, 5)) | {"low": 1.1}
        store.upsert(EQUITY_BARS, table(EQUITY_BARS, [bar(session, 68.0)]))
        store.upsert(OPTION_BARS, table(OPTION_BARS, [option]))
        now = calendar().closes_at(session) + timedelta(hours=1)
        marks[session] = valued(tmp_path / "lake", AAPL_SHARES, AAPL_CALL, now=now)
    of_the_chains_session, (shares, call) = marks.values()
    assert [one.source for one in of_the_chains_session] == ["chain", "chain"]
    assert (shares.source, shares.mark, shares.age) == ("close", 68.0, 3600.0)
    assert (call.source, call.mark, call.age, call.underlying_price) == ("close", 1.2, 3600.0, 68.0)
    assert call.null_reason is None and call.delta > 0


def test_the_value_of_an_index_has_no_time_and_counts_while_it_is_fresh() -> None:
    value = quote(1, 7, PLAIN_NOW.date(), "SPX")._replace(received_at=NOW, bid=None, ask=None, last=4700.0)
    live = LiveQuotes({7: value}, NOW - timedelta(seconds=60), PLAIN_NOW.date(), OPEN)
    assert live.price(7, index=True) == (4700.0, NOW) and live.price(7) is None
