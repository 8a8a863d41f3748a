"""The dataset of computed volatilities and greeks."""

from __future__ import annotations

import pyarrow as pa

from trading_assets.repositories.columns import (
    CON_ID,
    INSTANT,
    OPTION_TERMS,
    SESSION,
    SYMBOL,
    Column,
    Dataset,
    Period,
    number,
    text,
)

OPTION_GREEKS = Dataset(
    name="option_greeks",
    description=(
        "Implied volatilities and greeks computed by the platform from the quotes of chains and the closes of daily"
        " bars (docs/pricing.md); without a request."
    ),
    columns=(
        SESSION,
        SYMBOL,
        CON_ID,
        text("source", "`chain` (quotes of option_chains) or `bar` (`1 day` bars of option_bars)"),
        *OPTION_TERMS,
        Column("at", INSTANT, "Instant of the price: when the quote came; of bars the session's close", "UTC"),
        number("price", "Price the volatility belongs to; null without one", "dollars (index points)"),
        text("price_basis", "`mid` of bid and ask, or `close`"),
        number(
            "underlying_price",
            "Price of the underlying: median of the expiry's quotes, or the close of its bar",
            "dollars (index points)",
        ),
        number(
            "forward",
            "Forward at settlement of the underlying; of an adjusted class of what it delivers for a unit of the price",
            "dollars (index points)",
        ),
        text("forward_source", "`parity` (put-call parity) or `settings`", nullable=True),
        number("discount", "Value at `at` of a dollar at settlement", "dollars"),
        text("discount_source", "`parity` (put-call parity) or `settings`", nullable=True),
        number("years", "Time to settlement, 0 when it has passed", "years of 365 days", nullable=False),
        text("dividends", "Where expected dividends come from: `broker`, `setting` or `none`"),
        number("implied_volatility", "Volatility at which the model gives the price", "1.00 = 100 % a year"),
        number("delta", "Delta", "1 a dollar of the underlying"),
        number("gamma", "Gamma", "delta a dollar of the underlying"),
        number("vega", "Vega", "dollars a volatility point"),
        number("theta", "Theta", "dollars a day"),
        number("rho", "Rho", "dollars a rate point"),
        text("model", "`black_76` (European) or `american_tree`"),
        text("null_reason", "Why there is no volatility (docs/pricing.md); null where there is one", nullable=True),
        number("broker_implied_volatility", "The broker's model volatility, of quotes", "1.00 = 100 % a year"),
        number("broker_delta", "The broker's model delta, of quotes", "1 a dollar of the underlying"),
        Column("collected_at", INSTANT, "When the answer came that the quote or bar is from", "UTC", provenance=True),
        Column("request_id", pa.int64(), "Journal row of the request of the quote or bar", provenance=True),
    ),
    key=("session", "con_id", "source"),
    order=("symbol", "session", "source", "expiry", "strike", "right", "con_id"),
    period=Period.MONTH,
    taken_from={
        **{
            name: ("option_chains", name)
            for name in ("session", "symbol", "con_id", *(column.name for column in OPTION_TERMS))
        },
        "at": ("option_chains", "quoted_at"),
        "broker_implied_volatility": ("option_chains", "implied_volatility"),
        "broker_delta": ("option_chains", "delta"),
        "price": ("option_bars", "close"),
        "underlying_price": ("equity_bars", "close"),
    },
)
