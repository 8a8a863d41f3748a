"""The universe: the symbols an archive is kept for, in the state database.

`setup` adds symbols, the daily update works through the active ones. Removing a symbol keeps its data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from trading_assets.arguments import one_of, one_symbol, some_symbols
from trading_assets.arguments.symbols import Symbols
from trading_assets.errors import InvalidRequest
from trading_assets.instrument import Instrument
from trading_assets.state import metadata
from trading_assets.state.records import StateRecords

INDEX_EXCHANGES = {
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
"""Indices with listed US options, and the exchange the broker files each under (broker's product listings).

A stock symbol needs no hint: the broker routes it by SMART. An index is found under its own exchange only.
"""

SEC_TYPES = ("STK", "IND")
"""The kinds of instruments that are collected: stocks and ETFs, indices."""

universe_table = sa.Table(
    "universe",
    metadata,
    sa.Column("symbol", sa.Text, primary_key=True),
    sa.Column("sec_type", sa.Text, nullable=False),
    sa.Column("exchange", sa.Text, nullable=False, doc="Route of requests, e.g. SMART"),
    sa.Column(
        "primary_exchange",
        sa.Text,
        nullable=False,
        server_default="",
        doc="Listing exchange that tells the contract apart",
    ),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("added_at", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class UniverseEntry:
    """A symbol of the universe and how the broker is asked for it.

    `exchange` is the route of all requests: SMART takes the best of all exchanges, any other one has the data of that
    exchange alone (an index has one exchange). `primary_exchange` is where the stock is listed; empty: the US listing.
    """

    symbol: str
    sec_type: str
    exchange: str
    currency: str
    active: bool
    added_at: datetime
    primary_exchange: str = ""

    @property
    def instrument(self) -> Instrument:
        """The words that resolve the underlying."""
        return Instrument(self.symbol, self.sec_type, self.exchange, self.currency, self.primary_exchange)


def describe(
    symbol: str,
    sec_type: str | None = None,
    exchange: str | None = None,
    now: datetime | None = None,
    primary_exchange: str | None = None,
) -> UniverseEntry:
    """The entry a symbol would have at `now`: indices are known by name, the rest are stocks routed by SMART.

    Raises `ValueError` for a symbol or an exchange that cannot be one.
    """
    name = one_symbol(symbol)
    exchange, primary_exchange = _exchange(exchange), _exchange(primary_exchange)
    if primary_exchange == "SMART":
        raise InvalidRequest(
            "SMART is a route, not a listing exchange: give it as the exchange, and for instance NASDAQ or ARCA as the"
            " primary exchange."
        )
    given = None if sec_type is None else one_of(sec_type, SEC_TYPES, "sec_type")
    kind = given or ("IND" if name in INDEX_EXCHANGES else "STK")
    routed = INDEX_EXCHANGES.get(name, "CBOE") if kind == "IND" else "SMART"
    return UniverseEntry(
        name, kind, exchange or routed, "USD", True, (now or datetime.now(UTC)).astimezone(UTC), primary_exchange or ""
    )


def _exchange(name: str | None) -> str | None:
    """An exchange as the broker writes it; None for none given."""
    if name is not None and not isinstance(name, str):
        raise InvalidRequest(f"{name!r} is not the name of an exchange, for example SMART, NASDAQ, NYSE, ARCA or CBOE.")
    text = (name or "").strip().upper()
    if len(text) > 12 or not all(c.isascii() and (c.isalnum() or c in ".-_") for c in text):
        raise InvalidRequest(f"{name!r} is not the name of an exchange, for example SMART, NASDAQ, NYSE, ARCA or CBOE.")
    return text or None


def _required(symbols: str | Iterable[str]) -> list[str]:
    names = some_symbols(symbols)
    if names is None:
        raise InvalidRequest("symbols is None: name the symbols that the universe is to change.")
    return names


class Universe(StateRecords):
    """Symbols in the state database at `url`."""

    def add(
        self,
        symbols: str | Iterable[str],
        *,
        sec_type: str | None = None,
        exchange: str | None = None,
        primary_exchange: str | None = None,
        now: datetime | None = None,
    ) -> list[UniverseEntry]:
        """Make symbols active; a known symbol keeps how it is asked for unless given anew. Raises `ValueError`.

        `exchange` is the route, `primary_exchange` the listing exchange (see `UniverseEntry`); what is not given of a
        known symbol stays, unless `sec_type` makes it another kind of instrument. An empty text takes back what was
        given before. `added_at` is when a symbol last became active, `now` by the market's clock (default: the
        machine's): what it missed while it was inactive was never promised.
        """
        names = _required(symbols)
        entries = [describe(name, sec_type, exchange, now, primary_exchange) for name in names]
        with self._writing() as connection:
            known = {row.symbol: row for row in connection.execute(sa.select(universe_table))}
            for entry in entries:
                stored = known.get(entry.symbol)
                if stored is not None and not sec_type:
                    entry = describe(entry.symbol, stored.sec_type, exchange, now, primary_exchange)
                values: dict[str, object] = {"active": True}
                if stored is None or not stored.active:
                    values["added_at"] = entry.added_at.isoformat()
                if stored is None or sec_type:
                    values |= {"sec_type": entry.sec_type, "currency": entry.currency}
                if stored is None or sec_type or exchange is not None:
                    values["exchange"] = entry.exchange
                if stored is None or sec_type or primary_exchange is not None:
                    values["primary_exchange"] = entry.primary_exchange
                if entry.symbol in known:
                    connection.execute(
                        universe_table.update().where(universe_table.c.symbol == entry.symbol).values(**values)
                    )
                else:
                    connection.execute(universe_table.insert().values(symbol=entry.symbol, **values))
        return [found for found in self.entries() if found.symbol in {entry.symbol for entry in entries}]

    def remove(self, symbols: str | Iterable[str]) -> list[str]:
        """Make symbols inactive; their data stays. Returns those that were active."""
        names = _required(symbols)
        with self._writing() as connection:
            active = universe_table.c.active.is_(True) & universe_table.c.symbol.in_(names)
            gone = [row.symbol for row in connection.execute(sa.select(universe_table.c.symbol).where(active))]
            connection.execute(universe_table.update().where(universe_table.c.symbol.in_(gone)).values(active=False))
        return gone

    def entries(self, *, active_only: bool = True) -> list[UniverseEntry]:
        """The symbols, by name."""
        query = sa.select(universe_table).order_by(universe_table.c.symbol)
        if active_only:
            query = query.where(universe_table.c.active.is_(True))
        return [
            UniverseEntry(**{**row._mapping, "added_at": datetime.fromisoformat(row.added_at)})
            for row in self._rows(query)
        ]

    def active(self) -> list[str]:
        """The names of the active symbols, in order."""
        return [entry.symbol for entry in self.entries()]

    def resolve(self, symbols: Symbols) -> list[UniverseEntry]:
        """Entries of the given symbols (known or not); None: all active ones."""
        names = some_symbols(symbols)
        known = {entry.symbol: entry for entry in self.entries(active_only=False)}
        if names is None:
            return [entry for entry in known.values() if entry.active]
        return [known.get(name) or describe(name) for name in names]


__all__ = ["INDEX_EXCHANGES", "SEC_TYPES", "Universe", "UniverseEntry", "describe"]
