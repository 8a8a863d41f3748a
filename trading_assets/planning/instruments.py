"""Rows of the lake as the instruments that requests are made for.

Here belongs the way from a symbol, a contract row or a chain row to a `broker.requests.Instrument`. What to ask about
an instrument belongs to the other planning modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from trading_assets.instrument import Instrument

OPTION_EXCHANGE = "SMART"
"""Option requests are routed to SMART: one listing and one history for all option exchanges together."""


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

    The instrument carries all terms, so that an answer found in the journal later is decoded without the chain. Its
    exchange is the route, whichever exchange the listing names.
    """
    names = (
        "symbol",
        "con_id",
        "currency",
        "last_trade",
        "strike",
        "right",
        "multiplier",
        "local_symbol",
        "trading_class",
    )
    columns = (chain.column(name).to_pylist() for name in names)
    return [
        Instrument(
            symbol=symbol,
            sec_type="OPT",
            exchange=OPTION_EXCHANGE,
            currency=currency,
            con_id=con_id,
            last_trade=last_trade,
            strike=strike,
            right=right,
            multiplier=f"{multiplier:g}",
            local_symbol=local_symbol,
            trading_class=trading_class,
        )
        for symbol, con_id, currency, last_trade, strike, right, multiplier, local_symbol, trading_class in zip(
            *columns, strict=True
        )
    ]
