"""Bars as they are answered: restated for splits and dividends, and turned from columns into rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from trading_assets.simulator.generated.columns import Columns
from trading_assets.simulator.generated.stock_series import StockSeries
from trading_assets.simulator.generated.timeline import Timeline
from trading_assets.simulator.market import Bar


def restated(stock: StockSeries, columns: Columns, what_to_show: str, as_of: int) -> Columns:
    """Prices and volumes adjusted for splits (ADJUSTED_LAST: for dividends too) up to the session numbered `as_of`."""
    divisors = stock.path.split_divisors(columns.session, as_of)
    prices = 1.0 / divisors
    if what_to_show == "ADJUSTED_LAST":
        prices = prices * stock.path.dividend_factors(columns.session, as_of)
    if bool(np.all(prices == 1.0)):
        return columns
    opened, high, low, closed, wap = (
        np.round(column * prices, 4) for column in (columns.open, columns.high, columns.low, columns.close, columns.wap)
    )
    volume = np.rint(columns.volume * divisors).astype(np.int64)
    return Columns(columns.session, columns.start, opened, high, low, closed, volume, wap, columns.count)


def as_bars(columns: Columns, named: Any, sessions: Timeline, trades: bool) -> list[Bar]:
    """The rows; `named` are the numbers of the sessions that they are named by. Quotes have no volume: -1."""
    at, dates = sessions.at, sessions.dates
    prices = (column.tolist() for column in (columns.open, columns.high, columns.low, columns.close))
    if not trades:
        places = zip(columns.session.tolist(), columns.start.tolist(), named.tolist(), *prices, strict=True)
        return [Bar(at(i, s / 60), dates[n], o, h, lo, c, -1.0, -1.0, -1) for i, s, n, o, h, lo, c in places]
    trading = (column.tolist() for column in (columns.volume, columns.wap, columns.count))
    places = zip(columns.session.tolist(), columns.start.tolist(), named.tolist(), *prices, *trading, strict=True)
    return [
        Bar(at(i, s / 60), dates[n], o, h, lo, c, float(v), round(w, 4), k) for i, s, n, o, h, lo, c, v, w, k in places
    ]
