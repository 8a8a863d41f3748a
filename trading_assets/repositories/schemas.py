"""The datasets of the lake, each said once.

From a `Dataset` come the Arrow schema, the period files, the DuckDB view, Dagster's table schema and the checks at
the write. A column's `unit` and `description` stand in the field's metadata. What a dataset is, is said by `columns`.
What does not belong here: reading and writing (`repositories.store`).
"""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa

from trading_assets.repositories.columns import (
    COLLECTED_AT,
    CON_ID,
    OPTION_TERMS,
    REQUEST_ID,
    SESSION,
    SYMBOL,
    number,
    text,
)
from trading_assets.repositories.columns import INSTANT as INSTANT
from trading_assets.repositories.columns import SCHEMA_VERSION as SCHEMA_VERSION
from trading_assets.repositories.columns import Column as Column
from trading_assets.repositories.columns import Dataset as Dataset
from trading_assets.repositories.columns import Period as Period
from trading_assets.repositories.greeks_schema import OPTION_GREEKS
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.positions_schema import POSITION_CHANGES, POSITION_SNAPSHOTS

_PRICES = (
    number("open", "First price", "dollars (index points)", nullable=False),
    number("high", "Highest price", "dollars (index points)", nullable=False),
    number("low", "Lowest price", "dollars (index points)", nullable=False),
    number("close", "Last price", "dollars (index points)", nullable=False),
)

CONTRACTS = Dataset(
    name="contracts",
    description=(
        "Contract details of each underlying, one row a symbol and session; carried forward while verified recently."
    ),
    columns=(
        SESSION,
        SYMBOL,
        CON_ID,
        text("sec_type", "STK or IND"),
        text("exchange", "Exchange requests are routed to"),
        text("primary_exchange", "Listing exchange"),
        text("currency", "Trading currency"),
        text("local_symbol", "The exchange's own symbol"),
        text("trading_class", "Trading class"),
        text("long_name", "Name of the issuer or index"),
        number("min_tick", "Smallest price step", "dollars"),
        text("time_zone_id", "Time zone of the trading hours"),
        text("trading_hours", "Trading hours as the broker words them"),
        text("liquid_hours", "Regular hours as the broker words them"),
        text("industry", "Industry"),
        text("category", "Category"),
        text("subcategory", "Subcategory"),
        text("stock_type", "COMMON, ETF, ..."),
        text("market_rule_ids", "Market rules, comma separated"),
        text("valid_exchanges", "Exchanges, comma separated"),
        text(
            "sec_ids",
            "Other ids of the contract as the broker gives them, e.g. `CUSIP=30303M102 ISIN=US30303M1027`",
            nullable=True,
        ),
        Column("verified_at", INSTANT, "When the broker last gave these details", "UTC"),
        COLLECTED_AT,
        REQUEST_ID,
    ),
    key=("session", "symbol"),
    order=("symbol", "session"),
    period=Period.YEAR,
)

OPTION_CHAINS = Dataset(
    name="option_chains",
    description=(
        "Every listed option contract of the wanted expiries, with quotes, greeks and open interest of the selected"
        " ones at that moment."
    ),
    columns=(
        SESSION,
        SYMBOL,
        CON_ID,
        Column("under_con_id", pa.int64(), "Contract id of the underlying"),
        *OPTION_TERMS,
        text("exchange", "Exchange requests are routed to"),
        text("currency", "Trading currency"),
        text("last_trade", "Last trading day as the broker's contract details word it (YYYYMMDD)"),
        text(
            "listed_expiry",
            "Day under which the broker's option parameters name the expiry and under which it was listed (YYYYMMDD);"
            " null where `last_trade` says the same",
            nullable=True,
        ),
        text(
            "listed_class",
            "Trading class under which the option parameters offered the strike at the listing, empty where none did;"
            " null where `trading_class` says the same",
            nullable=True,
        ),
        number("min_tick", "Smallest price step", "dollars"),
        Column("listed_at", INSTANT, "When the listing that names the contract was read", "UTC"),
        Column("selected", pa.bool_(), "Whether the contract was selected for quotes and bars"),
        text(
            "quote_outcome",
            "Outcome of the quote request, `partial` when it lacks a value; null when none was made",
            nullable=True,
        ),
        Column("quoted_at", INSTANT, "When the quote came", "UTC", nullable=True),
        number("bid", "Bid; null is no bid", "dollars (index points)"),
        number("ask", "Ask; null is no ask", "dollars (index points)"),
        number("last", "Last trade", "dollars (index points)"),
        number("bid_size", "Size at the bid", "contracts"),
        number("ask_size", "Size at the ask", "contracts"),
        number("volume", "Contracts traded in the session so far", "contracts"),
        number("open_interest", "Open interest of the morning", "contracts"),
        number("implied_volatility", "The broker's model volatility", "1.00 = 100 % a year"),
        number("delta", "Model delta", "1 a dollar of the underlying"),
        number("gamma", "Model gamma", "delta a dollar of the underlying"),
        number("vega", "Model vega", "dollars a volatility point"),
        number("theta", "Model theta", "dollars a day"),
        number("model_price", "Model price", "dollars (index points)"),
        number("underlying_price", "Price of the underlying at that moment", "dollars (index points)"),
        Column("market_data_type", pa.int8(), "1 live, 2 frozen, 3 delayed, 4 delayed and frozen", nullable=True),
        text(
            "dividends",
            "Cash dividends of the underlying as the broker gave them (tick 456): past twelve months, next twelve"
            " months, next ex-date, next amount, in dollars; null where it gave none",
            nullable=True,
        ),
        COLLECTED_AT,
        REQUEST_ID,
    ),
    key=("session", "symbol", "con_id"),
    order=("symbol", "session", "expiry", "strike", "right", "con_id"),
    period=Period.MONTH,
    taken_from={"symbol": ("contracts", "symbol"), "under_con_id": ("contracts", "con_id")},
)

_BAR_TAIL = (
    Column("start", INSTANT, "Start of the bar; of `1 day` bars the regular open", "UTC"),
    text("bar_size", "Length of the bar in the broker's words"),
    *_PRICES,
    number(
        "volume",
        "Traded volume; null where the broker does not know it",
        "shares (settings: stock_volume_unit) or contracts",
    ),
    number("wap", "Volume-weighted average price; null where the broker gives none", "dollars (index points)"),
    Column("bar_count", pa.int64(), "Trades in the bar; null where the broker gives none", nullable=True),
    COLLECTED_AT,
    REQUEST_ID,
)

EQUITY_BARS = Dataset(
    name="equity_bars",
    description="Bars of the underlyings, split-adjusted at the time of the request (TRADES, regular hours).",
    columns=(SESSION, SYMBOL, CON_ID, *_BAR_TAIL),
    key=("symbol", "bar_size", "start"),
    order=("symbol", "start"),
    period=Period.YEAR,
    variant="bar_size",
    taken_from={"symbol": ("contracts", "symbol"), "con_id": ("contracts", "con_id")},
)

OPTION_BARS = Dataset(
    name="option_bars",
    description=(
        "Bars of the selected option contracts (TRADES, regular hours); `1 day` bars are aggregated from `8 hours` bars"
        " by session."
    ),
    columns=(SESSION, SYMBOL, CON_ID, *OPTION_TERMS, *_BAR_TAIL),
    key=("con_id", "bar_size", "start"),
    order=("symbol", "con_id", "start"),
    period=Period.MONTH,
    variant="bar_size",
    taken_from={
        name: ("option_chains", name) for name in ("symbol", "con_id", *(column.name for column in OPTION_TERMS))
    },
)


class Condition(StrEnum):
    """What the lake knows of one instrument in one session."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    NO_TRADES = "no_trades"
    NOTHING_SELECTED = "nothing_selected"
    NOT_PERMITTED = "not_permitted"
    NO_CONTRACT = "no_contract"
    ERROR = "error"
    EXPIRED_LOST = "expired_lost"
    PENDING = "pending"

    @property
    def settled(self) -> bool:
        """Whether the question has its final answer and is not requested again."""
        return self in (Condition.COMPLETE, Condition.NO_TRADES, Condition.NOTHING_SELECTED, Condition.EXPIRED_LOST)

    @property
    def refused(self) -> bool:
        """Whether the broker said no, for good or until the retry time."""
        return self in (Condition.NOT_PERMITTED, Condition.NO_CONTRACT, Condition.ERROR)


SETTLED_SQL = ", ".join(f"'{condition}'" for condition in Condition if condition.settled)
REFUSED_SQL = ", ".join(f"'{condition}'" for condition in Condition if condition.refused)
"""The settled and the refused conditions as lists in SQL, without brackets."""


COVERAGE = Dataset(
    name="coverage",
    description="What the lake has, lacks and why: one row a dataset, bar size, instrument and session.",
    columns=(
        text("dataset", "Dataset the row is about"),
        text("bar_size", "Bar size; empty for snapshots"),
        text("symbol", "Symbol of the underlying"),
        Column("con_id", pa.int64(), "Option contract id; 0 for the underlying"),
        SESSION,
        text(
            "condition",
            "complete, partial, no_trades, nothing_selected, not_permitted, no_contract, error, expired_lost or"
            " pending",
        ),
        text("reason", "One sentence; empty for what was collected"),
        Column("broker_code", pa.int32(), "The broker's error code", nullable=True),
        Column(
            "retry_after",
            INSTANT,
            "Not to be requested again before; null: at any time, or never when settled",
            "UTC",
            nullable=True,
        ),
        COLLECTED_AT,
        REQUEST_ID,
    ),
    key=("dataset", "bar_size", "symbol", "con_id", "session"),
    order=("symbol", "con_id", "bar_size", "session"),
    period=Period.YEAR,
    variant="dataset",
)

ALL_SYMBOLS = "*"
"""The symbol of a measure of all symbols together. No symbol is written so (and ALL is one)."""

PLATFORM = "platform"
"""What a measure is about when it is about no dataset."""

QUALITY_METRICS = Dataset(
    name="quality_metrics",
    description="Measures of the archive's quality over time: one row a measuring, metric, dataset and symbol.",
    columns=(
        Column("session", pa.date32(), "XNYS session that was current at the measuring", "exchange date"),
        Column("measured_at", INSTANT, "When it was measured, by the platform's clock", "UTC"),
        text("metric", "What was measured, e.g. coverage_complete"),
        text("about", "Dataset the value is about, or `platform`"),
        text("symbol", "Symbol of the underlying; `*` for all together"),
        number("value", "The measured value", "see `unit`", nullable=False),
        text("unit", "Unit of the value"),
        COLLECTED_AT,
        REQUEST_ID,
    ),
    key=("measured_at", "metric", "about", "symbol"),
    order=("metric", "about", "symbol", "measured_at"),
    period=Period.MONTH,
)

DATASETS: dict[str, Dataset] = {
    d.name: d
    for d in (
        *(CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS, OPTION_GREEKS, COVERAGE, QUALITY_METRICS),
        *(POSITION_SNAPSHOTS, POSITION_CHANGES),
        *LIVE_DATASETS,
    )
}
"""All datasets by name."""


def closed_symbol(symbol: str, con_id: int) -> str:
    """The symbol under which the rows of a company are kept that held `symbol` before. No symbol of the broker holds an
    `@`."""
    return f"{symbol}@{con_id}"
