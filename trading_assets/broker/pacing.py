"""What the event loop awaits before it sends: message slots, small-bar permits, open-request slots and market-data
lines.

- **Messages**: a process takes a few spread instants and sends at them. One it misses by more than `LATE_LIMIT` is
  thrown away: sent late, it would fall together with the next process's.
- **Small bars**: the window rules over the sends of the last ten minutes, decided together with the message's instant.
  The process that has waited longest goes first.
- **Open requests and market-data lines**: each process holds a number of slots and lends them to its own requests;
  the numbers follow the fair share (`windows.rebalanced`) a few times a second.

The transactions are in `broker.ledger`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from trading_assets.broker.ledger import HISTORY_SLOTS, MARKET_DATA_SLOTS, Ledger
from trading_assets.broker.pacing_rules import WINDOW_MARGIN
from trading_assets.broker.requests import PacingClass, Request

T = TypeVar("T")

LATE_LIMIT = 0.025
"""Seconds a message may leave after its slot. Any second then holds at most 50 messages at 48 a second: 49 by
`windows.message_slots`, and one that comes late over its edge."""

SLOTS_AHEAD = 8
"""Message slots taken at once at most: 0.17 s at 48 a second, short enough that processes alternate."""

REFILL_AT = 2
"""Slots left at which the next ones are fetched, in the background: 40 ms at 48 a second, ten times a transaction."""

REBALANCE_INTERVAL = 0.25
"""Seconds between two looks at the other processes' stakes while requests are open or waiting."""

UNPACED_OPEN = 256
"""Requests of one kind that one process keeps open without pacing: bounds memory, nothing else."""

TOLD_SECONDS = 2.0
"""A wait for the limits from this on is worth telling whoever looks on."""

OnWait = Callable[[str, datetime | None], None]
"""Told why nothing is sent (`for the broker's limit of small bars`), and until when (UTC; None: nobody knows)."""

NO_DATABASE = "for the state database, which does not answer"
SMALL_BARS = "for the broker's limit of small bars"
REFUSED = "after the broker refused a request for pacing"
IN_USE_ELSEWHERE = {
    HISTORY_SLOTS: "for open requests, all of which other processes use",
    MARKET_DATA_SLOTS: "for market-data lines, all of which other processes use",
}

OPEN_DETAILS = 20
"""Contract-detail requests one process keeps open. The broker does not limit them but answers them one after the other:
with more of them open, the last would time out before its turn."""

DETAIL_SLOTS = "details"

RESOURCES = {
    PacingClass.MESSAGE: DETAIL_SLOTS,
    PacingClass.HISTORY: HISTORY_SLOTS,
    PacingClass.SMALL_HISTORY: HISTORY_SLOTS,
    PacingClass.MARKET_DATA: MARKET_DATA_SLOTS,
}


class FreedLines:
    """Market-data lines given back so lately that the broker may not have noticed: the cancellation is on its way.

    Another process does not get them yet, since its request may arrive first. This one may use them: its own messages
    arrive in order. Use it from one event loop only.
    """

    def __init__(self) -> None:
        self._at: deque[float] = deque()

    def add(self) -> None:
        """A line was given back."""
        self._at.append(time.monotonic())

    def use(self) -> None:
        """A line was taken: one given back, if there is any."""
        if self._at:
            self._at.popleft()

    def __len__(self) -> int:
        while self._at and self._at[0] < time.monotonic() - WINDOW_MARGIN:
            self._at.popleft()
        return len(self._at)


@dataclass(slots=True)
class _Slots:
    """This process's slots of one resource: lent to its requests, in the order they asked. `shared` ones follow the
    fair share."""

    shared: bool
    target: int = 0
    in_use: int = 0
    waiters: deque[asyncio.Future[None]] = field(default_factory=deque)
    keeper: asyncio.Task[None] | None = None
    freed: FreedLines = field(default_factory=FreedLines)

    def take(self) -> None:
        self.in_use += 1
        self.freed.use()


class Pacer:
    """What the event loop awaits before it sends. With `settings.enforce_pacing` off, everything is granted at once.

    `database` runs the ledger's transactions off the loop; use the object from one event loop only. `on_wait` is told
    of waits of `TOLD_SECONDS` or more: for the limits of small bars, after a refusal, and for slots while other
    processes use all of them.
    """

    def __init__(self, ledger: Ledger | None, database: Executor, on_wait: OnWait | None = None) -> None:
        self._ledger = ledger
        self._on_wait = on_wait
        self._database = database
        self._ahead: deque[float] = deque()
        self._lookahead = 1
        self._refill: asyncio.Task[None] | None = None
        self._order = asyncio.Lock()
        self._waiting = 0
        shared = ledger is not None
        self._slots = {
            resource: _Slots(shared, 0 if shared else UNPACED_OPEN) for resource in (HISTORY_SLOTS, MARKET_DATA_SLOTS)
        }
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
        """The same for a small-bar request, which the small-bar rules count too."""
        if self._ledger is None:
            return
        loop = asyncio.get_running_loop()
        permit = None
        while True:
            permit = await self._run(self._ledger.take_small, request, permit and permit.at)
            if permit.at is None:
                self.tell(SMALL_BARS, permit.instant - loop.time())
            if await _reached(permit.instant, loop, late_limit=WINDOW_MARGIN) and permit.at is not None:
                return

    def tell(self, why: str, seconds: float) -> None:
        """Tell whoever looks on of a wait that begins now, unless it is a short one."""
        if self._on_wait is not None and seconds >= TOLD_SECONDS:
            self._on_wait(why, datetime.now(UTC) + timedelta(seconds=seconds))

    def _tell_of_others(self, resource: str) -> None:
        """Tell of a wait for a slot that others use. Where this process uses some, its own answers come meanwhile."""
        if self._on_wait is not None and not self._slots[resource].in_use:
            self._on_wait(IN_USE_ELSEWHERE[resource], None)

    async def _next_slot(self, ledger: Ledger, loop: asyncio.AbstractEventLoop, more: int) -> float:
        while True:
            while self._ahead and self._ahead[0] < loop.time() - LATE_LIMIT:
                self._ahead.popleft()
                # taken too far ahead: what goes unused is lost to everybody
                self._lookahead = max(1, self._lookahead // 2)
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

    async def share(self, resource: str, in_use: int, waiting: int) -> int:
        """How many slots of a resource this process may use now, by the fair share, given what it uses and waits for.

        For a caller that keeps its slots itself and gives back those above the share; `acquire` is for the others."""
        if self._ledger is None:
            return UNPACED_OPEN
        _, target = await self._run(self._ledger.rebalance, resource, in_use, waiting)
        return target

    async def realtime_bars(self, key: str) -> float:
        """Return 0 at an instant at which a stream of real-time bars of that contract may be begun; begin it at once.
        Else the seconds until it may be asked again."""
        if self._ledger is None:
            return 0.0
        loop = asyncio.get_running_loop()
        permit = None
        while True:
            permit = await self._run(self._ledger.take_realtime_bars, key, permit and permit.at)
            if permit.at is None:
                return max(0.0, permit.instant - loop.time())
            if await _reached(permit.instant, loop):
                return 0.0

    async def acquire(self, pacing_class: PacingClass) -> None:
        """Wait for a slot of that class, first come first served."""
        resource = RESOURCES[pacing_class]
        slots = self._slots[resource]
        if slots.in_use < slots.target and not slots.waiters:  # a keeper is at work: without one the target is 0
            slots.take()
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        slots.waiters.append(turn)
        if slots.shared and (slots.keeper is None or slots.keeper.done()):
            slots.keeper = asyncio.create_task(self._keep(resource, slots))
        telling = loop.call_later(TOLD_SECONDS, self._tell_of_others, resource) if slots.shared else None
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release(pacing_class)
            raise
        finally:
            if telling is not None:
                telling.cancel()

    def release(self, pacing_class: PacingClass) -> None:
        """Give a slot back."""
        slots = self._slots[RESOURCES[pacing_class]]
        slots.in_use -= 1
        if pacing_class is PacingClass.MARKET_DATA:
            slots.freed.add()
        _lend(slots)

    def free_slots(self, pacing_class: PacingClass) -> int:
        """Slots of that class this process could use right now."""
        slots = self._slots[RESOURCES[pacing_class]]
        return max(0, slots.target - slots.in_use)

    async def _keep(self, resource: str, slots: _Slots) -> None:
        """Follow the fair share while there is anything to share, then give all back. Where the database fails, whoever
        waits hears of it, nothing more is lent, and it is repeated: what is held in the database would stay taken for
        as long as its owner lives."""
        while True:
            try:
                if await self._followed(resource, slots):
                    return
            except SQLAlchemyError as error:
                slots.target = 0
                while slots.waiters:
                    turn = slots.waiters.popleft()
                    if not turn.done():
                        turn.set_exception(error)
            await asyncio.sleep(REBALANCE_INTERVAL)

    async def _followed(self, resource: str, slots: _Slots) -> bool:
        """Follow the fair share once; whether all was given back since there is nothing to share."""
        assert self._ledger is not None
        waiting = max(len(slots.waiters), self.backlog() if slots.waiters else 0)
        used = slots.in_use + len(slots.freed)
        slots.target = min(slots.target, used)  # what others get is decided now, by what is used now
        _, slots.target = await self._run(self._ledger.rebalance, resource, used, waiting)
        _lend(slots)
        if slots.in_use or slots.freed or slots.waiters:
            return False
        slots.target = 0
        await self._run(self._ledger.rebalance, resource, 0, 0)
        return not slots.waiters

    async def close(self) -> None:
        """Stop waiting for anything and give all slots back. What the database does not take now, it takes with the
        end of the owner."""
        for slots in self._slots.values():
            if slots.keeper is not None:
                slots.keeper.cancel()
                await asyncio.gather(slots.keeper, return_exceptions=True)
        if self._ledger is not None:
            for resource in (HISTORY_SLOTS, MARKET_DATA_SLOTS):
                with suppress(SQLAlchemyError):
                    await self._run(self._ledger.rebalance, resource, 0, 0)
            with suppress(SQLAlchemyError):
                await self._run(self._ledger.leave_queue)

    def _run(self, function: Callable[..., T], *args: Any) -> Coroutine[Any, Any, T]:
        async def run() -> T:
            return await asyncio.get_running_loop().run_in_executor(self._database, function, *args)

        return run()


def _lend(slots: _Slots) -> None:
    while slots.waiters and slots.in_use < slots.target:
        turn = slots.waiters.popleft()
        if not turn.done():
            slots.take()
            turn.set_result(None)


async def _reached(at: float, loop: asyncio.AbstractEventLoop, late_limit: float = LATE_LIMIT) -> bool:
    """Wait for an instant of the loop's clock; whether it was met within the limit."""
    delay = at - loop.time()
    if delay > 0:
        await asyncio.sleep(delay)
    return loop.time() - at <= late_limit
