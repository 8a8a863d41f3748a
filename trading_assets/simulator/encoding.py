"""Answers as frames: one pure function per message, the field order of the classic text protocol, by server version.

Two client libraries unpack several messages by exact field count and drop a message that is one field too long or too
short with only a log line, so the counts here are part of the contract (`docs/simulator.md` names the source).
Ticks are in `ticks`; date texts in `timetext`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from trading_assets.simulator.market import Bar, ListedContract, OptionParameters
from trading_assets.simulator.protocol import (
    FRACTIONAL_SIZES,
    ISSUER_ID,
    ORDER_REJECT_FIELD,
    SIZE_RULES,
    ZONED_DATES,
    Out,
    frame,
    frame_of,
    frame_of_payload,
    number,
    size,
)
from trading_assets.simulator.timetext import bar_time, instant, schedule_time

ORDER_TYPES = (
    "ACTIVETIM,ADJUST,ALERT,ALLOC,AVGCOST,BASKET,COND,DAY,GAT,GTC,GTD,IOC,LIT,LMT,LOC,MIT,MKT,MOC,OCA,REL,STP,STPLMT,"
    "TRAIL,WHATIF"
)
"""What TWS lists for a US stock, shortened. The simulator executes no orders."""


def version_reply(version: int, connected: str) -> bytes:
    """The server's first frame: version and connection time (`20260101 09:30:00 EST`)."""
    return frame(version, connected)


def error(version: int, req_id: int, code: int, message: str) -> bytes:
    """An error or status; `req_id` -1 when it belongs to no request."""
    fields: list[str | float] = [Out.ERROR, 2, req_id, code, message]
    return frame(*fields, "") if version >= ORDER_REJECT_FIELD else frame(*fields)


def managed_accounts(accounts: Iterable[str]) -> bytes:
    """All account names, separated by commas."""
    return frame(Out.MANAGED_ACCOUNTS, 1, ",".join(accounts))


def next_valid_id(order_id: int) -> bytes:
    """The next order id."""
    return frame(Out.NEXT_VALID_ID, 1, order_id)


def current_time(now: datetime) -> bytes:
    """Epoch seconds."""
    return frame(Out.CURRENT_TIME, 1, int(now.timestamp()))


@dataclass(frozen=True, slots=True)
class Hours:
    """Trading and liquid hours of a contract in TWS's form: `20240102:0930-20240102:1600;20240106:CLOSED`."""

    trading: str
    liquid: str


def contract_data(version: int, req_id: int, row: ListedContract, hours: Hours, under_symbol: str) -> bytes:
    """One `contractData` message."""
    last_trade = row.last_trade
    if last_trade and row.last_trade_time:
        # ibapi 9.81 splits at blanks only; newer clients expect dashes
        separator = "-" if version >= ZONED_DATES else " "
        last_trade = separator.join((row.last_trade, row.last_trade_time, row.time_zone_id))
    exchanges = row.valid_exchanges or row.exchange
    rule = "32" if row.sec_type in ("OPT", "FOP") else "26"
    increment = "1" if row.sec_type != "STK" else "0.0001"
    fields: list[str] = [str(int(Out.CONTRACT_DATA))]
    if version < SIZE_RULES:
        fields.append("8")
    fields += [
        str(req_id),
        row.symbol,
        row.sec_type,
        last_trade,
        number(row.strike),
        row.right,
        row.exchange,
        row.currency,
    ]
    fields += [
        row.local_symbol,
        row.market_name or row.trading_class,
        row.trading_class,
        str(row.con_id),
        number(row.min_tick),
    ]
    if version < SIZE_RULES:
        fields.append("100")
    fields += [row.multiplier, ORDER_TYPES, exchanges, "1", str(row.under_con_id)]
    fields += [row.long_name.encode("unicode_escape").decode("ascii"), row.primary_exchange, row.last_trade[:6]]
    fields += [row.industry, row.category, row.subcategory, row.time_zone_id, hours.trading, hours.liquid, "", "0", "0"]
    fields += [
        "2" if row.sec_type in ("OPT", "FOP") else "1",
        under_symbol,
        row.under_sec_type,
        ",".join(rule for _ in exchanges.split(",")),
    ]
    fields += [row.expiry.strftime("%Y%m%d") if row.expiry else "", row.stock_type]
    if version == FRACTIONAL_SIZES:
        fields.append(increment)
    if version >= SIZE_RULES:
        fields += [increment, increment, "100" if row.sec_type == "STK" else "1"]
    return frame_of(fields)


def contract_data_end(req_id: int) -> bytes:
    """After the last contract of a request."""
    return frame(Out.CONTRACT_DATA_END, 1, req_id)


def option_parameters(req_id: int, row: OptionParameters) -> bytes:
    """Expiries and strikes of one exchange and trading class."""
    fields = [
        str(int(Out.OPTION_PARAMETERS)),
        str(req_id),
        row.exchange,
        str(row.underlying_con_id),
        row.trading_class,
        row.multiplier,
    ]
    fields += [str(len(row.expirations)), *row.expirations, str(len(row.strikes)), *map(number, row.strikes)]
    return frame_of(fields)


def option_parameters_end(req_id: int) -> bytes:
    """After the last of a request."""
    return frame(Out.OPTION_PARAMETERS_END, req_id)


@dataclass(frozen=True, slots=True)
class BarForm:
    """How bars are written for one request: `daily` bars carry a date; `epoch` is formatDate 2."""

    version: int
    daily: bool
    epoch: bool
    zone: str


def historical_data(form: BarForm, req_id: int, start: datetime, end: datetime, bars: Sequence[Bar]) -> bytes:
    """All bars of an answer in one frame."""
    version, daily, epoch, zone = form.version, form.daily, form.epoch, form.zone
    head = "\0".join(
        (
            str(int(Out.HISTORICAL_DATA)),
            str(req_id),
            instant(start, version, zone),
            instant(end, version, zone),
            str(len(bars)),
            "",
        )
    )
    # one format for a row and one replacement for all: the same text as `number` for every field, at a quarter of the
    # time
    rows = "".join(
        f"{bar_time(bar, version, daily, epoch, zone)}\0{bar.open}\0{bar.high}\0{bar.low}\0{bar.close}\0"
        f"{size(bar.volume, version)}\0{bar.wap}\0{bar.count}\0"
        for bar in bars
    )
    return frame_of_payload(head + rows.replace(".0\0", "\0"))


def historical_data_update(form: BarForm, req_id: int, bar: Bar) -> bytes:
    """The bar in progress of a `keepUpToDate` request: close stands before high and low here."""
    when = bar_time(bar, form.version, form.daily, form.epoch, form.zone)
    prices = (bar.open, bar.close, bar.high, bar.low, bar.wap)
    return frame(Out.HISTORICAL_DATA_UPDATE, req_id, bar.count, when, *prices, size(bar.volume, form.version))


def historical_schedule(
    req_id: int, start: datetime, end: datetime, zone: str, sessions: Sequence[tuple[datetime, datetime, str]]
) -> bytes:
    """Sessions as (open, close, reference date `YYYYMMDD`)."""
    fields = [
        str(int(Out.HISTORICAL_SCHEDULE)),
        str(req_id),
        schedule_time(start, zone),
        schedule_time(end, zone),
        zone,
        str(len(sessions)),
    ]
    for opens, closes, reference in sessions:
        fields += (schedule_time(opens, zone), schedule_time(closes, zone), reference)
    return frame_of(fields)


def head_timestamp(req_id: int, when: datetime, epoch: bool) -> bytes:
    """`YYYYMMDD-HH:MM:SS` (UTC) for formatDate 1, epoch seconds for 2."""
    return frame(Out.HEAD_TIMESTAMP, req_id, str(int(when.timestamp())) if epoch else schedule_time(when, "UTC"))


def historical_ticks(version: int, req_id: int, what_to_show: str, bars: Sequence[Bar]) -> bytes:
    """Ticks made of bars, one a bar, in the message of its kind (midpoint, bid/ask or last); always the last part."""
    rows: list[str] = []
    message = {"TRADES": Out.HISTORICAL_TICKS_LAST, "BID_ASK": Out.HISTORICAL_TICKS_BID_ASK}.get(
        what_to_show, Out.HISTORICAL_TICKS
    )
    for bar in bars:
        when = str(int(bar.start.timestamp()))
        if message is Out.HISTORICAL_TICKS_LAST:
            rows += [when, "0", number(bar.close), size(bar.volume, version), "ISLAND", ""]
        elif message is Out.HISTORICAL_TICKS_BID_ASK:
            # a BID_ASK bar opens at the average bid and closes at the average ask; bars carry no sizes
            rows += [when, "0", number(bar.open), number(bar.close), "1", "1"]
        else:
            rows += [when, "0", number(bar.close), "0"]
    return frame_of([str(int(message)), str(req_id), str(len(bars)), *rows, "1"])


def realtime_bar(version: int, req_id: int, bar: Bar) -> bytes:
    """A five-second bar."""
    prices = (bar.open, bar.high, bar.low, bar.close)
    return frame(
        Out.REALTIME_BAR, 3, req_id, int(bar.start.timestamp()), *prices, size(bar.volume, version), bar.wap, bar.count
    )


def symbol_samples(version: int, req_id: int, rows: Sequence[tuple[ListedContract, tuple[str, ...]]]) -> bytes:
    """Found underlyings with the security types derived from them."""
    fields = [str(int(Out.SYMBOL_SAMPLES)), str(req_id), str(len(rows))]
    for row, derived in rows:
        fields += [
            str(row.con_id),
            row.symbol,
            row.sec_type,
            row.primary_exchange,
            row.currency,
            str(len(derived)),
            *derived,
        ]
        if version >= ISSUER_ID:
            fields += [row.long_name, ""]
    return frame_of(fields)


def market_rule(rule_id: int, increments: Sequence[tuple[float, float]]) -> bytes:
    """Price increments as (from price, increment)."""
    return frame(Out.MARKET_RULE, rule_id, len(increments), *(value for pair in increments for value in pair))
