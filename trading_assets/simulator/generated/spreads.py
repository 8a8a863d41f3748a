"""Bid and ask around a theoretical value, and quote bars made from value bars.

Bid and ask are monotone functions of the value alone, so that quote bars of all sizes agree as value bars do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trading_assets.simulator.generated.columns import Columns, Floats
from trading_assets.simulator.generated.instruments import OptionClass, Underlying
from trading_assets.simulator.market import MarketRefusal

QUOTE_BARS = frozenset({"MIDPOINT", "BID", "ASK", "BID_ASK"})

_LEAST_HALF = 0.01
"""Half an option's spread at the least, dollars."""
_HALF_SHARE = 0.006
"""What is added for each dollar of the option's value, at liquidity 1."""


def option_bid_ask(value: Any, option_class: OptionClass) -> tuple[Any, Any]:
    """Bid and ask of an option on its tick. A bid of 0 is no bid."""
    widen = 1.0 / (0.35 + 0.65 * min(option_class.liquidity, 1.0))
    half = (_LEAST_HALF + _HALF_SHARE * value) * widen
    tick = option_class.tick
    bid = np.maximum(np.floor((value - half) / tick + 1e-9), 0.0)
    ask = np.maximum(np.ceil((value + half) / tick - 1e-9), bid + 1.0)
    return np.round(bid * tick, 2), np.round(ask * tick, 2)


def stock_bid_ask(price: Any, underlying: Underlying) -> tuple[Any, Any]:
    """Bid and ask of a stock on the cent: one cent each side of the last price, more for thinly traded ones."""
    cents = np.ceil(1e-4 * price * 100 * (1.0 if underlying.volume >= 2_000_000 else 4.0))
    return np.round(np.maximum(price - cents / 100.0, 0.01), 2), np.round(price + cents / 100.0, 2)


def quote_bars(values: Columns, what_to_show: str, quoted: Any) -> Columns:
    """Bars of MIDPOINT, BID, ASK or BID_ASK from bars of values; `quoted` gives bid and ask of an array of values."""
    if what_to_show not in QUOTE_BARS:
        raise MarketRefusal(
            162,
            f"Historical Market Data Service error message:No historical market data of type {what_to_show} for this"
            " contract",
        )
    prices = np.stack((values.open, values.high, values.low, values.close))
    bid, ask = quoted(prices)
    if what_to_show == "BID_ASK":
        shown: Floats = np.stack((np.round(bid.mean(axis=0), 4), ask[1], bid[2], np.round(ask.mean(axis=0), 4)))
    else:
        shown = {"BID": bid, "ASK": ask, "MIDPOINT": np.round((bid + ask) / 2.0, 4)}[what_to_show]
    return Columns(
        values.session, values.start, shown[0], shown[1], shown[2], shown[3], values.volume, values.wap, values.count
    )
