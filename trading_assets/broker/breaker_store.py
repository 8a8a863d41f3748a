"""The circuit breaker's state in the state database, shared by all processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from trading_assets.arguments import new_lake_folder
from trading_assets.permissions import private_folder
from trading_assets.reliability import BreakerState, BreakerStore, CircuitBreaker, Phase
from trading_assets.settings import Settings
from trading_assets.state import connect_state, read_transaction, write_transaction
from trading_assets.state.engine import clock_ahead
from trading_assets.state.outages import OutageRetry
from trading_assets.state.tables import breakers

BREAKER = "broker"
"""The name of the circuit breaker where no gateways are set."""

_BY_HARM = (Phase.CLOSED, Phase.HALF_OPEN, Phase.OPEN)


def breaker_name(settings: Settings) -> str:
    """The name of the circuit breaker of the only or first gateway, or of the broker without gateways."""
    return BREAKER if settings.gateway_name is None else f"gateway {settings.gateway_name}"


def breaker_state(engine: sa.Engine, settings: Settings) -> BreakerState:
    """The state of the circuit breaker; with several gateways that of the one that is worst off."""
    store = DatabaseStore(engine)
    states = [CircuitBreaker(name=breaker_name(one), store=store).state for one in settings.each_gateway()]
    return max(states, key=lambda state: (_BY_HARM.index(state.phase), state.failures))


def breaker_store(base_path: Path | str | None = None, *, settings: Settings | None = None) -> BreakerStore:
    """Where the platform's circuit breaker of the data folder (default: the settings') is kept, for breakers of your
    own that share its state.

        with CircuitBreaker(failure_threshold=5, recovery_timeout=300, store=breaker_store("data")):
            ...  # calls of the same TWS that do not go through the platform

    Makes the state database where there is none. Raises `NotALake`, `InvalidRequest`.
    """
    given = settings or Settings()
    chosen = given if base_path is None else given.model_copy(update={"data_dir_setting": new_lake_folder(base_path)})
    private_folder(chosen.data_dir)
    return DatabaseStore(connect_state(chosen.state_url))


@dataclass(frozen=True)
class DatabaseStore:
    """A `reliability.BreakerStore` over the table `breakers`. Two over one engine are equal. In an outage a change is
    repeated, unless it is found made: the answer to its commit was lost."""

    engine: sa.Engine
    retry: OutageRetry = field(default_factory=OutageRetry, compare=False)

    def now(self) -> float:
        """Epoch seconds by the clock that all processes share."""
        return time.time() + clock_ahead(self.engine)

    def transact(self, name: str, change: Callable[[BreakerState], BreakerState]) -> BreakerState:
        return self.retry(partial(self._transact, name, change, []))

    def _transact(
        self, name: str, change: Callable[[BreakerState], BreakerState], attempted: list[BreakerState]
    ) -> BreakerState:
        with read_transaction(self.engine) as connection:
            seen = _load(connection, name)
        if seen in attempted:
            return seen
        if change(seen) == seen:  # nothing to write: the usual case, a closed breaker that stays closed
            return seen
        with write_transaction(self.engine) as connection:
            old = _load(connection, name)
            new = change(old)
            if new != old:
                attempted.append(new)
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
