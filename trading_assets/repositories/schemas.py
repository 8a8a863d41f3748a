"""The datasets of the lake, each said once.

From a `Dataset` come the Arrow schema, the period files, the DuckDB view, Dagster's table schema and the checks at
the write. A column's `unit` and `description` stand in the field's metadata. What does not belong here: reading and
writing (`repositories.store`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property

import pyarrow as pa

SCHEMA_VERSION = 1
"""Written into every file's footer; raised when a column changes its meaning."""

INSTANT = pa.timestamp("us", tz="UTC")


class Period(StrEnum):
    """How much of a dataset one file holds."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"

    def of(self, session: date) -> str:
        """The name of the period a session is in: `2015`, `2015-12` or `2015-12-24`."""
        return {Period.YEAR: f"{session:%Y}", Period.MONTH: f"{session:%Y-%m}", Period.DAY: f"{session:%Y-%m-%d}"}[self]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: name, Arrow type, whether null is allowed, unit and meaning.

    `provenance` columns say where a row comes from; a difference in them alone is not a change of the row.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str = ""
    nullable: bool = False
    provenance: bool = False

    def field(self) -> pa.Field:
        """The Arrow field, with unit and description in its metadata."""
        return pa.field(self.name, self.type, self.nullable, {"unit": self.unit, "description": self.description})


@dataclass(frozen=True)
class Dataset:
    """One dataset: its columns, the key that names a row, the order of rows in a file, and the file's period.

    `variant` is the column that splits the dataset into folders (`bar_size`), if any. `taken_from` names the columns
    that say which row of another dataset the broker was asked about, each with dataset and column there; all others are
    the broker's answer.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    order: tuple[str, ...]
    period: Period
    variant: str | None = None
    taken_from: Mapping[str, tuple[str, str]] = field(default_factory=dict, hash=False)

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema of every file and of every frame given to the store."""
        return pa.schema([column.field() for column in self.columns])

    @cached_property
    def value_columns(self) -> tuple[str, ...]:
        """Columns whose change makes a revision: neither key nor provenance."""
        return tuple(c.name for c in self.columns if c.name not in self.key and not c.provenance)

    def column(self, name: str) -> Column:
        """The column of that name; `KeyError` if there is none."""
        return {c.name: c for c in self.columns}[name]


def _text(name: str, description: str, nullable: bool = False) -> Column:
    return Column(name, pa.string(), description, nullable=nullable)


def _number(name: str, description: str, unit: str, nullable: bool = True) -> Column:
    return Column(name, pa.float64(), description, unit, nullable)


SESSION = Column("session", pa.date32(), "XNYS trading day the row belongs to", "exchange date")
SYMBOL = _text("symbol", "Symbol of the underlying")
CON_ID = Column("con_id", pa.int64(), "The broker's contract id")
COLLECTED_AT = Column("collected_at", INSTANT, "When the answer came", "UTC", provenance=True)
REQUEST_ID = Column("request_id", pa.int64(), "Journal row of the request that brought the value", provenance=True)

_OPTION_TERMS = (
    _text("local_symbol", "OSI symbol, root padded to six characters"),
    _text("trading_class", "Trading class, e.g. SPX or SPXW"),
    Column("expiry", pa.date32(), "Expiry date (for AM-settled index options the day of settlement)", "exchange date"),
    _number("strike", "Strike price", "dollars (index points)", nullable=False),
    _text("right", "C or P"),
    _number("multiplier", "Deliverable units a contract", "units", nullable=False),
)

_PRICES = (
    _number("open", "First price", "dollars (index points)", nullable=False),
    _number("high", "Highest price", "dollars (index points)", nullable=False),
    _number("low", "Lowest price", "dollars (index points)", nullable=False),
    _number("close", "Last price", "dollars (index points)", nullable=False),
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
        _text("sec_type", "STK or IND"),
        _text("exchange", "Exchange requests are routed to"),
        _text("primary_exchange", "Listing exchange"),
        _text("currency", "Trading currency"),
        _text("local_symbol", "The exchange's own symbol"),
        _text("trading_class", "Trading class"),
        _text("long_name", "Name of the issuer or index"),
        _number("min_tick", "Smallest price step", "dollars"),
        _text("time_zone_id", "Time zone of the trading hours"),
        _text("trading_hours", "Trading hours as the broker words them"),
        _text("liquid_hours", "Regular hours as the broker words them"),
        _text("industry", "Industry"),
        _text("category", "Category"),
        _text("subcategory", "Subcategory"),
        _text("stock_type", "COMMON, ETF, ..."),
        _text("market_rule_ids", "Market rules, comma separated"),
        _text("valid_exchanges", "Exchanges, comma separated"),
        _text(
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
        *_OPTION_TERMS,
        _text("exchange", "Exchange requests are routed to"),
        _text("currency", "Trading currency"),
        _text("last_trade", "Last trading day as the broker words it (YYYYMMDD)"),
        _number("min_tick", "Smallest price step", "dollars"),
        Column("listed_at", INSTANT, "When the listing that names the contract was read", "UTC"),
        Column("selected", pa.bool_(), "Whether the contract was selected for quotes and bars"),
        _text(
            "quote_outcome",
            "Outcome of the quote request, `partial` when it lacks a value; null when none was made",
            nullable=True,
        ),
        Column("quoted_at", INSTANT, "When the quote came", "UTC", nullable=True),
        _number("bid", "Bid; null is no bid", "dollars (index points)"),
        _number("ask", "Ask; null is no ask", "dollars (index points)"),
        _number("last", "Last trade", "dollars (index points)"),
        _number("bid_size", "Size at the bid", "contracts"),
        _number("ask_size", "Size at the ask", "contracts"),
        _number("volume", "Contracts traded in the session so far", "contracts"),
        _number("open_interest", "Open interest of the morning", "contracts"),
        _number("implied_volatility", "The broker's model volatility", "1.00 = 100 % a year"),
        _number("delta", "Model delta", "1 a dollar of the underlying"),
        _number("gamma", "Model gamma", "delta a dollar of the underlying"),
        _number("vega", "Model vega", "dollars a volatility point"),
        _number("theta", "Model theta", "dollars a day"),
        _number("model_price", "Model price", "dollars (index points)"),
        _number("underlying_price", "Price of the underlying at that moment", "dollars (index points)"),
        Column("market_data_type", pa.int8(), "1 live, 2 frozen, 3 delayed, 4 delayed and frozen", nullable=True),
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
    _text("bar_size", "Length of the bar in the broker's words"),
    *_PRICES,
    _number(
        "volume",
        "Traded volume; null where the broker does not know it",
        "shares (settings: stock_volume_unit) or contracts",
    ),
    _number("wap", "Volume-weighted average price; null where the broker gives none", "dollars (index points)"),
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
    columns=(SESSION, SYMBOL, CON_ID, *_OPTION_TERMS, *_BAR_TAIL),
    key=("con_id", "bar_size", "start"),
    order=("symbol", "con_id", "start"),
    period=Period.MONTH,
    variant="bar_size",
    taken_from={
        name: ("option_chains", name) for name in ("symbol", "con_id", *(column.name for column in _OPTION_TERMS))
    },
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
        _text("source", "`chain` (quotes of option_chains) or `bar` (`1 day` bars of option_bars)"),
        *_OPTION_TERMS,
        Column("at", INSTANT, "Instant of the price: when the quote came; of bars the session's close", "UTC"),
        _number("price", "Price the volatility belongs to; null without one", "dollars (index points)"),
        _text("price_basis", "`mid` of bid and ask, or `close`"),
        _number(
            "underlying_price",
            "Price of the underlying: median of the expiry's quotes, or the close of its bar",
            "dollars (index points)",
        ),
        _number("forward", "Forward of the underlying at settlement", "dollars (index points)"),
        _text("forward_source", "`parity` (put-call parity) or `settings`", nullable=True),
        _number("discount", "Value at `at` of a dollar at settlement", "dollars"),
        _text("discount_source", "`parity` (put-call parity) or `settings`", nullable=True),
        _number("years", "Time to settlement, 0 when it has passed", "years of 365 days", nullable=False),
        _text("dividends", "Where expected dividends come from: `broker`, `setting` or `none`"),
        _number("implied_volatility", "Volatility at which the model gives the price", "1.00 = 100 % a year"),
        _number("delta", "Delta", "1 a dollar of the underlying"),
        _number("gamma", "Gamma", "delta a dollar of the underlying"),
        _number("vega", "Vega", "dollars a volatility point"),
        _number("theta", "Theta", "dollars a day"),
        _number("rho", "Rho", "dollars a rate point"),
        _text("model", "`black_76` (European) or `american_tree`"),
        _text("null_reason", "Why there is no volatility (docs/pricing.md); null where there is one", nullable=True),
        _number("broker_implied_volatility", "The broker's model volatility, of quotes", "1.00 = 100 % a year"),
        _number("broker_delta", "The broker's model delta, of quotes", "1 a dollar of the underlying"),
        Column("collected_at", INSTANT, "When the answer came that the quote or bar is from", "UTC", provenance=True),
        Column("request_id", pa.int64(), "Journal row of the request of the quote or bar", provenance=True),
    ),
    key=("session", "con_id", "source"),
    order=("symbol", "session", "source", "expiry", "strike", "right", "con_id"),
    period=Period.MONTH,
    taken_from={
        **{
            name: ("option_chains", name)
            for name in ("session", "symbol", "con_id", *(column.name for column in _OPTION_TERMS))
        },
        "at": ("option_chains", "quoted_at"),
        "broker_implied_volatility": ("option_chains", "implied_volatility"),
        "broker_delta": ("option_chains", "delta"),
        "price": ("option_bars", "close"),
        "underlying_price": ("equity_bars", "close"),
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
        _text("dataset", "Dataset the row is about"),
        _text("bar_size", "Bar size; empty for snapshots"),
        _text("symbol", "Symbol of the underlying"),
        Column("con_id", pa.int64(), "Option contract id; 0 for the underlying"),
        SESSION,
        _text(
            "condition",
            "complete, partial, no_trades, nothing_selected, not_permitted, no_contract, error, expired_lost or"
            " pending",
        ),
        _text("reason", "One sentence; empty for what was collected"),
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
        _text("metric", "What was measured, e.g. coverage_complete"),
        _text("about", "Dataset the value is about, or `platform`"),
        _text("symbol", "Symbol of the underlying; `*` for all together"),
        _number("value", "The measured value", "see `unit`", nullable=False),
        _text("unit", "Unit of the value"),
        COLLECTED_AT,
        REQUEST_ID,
    ),
    key=("measured_at", "metric", "about", "symbol"),
    order=("metric", "about", "symbol", "measured_at"),
    period=Period.MONTH,
)

DATASETS: dict[str, Dataset] = {
    d.name: d for d in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS, OPTION_GREEKS, COVERAGE, QUALITY_METRICS)
}
"""All datasets by name."""


def closed_symbol(symbol: str, con_id: int) -> str:
    """The symbol under which the rows of a company are kept that held `symbol` before. No symbol of the broker holds an
    `@`."""
    return f"{symbol}@{con_id}"
