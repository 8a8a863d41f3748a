"""What a recorder writes: an update of a quote, a five-second bar, a gap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple


class QuoteUpdate(NamedTuple):
    """The whole quote of a contract after one update; None where nothing is known. Sizes and volume are in the broker's
    unit (shares or contracts), prices in dollars, instants in UTC.

    `seq` counts the updates of a recorder, so that those of one instant have an order. `last_trade_at` is when the
    trade behind `last` happened, `greeks_at` when the broker's greeks came. `market_data_type` is the broker's number
    (1 live, 2 frozen). `halted` is the broker's number (0 trading, 1 and 2 halted).
    """

    session: date
    con_id: int
    received_at: datetime
    seq: int
    symbol: str
    bid: float | None
    ask: float | None
    last: float | None
    bid_size: float | None
    ask_size: float | None
    last_size: float | None
    volume: float | None
    last_trade_at: datetime | None
    halted: int | None
    market_data_type: int
    broker_implied_volatility: float | None
    broker_delta: float | None
    broker_gamma: float | None
    broker_vega: float | None
    broker_theta: float | None
    model_price: float | None
    underlying_price: float | None
    greeks_at: datetime | None
    stream_id: str
    open_interest: float | None = None


@dataclass(frozen=True, slots=True)
class BarUpdate:
    """A five-second bar of an underlying that began at `start` (UTC); prices in dollars, volume in the broker's
    unit."""

    session: date
    con_id: int
    symbol: str
    what_to_show: str
    start: datetime
    open: float
    high: float
    low: float
    close: float
    volume: float | None
    wap: float | None
    count: int | None
    received_at: datetime
    stream_id: str


class GapReason(StrEnum):
    """Why a stream was not looked at."""

    DISCONNECTED = "disconnected"
    UPSTREAM_LOST = "upstream_lost"
    FARM_DOWN = "farm_down"
    COMPETING = "competing"
    STALLED = "stalled"
    NOT_PERMITTED = "not_permitted"
    REFUSED = "refused"
    SHED = "shed"
    NOT_RECORDED = "not_recorded"
    OVERLOAD = "overload"
    RECORDER_STOPPED = "recorder_stopped"
    RECORDER_DIED = "recorder_died"
    UNREADABLE = "unreadable"


def of_any_recorder(stream_id: str) -> str:
    """What the streams of one contract and kind are called by all recorders: a stream's id begins with its
    recorder's."""
    return stream_id.partition("-")[2]


class Gap(NamedTuple):
    """A time in which updates of a stream may have been missed. `ended` is None while it lasts."""

    session: date
    con_id: int
    symbol: str
    stream_id: str
    began: datetime
    ended: datetime | None
    reason: GapReason
    code: int | None
    text: str
