"""One run of the broker: claims, sends in order, waits for others' answers, retries, and journals every end.

It lives on the client's event loop. Tasks of one run:

    claimer  --SEND--> ready heap --> dispatcher --> one task an open request --> writer --> events
       |                   ^                                  |
       +--WAIT--> watcher -+--------- retry after a wait -----+
       +--KNOWN-----------------------------------------------------------------> events
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from trading_assets.broker.client import TwsClient
from trading_assets.broker.collectors import Collector
from trading_assets.broker.errors import BrokerError, BrokerUnavailable, PacingExhausted
from trading_assets.broker.journal import Claim, ClaimState, Journal
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.pacing import Pacer
from trading_assets.broker.requests import PacingClass, Request
from trading_assets.broker.retries import Waits, is_users
from trading_assets.broker.writer import Ended, Sent, Writer
from trading_assets.reliability import BreakerOpen, CircuitBreaker, Phase

T = TypeVar("T")

CLAIM_CHUNK = 200
"""Requests claimed in one transaction: 4 s of work at 48 a second, so that processes with the same list share it."""

WATCH_INTERVAL = 0.2
"""Seconds between two looks at requests that other processes have in flight."""

BREAKER_INTERVAL = 2.0
"""Seconds after which a sending run looks again whether another process has opened the breaker."""


@dataclass(order=True, slots=True)
class Job:
    """A request this run has to send. Order: as given, so that expiring options keep their place when they are sent again."""

    index: int
    request: Request = field(compare=False)
    request_id: int = field(compare=False, default=0)
    attempts: int = field(compare=False, default=0)
    """How often its row was sent, other runs included."""
    tries: int = field(compare=False, default=0)
    """How often this run has sent it."""


@dataclass(slots=True)
class Counts:
    """What a run did so far."""

    sent: int = 0
    reused: int = 0


class Run:
    """One run. `emit` gets every `Result` (from several threads), in the order they are known."""

    def __init__(
        self,
        client: Callable[[], Awaitable[tuple[TwsClient, Pacer]]],
        journal: Journal,
        breaker: CircuitBreaker,
        database: Executor,
        *,
        max_attempts: int,
        waits: Waits,
        run_id: str,
        counts: Counts,
        emit: Callable[[Result], None],
    ) -> None:
        self._open_client = client
        self._journal = journal
        self._breaker = breaker
        self._database = database
        self._max_attempts = max_attempts
        self._waits = waits
        self._run_id = run_id
        self._counts = counts
        self._emit = emit
        self._ready: list[Job] = []
        self._waiting: dict[int, Job] = {}
        self._held: dict[int, Job] = {}
        self._unclaimed: list[Job] = []
        self._left = 0
        self._changed = asyncio.Condition()
        self._error: BrokerError | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._losses = 0
        self._breaker_seen = 0.0
        self._writer: Writer | None = None
        self._planned_at = datetime.min.replace(tzinfo=UTC)
        self._loop = asyncio.get_running_loop()

    async def work(self, requests: Sequence[Request], planned_at: datetime) -> None:
        """Bring every request to its end. Raises `BrokerError` after what was in flight has ended and is journalled."""
        self._planned_at = planned_at
        self._unclaimed = [Job(index, request) for index, request in enumerate(requests)][::-1]
        self._left = len(requests)
        writer = self._writer = Writer(self._journal, self._emit, self._fail_from_thread)
        helpers = [asyncio.create_task(self._claim_on()), asyncio.create_task(self._watch())]
        sender = asyncio.create_task(self._dispatch())
        try:
            working = {sender, *helpers}
            while not sender.done():
                done, working = await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in (sender, *helpers):
                task.cancel()
            if self._left and self._error is None:  # an error of ours or a cancellation: nobody waits for the answers
                for task in self._open:
                    task.cancel()
            await asyncio.gather(sender, *helpers, *self._open, return_exceptions=True)
            await asyncio.wrap_future(writer.close())
            if self._held:
                await self._run(self._journal.release, sorted(self._held))
        if self._error is not None:
            raise self._error

    # claims

    async def _claim_on(self) -> None:
        while self._unclaimed and self._error is None:
            chunk = [self._unclaimed.pop() for _ in range(min(CLAIM_CHUNK, len(self._unclaimed)))]
            await self._claim(chunk)
            async with self._changed:
                await self._changed.wait_for(lambda: len(self._ready) < CLAIM_CHUNK // 2 or self._error is not None)

    async def _claim(self, jobs: Sequence[Job]) -> None:
        claims = await self._run(lambda: self._journal.claim([job.request for job in jobs], self._planned_at, run_id=self._run_id))
        for job, claim in zip(jobs, claims, strict=True):
            self._take(job, claim)
        await self._notify()

    def _take(self, job: Job, claim: Claim) -> None:
        job.request_id, job.attempts = claim.request_id, claim.attempts
        if claim.state is ClaimState.SEND:
            self._held[job.request_id] = job
            heapq.heappush(self._ready, job)
        elif claim.state is ClaimState.WAIT:
            self._waiting[job.request_id] = job
        elif claim.result is not None:
            self._counts.reused += 1
            self._left -= 1
            self._emit(claim.result)

    async def _watch(self) -> None:
        """Claim again what others had in flight, when they have ended it or died."""
        while self._left and self._error is None:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting or not self._left or self._error is not None)
            await asyncio.sleep(WATCH_INTERVAL)
            watched = list(self._waiting)
            if not watched:
                continue
            moved: bool = await self._run(self._journal.moved, watched)
            if moved:
                jobs = [self._waiting.pop(row) for row in watched]
                await self._claim(sorted(jobs))

    # sending

    async def _dispatch(self) -> None:
        client: TwsClient | None = None
        pacer: Pacer | None = None
        try:
            while (job := await self._next()) is not None:
                try:
                    trial = await self._leave_of_breaker()
                    if client is None or pacer is None:
                        client, pacer = await self._open_client()
                        self._losses = client.losses
                        pacer.backlog = lambda: len(self._ready) + len(self._unclaimed)
                    task = await self._send(job, client, pacer)
                except BreakerOpen as error:
                    heapq.heappush(self._ready, job)
                    self._stop(error if isinstance(error, BrokerError) else BrokerUnavailable(str(error)))
                    break
                except BrokerError as error:
                    heapq.heappush(self._ready, job)
                    if isinstance(error, BrokerUnavailable):
                        await self._run(self._breaker.record_failure)
                    else:
                        await self._run(self._breaker.release)
                    self._stop(error)
                    break
                if trial and task is not None:
                    await task
        finally:
            await asyncio.gather(*self._open)

    async def _next(self) -> Job | None:
        """The next job in order; None when all have ended or the run has been stopped."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ready or not self._left or self._error is not None)
            if self._error is not None or not self._ready:
                return None
            job = heapq.heappop(self._ready)
            self._changed.notify_all()
            return job

    async def _leave_of_breaker(self) -> bool:
        """Whether this is the trial call of a breaker that was open. Looked up only now and then while all goes well."""
        now = time.monotonic()
        if now - self._breaker_seen < BREAKER_INTERVAL:
            return False
        phase = await self._run(self._breaker.acquire)
        if phase is Phase.CLOSED:
            self._breaker_seen = now
        return phase is Phase.HALF_OPEN

    async def _send(self, job: Job, client: TwsClient, pacer: Pacer) -> asyncio.Task[None] | None:
        """Send one job as soon as the limits allow; the task that sees to its end. None when the connection went just then."""
        request = job.request
        pacing = request.pacing
        await pacer.acquire(pacing)
        try:
            await client.ready()
            await client.prepare(request)
            if pacing is PacingClass.SMALL_HISTORY:
                await pacer.small_message(request)
            else:
                await pacer.message(more=min(len(self._ready), pacer.free_slots(pacing)))
            collector = client.send(request)
        except BaseException as error:
            pacer.release(pacing)
            if not isinstance(error, ConnectionError):
                raise
            heapq.heappush(self._ready, job)  # not sent: the next round makes a connection first
            return None
        job.attempts += 1
        job.tries += 1
        self._counts.sent += 1
        task = asyncio.create_task(self._see_to(job, collector, client, pacer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return task

    async def _see_to(self, job: Job, collector: Collector, client: TwsClient, pacer: Pacer) -> None:
        """From the send of a request to its journalled end, or back to the queue."""
        assert self._writer is not None
        sent_at = time.time()
        self._writer.put(Sent(job.request_id, job.attempts, sent_at))
        try:
            outcome, payload = await collector.answer
            await self._judge(outcome, client)
            if not self._sends_again(job, outcome):
                self._writer.put(Ended(job.request, job.request_id, outcome, payload, job.attempts, sent_at, time.time()))
                self._held.pop(job.request_id, None)
                self._left -= 1
            await client.settle(collector)
        finally:
            pacer.release(job.request.pacing)
        await self._notify()

    # ends

    def _sends_again(self, job: Job, outcome: Outcome) -> bool:
        """Whether a failed request has no end yet: it is queued again, or, when the run stops, left for the next run."""
        if not outcome.kind.retryable:
            return False
        if self._error is not None:
            return True
        if job.tries < self._max_attempts:
            self._loop.call_later(self._waits.after(outcome, job.tries), self._requeue, job)
            return True
        if outcome.kind is OutcomeKind.PACING:
            what = f"a limit of the broker stayed exhausted after {job.tries} attempts"
            self._stop(PacingExhausted(f"{job.request.key}: {what} ({outcome.text}). {outcome.remedy}"))
        elif outcome.kind is OutcomeKind.DISCONNECTED and not is_users(outcome):
            self._stop(BrokerUnavailable(f"{job.request.key}: the connection broke {job.tries} times ({outcome.text}). {outcome.remedy}"))
        return False

    def _requeue(self, job: Job) -> None:
        heapq.heappush(self._ready, job)
        self._loop.create_task(self._notify())

    async def _judge(self, outcome: Outcome, client: TwsClient) -> None:
        """Tell the breaker. One broken connection is one failure, however many requests it takes along; a timeout is a
        failure when TWS does not answer a question about the time either; an answer of any kind is a success."""
        failed = False
        if outcome.kind is OutcomeKind.PACING:
            failed = True
        elif outcome.kind is OutcomeKind.TIMEOUT and outcome.code is None:
            failed = not await client.answers() and client.losses == self._losses
        elif outcome.kind is OutcomeKind.DISCONNECTED and client.losses == self._losses:
            return
        if client.losses != self._losses:
            self._losses = client.losses
            failed = True
        if not failed:
            if outcome.kind.answers:
                await self._succeeded()
            return
        state = await self._run(self._breaker.record_failure)
        if state.phase is Phase.OPEN:
            self._breaker_seen = 0.0

    async def _succeeded(self) -> None:
        if not self._breaker.clean:
            await self._run(self._breaker.record_success)

    def _stop(self, error: BrokerError) -> None:
        if self._error is None:
            self._error = error
            self._loop.create_task(self._notify())

    def _fail_from_thread(self, error: BaseException) -> None:
        def stop() -> None:
            for task in asyncio.all_tasks(self._loop):
                if task in self._open:
                    task.cancel()
            self._stop(BrokerError(f"The journal could not be written ({error}). Nothing more is sent."))

        self._loop.call_soon_threadsafe(stop)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _run(self, function: Callable[..., T], *args: object) -> T:
        return await self._loop.run_in_executor(self._database, function, *args)
