"""What a dataset and its columns are, and the columns that several datasets have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property

import pyarrow as pa

SCHEMA_VERSION = 2
"""Written into every file's footer; raised when columns are added. A column whose meaning changes gets another name:
older programs read newer files rightly, and do not rewrite them (`repositories.file_schemas`). A small lake of each
version is stored with the tests."""

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


def text(name: str, description: str, nullable: bool = False) -> Column:
    """A column of text."""
    return Column(name, pa.string(), description, nullable=nullable)


def number(name: str, description: str, unit: str, nullable: bool = True) -> Column:
    """A column of numbers, NaN as null."""
    return Column(name, pa.float64(), description, unit, nullable)


SESSION = Column("session", pa.date32(), "XNYS trading day the row belongs to", "exchange date")
SYMBOL = text("symbol", "Symbol of the underlying")
CON_ID = Column("con_id", pa.int64(), "The broker's contract id")
COLLECTED_AT = Column("collected_at", INSTANT, "When the answer came", "UTC", provenance=True)
REQUEST_ID = Column("request_id", pa.int64(), "Journal row of the request that brought the value", provenance=True)

OPTION_TERMS = (
    text("local_symbol", "OSI symbol, root padded to six characters"),
    text("trading_class", "Trading class, e.g. SPX or SPXW"),
    Column("expiry", pa.date32(), "Expiry date (for AM-settled index options the day of settlement)", "exchange date"),
    number("strike", "Strike price", "dollars (index points)", nullable=False),
    text("right", "C or P"),
    number("multiplier", "Deliverable units a contract", "units", nullable=False),
)
