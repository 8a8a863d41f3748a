"""The transactions of pacing: message slots, small-bar permits and open-request slots, each decided in one transaction.

Blocking, for a database thread. All processes that share the state database and the endpoint share the limits. The
arithmetic is in `broker.pacing_rules`; what the event loop awaits is in `broker.pacing`.
"""

from __future__ import annotations

import json
import time
from typing import NamedTuple

import sqlalchemy as sa

from trading_assets.broker.pacing_rules import (
    LONG_WINDOW,
    WINDOW_MARGIN,
    SmallRules,
    SmallSend,
    Stake,
    message_slots,
    rebalanced,
    small_ready_at,
)
from trading_assets.broker.requests import BarsRequest, Request
from trading_assets.settings import Settings
from trading_assets.state import database_now, write_transaction
from trading_assets.state.owners import release_dead_owners
from trading_assets.state.tables import pacing_queue, pacing_rate, pacing_slots, pacing_small

CLOCK_RELIC = 60.0
"""Seconds ahead from which a stored slot is not believed."""

SMALL_HORIZON = 0.5
"""Seconds ahead that a small-bar permit may be taken; one that is further away is waited for without holding
anything."""

QUEUE_INTERVAL = 0.25
"""Seconds until a process that is not first in the queue for small-bar permits asks again."""

_REALTIME = "/realtime"
"""Ends the endpoint under which new streams of real-time bars are counted."""

HISTORY_SLOTS, MARKET_DATA_SLOTS = "history", "market_data"


def question(request: Request) -> str:
    """What the broker sees of a small-bar request: the unit of its rule on identical requests."""
    if isinstance(request, BarsRequest):
        asked = (
            request.contract_tick_key,
            request.bar_size,
            request.use_rth,
            request.end.isoformat(),
            request.duration,
        )
        return "|".join(map(str, asked))
    return f"{type(request).kind}|{request.contract_tick_key}"


class Permit(NamedTuple):
    """Leave to send one small-bar request or begin one stream of real-time bars, or, where nothing was taken, when to
    ask again."""

    instant: float
    """By this process's monotonic clock."""
    at: float | None = None
    """The same by the database's clock, under which the permit is kept; None: nothing was taken."""


class Ledger:
    """The transactions of pacing for one owner and one endpoint (`host:port`, or the name of a gateway)."""

    def __init__(self, engine: sa.Engine, owner: str, endpoint: str, settings: Settings) -> None:
        self._engine = engine
        self._owner = owner
        self._endpoint = endpoint
        self._rate = settings.messages_per_second
        self._limits = {HISTORY_SLOTS: settings.open_history_requests, MARKET_DATA_SLOTS: settings.market_data_lines}
        self._rules = SmallRules(
            settings.small_bar_requests_in_2_s, settings.small_bar_requests_in_10_min, settings.identical_interval
        )

    @property
    def _realtime_rules(self) -> SmallRules:
        """Of the rules of small bars, streams of real-time bars obey the long window's alone."""
        return SmallRules(self._rules.in_long, self._rules.in_long, 0.0)

    def take_messages(self, count: int) -> list[float]:
        """Take message slots; the instants, by this process's monotonic clock (which is also the event loop's)."""
        with write_transaction(self._engine, durable=False) as connection:
            now = database_now(connection)
            here = time.monotonic()
            return [here + (at - now) for at in self._take(connection, count, now, self._recent(connection, now))]

    def take_small(self, request: Request, missed: float | None = None) -> Permit:
        """Take a small-bar permit with its message slot. `missed` is the `at` of one whose instant passed unused: it is
        given back."""
        with write_transaction(self._engine, durable=False) as connection:
            now = database_now(connection)
            here = time.monotonic()
            self._give_back(connection, self._endpoint, missed)
            mine = pacing_queue.c.endpoint == self._endpoint, pacing_queue.c.owner == self._owner
            recent = self._recent(connection, now)
            ready = max(self._small_ready(connection, request, now), message_slots(recent, now, self._rate, 1)[0][0])
            first = self._first_in_queue(connection, now)
            if ready - now > SMALL_HORIZON or first != self._owner:
                return Permit(here + (max(0.05, ready - now) if first == self._owner else QUEUE_INTERVAL))
            at = self._take(connection, 1, ready, recent)[0]
            row = {
                "endpoint": self._endpoint,
                "at": at,
                "key": question(request),
                "contract_tick_key": request.contract_tick_key,
            }
            connection.execute(pacing_small.insert().values(weight=request.weight, **row))
            connection.execute(pacing_queue.delete().where(*mine))
            return Permit(here + (at - now), at)

    def take_realtime_bars(self, key: str, missed: float | None = None) -> Permit:
        """Take a permit for a new stream of real-time bars of a contract with its message slot. They have a window of
        their own beside the small bars'. `missed` as in `take_small`."""
        with write_transaction(self._engine, durable=False) as connection:
            now = database_now(connection)
            here = time.monotonic()
            place = f"{self._endpoint}{_REALTIME}"
            there = pacing_small.c.endpoint == place
            self._give_back(connection, place, missed)
            oldest = now - LONG_WINDOW - 2 * WINDOW_MARGIN
            connection.execute(pacing_small.delete().where(there, pacing_small.c.at < oldest))
            stored = connection.execute(sa.select(pacing_small).where(there))
            history = [SmallSend(row.at, row.key, row.contract_tick_key, row.weight) for row in stored]
            ready = small_ready_at(history, key, key, 1, now, self._realtime_rules)
            if ready > now:
                return Permit(here + (ready - now))
            at = self._take(connection, 1, now, self._recent(connection, now))[0]
            connection.execute(
                pacing_small.insert().values(endpoint=place, at=at, key=key, contract_tick_key=key, weight=1)
            )
            return Permit(here + (at - now), at)

    def leave_queue(self) -> None:
        """Stop waiting for small-bar permits."""
        with write_transaction(self._engine, durable=False) as connection:
            connection.execute(pacing_queue.delete().where(pacing_queue.c.owner == self._owner))

    def rebalance(self, resource: str, in_use: int, waiting: int) -> tuple[int, int]:
        """Tell what this process uses and waits for; its new `(held, target)`."""
        with write_transaction(self._engine, durable=False) as connection:
            release_dead_owners(connection)
            here = pacing_slots.c.endpoint == self._endpoint, pacing_slots.c.resource == resource
            stakes = {
                row.owner: Stake(row.held, row.wanted)
                for row in connection.execute(sa.select(pacing_slots).where(*here))
            }
            stakes.pop(self._owner, None)
            held, target = rebalanced(self._limits[resource], self._owner, in_use, waiting, stakes)
            connection.execute(pacing_slots.delete().where(*here, pacing_slots.c.owner == self._owner))
            if held or waiting:
                row = {
                    "endpoint": self._endpoint,
                    "resource": resource,
                    "owner": self._owner,
                    "at": database_now(connection),
                }
                connection.execute(pacing_slots.insert().values(held=held, wanted=in_use + waiting, **row))
            return held, target

    def _give_back(self, connection: sa.Connection, place: str, missed: float | None) -> None:
        if missed is not None:
            connection.execute(
                pacing_small.delete().where(pacing_small.c.endpoint == place, pacing_small.c.at == missed)
            )

    def _recent(self, connection: sa.Connection, now: float) -> list[float]:
        stored = connection.execute(
            sa.select(pacing_rate.c.recent).where(pacing_rate.c.endpoint == self._endpoint)
        ).scalar_one_or_none()
        slots = json.loads(stored) if stored else []
        # An instant far ahead is a relic of a clock that was set back: no process takes slots that far away.
        return [at for at in slots if at < now + CLOCK_RELIC]

    def _take(self, connection: sa.Connection, count: int, now: float, recent: list[float]) -> list[float]:
        slots, latest = message_slots(recent, now, self._rate, count)
        stored = json.dumps([round(at, 6) for at in latest])
        updated = connection.execute(
            pacing_rate.update().where(pacing_rate.c.endpoint == self._endpoint).values(recent=stored)
        )
        if not updated.rowcount:
            connection.execute(pacing_rate.insert().values(endpoint=self._endpoint, recent=stored))
        return slots

    def _small_ready(self, connection: sa.Connection, request: Request, now: float) -> float:
        oldest = now - LONG_WINDOW - 2 * WINDOW_MARGIN
        connection.execute(
            pacing_small.delete().where(pacing_small.c.endpoint == self._endpoint, pacing_small.c.at < oldest)
        )
        query = sa.select(pacing_small).where(pacing_small.c.endpoint == self._endpoint)
        history = [SmallSend(row.at, row.key, row.contract_tick_key, row.weight) for row in connection.execute(query)]
        return small_ready_at(history, question(request), request.contract_tick_key, request.weight, now, self._rules)

    def _first_in_queue(self, connection: sa.Connection, now: float) -> str:
        """The owner that has waited longest for a small-bar permit; this one enters the queue if it is not in it."""
        release_dead_owners(connection)
        here = pacing_queue.c.endpoint == self._endpoint
        waiting = (
            connection.execute(
                sa.select(pacing_queue.c.owner).where(here).order_by(pacing_queue.c.since, pacing_queue.c.owner)
            )
            .scalars()
            .all()
        )
        if self._owner not in waiting:
            connection.execute(pacing_queue.insert().values(endpoint=self._endpoint, owner=self._owner, since=now))
        return waiting[0] if waiting else self._owner
