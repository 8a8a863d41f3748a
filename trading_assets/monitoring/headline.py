"""The state of the archive in one sentence that a person can act on, for `status`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from trading_assets.monitoring.hours import DAILY_BARS, DAILY_SNAPSHOT
from trading_assets.monitoring.recovery import lost_state
from trading_assets.monitoring.status import Status
from trading_assets.repositories.lake import Lake
from trading_assets.sessions import NEW_YORK
from trading_assets.settings import Settings

COLLECTIONS = (DAILY_SNAPSHOT, DAILY_BARS)
"""The automations that collect a session."""


def headline(found: Status, settings: Settings) -> str:
    """What is wrong, the first of it in full; else up to where all is collected, and what collects what follows."""
    if found.wrong:
        count, lost = len(found.wrong), lost_state(settings)
        first = lost if lost in found.wrong else found.wrong[0]  # a lost state explains much of the rest
        return f"{count} things need attention. First: {first}" if count > 1 else first
    if not found.symbols:
        return (
            "Nothing is collected: the universe is empty. trading-assets setup AAPL collects a first symbol."
            if not found.lake["files"]
            else "Nothing more is collected: the universe is empty. trading-assets universe add AAPL adds a symbol."
        )
    stored = min((row["last"] for row in found.freshness if row["rows"]), default=date.min)
    reached = max(stored, Lake.of(settings, found.now).bars_due)  # early collections may be ahead of what is due
    return f"Everything up to {reached} is collected; {_next(found)}"


def _next(found: Status) -> str:
    """What collects the next session, and when."""
    due = [row["next_due"] for row in found.schedules or () if _collects(row)]
    if found.daemon is None or not due:
        return "no daemon collects the next session: keep trading-assets up running, or run trading-assets update."
    return f"the next collection is at {_at(min(due), found.now)} New York."


def _collects(row: Mapping[str, Any]) -> bool:
    return row["name"] in COLLECTIONS and row["status"] == "on" and row["next_due"] is not None


def _at(instant: datetime, now: datetime) -> str:
    """The time, with its date where that is another than today's."""
    local = instant.astimezone(NEW_YORK)
    today = local.date() == now.astimezone(NEW_YORK).date()
    return f"{local:%H:%M}" if today else f"{local:%A %Y-%m-%d, %H:%M}"
