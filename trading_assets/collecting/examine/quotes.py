"""Quotes: whether one can be stored. A quote is one row: with one impossible value the whole is not believed."""

from __future__ import annotations

from typing import Any

from trading_assets.broker.outcomes import Fault
from trading_assets.collecting.examine.values import LARGEST_COUNT, LARGEST_PRICE, shown, wrong_number
from trading_assets.instrument import DELTA_ROUNDING, SHARES, Instrument, largest_delta

_LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("bid", "ask", "last", "close", "model_price", "underlying_price"), (0.0, LARGEST_PRICE)),
    **dict.fromkeys(("bid_size", "ask_size", "last_size", "volume", "open_interest"), (0.0, LARGEST_COUNT)),
    "implied_volatility": (0.0, 1e4),
    "delta": (-1.0 - DELTA_ROUNDING, 1.0 + DELTA_ROUNDING),
    "gamma": (-LARGEST_PRICE, LARGEST_PRICE),
    "vega": (-LARGEST_PRICE, LARGEST_PRICE),
    "theta": (-LARGEST_PRICE, LARGEST_PRICE),
}
"""What a value can be; all may be null. Units: `broker.payloads.QuoteRecord`. The delta is that of a usual class; of
others `instrument.largest_delta` says the bound."""

_LATEST = 2.0**32
"""Epoch seconds of the year 2106."""


def examine_quote(quote: dict[str, Any], instrument: Instrument | None = None) -> list[Fault]:
    """The faults of a quote's payload; `instrument` is the contract that it is of (None: one of a usual class)."""
    faults = [Fault(name, "the quote", "", "is missing") for name in _LIMITS if name not in quote]
    limits = _LIMITS if instrument is None or instrument.sec_type != "OPT" else _LIMITS | {"delta": _delta(instrument)}
    for name, (least, most) in limits.items():
        if reason := wrong_number(quote.get(name), least, most):
            faults.append(Fault(name, "the quote", shown(quote.get(name)), reason))
    kind = quote.get("market_data_type")
    if type(kind) is not int or kind not in (1, 2, 3, 4):
        faults.append(Fault("market_data_type", "the quote", shown(kind), "is no kind of market data (1 to 4)"))
    if reason := wrong_number(quote.get("time"), 0, _LATEST):
        faults.append(Fault("quoted_at", "the quote", shown(quote.get("time")), reason))
    return faults


def _delta(option: Instrument) -> tuple[float, float]:
    most = largest_delta(option.symbol, option.trading_class, float(option.multiplier or SHARES)) * (1 + DELTA_ROUNDING)
    return -most, most
