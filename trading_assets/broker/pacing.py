"""Pacing across processes: message slots, small-bar windows and open-request slots, each decided in one transaction.

`Ledger` holds the transactions (blocking, for a database thread); `Pacer` is what the client's event loop awaits. All
processes that share the state database and the endpoint share the limits. The arithmetic is in `broker.windows`.

- **Messages**: a process takes a few spread instants and sends at them. One it misses by more than
  `LATE_LIMIT` is thrown away: sent late, it would fall together with the next process's.
- **Small bars**: the window rules over the sends of the last ten minutes, decided together with the message's instant.
  The process that has waited longest goes first.
- **Open requests and market-data lines**: each process holds a number of slots and lends them to its own requests;
  the numbers follow the fair share (`windows.rebalanced`) a few times a second.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from trading_assets.broker.owners import bury
from trading_assets.broker.requests import BarsRequest, PacingClass, Request
from trading_assets.broker.state import database_now, write_transaction
from trading_assets.broker.tables import pacing_queue, pacing_rate, pacing_slots, pacing_small
from trading_assets.broker.windows import LONG_WINDOW, WINDOW_MARGIN, SmallRules, SmallSend, Stake, message_slots, rebalanced, small_ready_at
from trading_assets.settings import Settings

T = TypeVar("T")

LATE_LIMIT = 0.025
"""Seconds a message may leave after its slot. Any second then holds at most 50 messages at 48 a second: 49 by
`windows.message_slots`, and one that comes late over its edge."""

CLOCK_RELIC = 60.0
"""Seconds ahead from which a stored slot is not believed."""

SLOTS_AHEAD = 8
"""Message slots taken at once at most: 0.17 s at 48 a second, short enough that processes alternate."""

REFILL_AT = 2
"""Slots left at which the next ones are fetched, in the background: 40 ms at 48 a second, ten times a transaction."""

REBALANCE_INTERVAL = 0.25
"""Seconds between two looks at the other processes' stakes while requests are open or waiting."""

SMALL_HORIZON = 0.5
"""Seconds ahead that a small-bar permit may be taken; one that is further away is waited for without holding anything."""

UNPACED_OPEN = 256
"""Requests of one kind that one process keeps open without pacing: bounds memory, nothing else."""

OPEN_DETAILS = 20
"""Contract-detail requests one process keeps open. The broker does not limit them but answers them one after the other:
with more of them open, the last would time out before its turn."""

DETAIL_SLOTS, HISTORY_SLOTS, MARKET_DATA_SLOTS = "details", "history", "market_data"

RESOURCES = {
    PacingClass.MESSAGE: DETAIL_SLOTS,
    PacingClass.HISTORY: HISTORY_SLOTS,
    PacingClass.SMALL_HISTORY: HISTORY_SLOTS,
    PacingClass.MARKET_DATA: MARKET_DATA_SLOTS,
}


def question(request: Request) -> str:
    """What the broker sees of a small-bar request: the unit of its rule on identical requests."""
    if isinstance(request, BarsRequest):
        return f"{request.contract_tick_key}|{request.bar_size}|{request.use_rth}|{request.end.isoformat()}|{request.duration}"
    return f"{type(request).kind}|{request.contract_tick_key}"


class Ledger:
    """The transactions of pacing for one owner and one endpoint (`host:port`)."""

    def __init__(self, engine: sa.Engine, owner: str, endpoint: str, settings: Settings) -> None:
        self._engine = engine
        self._owner = owner
        self._endpoint = endpoint
        self._rate = settings.messages_per_second
        self._limits = {HISTORY_SLOTS: settings.open_history_requests, MARKET_DATA_SLOTS: settings.market_data_lines}
        self._rules = SmallRules(settings.small_bar_requests_in_2_s, settings.small_bar_requests_in_10_min, settings.identical_interval)

    def take_messages(self, count: int) -> list[float]:
        """Take message slots; the instants, by this process's monotonic clock (which is also the event loop's)."""
        with write_transaction(self._engine, durable=False) as connection:
            now = database_now(connection)
            here = time.monotonic()
            return [here + (at - now) for at in self._take(connection, count, now, self._recent(connection, now))]

    def take_small(self, request: Request) -> tuple[bool, float]:
        """Take a small-bar permit with its message slot: `(True, instant)`, or `(False, instant to ask again)` with nothing taken.

        Instants are by this process's monotonic clock.
        """
        with write_transaction(self._engine, durable=False) as connection:
            now = database_now(connection)
            here = time.monotonic()
            mine = pacing_queue.c.endpoint == self._endpoint, pacing_queue.c.owner == self._owner
            recent = self._recent(connection, now)
            ready = max(self._small_ready(connection, request, now), message_slots(recent, now, self._rate, 1)[0][0])
            first = self._first_in_queue(connection, now)
            if ready - now > SMALL_HORIZON or first != self._owner:
                return False, here + (max(0.05, ready - now) if first == self._owner else REBALANCE_INTERVAL)
            at = self._take(connection, 1, ready, recent)[0]
            row = {"endpoint": self._endpoint, "at": at, "key": question(request), "contract_tick_key": request.contract_tick_key}
            connection.execute(pacing_small.insert().values(weight=request.weight, **row))
            connection.execute(pacing_queue.delete().where(*mine))
            return True, here + (at - now)

    def leave_queue(self) -> None:
        """Stop waiting for small-bar permits."""
        with write_transaction(self._engine, durable=False) as connection:
            connection.execute(pacing_queue.delete().where(pacing_queue.c.owner == self._owner))

    def rebalance(self, resource: str, in_use: int, waiting: int) -> tuple[int, int]:
        """Tell what this process uses and waits for; its new `(held, target)`."""
        with write_transaction(self._engine, durable=False) as connection:
            bury(connection)
            here = pacing_slots.c.endpoint == self._endpoint, pacing_slots.c.resource == resource
            stakes = {row.owner: Stake(row.held, row.wanted) for row in connection.execute(sa.select(pacing_slots).where(*here))}
            stakes.pop(self._owner, None)
            held, target = rebalanced(self._limits[resource], self._owner, in_use, waiting, stakes)
            connection.execute(pacing_slots.delete().where(*here, pacing_slots.c.owner == self._owner))
            if held or waiting:
                row = {"endpoint": self._endpoint, "resource": resource, "owner": self._owner, "at": database_now(connection)}
                connection.execute(pacing_slots.insert().values(held=held, wanted=in_use + waiting, **row))
            return held, target

    def _recent(self, connection: sa.Connection, now: float) -> list[float]:
        stored = connection.execute(sa.select(pacing_rate.c.recent).where(pacing_rate.c.endpoint == self._endpoint)).scalar_one_or_none()
        slots = json.loads(stored) if stored else []
        # An instant far ahead is a relic of a clock that was set back: no process takes slots that far away.
        return [at for at in slots if at < now + CLOCK_RELIC]

    def _take(self, connection: sa.Connection, count: int, now: float, recent: list[float]) -> list[float]:
        slots, latest = message_slots(recent, now, self._rate, count)
        stored = json.dumps([round(at, 6) for at in latest])
        updated = connection.execute(pacing_rate.update().where(pacing_rate.c.endpoint == self._endpoint).values(recent=stored))
        if not updated.rowcount:
            connection.execute(pacing_rate.insert().values(endpoint=self._endpoint, recent=stored))
        return slots

    def _small_ready(self, connection: sa.Connection, request: Request, now: float) -> float:
        oldest = now - LONG_WINDOW - 2 * WINDOW_MARGIN
        connection.execute(pacing_small.delete().where(pacing_small.c.endpoint == self._endpoint, pacing_small.c.at < oldest))
        query = sa.select(pacing_small).where(pacing_small.c.endpoint == self._endpoint)
        history = [SmallSend(row.at, row.key, row.contract_tick_key, row.weight) for row in connection.execute(query)]
        return small_ready_at(history, question(request), request.contract_tick_key, request.weight, now, self._rules)

    def _first_in_queue(self, connection: sa.Connection, now: float) -> str:
        """The owner that has waited longest for a small-bar permit; this one enters the queue if it is not in it."""
        bury(connection)
        here = pacing_queue.c.endpoint == self._endpoint
        waiting = connection.execute(sa.select(pacing_queue.c.owner).where(here).order_by(pacing_queue.c.since, pacing_queue.c.owner)).scalars().all()
        if self._owner not in waiting:
            connection.execute(pacing_queue.insert().values(endpoint=self._endpoint, owner=self._owner, since=now))
        return waiting[0] if waiting else self._owner


@dataclass(slots=True)
class _Slots:
    """This process's slots of one resource: lent to its requests, in the order they asked. `shared` ones follow the fair share."""

    shared: bool
    target: int = 0
    in_use: int = 0
    waiters: deque[asyncio.Future[None]] = field(default_factory=deque)
    keeper: asyncio.Task[None] | None = None


class Pacer:
    """What the event loop awaits before it sends. With `settings.enforce_pacing` off, everything is granted at once.

    `database` runs the ledger's transactions off the loop; use the object from one event loop only.
    """

    def __init__(self, ledger: Ledger | None, database: Executor) -> None:
        self._ledger = ledger
        self._database = database
        self._ahead: deque[float] = deque()
        self._lookahead = 1
        self._refill: asyncio.Task[None] | None = None
        self._order = asyncio.Lock()
        self._waiting = 0
        shared = ledger is not None
        self._slots = {resource: _Slots(shared, 0 if shared else UNPACED_OPEN) for resource in (HISTORY_SLOTS, MARKET_DATA_SLOTS)}
        self._slots[DETAIL_SLOTS] = _Slots(False, OPEN_DETAILS if shared else UNPACED_OPEN)
        self.backlog: Callable[[], int] = lambda: 0
        """How many requests wait for their turn: the demand that the fair share goes by."""

    async def message(self, more: int = 0) -> None:
        """Return at an instant at which one message may be sent; send it at once.

        `more` is how many further messages the caller could send right after it: that many instants are taken ahead.
        """
        if self._ledger is None:
            return
        loop = asyncio.get_running_loop()
        while True:
            self._waiting += 1
            try:
                async with self._order:
                    at = await self._next_slot(self._ledger, loop, more)
            finally:
                self._waiting -= 1
            if await _reached(at, loop):
                return

    async def small_message(self, request: Request) -> None:
        """The same for a small-bar request or head timestamp, which the small-bar rules count too."""
        if self._ledger is None:
            return
        loop = asyncio.get_running_loop()
        while True:
            granted, at = await self._run(self._ledger.take_small, request)
            if await _reached(at, loop, late_limit=WINDOW_MARGIN) and granted:
                return

    async def _next_slot(self, ledger: Ledger, loop: asyncio.AbstractEventLoop, more: int) -> float:
        while True:
            while self._ahead and self._ahead[0] < loop.time() - LATE_LIMIT:
                self._ahead.popleft()
                self._lookahead = max(1, self._lookahead // 2)  # taken too far ahead: what goes unused is lost to everybody
            wanted = min(self._lookahead, self._waiting + more)
            if self._ahead:
                at = self._ahead.popleft()
                if len(self._ahead) < REFILL_AT and wanted > 1:
                    self._start_refill(ledger, wanted)
                return at
            self._start_refill(ledger, max(1, wanted))
            if self._refill is not None:
                await asyncio.shield(self._refill)

    def _start_refill(self, ledger: Ledger, count: int) -> None:
        async def refill() -> None:
            self._ahead.extend(await self._run(ledger.take_messages, count))
            self._lookahead = min(SLOTS_AHEAD, self._lookahead + 1)

        if self._refill is None or self._refill.done():
            self._refill = asyncio.get_running_loop().create_task(refill())

    async def acquire(self, pacing_class: PacingClass) -> None:
        """Wait for a slot of that class, first come first served."""
        slots = self._slots[RESOURCES[pacing_class]]
        if slots.in_use < slots.target and not slots.waiters:
            slots.in_use += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        slots.waiters.append(turn)
        if slots.shared and (slots.keeper is None or slots.keeper.done()):
            slots.keeper = asyncio.create_task(self._keep(RESOURCES[pacing_class], slots))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(pacing_class)
            raise

    def release(self, pacing_class: PacingClass) -> None:
        """Give a slot back."""
        slots = self._slots[RESOURCES[pacing_class]]
        slots.in_use -= 1
        _lend(slots)

    def free_slots(self, pacing_class: PacingClass) -> int:
        """Slots of that class this process could use right now."""
        slots = self._slots[RESOURCES[pacing_class]]
        return max(0, slots.target - slots.in_use)

    async def _keep(self, resource: str, slots: _Slots) -> None:
        """Follow the fair share while there is anything to share, then give all back."""
        assert self._ledger is not None
        try:
            while True:
                waiting = max(len(slots.waiters), self.backlog() if slots.waiters else 0)
                _, slots.target = await self._run(self._ledger.rebalance, resource, slots.in_use, waiting)
                _lend(slots)
                if not slots.in_use and not slots.waiters:
                    slots.target = 0
                    await self._run(self._ledger.rebalance, resource, 0, 0)
                    if not slots.waiters:
                        return
                await asyncio.sleep(REBALANCE_INTERVAL)
        except SQLAlchemyError as error:  # whoever waits must hear of it: they would wait for ever
            while slots.waiters:
                turn = slots.waiters.popleft()
                if not turn.done():
                    turn.set_exception(error)

    async def close(self) -> None:
        """Stop waiting for anything and give all slots back."""
        for slots in self._slots.values():
            if slots.keeper is not None:
                slots.keeper.cancel()
                await asyncio.gather(slots.keeper, return_exceptions=True)
        if self._ledger is not None:
            for resource in (HISTORY_SLOTS, MARKET_DATA_SLOTS):
                await self._run(self._ledger.rebalance, resource, 0, 0)
            await self._run(self._ledger.leave_queue)

    def _run(self, function: Callable[..., T], *args: Any) -> Coroutine[Any, Any, T]:
        async def run() -> T:
            return await asyncio.get_running_loop().run_in_executor(self._database, function, *args)

        return run()


def _lend(slots: _Slots) -> None:
    while slots.waiters and slots.in_use < slots.target:
        turn = slots.waiters.popleft()
        if not turn.done():
            slots.in_use += 1
            turn.set_result(None)


async def _reached(at: float, loop: asyncio.AbstractEventLoop, late_limit: float = LATE_LIMIT) -> bool:
    """Wait for an instant of the loop's clock; whether it was met within the limit."""
    delay = at - loop.time()
    if delay > 0:
        await asyncio.sleep(delay)
    return loop.time() - at <= late_limit
