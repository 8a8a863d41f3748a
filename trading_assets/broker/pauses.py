"""Whether the broker, or one of its gateways, is left alone for now: its circuit breaker is open, or it could not be
reached a moment ago. Read from the state database, so that all processes agree."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from trading_assets.broker.breaker_store import DatabaseStore, breaker_name
from trading_assets.broker.contact import last_contact
from trading_assets.reliability import CircuitBreaker, Phase
from trading_assets.settings import Settings
from trading_assets.state import database_now, read_transaction


@dataclass(frozen=True, slots=True)
class Pause:
    """It lasts `seconds` more. `phase` is that of the breaker that holds back (None: no breaker does), `error` why the
    last attempt to connect failed."""

    seconds: float
    phase: Phase | None = None
    error: str = ""


def pause_of(engine: sa.Engine, settings: Settings) -> Pause | None:
    """The pause of the broker, of settings with gateways that of the only or first one; None while it may be asked."""
    with read_transaction(engine) as connection:
        wall = database_now(connection)
    state = CircuitBreaker(name=breaker_name(settings), store=DatabaseStore(engine)).state
    left = state.opened_at + settings.recovery_timeout - wall
    if state.phase is not Phase.CLOSED and left > 0:
        return Pause(left, phase=state.phase)
    contact = last_contact(engine, settings.gateway_name)
    if contact is not None and not contact.reachable:
        left = contact.at.timestamp() + settings.recovery_timeout - wall
        if left > 0:
            return Pause(left, error=contact.error)
    return None
