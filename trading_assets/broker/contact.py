"""The last contact with each broker endpoint, kept in the state database: the record that status and alerts read
without connecting.

Recorded by the client at each connect, at each failed attempt, when TWS reports that it has lost its servers or has
them again, and when the kind of market data becomes known or changes. Instants are those of the state database, also in
a replay: a connection is made in real time. What does not belong here: deciding that a broker is down (`reliability`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from trading_assets.plain import Plain
from trading_assets.state import database_now, metadata, read_transaction, write_transaction

broker_contact = sa.Table(
    "broker_contact",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True, doc="host:port, or the name of a gateway"),
    sa.Column("reachable", sa.Boolean, nullable=False),
    sa.Column("at", sa.Double, nullable=False, doc="Epoch seconds, by the clock of the state database"),
    sa.Column("identity", sa.Text, nullable=False, doc="As pinned in lake.json; of the last connect"),
    sa.Column("server_version", sa.Integer, doc="Of the last connect"),
    sa.Column(
        "market_data",
        sa.Text,
        nullable=False,
        doc="live, frozen, delayed, delayed frozen or not subscribed; empty while not known",
    ),
    sa.Column("error", sa.Text, nullable=False, doc="What went wrong; empty while reachable"),
)

MARKET_DATA_WORDS = {1: "live", 2: "frozen", 3: "delayed", 4: "delayed frozen"}
"""The broker's market data types."""

DELAYED_NOTICE = 10167
"""Warning: the market data is not subscribed; delayed data is shown instead."""

NOT_SUBSCRIBED = frozenset({354, 10089, 10168, 10186})
"""Errors: the market data is not subscribed. Delayed ticks may follow all the same when they were asked for."""

TELLING = ("", "not subscribed", "live", "frozen", "delayed", "delayed frozen")
"""The kinds of market data by their evidence: one symbol without a subscription says less than any quote, one delayed
quote says more than all live ones. Within a connection only a later word takes an earlier one's place."""

DELAYED = frozenset({"delayed", "delayed frozen", "not subscribed"})
"""Kinds of market data that are not what a live subscription gives."""


@dataclass(frozen=True, slots=True)
class Contact(Plain):
    """What was last known of one endpoint. `at` (UTC) is an instant of the state database; the other fields are those
    of the table."""

    endpoint: str
    reachable: bool
    at: datetime
    identity: str
    server_version: int | None
    market_data: str
    error: str

    @property
    def delayed(self) -> bool:
        """Whether the broker gives delayed data or none, for want of a subscription."""
        return self.market_data in DELAYED


def record_connected(engine: sa.Engine, endpoint: str, identity: str, server_version: int | None) -> None:
    """A connection was made. What was known of the market data stays while the identity is the same."""
    with write_transaction(engine, durable=False) as connection:
        known = _row(connection, endpoint)
        kept = known.market_data if known is not None and known.identity == identity else ""
        values = {
            "reachable": True,
            "identity": identity,
            "server_version": server_version,
            "market_data": kept,
            "error": "",
        }
        _store(connection, endpoint, known, values)


def record_failure(engine: sa.Engine, endpoint: str, error: str) -> None:
    """An attempt to connect failed, or the connection behind TWS is gone; `error` is the sentence that says so."""
    with write_transaction(engine, durable=False) as connection:
        _store(connection, endpoint, _row(connection, endpoint), {"reachable": False, "error": error})


def record_market_data(engine: sa.Engine, endpoint: str, market_data: str) -> None:
    """The kind of market data that the broker gives (a word of the table)."""
    with write_transaction(engine, durable=False) as connection:
        _store(
            connection,
            endpoint,
            _row(connection, endpoint),
            {"reachable": True, "market_data": market_data, "error": ""},
        )


def last_contact(engine: sa.Engine, endpoint: str | None = None) -> Contact | None:
    """The last contact with an endpoint (`host:port`, or the name of a gateway), or with the one contacted last; None
    when there never was any."""
    query = sa.select(broker_contact).order_by(broker_contact.c.at.desc()).limit(1)
    if endpoint is not None:
        query = query.where(broker_contact.c.endpoint == endpoint)
    with read_transaction(engine) as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    at = datetime.fromtimestamp(row.at, UTC)
    return Contact(row.endpoint, bool(row.reachable), at, row.identity, row.server_version, row.market_data, row.error)


def market_data_word(kind: int, codes: frozenset[int]) -> str:
    """The word for a quote's market data type and the codes that came with it; empty for an unknown type."""
    if codes & NOT_SUBSCRIBED and kind not in (3, 4):
        return "not subscribed"
    if DELAYED_NOTICE in codes and kind in (1, 2):
        return "delayed"
    return MARKET_DATA_WORDS.get(kind, "")


def _row(connection: sa.Connection, endpoint: str) -> sa.Row[Any] | None:
    return connection.execute(sa.select(broker_contact).where(broker_contact.c.endpoint == endpoint)).one_or_none()


def _store(connection: sa.Connection, endpoint: str, known: sa.Row[Any] | None, values: Mapping[str, Any]) -> None:
    at = database_now(connection)
    if known is None:
        nothing = {"identity": "", "server_version": None, "market_data": "", "error": ""}
        connection.execute(broker_contact.insert().values(endpoint=endpoint, at=at, **{**nothing, **values}))
    else:
        connection.execute(broker_contact.update().where(broker_contact.c.endpoint == endpoint).values(at=at, **values))
