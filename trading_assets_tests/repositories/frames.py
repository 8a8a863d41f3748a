"""Small valid frames for the tests of the lake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from trading_assets.repositories.schemas import (
    CONTRACTS,
    COVERAGE,
    EQUITY_BARS,
    INSTANT,
    OPTION_BARS,
    OPTION_CHAINS,
    Dataset,
)
from trading_assets.sessions import calendar

NOON = datetime(2015, 12, 24, 17, 0, tzinfo=UTC)
EXPIRY = date(2016, 1, 15)


def table(dataset: Dataset, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of the dataset's schema; what a row leaves out is null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=dataset.schema)


def bar(
    session: date,
    close: float = 100.0,
    *,
    symbol: str = "AAPL",
    collected_at: datetime = NOON,
    request_id: int = 1,
    **other: Any,
) -> dict[str, Any]:
    """A daily equity bar around `close`."""
    row = {
        "session": session,
        "symbol": symbol,
        "con_id": 265598,
        "start": calendar().opens_at(session),
        "bar_size": "1 day",
        "open": close,
        "high": close + 1,
        "low": close - 1,
        "close": close,
        "volume": 1000.0,
        "wap": None,
        "bar_count": None,
        "collected_at": collected_at,
        "request_id": request_id,
    }
    return {**row, **other}


def terms(
    con_id: int = 1001, strike: float = 100.0, right: str = "C", expiry: date = EXPIRY, symbol: str = "AAPL"
) -> dict[str, Any]:
    """The terms of an option contract."""
    osi = f"{symbol:<6}{expiry:%y%m%d}{right}{round(strike * 1000):08d}"
    return {
        "con_id": con_id,
        "local_symbol": osi,
        "trading_class": symbol,
        "expiry": expiry,
        "strike": strike,
        "right": right,
        "multiplier": 100.0,
    }


def option_bar(session: date, close: float = 5.0, **contract: Any) -> dict[str, Any]:
    """A daily option bar."""
    return {**bar(session, close), **terms(**contract)}


def chain_row(session: date, **contract: Any) -> dict[str, Any]:
    """A listed contract without quotes."""
    listing = {
        "session": session,
        "symbol": "AAPL",
        "under_con_id": 265598,
        "exchange": "SMART",
        "currency": "USD",
        "min_tick": 0.01,
    }
    moment = {"listed_at": NOON, "selected": False, "collected_at": NOON, "request_id": 1}
    return {**listing, **moment, **terms(**contract), "last_trade": f"{EXPIRY:%Y%m%d}"}


def contract_row(session: date, symbol: str = "AAPL", verified_at: datetime = NOON) -> dict[str, Any]:
    """Contract details."""
    words = {column.name: "" for column in CONTRACTS.columns if column.type == pa.string()}
    return {
        **words,
        "session": session,
        "symbol": symbol,
        "con_id": 265598,
        "min_tick": 0.01,
        "verified_at": verified_at,
        "collected_at": verified_at,
        "request_id": 1,
    }


def covered(session: date, condition: str = "complete", **other: Any) -> dict[str, Any]:
    """A coverage row of daily equity bars."""
    row = {
        "dataset": "equity_bars",
        "bar_size": "1 day",
        "symbol": "AAPL",
        "con_id": 0,
        "session": session,
        "condition": condition,
        "reason": "",
    }
    return {**row, "collected_at": NOON, "request_id": 1, **other}


__all__ = [
    "CONTRACTS",
    "COVERAGE",
    "EQUITY_BARS",
    "INSTANT",
    "NOON",
    "OPTION_BARS",
    "OPTION_CHAINS",
    "bar",
    "chain_row",
    "contract_row",
    "covered",
    "option_bar",
    "table",
    "terms",
]
