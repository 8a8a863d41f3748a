"""The circuit breaker's state in the state database, shared by all processes."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from trading_assets.reliability import BreakerState, Phase
from trading_assets.state import read_transaction, write_transaction
from trading_assets.state.tables import breakers


class DatabaseStore:
    """A `reliability.BreakerStore` over the table `breakers`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def transact(self, name: str, change: Callable[[BreakerState], BreakerState]) -> BreakerState:
        with read_transaction(self._engine) as connection:
            seen = _load(connection, name)
        if change(seen) == seen:  # nothing to write: the usual case, a closed breaker that stays closed
            return seen
        with write_transaction(self._engine) as connection:
            old = _load(connection, name)
            new = change(old)
            if new != old:
                connection.execute(breakers.delete().where(breakers.c.name == name))
                connection.execute(
                    breakers.insert().values(
                        name=name,
                        phase=new.phase.value,
                        failures=new.failures,
                        opened_at=new.opened_at,
                        trial=new.trial,
                        trial_at=new.trial_at,
                    )
                )
            return new


def _load(connection: sa.Connection, name: str) -> BreakerState:
    row = connection.execute(sa.select(breakers).where(breakers.c.name == name)).one_or_none()
    if row is None:
        return BreakerState()
    return BreakerState(Phase(row.phase), row.failures, row.opened_at, row.trial, row.trial_at)
