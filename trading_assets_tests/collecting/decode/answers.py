"""Answers of the broker as the journal hands them out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.payloads import ContractRecord, QuoteRecord
from trading_assets.broker.requests import BarsRequest, Request
from trading_assets.instrument import Instrument
from trading_assets.planning.durations import duration_for
from trading_assets.sessions import calendar

XNYS = calendar()
NOW = datetime(2015, 12, 24, 21, 0, tzinfo=UTC)
AAPL = Instrument("AAPL", con_id=265598)
CALL = Instrument(
    "GOOG",
    "OPT",
    con_id=7,
    last_trade="20151231",
    strike=750.0,
    right="C",
    multiplier="100",
    local_symbol="GOOG  151231C00750000",
    trading_class="GOOG",
)

COMPLETE = Outcome(OutcomeKind.COMPLETE)
NO_DATA = Outcome(OutcomeKind.EMPTY, 162, "HMDS query returned no data")


def result(
    request: Request, payload: Any = None, outcome: Outcome = COMPLETE, request_id: int = 1, finished_at: datetime = NOW
) -> Result:
    return Result(request, outcome, payload, request_id, finished_at)


def contract(**values: Any) -> ContractRecord:
    texts = dict.fromkeys(ContractRecord.__annotations__, "")
    numbers = {"con_id": 0, "strike": 0.0, "min_tick": 0.01, "under_con_id": 0}
    return ContractRecord(**{**texts, **numbers, **values})  # type: ignore[typeddict-item]


def quote(**values: Any) -> QuoteRecord:
    return QuoteRecord(
        **{**dict.fromkeys(QuoteRecord.__annotations__), "market_data_type": 1, "time": NOW.timestamp(), **values}
    )  # type: ignore[typeddict-item]


def bars_request(instrument: Instrument, first: date, last: date, bar_size: str, now: datetime = NOW) -> BarsRequest:
    end, duration = duration_for(bar_size, first, last, now, XNYS, sparse=instrument.sec_type == "OPT")
    return BarsRequest(instrument, last, bar_size=bar_size, first_session=first, end=end, duration=duration)


def bar(
    start: Any, price: float = 10.0, volume: float = 100.0, wap: float | None = 10.5, count: int | None = 7
) -> list[Any]:
    return [start, price, price + 2, price - 1, price + 1, volume, wap, count]
