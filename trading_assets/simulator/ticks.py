"""Quotes as tick messages: which tick ids a quote becomes, live and delayed, and what changed since the last one.

Ids and delayed ids: the broker's tick type table. `-1` and `-2` mean "not computed"; a missing bid is -1 with size 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trading_assets.simulator.market import Dividends, Greeks, ListedContract, MarketQuote
from trading_assets.simulator.protocol import Out, frame, number, size

BID, ASK, LAST, HIGH, LOW, CLOSE, OPEN = 1, 2, 4, 6, 7, 9, 14
BID_SIZE, ASK_SIZE, LAST_SIZE, VOLUME = 0, 3, 5, 8
LAST_TIMESTAMP, HALTED, DIVIDENDS = 45, 49, 59

LIVE_DATA, FROZEN_DATA, DELAYED_DATA, DELAYED_FROZEN_DATA = 1, 2, 3, 4
"""Market data types."""

DELAYED = {
    BID: 66, ASK: 67, LAST: 68, BID_SIZE: 69, ASK_SIZE: 70, LAST_SIZE: 71, HIGH: 72, LOW: 73, VOLUME: 74, CLOSE: 75,
    OPEN: 76,
    LAST_TIMESTAMP: 88, 10: 80, 11: 81, 12: 82, 13: 83,
}  # fmt: skip
"""Live tick id to delayed tick id."""

COMPUTATIONS = {"bid": 10, "ask": 11, "last": 12, "model": 13}
"""Side of `MarketQuote.greeks` to tick id."""

CUSTOM_COMPUTATION = 53
"""Tick id of calculateImpliedVolatility and calculateOptionPrice."""

DELAYED_GENERIC_TICKS = frozenset({"101", "106"})
"""Generic ticks that delayed data allows; others bring warning 2187."""

Tick = tuple[str, ...]
"""Fields of a tick message after the request id, led by the message id and tick id: the value that is compared."""


@dataclass(frozen=True, slots=True)
class TickForm:
    """How a subscription wants its ticks."""

    version: int
    delayed: bool
    generic_ticks: tuple[str, ...] = ()


def ticks_of(form: TickForm, contract: ListedContract, quote: MarketQuote) -> dict[tuple[int, int], Tick]:
    """All ticks of a quote by (message id, tick id), in the order TWS sends them."""
    result: dict[tuple[int, int], Tick] = {}
    for message, tick, *values in _all_ticks(form, contract, quote):
        sent = DELAYED.get(tick, tick) if form.delayed else tick
        result[(message, sent)] = tuple(values)
    return result


def _all_ticks(
    form: TickForm, contract: ListedContract, quote: MarketQuote
) -> Iterator[tuple[int, int, *tuple[str, ...]]]:
    version = form.version
    quoted = contract.sec_type != "IND" or quote.bid is not None
    sides: list[tuple[int, int, float | None, float]] = []
    if quoted:
        sides += [(BID, BID_SIZE, quote.bid, quote.bid_size), (ASK, ASK_SIZE, quote.ask, quote.ask_size)]
    if quote.last is not None:
        sides.append((LAST, LAST_SIZE, quote.last, quote.last_size or 0))
    for price_tick, size_tick, price, amount in sides:
        shown = size(amount if price is not None else 0, version)
        yield Out.TICK_PRICE, price_tick, number(price if price is not None else -1), shown, "0"
        yield Out.TICK_SIZE, size_tick, shown
    for tick, price in ((HIGH, quote.high), (LOW, quote.low), (CLOSE, quote.close), (OPEN, quote.open)):
        if price is not None:
            yield Out.TICK_PRICE, tick, number(price), "0", "0"
    if quote.volume is not None:
        yield Out.TICK_SIZE, VOLUME, size(quote.volume, version)
    if quote.last_time is not None:
        yield Out.TICK_STRING, LAST_TIMESTAMP, str(int(quote.last_time.timestamp()))
    if not form.delayed:
        yield Out.TICK_GENERIC, HALTED, "1" if quote.halted else "0"
    for side, tick in COMPUTATIONS.items():
        if side in quote.greeks:
            yield Out.TICK_OPTION_COMPUTATION, tick, *computation(quote.greeks[side])
    yield from _generic_ticks(form, contract, quote)


def _generic_ticks(
    form: TickForm, contract: ListedContract, quote: MarketQuote
) -> Iterator[tuple[int, int, *tuple[str, ...]]]:
    sizes = {
        "100": ((29, quote.call_volume), (30, quote.put_volume)),
        "101": ((27, quote.call_open_interest), (28, quote.put_open_interest)),
    }
    for wanted in form.generic_ticks:
        if form.delayed and wanted not in DELAYED_GENERIC_TICKS:
            continue
        for tick, amount in sizes.get(wanted, ()):
            if amount is not None:
                yield Out.TICK_SIZE, tick, size(amount, form.version)
        if wanted == "104" and quote.historical_volatility is not None:
            yield Out.TICK_GENERIC, 23, number(quote.historical_volatility)
        if wanted == "105" and contract.sec_type == "STK" and quote.call_volume is not None:
            yield Out.TICK_SIZE, 87, size(quote.call_volume + (quote.put_volume or 0), form.version)
        if wanted == "106" and quote.implied_volatility is not None:
            yield Out.TICK_GENERIC, 24, number(quote.implied_volatility)
        if wanted == "456" and quote.dividends is not None:
            yield Out.TICK_STRING, DIVIDENDS, dividend_text(quote.dividends)


def dividend_text(dividends: Dividends) -> str:
    """The sums of the past and next twelve months, the next ex-date, the next amount; empty fields for none."""
    found = dividends
    sums = (number(round(amount, 4)) if amount else "" for amount in (found.past_year, found.next_year))
    following = f"{found.next_date:%Y%m%d}" if found.next_date else ""
    return ",".join([*sums, following, number(round(found.next_amount, 4)) if found.next_amount else ""])


def computation(greeks: Greeks) -> tuple[str, ...]:
    """The nine fields of a tickOptionComputation after the tick id, attribute (1: price based) first."""
    by_one = (greeks.price, greeks.pv_dividend)
    by_two = (greeks.gamma, greeks.vega, greeks.theta)
    fields = [
        _or(greeks.implied_volatility, -1),
        _or(greeks.delta, -2),
        *(_or(v, -1) for v in by_one),
        *(_or(v, -2) for v in by_two),
    ]
    return "1", *fields, _or(greeks.underlying_price, -1)


def _or(value: float | None, not_computed: int) -> str:
    return str(not_computed) if value is None else number(value)


def tick_frame(req_id: int, key: tuple[int, int], tick: Tick) -> bytes:
    """The frame of one tick. tickPrice, tickSize, tickGeneric and tickString carry a message version, computations do
    not."""
    message, tick_id = key
    if message == Out.TICK_OPTION_COMPUTATION:
        return frame(message, req_id, tick_id, *tick)
    return frame(message, 6, req_id, tick_id, *tick)


def data_type(wanted: int, regular: bool) -> int:
    """The type of the data that a client gets which wants a type: frozen outside regular hours only."""
    if regular:
        return DELAYED_DATA if wanted in (DELAYED_DATA, DELAYED_FROZEN_DATA) else LIVE_DATA
    return wanted


def market_data_type(req_id: int, kind: int) -> bytes:
    """1 live, 2 frozen, 3 delayed, 4 delayed-frozen."""
    return frame(Out.MARKET_DATA_TYPE, 1, req_id, kind)


def tick_req_params(req_id: int, min_tick: float) -> bytes:
    """Smallest price step, exchange code of the best quotes, and permission for snapshots."""
    return frame(Out.TICK_REQ_PARAMS, req_id, min_tick, "9c0001", 3)


def tick_snapshot_end(req_id: int) -> bytes:
    """The snapshot is complete."""
    return frame(Out.TICK_SNAPSHOT_END, 1, req_id)
