"""Any folder of the same file names and columns: made-up symbols, missing files, missing columns."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from trading_assets.simulator.market import ContractQuery
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets_tests.simulator.recorded.conftest import at, options, underlying

NOW = at("2018-03-07T16:30-05:00")
SESSIONS = [date(2018, 3, 5), date(2018, 3, 6), date(2018, 3, 7)]


def osi(root: str, expiry: date, right: str, strike: float) -> str:
    return f"{root:<6}{expiry:%y%m%d}{right}{round(strike * 1000):08d}"


def option_row(expiry: date, right: str, strike: float, **values: object) -> dict[str, object]:
    return {
        "osi": osi("QXYZ", expiry, right, strike), "underlying": "QXYZ", "trading_class": "QXYZ", "expiry": expiry,
        "strike": strike,
        "right": right, "style": "american", **values,
    }  # fmt: skip


def bar(price: float, volume: int) -> dict[str, object]:
    return {"open": price, "high": price + 1, "low": price - 1, "close": price + 0.5, "volume": volume}


def quote(bid: float | None, ask: float) -> dict[str, object]:
    sides = {"bid": bid, "ask": ask}
    prices = {f"{side}_{name}": price for side, price in sides.items() for name in ("open", "high", "low", "close")}
    return {**prices, "bid_size": 5 if bid else 0, "ask_size": 7}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A made-up symbol: a 2:1 split effective on the last session, hourly option rows, one contract without a bid."""
    prices = [100.0, 110.0, 60.0]
    daily = [{"symbol": "QXYZ", "date": day, **bar(price, 1000)} for day, price in zip(SESSIONS, prices, strict=True)]
    pd.DataFrame(daily).to_parquet(tmp_path / "equity_bars_daily.parquet")
    factors = [(SESSIONS[0], 0.9, 0.5), (SESSIONS[1], 0.9, 0.5), (date(2050, 12, 31), 1.0, 1.0)]
    pd.DataFrame(
        [
            {"symbol": "QXYZ", "date": d, "price_factor": p, "split_factor": s, "reference_price": 1.0}
            for d, p, s in factors
        ]
    ).to_parquet(tmp_path / "corporate_factors.parquet")
    rows = []
    for day, strikes in ((SESSIONS[1], (100.0, 110.0)), (SESSIONS[2], (50.0, 55.0))):
        for hour in range(3):
            start = datetime(day.year, day.month, day.day, 14 + hour, tzinfo=UTC)
            for strike in strikes:
                rows.append(
                    option_row(
                        date(2018, 3, 16), "C", strike, date=day, ts_utc=start, **bar(5.0 + hour, 10), **quote(4.0, 5.0)
                    )
                )
                rows.append(option_row(date(2018, 3, 16), "P", strike, date=day, ts_utc=start, **quote(None, 1.0)))
    hours = pd.DataFrame(rows)
    hours["ts_utc"] = hours["ts_utc"].astype("datetime64[us, UTC]")
    hours.to_parquet(tmp_path / "option_bars_hour.parquet")
    return tmp_path


def test_a_made_up_symbol_is_replayed_like_any_other(folder: Path) -> None:
    market = RecordedMarket(folder)
    stock = underlying(market, "QXYZ", NOW)
    assert (stock.sec_type, stock.primary_exchange) == ("STK", "NASDAQ")
    days = market.bars(stock, "1 day", "TRADES", at("2018-03-01T00:00-05:00"), NOW, True, NOW)
    assert [(b.session, b.open, b.volume) for b in days] == [
        (SESSIONS[0], 50, 2000),
        (SESSIONS[1], 55, 2000),
        (SESSIONS[2], 60, 1000),
    ]
    adjusted = market.bars(stock, "1 day", "ADJUSTED_LAST", at("2018-03-01T00:00-05:00"), NOW, True, NOW)
    assert [b.open for b in adjusted] == [45.0, 49.5, 60.0]
    assert {c.strike for c in options(market, "QXYZ", NOW)} == {50.0, 55.0}
    assert {c.strike for c in options(market, "QXYZ", NOW - timedelta(days=1))} == {100.0, 110.0}
    (call,) = options(market, "QXYZ", NOW, right="C", strike=55.0)
    (session,) = market.bars(call, "8 hours", "TRADES", at("2018-03-01T00:00-05:00"), NOW, True, NOW)
    assert (session.start, session.open, session.high, session.low, session.close, session.volume) == (
        at("2018-03-07T09:30-05:00"),
        5,
        8,
        4,
        7.5,
        30,
    )
    (put,) = options(market, "QXYZ", NOW, right="P", strike=55.0)
    state = market.quote(put, NOW)
    assert (state.bid, state.bid_size, state.ask, state.ask_size, state.last, state.volume) == (
        None,
        0,
        1.0,
        7,
        None,
        0.0,
    )
    model = market.quote(call, NOW).greeks["model"]
    assert (model.price, model.underlying_price) == (4.5, 60.5)


def test_a_session_with_trades_only_adds_to_the_listing_and_removes_nothing(folder: Path) -> None:
    day = date(2018, 3, 8)
    minutes = [
        option_row(date(2018, 3, 23), "C", 50.0, date=day, ts_utc=datetime(2018, 3, 8, 15, tzinfo=UTC), **bar(3.0, 1))
    ]
    frame = pd.DataFrame(minutes)
    frame["ts_utc"] = frame["ts_utc"].astype("datetime64[ns, UTC]")
    frame.to_parquet(folder / "option_bars_minute.parquet")
    market = RecordedMarket(folder)
    assert len(options(market, "QXYZ", at("2018-03-08T16:30-05:00"))) == 5
    assert len(options(market, "QXYZ", NOW)) == 4


@pytest.mark.parametrize(
    ("kept", "stock_bars", "contracts", "option_bars"),
    [
        (["equity_bars_daily"], 3, 0, 0),
        (["option_bars_hour"], 0, 4, 1),
        (["corporate_factors"], 0, 0, 0),
        ([], 0, 0, 0),
        (["option_bars_hour", "corporate_factors"], 0, 4, 1),
    ],
)
def test_any_file_may_be_absent(
    folder: Path, kept: list[str], stock_bars: int, contracts: int, option_bars: int
) -> None:
    for file in folder.glob("*.parquet"):
        if file.stem not in kept:
            file.unlink()
    market = RecordedMarket(folder)
    known = market.contracts(ContractQuery(symbol="QXYZ"), NOW)
    assert len(known) == (stock_bars + contracts > 0)
    for stock in known:
        assert len(market.bars(stock, "1 day", "TRADES", at("2018-03-01T00:00-05:00"), NOW, True, NOW)) == stock_bars
        assert (market.quote(stock, NOW).last is not None) == (stock_bars > 0)
    listed = options(market, "QXYZ", NOW)
    assert len(listed) == contracts
    for option in listed:
        bars = market.bars(option, "8 hours", "TRADES", at("2018-03-01T00:00-05:00"), NOW, True, NOW)
        assert len(bars) == (option_bars if option.right == "C" else 0)
        assert market.quote(option, NOW).ask is not None
    assert len(market.search("Q", NOW)) == len(known)


def test_a_file_may_lack_columns(folder: Path) -> None:
    hours = pd.read_parquet(folder / "option_bars_hour.parquet")
    hours.drop(columns=[name for name in hours if str(name).startswith(("bid", "ask"))]).to_parquet(
        folder / "option_bars_hour.parquet"
    )
    market = RecordedMarket(folder)
    (call,) = options(market, "QXYZ", NOW, right="C", strike=55.0)
    assert len(market.bars(call, "1 hour", "TRADES", at("2018-03-01T00:00-05:00"), NOW, True, NOW)) == 3
    assert market.bars(call, "1 hour", "BID", at("2018-03-01T00:00-05:00"), NOW, True, NOW) == []
    assert market.quote(call, NOW).bid is None


def test_funds_trade_options_until_a_quarter_past(folder: Path) -> None:
    for file in folder.glob("*.parquet"):
        frame = pd.read_parquet(file)
        for column in frame.columns.intersection(["symbol", "underlying", "trading_class"]):
            frame[column] = "SPY"
        if "osi" in frame:
            frame["osi"] = frame["osi"].str.replace("QXYZ  ", "SPY   ")
            last = frame[frame["ts_utc"] == datetime(2018, 3, 7, 16, tzinfo=UTC)].assign(
                ts_utc=pd.Timestamp("2018-03-07T21:00Z")
            )
            frame = pd.concat([frame, last])
        frame.to_parquet(file)
    market = RecordedMarket(folder)
    (call,) = options(market, "SPY", NOW, right="C", strike=55.0)
    start = at("2018-03-01T00:00-05:00")
    volumes = [
        sum(b.volume for b in market.bars(call, "8 hours", "TRADES", start, NOW, True, at(now)))
        for now in ("2018-03-07T16:14-05:00", "2018-03-07T16:15-05:00")
    ]
    assert volumes == [30, 40]


def test_an_index_has_bars_without_volume(folder: Path) -> None:
    start = pd.Timestamp("2018-03-07T14:30Z").as_unit("us")
    row = {"symbol": "QNDX", "sec_type": "IND", "date": SESSIONS[2], "ts_utc": start, **bar(2700.0, 0)}
    pd.DataFrame([row]).to_parquet(folder / "equity_bars_minute.parquet")
    market = RecordedMarket(folder)
    index = underlying(market, "QNDX", NOW)
    assert (index.sec_type, index.exchange) == ("IND", "CBOE")
    (minute,) = market.bars(index, "1 min", "TRADES", at("2018-03-01T00:00-05:00"), NOW, True, NOW)
    assert (minute.close, minute.volume) == (2700.5, 0)


def test_the_identity_names_the_data(folder: Path) -> None:
    first = RecordedMarket(folder).identity
    assert first == RecordedMarket(folder).identity
    assert len(first) == 8
    (folder / "corporate_factors.parquet").unlink()
    assert RecordedMarket(folder).identity != first


def test_ids_do_not_change_when_files_are_added(folder: Path) -> None:
    before = {c.local_symbol: c.con_id for c in options(RecordedMarket(folder), "QXYZ", NOW)}
    rows = [
        option_row(date(2018, 6, 15), right, strike, date=SESSIONS[2], open_interest=5)
        for right in "CP"
        for strike in (40.0, 45.0)
    ]
    pd.DataFrame(rows).to_parquet(folder / "option_open_interest.parquet")
    after = {c.local_symbol: c.con_id for c in options(RecordedMarket(folder), "QXYZ", NOW)}
    assert {name: after[name] for name in before} == before


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder of recorded market data"):
        RecordedMarket(tmp_path / "absent")
