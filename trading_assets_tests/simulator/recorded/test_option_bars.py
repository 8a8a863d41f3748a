"""Option bars equal the recorded file that is to be trusted: hours and daily rows over minutes."""

from __future__ import annotations

from datetime import date, datetime

import pandas as pd
import pytest

from trading_assets.sessions import NEW_YORK
from trading_assets.simulator.market import ContractQuery
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets_tests.simulator.recorded.conftest import Read, at, options

CASES = [
    ("GOOG", "2015-12-24T13:30-05:00", [date(2015, 12, 23), date(2015, 12, 24)]),
    ("AAPL", "2014-06-06T16:30-04:00", [date(2014, 6, 6)]),
    ("AAPL", "2014-06-09T16:30-04:00", [date(2014, 6, 9)]),
]
BAR = ["open", "high", "low", "close", "volume"]


@pytest.mark.parametrize(("symbol", "now", "sessions"), CASES)
def test_bars_of_eight_hours_are_the_recorded_days_of_every_contract(
    market: RecordedMarket, read: Read, symbol: str, now: str, sessions: list[date]
) -> None:
    instant = at(now)
    asked = options(market, symbol, instant)
    found = {
        (contract.local_symbol, bar.session): [bar.open, bar.high, bar.low, bar.close, bar.volume]
        for contract in asked
        for bar in market.bars(contract, "8 hours", "TRADES", at("2014-06-01T00:00-04:00"), instant, True, instant)
    }
    daily = read("option_bars_daily").query("underlying == @symbol and volume > 0")
    daily = daily[daily["date"].isin(sessions) & daily["osi"].isin([contract.local_symbol for contract in asked])]
    expected = {(row.osi, row.date): [row.open, row.high, row.low, row.close, row.volume] for row in daily.itertuples()}
    hidden = {key for key in found if key[1] not in sessions}
    assert {key: bar for key, bar in found.items() if key not in hidden} == expected
    assert len(expected) > 300
    assert all(session < instant.date() for _, session in hidden)


def test_bars_of_eight_hours_start_at_the_open(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    starts = {
        bar.start.astimezone(NEW_YORK).strftime("%H:%M")
        for contract in options(market, "GOOG", now)[::5]
        for bar in market.bars(contract, "8 hours", "TRADES", at("2015-12-01T00:00-05:00"), now, True, now)
    }
    assert starts == {"09:30"}


def test_hourly_bars_are_the_hour_file_also_where_minutes_are_recorded(market: RecordedMarket, read: Read) -> None:
    now = at("2015-12-24T13:30-05:00")
    hours = read("option_bars_hour").query("underlying == 'GOOG' and volume > 0")
    checked = 0
    for osi, rows in hours.groupby("osi"):
        (contract,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol=str(osi)), now)
        bars = market.bars(contract, "1 hour", "TRADES", at("2015-12-01T00:00-05:00"), now, True, now)
        assert [[bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars] == rows.sort_values("ts_utc")[
            BAR
        ].to_numpy().tolist()
        checked += len(bars)
    assert checked == len(hours)


def test_the_settlement_bar_of_a_half_day_starts_at_the_close(market: RecordedMarket) -> None:
    now = at("2015-12-24T13:30-05:00")
    (contract,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol="GOOG  160115P00630000"), now)
    bars = market.bars(contract, "1 hour", "TRADES", at("2015-12-24T00:00-05:00"), now, True, now)
    assert (bars[-1].start, bars[-1].volume) == (at("2015-12-24T13:00-05:00"), 5)


def test_bars_under_an_hour_are_the_minutes_of_regular_hours(market: RecordedMarket, read: Read) -> None:
    now = at("2014-06-06T16:30-04:00")
    minutes = read("option_bars_minute").query("underlying == 'AAPL' and volume > 0")
    minutes = minutes[(minutes["date"] == date(2014, 6, 6)) & (minutes["ts_utc"] < at("2014-06-06T16:00-04:00"))]
    busiest = minutes["osi"].value_counts().index[:5]
    for osi in busiest:
        (contract,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol=osi), now)
        rows = minutes[minutes["osi"] == osi].sort_values("ts_utc")
        bars = market.bars(contract, "1 min", "TRADES", at("2014-06-06T00:00-04:00"), now, False, now)
        assert [[bar.open, bar.high, bar.low, bar.close, bar.volume] for bar in bars] == rows[BAR].to_numpy().tolist()
        half_hours = market.bars(contract, "30 mins", "TRADES", at("2014-06-06T00:00-04:00"), now, True, now)
        grouped = (
            rows.set_index("ts_utc")
            .resample("30min")
            .agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
        )
        assert [[b.open, b.high, b.low, b.close, b.volume] for b in half_hours] == grouped[
            grouped["volume"] > 0
        ].to_numpy().tolist()


def test_a_contract_with_daily_rows_only_has_one_bar_a_session(market: RecordedMarket, read: Read) -> None:
    now = at("2015-12-15T17:00-05:00")
    (contract,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol="AAPL  160115C00100000"), now)
    rows = read("option_bars_daily").query("osi == 'AAPL  160115C00100000' and volume > 0")
    rows = rows[(rows["date"] >= date(2015, 1, 1)) & (rows["date"] <= date(2015, 12, 15))]
    bars = market.bars(contract, "8 hours", "TRADES", at("2015-01-01T00:00-05:00"), now, True, now)
    assert [[bar.session, bar.open, bar.close, bar.volume] for bar in bars] == rows[
        ["date", "open", "close", "volume"]
    ].to_numpy().tolist()
    assert market.bars(contract, "1 hour", "TRADES", at("2015-01-01T00:00-05:00"), now, True, now) == []


def test_a_session_in_progress_is_complete_hours_and_then_minutes(market: RecordedMarket, read: Read) -> None:
    now = at("2014-06-09T13:20-04:00")
    hours = read("option_bars_hour").query("underlying == 'AAPL' and volume > 0")
    minutes = read("option_bars_minute").query("underlying == 'AAPL' and volume > 0")
    osi = minutes[minutes["date"] == date(2014, 6, 9)]["osi"].value_counts().index[0]
    (contract,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol=osi), now)
    (bar,) = market.bars(contract, "8 hours", "TRADES", at("2014-06-09T00:00-04:00"), now, True, now)
    hours, minutes = (
        rows[(rows["osi"] == osi) & (rows["date"] == date(2014, 6, 9))].set_index("ts_utc") for rows in (hours, minutes)
    )
    parts = pd.concat(
        [
            hours[hours.index < at("2014-06-09T13:00-04:00")],
            _between(minutes, "2014-06-09T13:00-04:00", "2014-06-09T13:20-04:00"),
        ]
    )
    assert [bar.open, bar.close, bar.volume] == [parts["open"].iloc[0], parts["close"].iloc[-1], parts["volume"].sum()]
    assert (bar.high, bar.low) == (parts["high"].max(), parts["low"].min())


def _between(rows: pd.DataFrame, first: str, last: str) -> pd.DataFrame:
    return rows[(rows.index >= at(first)) & (rows.index < at(last))]


def test_quote_bars_come_from_the_hour_file(market: RecordedMarket, read: Read) -> None:
    now: datetime = at("2014-06-06T16:30-04:00")
    osi = "AAPL  140606C00490000"
    (contract,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol=osi), now)
    rows = read("option_bars_hour").query("osi == @osi")
    bids = market.bars(contract, "1 hour", "BID", at("2014-06-06T00:00-04:00"), now, True, now)
    assert [bar.close for bar in bids] == rows["bid_close"].tolist()
    (session,) = market.bars(contract, "8 hours", "ASK", at("2014-06-06T00:00-04:00"), now, True, now)
    assert (session.open, session.high, session.low, session.close) == (
        rows["ask_open"].iloc[0],
        rows["ask_high"].max(),
        rows["ask_low"].min(),
        rows["ask_close"].iloc[-1],
    )


def test_contracts_without_a_trade_options_by_the_day_and_expired_ones_are_empty(market: RecordedMarket) -> None:
    now = at("2014-06-06T16:30-04:00")
    start = at("2014-06-01T00:00-04:00")
    (quiet,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol="AAPL  140606C00490000"), now)
    assert market.bars(quiet, "8 hours", "TRADES", start, now, True, now) == []
    (traded,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol="AAPL  140606C00645000"), now)
    assert market.bars(traded, "8 hours", "TRADES", start, now, True, now) != []
    assert market.bars(traded, "1 day", "TRADES", start, now, True, now) == []
    monday = at("2014-06-09T10:00-04:00")
    assert market.bars(traded, "8 hours", "TRADES", start, monday, True, monday) == []
    assert market.head_timestamp(traded, "TRADES", True, monday) is None
    assert market.head_timestamp(traded, "TRADES", True, now) == at("2014-06-06T09:30-04:00")
