"""One run of the broker: sends what it has claimed in order, sees to the ends, retries, and journals every answer.

It lives on the client's event loop. Tasks of one run:

    claimer --to send--> ready heap --> dispatcher --> one task an open request --> writer --> results
       |                     ^                                  |
       |                     +------- retry after a wait -------+
       +--known, or answered for another process-------------------------------------> results
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa

from trading_assets.broker.claims import LOW_WATER, Claimer, Job
from trading_assets.broker.client import TwsClient
from trading_assets.broker.codes import remedy_of, tries_of
from trading_assets.broker.collectors import Collector
from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.pacing import REFUSED, Pacer
from trading_assets.broker.requests import PacingClass, Request
from trading_assets.broker.retries import Waits
from trading_assets.broker.writer import Ended, Sent, Writer, failed_journal
from trading_assets.errors import BreakerOpen, BrokerError, BrokerUnavailable, ClientIdsExhausted, PacingExhausted
from trading_assets.reliability import CircuitBreaker, Phase

T = TypeVar("T")

BREAKER_INTERVAL = 2.0
"""Seconds after which a sending run looks again whether another process has opened the breaker."""


@dataclass(slots=True)
class Counts:
    """What the runs of a broker did so far."""

    sent: int = 0
    reused: int = 0


class Run:
    """One run. `emit` gets every `Result` once it is durable, from several threads."""

    def __init__(
        self,
        open_client: Callable[[], Awaitable[tuple[TwsClient, Pacer]]],
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
        self._open_client = open_client
        self._journal = journal
        self._breaker = breaker
        self._database = database
        self._max_attempts = max_attempts
        self._waits = waits
        self._run_id = run_id
        self._counts = counts
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._ready: list[Job] = []
        self._held: set[int] = set()
        self._open: set[asyncio.Task[None]] = set()
        self._left = 0
        self._changed = asyncio.Event()
        self._error: BaseException | None = None
        self._losses = 0
        self._paced: dict[PacingClass, set[int]] = defaultdict(set)
        self._breaker_seen = float("-inf")

    async def work(self, requests: Sequence[Request], planned_at: datetime) -> None:
        """Bring every request to its end. Raises `BrokerError` after what was in flight has ended and is journalled."""
        self._left = len(requests)
        self._journal.retry.begin()
        self._claimer = Claimer(
            self._journal,
            self._in_database,
            requests,
            planned_at,
            self._run_id,
            send=self._to_send,
            known=self._take_known,
        )
        self._writer = Writer(self._journal, self._committed, self._writer_failed)
        claiming = self._loop.create_task(self._claimer.work())
        claiming.add_done_callback(self._task_ended)
        try:
            await self._dispatch()
            await self._last_ends()
        except BaseException:  # cancelled, or a defect: nobody waits for the answers, and the broker is not to go on
            self._journal.retry.interrupt()
            for task in self._open:
                task.cancel()
            raise
        finally:
            try:
                await self._wind_up(claiming)
            finally:  # also where it was interrupted
                self._writer.close()
                self._journal.leave(self._held)
        if self._error is not None:
            raise self._error

    async def _wind_up(self, claiming: asyncio.Task[None]) -> None:
        """Wait for the ends that are on their way to the journal, and give up claims that have none."""
        claiming.cancel()
        await asyncio.gather(claiming, *self._open, return_exceptions=True)
        await asyncio.gather(asyncio.wrap_future(self._writer.close()), return_exceptions=True)
        if self._held:
            try:
                await asyncio.to_thread(self._journal.release, sorted(self._held))  # else a heartbeat does it
            except sa.exc.SQLAlchemyError as error:
                self._stop(error)

    # sending

    async def _dispatch(self) -> None:
        """Send until all have ended or the run is stopped."""
        client: TwsClient | None = None
        pacer: Pacer | None = None
        while (job := await self._next()) is not None:
            try:
                trial = await self._leave_of_breaker()
                if client is None or pacer is None:
                    client, pacer = await self._open_client()
                    self._losses = client.losses
                    pacer.backlog = lambda: len(self._ready) + self._claimer.unclaimed
                task = await self._send(job, client, pacer)
                if trial:
                    await self._end_trial(task, client)
            except sa.exc.SQLAlchemyError as error:
                self._stop(error)
            except BrokerError as error:
                self._stop(error)
                with suppress(sa.exc.SQLAlchemyError):  # what ended the run is raised, not this
                    if isinstance(error, BrokerUnavailable) and not isinstance(error, ClientIdsExhausted):
                        await self._in_database(self._breaker.record_failure)
                    elif not isinstance(error, BreakerOpen):
                        await self._in_database(self._breaker.release)

    async def _next(self) -> Job | None:
        """The next job in order; None when all have ended or the run has been stopped."""
        while self._error is None and self._left:
            if self._ready:
                job = heapq.heappop(self._ready)
                if len(self._ready) < LOW_WATER:
                    self._claimer.want_more()
                return job
            self._changed.clear()
            await self._changed.wait()
        return None

    async def _leave_of_breaker(self) -> bool:
        """Whether this is the trial call of a breaker that was open. Looked up only now and then while all goes
        well."""
        now = time.monotonic()
        if now - self._breaker_seen < BREAKER_INTERVAL:
            return False
        phase = await self._in_database(self._breaker.acquire)
        if phase is Phase.CLOSED:
            self._breaker_seen = now
        return phase is Phase.HALF_OPEN

    async def _end_trial(self, task: asyncio.Task[None] | None, client: TwsClient) -> None:
        """Wait for the trial call, and report it if its end did not: a broker that is there has passed, whatever it
        answered."""
        if task is not None:
            await asyncio.wait({task})
        if (await self._in_database(lambda: self._breaker.state)).phase is Phase.HALF_OPEN:
            await self._in_database(self._breaker.record_success if client.connected else self._breaker.record_failure)

    async def _send(self, job: Job, client: TwsClient, pacer: Pacer) -> asyncio.Task[None] | None:
        """Send one job as soon as the limits allow; the task that sees to its end. None when the connection went just
        then."""
        request, pacing = job.request, job.request.pacing
        await pacer.acquire(pacing)
        try:
            await client.ready()
            await client.prepare(request)
            if pacing is PacingClass.SMALL_HISTORY:
                await pacer.small_message(request)
            else:
                await pacer.message(more=min(len(self._ready), pacer.free_slots(pacing)))
            collector = client.send(request)
        except ConnectionError:  # not sent: it stays the next one, and the next round makes a connection first
            pacer.release(pacing)
            self._to_send(job)
            return None
        except BaseException:
            pacer.release(pacing)
            raise
        job.attempts += 1
        job.tries += 1
        self._counts.sent += 1
        task = self._loop.create_task(self._see_to(job, collector, client, pacer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        task.add_done_callback(self._task_ended)
        return task

    # ends

    async def _see_to(self, job: Job, collector: Collector, client: TwsClient, pacer: Pacer) -> None:
        """From the send of a request to its journalled end, or back to the queue."""
        sent_at = time.time()
        self._writer.put(Sent(job.request_id, job.attempts, sent_at))
        try:
            outcome, payload = await collector.answer
            if outcome.kind.retryable:
                await self._judge(outcome, client)
            self._note_pacing(job, outcome)
            if not self._sends_again(job, outcome, pacer):
                self._writer.put(
                    Ended(job.request, job.request_id, outcome, payload, job.attempts, sent_at, time.time())
                )
                self._ended()
            if not outcome.kind.retryable and not self._breaker.clean:
                await self._judge(outcome, client)  # an answer is on its way to the journal by now
            await client.settle(collector)
        except asyncio.CancelledError:
            client.abandon()
            raise
        finally:
            pacer.release(job.request.pacing)

    async def _last_ends(self) -> None:
        """Wait for what is in flight when the run is stopped: its answers are journalled."""
        while self._open:
            await asyncio.wait(set(self._open))

    def _note_pacing(self, job: Job, outcome: Outcome) -> None:
        """Keep which requests of a pacing class were refused for pacing since one of that class was answered."""
        if outcome.kind is OutcomeKind.PACING:
            self._paced[job.request.pacing].add(job.index)
        elif outcome.kind.answers:
            self._paced[job.request.pacing].clear()

    def _sends_again(self, job: Job, outcome: Outcome, pacer: Pacer) -> bool:
        """Whether a failed request has no end yet: it is queued again, or, when the run stops, left for the next run.

        A failure of one request is its own end. Only what concerns all of them stops the run: a connection that broke
        each time, or a limit that kept more than one request out while no other of its class was answered.
        """
        most = tries_of(outcome, self._max_attempts)
        if outcome.kind.retryable and self._error is not None:
            return True
        if job.tries < most:
            wait = self._waits.after(outcome, job.tries)
            if outcome.kind is OutcomeKind.PACING:
                pacer.tell(REFUSED, wait)
            self._loop.call_later(wait, self._to_send, job)
            return True
        if outcome.kind is OutcomeKind.PACING and len(self._paced[job.request.pacing]) > 1:
            what = (
                f"a limit of the broker stayed exhausted for {len(self._paced[job.request.pacing])} requests after"
                f" {job.tries} attempts"
            )
            self._stop(PacingExhausted(f"{job.request.key}: {what} ({outcome.text}). {remedy_of(outcome)}"))
        elif outcome.kind is OutcomeKind.DISCONNECTED:
            self._stop(
                BrokerUnavailable(
                    f"{job.request.key}: the connection broke {job.tries} times ({outcome.text}). {remedy_of(outcome)}"
                )
            )
        return False

    async def _judge(self, outcome: Outcome, client: TwsClient) -> None:
        """Tell the breaker. One broken connection is one failure, however many requests it takes along; a timeout is a
        failure when TWS does not answer a question about the time either; an answer of any kind is a success."""
        failed = outcome.kind is OutcomeKind.PACING
        if outcome.kind is OutcomeKind.TIMEOUT:
            failed = not await client.answers()
        if outcome.kind is not OutcomeKind.PACING and (failed or outcome.kind is OutcomeKind.DISCONNECTED):
            failed = client.losses != self._losses
            self._losses = client.losses
        if failed:
            state = await self._in_database(self._breaker.record_failure)
            if state.phase is Phase.OPEN:
                self._breaker_seen = float("-inf")
        elif outcome.kind.answers:
            await self._in_database(self._breaker.record_success)

    def _to_send(self, job: Job) -> None:
        self._held.add(job.request_id)
        heapq.heappush(self._ready, job)
        self._changed.set()

    def _committed(self, result: Result) -> None:
        """Called in the writer's thread."""
        self._held.discard(result.request_id)
        self._emit(result)

    def _take_known(self, result: Result) -> None:
        self._counts.reused += 1
        self._ended()
        self._emit(result)

    def _ended(self) -> None:
        self._left -= 1
        if not self._left:
            self._changed.set()

    def _stop(self, error: BaseException) -> None:
        """Send nothing more; the first error is raised at the end."""
        if self._error is None:
            self._error = failed_journal(error) if isinstance(error, sa.exc.SQLAlchemyError) else error
            self._changed.set()

    def _writer_failed(self, error: BaseException) -> None:
        """Called in the writer's thread: what cannot be journalled must not be asked for."""

        def stop() -> None:
            self._stop(failed_journal(error))
            for task in self._open:
                task.cancel()

        self._loop.call_soon_threadsafe(stop)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """A task that died must end the run: nobody would bring its request to an end."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._stop(error)

    async def _in_database(self, function: Callable[[], T]) -> T:
        # in the context of the caller: a circuit breaker looks there for blocks around it
        return await self._loop.run_in_executor(self._database, copy_context().run, function)
