"""The datasets of positions: what was held at each look at the account, and what changed between two looks."""

from __future__ import annotations

import pyarrow as pa

from trading_assets.repositories.columns import (
    COLLECTED_AT,
    CON_ID,
    INSTANT,
    REQUEST_ID,
    SYMBOL,
    Column,
    Dataset,
    Period,
    number,
    text,
)

_SESSION = Column("session", pa.date32(), "XNYS session that was current at the look", "exchange date")
_ACCOUNT = text("account", "Account number; logs, tables and the UI show it masked")

_TERMS = (
    text("sec_type", "The broker's type: STK, OPT, FUT, BOND, ...; empty in the row of an account without positions"),
    text("local_symbol", "The exchange's own symbol; of options the OSI symbol"),
    text("trading_class", "Trading class, e.g. SPX or SPXW"),
    Column("expiry", pa.date32(), "Expiry date of an option", "exchange date", nullable=True),
    number("strike", "Strike price of an option", "dollars (index points)"),
    text("right", "C or P of an option", nullable=True),
    number("multiplier", "Deliverable units a contract; 1 for stocks, null where the broker gives none", "units"),
    text("currency", "Currency of cost and prices"),
)

POSITION_SNAPSHOTS = Dataset(
    name="position_snapshots",
    description=(
        "What each account held at a look, with marks and greeks (docs/positions.md). An account without positions has"
        " one row with con_id 0: it was looked at."
    ),
    columns=(
        _SESSION,
        Column("at", INSTANT, "When the account was looked at", "UTC"),
        _ACCOUNT,
        CON_ID,
        SYMBOL,
        *_TERMS,
        number("quantity", "Shares or contracts held, negative when short", "shares or contracts", nullable=False),
        number("average_cost", "Average cost as the broker gives it: a share, or a whole contract", "dollars"),
        number("mark", "Price that the position is valued at", "dollars (index points)"),
        text("mark_source", "`live`, `chain` or `close`; null without a mark", nullable=True),
        number("mark_age", "Age of the mark at the look", "seconds"),
        number("underlying_price", "Price of the underlying at the time of the mark", "dollars (index points)"),
        number("implied_volatility", "Volatility at which the model gives the mark", "1.00 = 100 % a year"),
        number("delta", "Delta; 1 of a stock", "1 a dollar of the underlying, a share"),
        number("gamma", "Gamma", "delta a dollar of the underlying, a share"),
        number("vega", "Vega", "dollars a volatility point, a share"),
        number("theta", "Theta", "dollars a day, a share"),
        number("rho", "Rho", "dollars a rate point, a share"),
        number("unrealized_pnl", "Value at the mark less cost, of the whole position", "dollars"),
        text("model", "`black_76` (European) or `american_tree`; null of what no model prices", nullable=True),
        text("null_reason", "Why mark or greeks are null (docs/positions.md); null where they are not", nullable=True),
        COLLECTED_AT,
        REQUEST_ID,
    ),
    key=("at", "account", "con_id"),
    order=("symbol", "con_id", "account", "at"),
    period=Period.MONTH,
)

POSITION_CHANGES = Dataset(
    name="position_changes",
    description="What changed in each account between two looks, concluded from `position_snapshots`.",
    columns=(
        _SESSION,
        Column("at", INSTANT, "The look at which the change showed", "UTC"),
        Column("since", INSTANT, "The look before it", "UTC"),
        _ACCOUNT,
        CON_ID,
        SYMBOL,
        *_TERMS,
        text("change", "opened, changed, closed, expired, assigned_or_exercised or unexplained"),
        number("quantity_before", "Quantity at the look before, 0: not held", "shares or contracts", nullable=False),
        number("quantity_after", "Quantity at this look, 0: not held", "shares or contracts", nullable=False),
        number("average_cost_before", "Average cost at the look before", "dollars"),
        number("average_cost_after", "Average cost at this look", "dollars"),
        text("reason", "One sentence: what the change was concluded from"),
        COLLECTED_AT,
        REQUEST_ID,
    ),
    key=("at", "account", "con_id"),
    order=("symbol", "con_id", "account", "at"),
    period=Period.MONTH,
    taken_from={
        name: ("position_snapshots", name)
        for name in ("session", "at", "account", "con_id", "symbol", *(column.name for column in _TERMS))
    },
)
