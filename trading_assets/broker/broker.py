"""The broker as the platform sees it: hand it requests, get results. Everything else (connection, pacing, journal,
retries, breaker) is inside."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial

from trading_assets.broker.breaker_store import DatabaseStore, breaker_name
from trading_assets.broker.client import TwsClient
from trading_assets.broker.connector import connector_to, endpoint_of
from trading_assets.broker.journal import Journal
from trading_assets.broker.loop import LoopThread
from trading_assets.broker.outcomes import Result
from trading_assets.broker.pacing import NO_DATABASE, OnWait, Pacer
from trading_assets.broker.positions import AccountLook, look
from trading_assets.broker.requests import Request
from trading_assets.broker.retries import Waits
from trading_assets.broker.run import Counts, Run
from trading_assets.errors import BreakerOpen, ClientIdsExhausted
from trading_assets.reliability import CircuitBreaker
from trading_assets.sessions import Clock
from trading_assets.settings import Settings
from trading_assets.state.outages import DatabaseThreads

DATABASE_THREADS = 2
"""Threads for claims and pacing: a large claim must not delay the next message slot."""

Progress = Callable[[int, int, int, int], None]
"""`(done, total, sent, reused)`: distinct requests ended and asked for, messages sent for them, answers taken from the
journal."""


class Broker(AbstractContextManager["Broker"]):
    """Answers requests. One connection, made when the first request really must be sent.

        with Broker(settings, journal) as broker:
            results = broker.run(requests, planned_at=journal.now())

    `on_identity(identity)` is called after each connect and before any data request; raise `IdentityMismatch` there to
    refuse the broker. `endpoint()` gives host and port when they are first needed (default: from the settings).
    `patience()` gives the seconds for which a lost connection is waited for (default: from the settings). Of settings
    with gateways the first is meant; `broker.gateways` makes a broker for each. Call `run` from one thread at a time.
    """

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        *,
        run_id: str = "",
        clock: Clock | None = None,
        on_identity: Callable[[str], None] | None = None,
        progress: Progress | None = None,
        endpoint: Callable[[], tuple[str, int]] | None = None,
        waits: Waits | None = None,
        on_wait: OnWait | None = None,
        patience: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._run_id = run_id
        self._clock = clock or settings.clock
        self._on_identity = on_identity
        self._progress = progress
        self._endpoint = endpoint or partial(endpoint_of, settings)
        self._waits = waits or Waits()
        self._on_wait = on_wait
        if on_wait is not None:
            journal.retry.on_outage = partial(on_wait, NO_DATABASE, None)
        self._patience = patience
        self._counts = Counts()
        self._loop = LoopThread()
        self._database = DatabaseThreads(DATABASE_THREADS, "broker-state", journal.retry)
        self._client: TwsClient | None = None
        self._pacer: Pacer | None = None
        self._running = threading.Lock()
        self.breaker = CircuitBreaker(
            settings.failure_threshold,
            settings.recovery_timeout,
            breaker_name(settings),
            DatabaseStore(journal.engine, journal.retry),
            inside=True,
            ignored=(ClientIdsExhausted,),
            raises=BreakerOpen,
        )

    @property
    def connected(self) -> bool:
        """Whether a connection was ever made: False as long as nothing had to be asked."""
        return self._client is not None and self._client.connects > 0

    @property
    def online(self) -> bool:
        """Whether a connection is up now."""
        return self._client is not None and self._client.connected

    @property
    def sent(self) -> int:
        """Requests really sent so far, repeats included."""
        return self._counts.sent

    @property
    def reused(self) -> int:
        """Answers taken from the journal so far."""
        return self._counts.reused

    @property
    def identity(self) -> str:
        """The identity behind the connection; empty before the first."""
        return self._client.identity if self._client is not None else ""

    def run(self, requests: Sequence[Request], *, planned_at: datetime) -> list[Result]:
        """Bring every request to its end; the results in the order of the requests.

        Sends in the given order. Requests with equal keys are asked once. `planned_at` is an instant of the journal's
        clock (`Journal.now`) from before what is in the lake was looked up. The progress is called in this thread,
        after the result is in the journal. The payload of a reused result is None when its answer is in the lake
        already.

        A request's own failure is its result, and the others go on. Raises `BrokerUnavailable`, `BreakerOpen`,
        `PacingExhausted` (retryable) or `IdentityMismatch` when the run as a whole cannot go on; what came is in the
        journal.
        """
        if not requests:
            return []
        if planned_at.tzinfo is None:
            raise ValueError(f"planned_at is {planned_at!r}: give an instant with a time zone.")
        with self._running:
            return self._run_all(requests, planned_at)

    def positions(self) -> AccountLook:
        """The positions of all accounts now: two messages, never answered from the journal.

        Raises `BrokerError` when the broker cannot be reached or does not list them.
        """
        with self._running, self.breaker:
            return self._loop.submit(self._look()).result()

    def close(self) -> None:
        """Disconnect and stop the threads. The journal stays open: it is the caller's."""
        try:
            if self._loop.started:
                self._loop.submit(self._shut()).result()
        finally:
            if self._loop.started:
                self._loop.stop()
            self._database.shutdown()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run_all(self, requests: Sequence[Request], planned_at: datetime) -> list[Result]:
        distinct = distinct_of(requests)
        results: dict[str, Result] = {}

        def take(_: Broker, result: Result) -> None:
            results[result.request.key] = result
            if self._progress is not None:
                self._progress(len(results), len(distinct), self.sent, self.reused)

        for error in run_together({self: distinct}, planned_at, take).values():
            raise error
        return [results[request.key] for request in requests]

    def start(self, requests: Sequence[Request], planned_at: datetime, emit: Callable[[Result], None]) -> Future[None]:
        """Begin to bring requests with distinct keys to their end; the end of the whole, which raises as `run` does.
        `emit` gets each result, in other threads."""
        return self._loop.submit(self._work(requests, planned_at, emit))

    async def _work(self, requests: Sequence[Request], planned_at: datetime, emit: Callable[[Result], None]) -> None:
        run = Run(
            self._open,
            self._journal,
            self.breaker,
            self._database,
            max_attempts=self._settings.max_attempts,
            waits=self._waits,
            run_id=self._run_id,
            counts=self._counts,
            emit=emit,
        )
        await run.work(requests, planned_at)

    async def _look(self) -> AccountLook:
        client, pacer = await self._open()
        return await look(client, pacer, self._settings.connect_timeout)

    async def _open(self) -> tuple[TwsClient, Pacer]:
        """The client and its pacer, made when the first request must be sent."""
        if self._client is None or self._pacer is None:
            connector = await connector_to(
                self._settings,
                self._journal.owner,
                self._endpoint,
                self._database,
                clock=self._clock,
                on_identity=self._on_identity,
                on_wait=self._on_wait,
            )
            self._client, self._pacer = TwsClient(connector, self._patience), connector.pacer
        return self._client, self._pacer

    async def _shut(self) -> None:
        if self._client is not None:
            await self._client.close()
        if self._pacer is not None:
            await self._pacer.close()


def distinct_of(requests: Sequence[Request]) -> list[Request]:
    """The requests without those whose question was there before."""
    return list({request.key: request for request in reversed(requests)}.values())[::-1]


def run_together(
    shares: Mapping[Broker, Sequence[Request]],
    planned_at: datetime,
    take: Callable[[Broker, Result], None],
    failed: Callable[[Broker, BaseException], None] | None = None,
) -> dict[Broker, BaseException]:
    """Let brokers bring requests to their end at the same time; what ended a broker's run before that, by broker.

    Called in this thread: `take` with each result, after it is in the journal, and `failed` when a broker's run fails.
    What they raise ends all runs.
    """
    events: queue.SimpleQueue[tuple[Broker, Result | Future[None]]] = queue.SimpleQueue()

    def tell(broker: Broker, event: Result | Future[None]) -> None:
        events.put((broker, event))

    works: dict[Broker, Future[None]] = {}
    ended: dict[Broker, Future[None]] = {}
    try:
        for broker, requests in shares.items():
            works[broker] = broker.start(requests, planned_at, partial(tell, broker))
            works[broker].add_done_callback(partial(tell, broker))
        while len(ended) < len(works):
            broker, event = events.get()
            if not isinstance(event, Future):
                take(broker, event)
                continue
            ended[broker] = event
            if failed is not None and (error := event.exception()) is not None:
                failed(broker, error)
    except BaseException:
        for work in works.values():
            work.cancel()
        wait(works.values())  # the runs give back their claims before this thread goes on
        raise
    return {broker: error for broker, work in ended.items() if (error := work.exception()) is not None}
