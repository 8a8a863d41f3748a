"""Every answer, decoded by the client library, is what was encoded. A wrong field count would lose the message
silently."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ib_insync import util
from ib_insync.decoder import Decoder

from trading_assets.sessions import NEW_YORK
from trading_assets.simulator import encoding, ticks
from trading_assets.simulator.market import Bar, Greeks, ListedContract, MarketQuote, OptionParameters
from trading_assets_tests.simulator.wire import logged_errors

VERSIONS = st.sampled_from([157, 176, 178])
words = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="-"), max_size=12)
names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=20)
ids = st.integers(1, 2**31 - 2)
prices = st.floats(0.0001, 1e7, allow_nan=False).map(lambda x: round(x, 6))
counts = st.integers(0, 10**9)
instants = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)).map(lambda d: d.replace(microsecond=0, tzinfo=UTC))

bars = st.builds(
    Bar, start=instants, session=st.dates(date(2000, 1, 1), date(2030, 1, 1)), open=prices, high=prices, low=prices,
    close=prices,
    volume=counts.map(float), wap=prices, count=counts,
)  # fmt: skip


class Recorder:
    """Stands for the library's wrapper and keeps what the decoder calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.calls.append((name, args))


def decoded(version: int, *frames: bytes) -> list[tuple[str, tuple[Any, ...]]]:
    """What ib_insync's decoder makes of frames; fails if it logs anything."""
    recorder = Recorder()
    decoder = Decoder(recorder, version)  # type: ignore[arg-type]
    with logged_errors("ib_insync") as lines:
        for frame in frames:
            decoder.interpret(frame[4:].decode(errors="backslashreplace").split("\0")[:-1])
    assert not lines
    return recorder.calls


@given(VERSIONS, ids, st.lists(bars, max_size=5), st.booleans(), st.booleans())
def test_historical_data(version: int, req_id: int, rows: list[Bar], daily: bool, epoch: bool) -> None:
    form = encoding.BarForm(version, daily, epoch, "US/Eastern")
    end = datetime(2024, 6, 3, 20, 0, tzinfo=UTC)
    calls = decoded(version, encoding.historical_data(form, req_id, end, end, rows))
    assert [name for name, _ in calls] == ["historicalData"] * len(rows) + ["historicalDataEnd"]
    for (_, (got_id, bar)), row in zip(calls, rows, strict=False):
        assert got_id == req_id
        assert (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.average, bar.barCount) == (
            row.open, row.high, row.low, row.close, row.volume, row.wap, row.count,
        )  # fmt: skip
        when = util.parseIBDatetime(bar.date)
        if daily:
            assert when == row.session
        else:
            assert isinstance(when, datetime)
            wall = when if when.tzinfo else when.replace(tzinfo=NEW_YORK)
            # a wall-clock time is read back as the first of the two it may mean when clocks go back
            assert wall.astimezone(UTC) in (row.start, row.start - timedelta(hours=1))


@given(VERSIONS, ids, bars)
def test_historical_data_update(version: int, req_id: int, row: Bar) -> None:
    form = encoding.BarForm(version, False, True, "US/Eastern")
    ((name, (got_id, bar)),) = decoded(version, encoding.historical_data_update(form, req_id, row))
    assert (name, got_id) == ("historicalDataUpdate", req_id)
    assert (bar.barCount, bar.open, bar.close, bar.high, bar.low, bar.average, bar.volume) == (
        row.count, row.open, row.close, row.high, row.low, row.wap, row.volume,
    )  # fmt: skip


contracts = st.builds(
    ListedContract, con_id=ids, symbol=words, sec_type=st.sampled_from(["STK", "IND", "OPT"]), exchange=words,
    primary_exchange=words,
    currency=words, local_symbol=words, trading_class=words, long_name=names, min_tick=prices, multiplier=words,
    last_trade=st.sampled_from(["", "20240621"]), last_trade_time=st.sampled_from(["", "16:00:00"]),
    expiry=st.sampled_from([None, date(2024, 6, 21)]), strike=prices, right=st.sampled_from(["", "C", "P"]),
    under_con_id=ids,
    under_sec_type=words, industry=words, category=words, subcategory=words, stock_type=words, market_name=words,
    valid_exchanges=words,
)  # fmt: skip


@given(VERSIONS, ids, contracts)
def test_contract_data(version: int, req_id: int, row: ListedContract) -> None:
    hours = encoding.Hours("20240603:0400-20240603:2000", "20240603:0930-20240603:1600")
    calls = decoded(
        version, encoding.contract_data(version, req_id, row, hours, "UND"), encoding.contract_data_end(req_id)
    )
    assert calls[1] == ("contractDetailsEnd", (req_id,))
    _, (got_id, details) = calls[0]
    contract = details.contract
    assert got_id == req_id
    assert (contract.conId, contract.symbol, contract.secType, contract.strike, contract.right) == (
        row.con_id, row.symbol, row.sec_type, row.strike, row.right,
    )  # fmt: skip
    assert (contract.exchange, contract.primaryExchange, contract.currency) == (
        row.exchange, row.primary_exchange, row.currency,
    )  # fmt: skip
    assert (contract.localSymbol, contract.tradingClass, contract.multiplier) == (
        row.local_symbol, row.trading_class, row.multiplier,
    )  # fmt: skip
    assert (contract.lastTradeDateOrContractMonth, details.minTick, details.longName) == (
        row.last_trade,
        row.min_tick,
        row.long_name,
    )
    assert (details.underConId, details.underSymbol, details.underSecType, details.industry) == (
        row.under_con_id, "UND", row.under_sec_type, row.industry,
    )  # fmt: skip
    assert (details.stockType, details.timeZoneId, details.liquidHours) == (row.stock_type, "US/Eastern", hours.liquid)
    assert details.lastTradeTime == (row.last_trade_time if row.last_trade else "")
    assert details.realExpirationDate == (f"{row.expiry:%Y%m%d}" if row.expiry else "")


@given(VERSIONS, ids, words, ids, words, st.lists(st.just("20240621"), max_size=4), st.lists(prices, max_size=6))
def test_option_parameters(
    version: int, req_id: int, exchange: str, under: int, trading: str, dates: list[str], strikes: list[float]
) -> None:
    row = OptionParameters(exchange, under, trading, "100", tuple(dates), tuple(strikes))
    calls = decoded(version, encoding.option_parameters(req_id, row), encoding.option_parameters_end(req_id))
    assert calls == [
        ("securityDefinitionOptionParameter", (req_id, exchange, str(under), trading, "100", dates, strikes)),
        ("securityDefinitionOptionParameterEnd", (req_id,)),
    ]


@given(VERSIONS, st.integers(-1, 10**6), st.integers(0, 20000), words)
def test_errors(version: int, req_id: int, code: int, text: str) -> None:
    assert decoded(version, encoding.error(version, req_id, code, text)) == [("error", (req_id, code, text, ""))]


maybe = st.none() | prices
greeks = st.builds(Greeks, maybe, st.none() | st.floats(-1, 1), maybe, maybe, maybe, maybe, maybe, maybe)
quotes = st.builds(
    MarketQuote, bid=maybe, ask=maybe, last=maybe, bid_size=counts, ask_size=counts, last_size=st.none() | counts,
    high=maybe, low=maybe,
    open=maybe, close=maybe, volume=st.none() | counts, call_open_interest=st.none() | counts,
    put_open_interest=st.none() | counts,
    call_volume=st.none() | counts, put_volume=st.none() | counts, implied_volatility=maybe,
    historical_volatility=maybe,
    halted=st.booleans(), last_time=st.none() | instants, greeks=st.dictionaries(st.sampled_from(["bid", "ask", "last",
    "model"]), greeks),
)  # fmt: skip
STOCK = ListedContract(1, "AAA", "STK", "SMART", "NASDAQ", "USD", "AAA", "AAA", "AAA")


@settings(max_examples=150)
@given(VERSIONS, ids, quotes, st.booleans())
def test_ticks(version: int, req_id: int, quote: MarketQuote, delayed: bool) -> None:
    form = ticks.TickForm(version, delayed, ("100", "101", "104", "105", "106"))
    sent = ticks.ticks_of(form, STOCK, quote)
    calls = decoded(version, *(ticks.tick_frame(req_id, key, tick) for key, tick in sent.items()))
    assert len(calls) == len(sent)
    got = {(name, args[1]): args[2:] for name, args in calls}
    assert all(args[0] == req_id for _, args in calls)
    ids_of = ticks.DELAYED if delayed else {}

    def seen(name: str, tick: int) -> Any:
        return got.get((name, ids_of.get(tick, tick)))

    assert seen("priceSizeTick", ticks.BID) == ((quote.bid, quote.bid_size) if quote.bid is not None else (-1, 0))
    assert seen("priceSizeTick", ticks.ASK) == ((quote.ask, quote.ask_size) if quote.ask is not None else (-1, 0))
    assert seen("priceSizeTick", ticks.LAST) == (None if quote.last is None else (quote.last, quote.last_size or 0))
    assert seen("priceSizeTick", ticks.CLOSE) == (None if quote.close is None else (quote.close, 0))
    assert seen("tickSize", ticks.VOLUME) == (None if quote.volume is None else (quote.volume,))
    assert seen("tickSize", 27) == (None if quote.call_open_interest is None else (quote.call_open_interest,))
    assert seen("tickGeneric", 24) == (None if quote.implied_volatility is None else (quote.implied_volatility,))
    assert seen("tickGeneric", 23) == (
        None if delayed or quote.historical_volatility is None else (quote.historical_volatility,)
    )
    for side, tick in ticks.COMPUTATIONS.items():
        values = quote.greeks.get(side)
        wire = seen("tickOptionComputation", tick)
        if values is None:
            assert wire is None
            continue
        attribute, iv, delta, price, dividend, gamma, vega, theta, under = wire
        assert attribute == 1
        for value, shown, missing in (
            (values.implied_volatility, iv, -1), (values.delta, delta, -2), (values.price, price, -1),
            (values.pv_dividend, dividend, -1),
            (values.gamma, gamma, -2), (values.vega, vega, -2), (values.theta, theta, -2), (values.underlying_price,
            under, -1),
        ):  # fmt: skip
            assert shown == (missing if value is None else value)


@given(VERSIONS, ids, bars)
def test_realtime_bar(version: int, req_id: int, row: Bar) -> None:
    ((name, args),) = decoded(version, encoding.realtime_bar(version, req_id, row))
    assert name == "realtimeBar"
    assert args == (
        req_id,
        int(row.start.timestamp()),
        row.open,
        row.high,
        row.low,
        row.close,
        row.volume,
        row.wap,
        row.count,
    )


@pytest.mark.parametrize("version", [157, 176, 178])
def test_historical_ticks(version: int) -> None:
    row = Bar(datetime(2024, 6, 3, 14, 0, tzinfo=UTC), date(2024, 6, 3), 1.0, 3.0, 0.5, 2.0, 7.0, 1.5, 3)
    calls = decoded(
        version, *(encoding.historical_ticks(version, 5, show, [row]) for show in ("TRADES", "BID_ASK", "MIDPOINT"))
    )
    assert [name for name, _ in calls] == ["historicalTicksLast", "historicalTicksBidAsk", "historicalTicks"]
    for name, (req_id, found, done) in calls:
        assert (req_id, len(found), done) == (5, 1, True), name
        assert found[0].time == row.start
    last, quote, middle = (args[1][0] for _, args in calls)
    assert (last.price, last.size, quote.priceBid, quote.priceAsk, middle.price) == (2.0, 7.0, 1.0, 2.0, 2.0)


@given(VERSIONS, ids, st.lists(st.tuples(contracts, st.lists(words, max_size=2).map(tuple)), max_size=3))
def test_symbol_samples(version: int, req_id: int, rows: list[tuple[ListedContract, tuple[str, ...]]]) -> None:
    ((name, (got_id, found)),) = decoded(version, encoding.symbol_samples(version, req_id, rows))
    assert (name, got_id) == ("symbolSamples", req_id)
    assert [(d.contract.conId, d.contract.symbol, d.derivativeSecTypes) for d in found] == [
        (r.con_id, r.symbol, list(der)) for r, der in rows
    ]


@given(ids, instants, instants)
def test_schedule_head_timestamp_and_rule(req_id: int, start: datetime, end: datetime) -> None:
    rows = [(start, end, "20240603")]
    calls = dict(
        decoded(
            178,
            encoding.historical_schedule(req_id, start, end, "US/Eastern", rows),
            encoding.head_timestamp(req_id, start, epoch=True),
            encoding.market_rule(26, [(0.0, 0.01), (3.0, 0.05)]),
            encoding.current_time(start),
            encoding.next_valid_id(req_id),
            encoding.managed_accounts(["A", "B"]),
        )
    )
    got_id, first, last, zone, (session,) = calls["historicalSchedule"]
    assert (got_id, zone, session.refDate) == (req_id, "US/Eastern", "20240603")
    assert first == session.startDateTime == f"{start.astimezone(NEW_YORK):%Y%m%d-%H:%M:%S}"
    assert last == session.endDateTime
    assert calls["headTimestamp"] == (req_id, str(int(start.timestamp())))
    assert [(i.lowEdge, i.increment) for i in calls["marketRule"][1]] == [(0.0, 0.01), (3.0, 0.05)]
    assert calls["currentTime"] == (int(start.timestamp()),)
    assert calls["nextValidId"] == (req_id,)
    assert calls["managedAccounts"] == ("A,B",)
