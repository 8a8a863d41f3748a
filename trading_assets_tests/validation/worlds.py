"""A small lake without a fault, as rows that a test can break, written as plain files: past the store, as another
program would.

AAPL and IBM, daily bars from 2015-10-01 and half-hour bars of two sessions; chains of 2015-12-21 to 12-24 with an
expiry that passed on 12-23; option bars. It is 2015-12-24 12:50 New York, ten minutes before the close of a half day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.repositories.schemas import (
    CONTRACTS,
    COVERAGE,
    DATASETS,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    OPTION_GREEKS,
)
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.repositories.frames import bar, chain_row, contract_row, covered, option_bar, table

NOW = datetime(2015, 12, 24, 17, 50, tzinfo=UTC)
TODAY = date(2015, 12, 24)
SYMBOLS = ("AAPL", "IBM")
BAR_SESSIONS = calendar().sessions(date(2015, 10, 1), date(2015, 12, 23))
SNAPSHOTS = calendar().sessions(date(2015, 12, 21), TODAY)
EXPIRIES = (date(2015, 12, 23), date(2016, 1, 15))
STRIKES = tuple(float(strike) for strike in range(80, 125, 5))
TIME_VALUE = 2.0

World = dict[str, list[dict[str, Any]]]
"""Rows of each dataset."""


def spot(session: date) -> float:
    """The close of a session: it moves within some percent of 100."""
    return 100.0 + (session.toordinal() * 7 % 11) / 4


def con_id(symbol: str, expiry: date, strike: float, right: str) -> int:
    """The contract id of an option of this world."""
    return SYMBOLS.index(symbol) * 100_000 + EXPIRIES.index(expiry) * 10_000 + int(strike) * 10 + (right == "P") + 1


def options(symbol: str) -> list[dict[str, Any]]:
    """The listed options of a symbol."""
    return [
        {
            "con_id": con_id(symbol, expiry, strike, right),
            "strike": strike,
            "right": right,
            "expiry": expiry,
            "symbol": symbol,
        }
        for expiry in EXPIRIES
        for strike in STRIKES
        for right in "CP"
    ]


def value(session: date, strike: float, right: str) -> float:
    """What an option is worth: intrinsic and time value, in parity."""
    return max(0.0, (spot(session) - strike) * (1 if right == "C" else -1)) + TIME_VALUE


def world() -> World:
    """The rows of a lake without a fault."""
    rows: World = {name: [] for name in DATASETS}
    for symbol in SYMBOLS:
        details = {"exchange": "SMART", "currency": "USD", "sec_type": "STK", "symbol": symbol}
        rows[CONTRACTS.name] += [
            {**contract_row(day, verified_at=NOW - timedelta(days=1)), **details} for day in SNAPSHOTS
        ]
        rows[EQUITY_BARS.name] += [bar(day, spot(day), symbol=symbol) for day in BAR_SESSIONS]
        rows[EQUITY_BARS.name] += [one for day in BAR_SESSIONS[-2:] for one in _half_hours(symbol, day)]
        rows[COVERAGE.name] += [covered(day, symbol=symbol) for day in BAR_SESSIONS]
        for terms in options(symbol):
            for day in [day for day in SNAPSHOTS if day <= terms["expiry"]]:
                quoted = _quoted(day, terms)
                rows[OPTION_CHAINS.name].append(quoted)
                if day < terms["expiry"]:
                    rows[OPTION_GREEKS.name].append(_priced(quoted))
                if day < TODAY:
                    price = value(day, terms["strike"], terms["right"])
                    one = {**option_bar(day, price, **terms), "symbol": symbol, "high": price + 0.5, "low": price - 0.5}
                    rows[OPTION_BARS.name] += [one, {**one, "bar_size": "8 hours"}]
                    rows[COVERAGE.name].append(
                        covered(day, symbol=symbol, dataset="option_bars", bar_size="8 hours", con_id=terms["con_id"])
                    )
    return rows


def _half_hours(symbol: str, day: date) -> list[dict[str, Any]]:
    first = calendar().opens_at(day)
    starts = [first + timedelta(minutes=30 * n) for n in range(13)]
    return [
        {**bar(day, spot(day), symbol=symbol), "start": start, "bar_size": "30 mins", "volume": 1000 / 13}
        for start in starts
    ]


def _quoted(day: date, terms: dict[str, Any]) -> dict[str, Any]:
    price = value(day, terms["strike"], terms["right"])
    return {
        **chain_row(day, **terms),
        "symbol": terms["symbol"],
        "last_trade": f"{terms['expiry']:%Y%m%d}",
        "selected": True,
        "quote_outcome": "complete",
        "quoted_at": calendar().closes_at(day) - timedelta(minutes=15),
        "bid": price - 0.05,
        "ask": price + 0.05,
        "last": price,
        "volume": float(day.day * 10 + int(terms["strike"])),
        "open_interest": 500.0,
        "implied_volatility": 0.3,
        "delta": 0.5 if terms["right"] == "C" else -0.5,
        "underlying_price": spot(day),
    }


def _priced(quoted: dict[str, Any]) -> dict[str, Any]:
    """The computed row of a quote: in parity without interest, at the volatility that the broker gives."""
    own = set(OPTION_GREEKS.schema.names)
    return {
        **{name: value for name, value in quoted.items() if name in own},
        "source": "chain",
        "at": quoted["quoted_at"],
        "price": (quoted["bid"] + quoted["ask"]) / 2,
        "price_basis": "mid",
        "forward": quoted["underlying_price"],
        "forward_source": "parity",
        "discount": 1.0,
        "discount_source": "settings",
        "years": (quoted["expiry"] - quoted["session"]).days / 365,
        "dividends": "none",
        "vega": 0.1,
        "model": "american_tree",
        "broker_implied_volatility": quoted["implied_volatility"],
        "broker_delta": quoted["delta"],
    }


VARIANTS = {"bar_size": "1_day", "dataset": "equity_bars"}
"""The one folder of a dataset into which all its rows are written: the column says what they are of."""


def write(folder: Path, rows: World) -> Settings:
    """Write a world as plain files, whatever its rows say, with its symbols active; the settings to look at it with."""
    for name, dataset in DATASETS.items():
        target = folder / name / VARIANTS.get(dataset.variant or "", "") / "2015.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        nullable = pa.schema([field.with_nullable(True) for field in dataset.schema])
        given = table(dataset, rows[name]).cast(nullable) if rows[name] else nullable.empty_table()
        pq.write_table(given, target.with_suffix(".new"))
        target.with_suffix(".new").replace(target)  # a file of its own: the one before may be open
    settings = Settings(data_dir=folder, now=NOW)
    Universe(settings.state_url).add(SYMBOLS)
    return settings
