"""What of the broker's allowances is used at this moment: requests of the day, and the pacing budget that is left.

Read from the journal and the pacing tables, never by asking. What the limits are is said by `settings`, how they are
kept by `broker.ledger`. Instants are those of the state database: limits are counted in real time, also in a replay.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from trading_assets.broker.ledger import HISTORY_SLOTS, MARKET_DATA_SLOTS
from trading_assets.broker.pacing_rules import LONG_WINDOW
from trading_assets.settings import Settings
from trading_assets.state import database_now, read_transaction, tables
from trading_assets.state.owners import live_owners

DAY = timedelta(days=1)

_REQUESTS = tables.requests


def requests_used(engine: sa.Engine) -> dict[str, Any]:
    """Requests sent in the last 24 hours, repeats included, and those open now: `sent_today`, `by_kind`, `open`."""
    sent = sa.select(_REQUESTS.c.kind, sa.func.sum(_REQUESTS.c.attempt)).group_by(_REQUESTS.c.kind)
    with read_transaction(engine) as connection:
        today = _REQUESTS.c.sent_at >= database_now(connection) - DAY.total_seconds()
        by_kind = {kind: int(count) for kind, count in connection.execute(sent.where(today))}
        alive = live_owners(connection)
        owners = (
            connection.execute(
                sa.select(_REQUESTS.c.owner).where(_REQUESTS.c.state != "done", _REQUESTS.c.state == "sent")
            )
            .scalars()
            .all()
        )
    return {"sent_today": sum(by_kind.values()), "by_kind": by_kind, "open": sum(owner in alive for owner in owners)}


def journal_counts(engine: sa.Engine) -> dict[str, int]:
    """`open`: requests claimed or sent and not ended, also those of dead owners; `unapplied`: answers not in the lake
    yet."""
    answered = (_REQUESTS.c.state == "done") & _REQUESTS.c.applied_at.is_(None) & _REQUESTS.c.response.is_not(None)
    with read_transaction(engine) as connection:
        opened = connection.execute(sa.select(sa.func.count()).where(_REQUESTS.c.state != "done")).scalar_one()
        unapplied = connection.execute(sa.select(sa.func.count()).where(answered)).scalar_one()
    return {"open": int(opened), "unapplied": int(unapplied)}


def pacing_budget(engine: sa.Engine, settings: Settings) -> dict[str, Any]:
    """Each allowance with its limit, what is used of it now and what is left, by name; all endpoints together, of
    settings with gateways those of the gateways.

    `messages_per_second` (in the second that ends now), `open_history_requests`, `market_data_lines`,
    `small_bar_requests_in_10_min` (weights). Slots of processes that died do not count.
    """
    names = [gateway.name for gateway in settings.gateways]

    def counted(table: sa.Table) -> sa.ColumnElement[bool]:
        return table.c.endpoint.in_(names) if names else sa.true()

    with read_transaction(engine) as connection:
        now = database_now(connection)
        alive = live_owners(connection)
        rate, held_slots, small = tables.pacing_rate, tables.pacing_slots, tables.pacing_small
        recent = [
            at
            for text in connection.execute(sa.select(rate.c.recent).where(counted(rate))).scalars()
            for at in json.loads(text)
        ]
        slots = connection.execute(
            sa.select(held_slots.c.resource, held_slots.c.owner, held_slots.c.held).where(counted(held_slots))
        ).all()
        weights = connection.execute(
            sa.select(sa.func.sum(small.c.weight)).where(small.c.at > now - LONG_WINDOW, counted(small))
        ).scalar()
    held = {
        name: sum(row.held for row in slots if row.resource == name and row.owner in alive)
        for name in (HISTORY_SLOTS, MARKET_DATA_SLOTS)
    }
    used = {
        "messages_per_second": sum(now - 1 < at <= now for at in recent),
        "open_history_requests": held[HISTORY_SLOTS],
        "market_data_lines": held[MARKET_DATA_SLOTS],
        "small_bar_requests_in_10_min": int(weights or 0),
    }
    gateways = settings.each_gateway()
    return {
        "enforced": settings.enforce_pacing,
        **{name: _allowance(sum(getattr(one, name) for one in gateways), count) for name, count in used.items()},
    }


def _allowance(limit: float, used: int) -> dict[str, float]:
    return {"limit": limit, "used": used, "left": max(0, limit - used)}
