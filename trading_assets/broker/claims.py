"""The claiming side of a run: which of its requests it must send, which another process sends, which are answered
already.

Claims go a chunk at a time, just ahead of what is being sent, so that processes with the same list share the work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from trading_assets.broker.journal import Claim, ClaimState, Journal
from trading_assets.broker.outcomes import Result
from trading_assets.broker.requests import Request

T = TypeVar("T")

CLAIM_CHUNK = 200
"""Requests claimed in one transaction: 4 s of work at 48 a second."""

LOW_WATER = CLAIM_CHUNK // 2
"""Claimed requests left to send at which the next chunk is claimed."""

WATCH_INTERVAL = 0.2
"""Seconds between two looks at requests that other processes have in flight."""


class InDatabaseThread(Protocol):
    """Runs a function in a database thread."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(order=True, slots=True)
class Job:
    """A request of a run. Order: as given, so that expiring options keep their place when they are sent again."""

    index: int
    request: Request = field(compare=False)
    request_id: int = field(compare=False, default=0)
    attempts: int = field(compare=False, default=0)
    """How often its row was sent, other runs included."""
    tries: int = field(compare=False, default=0)
    """How often this run has sent it."""


class Claimer:
    """Works through the requests of a run. `send(job)` gets what is ours to send, `known(result)` what is answered."""

    def __init__(
        self,
        journal: Journal,
        database: InDatabaseThread,
        requests: Sequence[Request],
        planned_at: datetime,
        run_id: str,
        *,
        send: Callable[[Job], None],
        known: Callable[[Result], None],
    ) -> None:
        self._journal = journal
        self._database = database
        self._unclaimed = [Job(index, request) for index, request in enumerate(requests)][::-1]
        self._planned_at = planned_at
        self._run_id = run_id
        self._send = send
        self._known = known
        self._waiting: dict[int, Job] = {}
        self._demand = asyncio.Event()
        self._demand.set()

    @property
    def unclaimed(self) -> int:
        """Requests that are not claimed yet."""
        return len(self._unclaimed)

    def want_more(self) -> None:
        """Claimed requests run low: claim the next chunk."""
        self._demand.set()

    async def work(self) -> None:
        """Claim chunks on demand, and claim again what others had in flight when they have ended it or died."""
        while self._unclaimed or self._waiting:
            if self._unclaimed and self._demand.is_set():
                self._demand.clear()
                await self._claim([self._unclaimed.pop() for _ in range(min(CLAIM_CHUNK, len(self._unclaimed)))])
            elif self._waiting:
                await asyncio.sleep(WATCH_INTERVAL)
                watched = list(self._waiting)
                if await self._database(partial(self._journal.moved, watched)):
                    await self._claim(sorted(self._waiting.pop(row) for row in watched))
            else:
                await self._demand.wait()

    async def _claim(self, jobs: Sequence[Job]) -> None:
        claiming = asyncio.ensure_future(
            self._database(
                lambda: self._journal.claim([job.request for job in jobs], self._planned_at, run_id=self._run_id)
            )
        )
        cancelled: asyncio.CancelledError | None = None
        while not claiming.done():
            try:
                await asyncio.wait([claiming])
            except asyncio.CancelledError as error:  # maybe more than once: whoever waits is impatient
                cancelled = error  # the transaction goes on: what it claims must be known, to be given back
        claimed = claiming.result()
        for job, claim in zip(jobs, claimed, strict=True):
            self._take(job, claim)
        if all(claim.state is not ClaimState.SEND for claim in claimed):
            self._demand.set()  # nothing is sent of this chunk, so nobody will say that claimed requests run low
        if cancelled is not None:
            raise cancelled

    def _take(self, job: Job, claim: Claim) -> None:
        job.request_id, job.attempts = claim.request_id, claim.attempts
        if claim.state is ClaimState.SEND:
            self._send(job)
        elif claim.state is ClaimState.WAIT:
            self._waiting[job.request_id] = job
        elif claim.result is not None:
            self._known(claim.result)
