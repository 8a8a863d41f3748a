"""Lakes whose bars are exported for other programs: of the recorded market, and of rows that formats cannot hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS, Dataset
from trading_assets.sessions import NEW_YORK, calendar
from trading_assets_tests.repositories.frames import bar, contract_row, option_bar, table

PRICES = ("open", "high", "low", "close")
DAY = date(2015, 12, 24)
"""A half day."""

NEXT = date(2015, 12, 28)


def rows(lake: Path, dataset: Dataset) -> list[dict[str, Any]]:
    """All rows of a dataset."""
    return ParquetStore(lake).read(dataset).to_pylist()


def exact(number: float | None) -> Decimal:
    """The decimal number that a stored double stands for."""
    return Decimal(repr(number))


def ends_at(row: dict[str, Any]) -> datetime:
    """When a bar of regular hours ends: sizes are aligned to the clock in New York, and the close ends the last."""
    hours = {"1 day": 24, "8 hours": 8, "1 hour": 1, "30 mins": 0.5, "1 min": 1 / 60}[row["bar_size"]]
    local, close = row["start"].astimezone(NEW_YORK), calendar().closes_at(row["session"])
    midnight = local.replace(hour=0, minute=0, second=0)
    length = timedelta(hours=hours)
    end = midnight + ((local - midnight) // length + 1) * length
    return min(end, close) if row["start"] < close else end


def recorded_lake(folder: Path, market: Path) -> Path:
    """Of the recorded market: AAPL by day since 1998 and by minute on 2014-06-05, and options on GOOG by minute on
    2015-12-23."""
    store = ParquetStore(folder)
    store.upsert(CONTRACTS, table(CONTRACTS, [company(DAY, symbol, "STK", "NASDAQ") for symbol in ("AAPL", "GOOG")]))
    days = _read(market, "equity_bars_daily", symbol="AAPL")
    minutes = _read(market, "equity_bars_minute", symbol="AAPL", date=date(2014, 6, 5))
    equity = [bar(row["date"], **_traded(row)) for row in days]
    regular = (
        row for row in minutes if calendar().opens_at(row["date"]) <= row["ts_utc"] < calendar().closes_at(row["date"])
    )
    equity += [bar(row["date"], start=row["ts_utc"], bar_size="1 min", **_traded(row)) for row in regular]
    store.upsert(EQUITY_BARS, table(EQUITY_BARS, equity))
    options = list(_read(market, "option_bars_minute", underlying="GOOG", date=date(2015, 12, 23)))
    ids = {osi: number for number, osi in enumerate(sorted({row["osi"] for row in options}), 1)}
    store.upsert(
        OPTION_BARS,
        table(
            OPTION_BARS,
            [
                {
                    **option_bar(row["date"], symbol="GOOG"),
                    **{name: row[name] for name in ("trading_class", "expiry", "strike", "right")},
                    **{"con_id": ids[row["osi"]], "local_symbol": row["osi"]},
                    **{"start": row["ts_utc"], "bar_size": "1 min", **_traded(row)},
                }
                for row in options
            ],
        ),
    )
    return folder


def odd_lake(folder: Path) -> Path:
    """Rows that formats hold only in part: see the names."""
    store = ParquetStore(folder)
    exact_close = {"open": 5.1234, "high": 5.1234, "low": 5.1234, "close": 5.1234}
    many = dict.fromkeys(PRICES, 0.12345678)
    too_many = dict.fromkeys(PRICES, 0.12345678901234566)
    store.upsert(
        CONTRACTS,
        table(
            CONTRACTS,
            [company(DAY, "AAPL", "STK", "NASDAQ"), company(DAY, "SPX", "IND", "CBOE"), company(DAY, "BRK B", "STK")],
        ),
    )
    opens, closes = calendar().opens_at(DAY), calendar().closes_at(DAY)
    store.upsert(
        EQUITY_BARS,
        table(
            EQUITY_BARS,
            [
                bar(DAY, 2098.5, symbol="SPX", con_id=416904, volume=None),
                bar(DAY, 130.25, symbol="BRK B", con_id=72063691),
                bar(DAY, 25.5, symbol="META@107113386", con_id=107113386),
                bar(DAY, symbol="NONE", con_id=1, volume=None),
                bar(DAY, symbol="HALF", con_id=2, volume=10.5),
                bar(DAY, symbol="FINE", con_id=3, **many),
                bar(DAY, symbol="FINER", con_id=4, **too_many),
                bar(DAY, bar_size="1 hour", start=opens),
                bar(DAY, bar_size="1 hour", start=closes - timedelta(hours=1)),
                bar(DAY, bar_size="8 hours", start=opens),
            ],
        ),
    )
    spx = {"symbol": "SPX", "trading_class": "SPXW", "local_symbol": "SPXW  160115C02000000", "strike": 2000.0}
    store.upsert(
        OPTION_BARS,
        table(
            OPTION_BARS,
            [
                {**option_bar(DAY), **exact_close, "con_id": 1},
                {**option_bar(DAY), "con_id": 2, "trading_class": "AAPL1", "local_symbol": "AAPL1 160115C00100000"},
                {**option_bar(DAY, con_id=3, strike=101.0), "multiplier": 10.0},
                {**option_bar(DAY, con_id=4), **spx},
                option_bar(DAY, con_id=5, strike=102.5, expiry=date(2016, 1, 16), right="P"),
                option_bar(DAY, con_id=6, strike=103.0, expiry=date(2099, 1, 16)),
                {**option_bar(DAY, con_id=7, strike=104.0), "start": closes, "bar_size": "30 mins"},
                {**option_bar(NEXT, con_id=8, strike=105.0), "volume": None},
            ],
        ),
    )
    return folder


def company(session: date, symbol: str, sec_type: str, exchange: str = "") -> dict[str, Any]:
    """Contract details."""
    return {**contract_row(session, symbol), "sec_type": sec_type, "primary_exchange": exchange}


def _read(market: Path, name: str, **wanted: Any) -> Iterator[dict[str, Any]]:
    filters = [(column, "==", value) for column, value in wanted.items()]
    found = pq.read_table(market / f"{name}.parquet", filters=filters)
    yield from found.filter(pc.is_valid(found["close"])).to_pylist()


def _traded(row: dict[str, Any]) -> dict[str, Any]:
    return {**{name: row[name] for name in PRICES}, "volume": float(row["volume"])}
