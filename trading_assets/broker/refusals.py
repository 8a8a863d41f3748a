"""What each gateway's login may not receive, by the broker's code: logins with different subscriptions answer the same
question differently. Kept only where gateways are set; the outcome of each request is in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from trading_assets.broker.outcomes import Result
from trading_assets.plain import Plain
from trading_assets.state import database_now, metadata, read_transaction, write_transaction

REMEMBERED = timedelta(days=7)
"""How long after the last refusal of a code it is reported. With a new subscription no further refusal comes, and the
report ends."""

gateway_refusals = sa.Table(
    "gateway_refusals",
    metadata,
    sa.Column("gateway", sa.Text, primary_key=True),
    sa.Column("code", sa.Integer, primary_key=True, doc="The broker's; 0 where it gave none"),
    sa.Column("requests", sa.Integer, nullable=False, doc="Requests refused with it"),
    sa.Column("symbol", sa.Text, nullable=False, doc="Underlying of the last one"),
    sa.Column("text", sa.Text, nullable=False, doc="The broker's words for the last one"),
    sa.Column("at", sa.Double, nullable=False, doc="Of the last one: epoch seconds, by the state database's clock"),
)


@dataclass(frozen=True, slots=True)
class Refusal(Plain):
    """Refusals of one code through one gateway; `at` (UTC), `symbol` and `text` are those of the last one."""

    gateway: str
    code: int
    requests: int
    symbol: str
    text: str
    at: datetime


def record_refusals(engine: sa.Engine, refused: Sequence[tuple[str, Result]]) -> None:
    """Add results of requests that were not permitted, each with the name of its gateway."""
    if not refused:
        return
    with write_transaction(engine, durable=False) as connection:
        now = database_now(connection)
        for gateway, result in refused:
            code, t = result.outcome.code or 0, gateway_refusals.c
            last = {"symbol": result.request.symbol, "text": result.outcome.text, "at": now}
            mine = t.gateway == gateway, t.code == code
            updated = connection.execute(gateway_refusals.update().where(*mine).values(requests=t.requests + 1, **last))
            if not updated.rowcount:
                connection.execute(gateway_refusals.insert().values(gateway=gateway, code=code, requests=1, **last))


def refusals_of(engine: sa.Engine, gateway: str) -> list[Refusal]:
    """The refusals through a gateway of the last `REMEMBERED`, by code."""
    t = gateway_refusals.c
    with read_transaction(engine) as connection:
        since = database_now(connection) - REMEMBERED.total_seconds()
        query = sa.select(gateway_refusals).where(t.gateway == gateway, t.at >= since).order_by(t.code)
        return [
            Refusal(row.gateway, row.code, row.requests, row.symbol, row.text, datetime.fromtimestamp(row.at, UTC))
            for row in connection.execute(query)
        ]
