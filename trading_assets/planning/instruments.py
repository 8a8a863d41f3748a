"""Rows of the lake as the instruments that requests are made for.

Here belongs the way from a symbol, a contract row or a chain row to a `broker.requests.Instrument`. What to ask about
an instrument belongs to the other planning modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from trading_assets.instrument import Instrument

INDEX_EXCHANGES: Mapping[str, str] = {
    "SPX": "CBOE",
    "XSP": "CBOE",
    "OEX": "CBOE",
    "XEO": "CBOE",
    "VIX": "CBOE",
    "DJX": "CBOE",
    "NDX": "NASDAQ",
    "XND": "NASDAQ",
    "RUT": "RUSSELL",
}
"""Indices with listed US options, and the exchange the broker files each under. SPX is on record; the others are common
knowledge, not checked against a live TWS: the universe takes another exchange when told.

A stock symbol needs no hint: the broker routes it by SMART. An index is found under its own exchange only.
"""

OPTION_EXCHANGE = "SMART"
"""Option requests are routed to SMART: one listing and one history for all option exchanges together."""


def underlying_words(symbol: str, sec_type: str = "", exchange: str = "", currency: str = "USD", primary_exchange: str = "") -> Instrument:
    """The words that describe an underlying not yet resolved: `SPX` becomes an index on CBOE, `AAPL` a stock by SMART.

    What is given explicitly wins over the table of indices. Raises `ValueError` for an empty symbol.
    """
    name = symbol.strip().upper()
    if not name:
        raise ValueError("A symbol cannot be empty.")
    kind = sec_type or ("IND" if name in INDEX_EXCHANGES else "STK")
    default = INDEX_EXCHANGES.get(name, "CBOE") if kind == "IND" else "SMART"
    return Instrument(symbol=name, sec_type=kind, exchange=exchange or default, currency=currency, primary_exchange=primary_exchange)


def underlying_instrument(row: Mapping[str, Any]) -> Instrument:
    """The resolved underlying of one row of the `contracts` dataset."""
    return Instrument(
        symbol=row["symbol"],
        sec_type=row["sec_type"],
        exchange=row["exchange"],
        currency=row["currency"],
        primary_exchange=row["primary_exchange"],
        con_id=row["con_id"],
        local_symbol=row["local_symbol"],
        trading_class=row["trading_class"],
    )


def option_instruments(chain: pa.Table) -> list[Instrument]:
    """The options of `option_chains` rows, in the order of the rows.

    The instrument carries all terms, so that an answer found in the journal later is decoded without the chain.
    """
    names = ("symbol", "con_id", "exchange", "currency", "last_trade", "strike", "right", "multiplier", "local_symbol", "trading_class")
    columns = (chain.column(name).to_pylist() for name in names)
    return [
        Instrument(
            symbol=symbol,
            sec_type="OPT",
            exchange=exchange or OPTION_EXCHANGE,
            currency=currency,
            con_id=con_id,
            last_trade=last_trade,
            strike=strike,
            right=right,
            multiplier=f"{multiplier:g}",
            local_symbol=local_symbol,
            trading_class=trading_class,
        )
        for symbol, con_id, exchange, currency, last_trade, strike, right, multiplier, local_symbol, trading_class in zip(*columns, strict=True)
    ]
