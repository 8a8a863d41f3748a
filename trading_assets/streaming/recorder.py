"""The recorder: keeps the streams that somebody wants, and passes what comes of them to the writer.

One task keeps the connection (`link`), one follows what is wanted, one sends what is to be sent and looks at the time
that passes (`steering`), one publishes the health of the streams. All run in one event loop; whatever blocks runs in
worker threads.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from functools import partial
from math import inf
from typing import TypeVar

from trading_assets.broker.client import CONNECTIVITY_RESTORED
from trading_assets.broker.connector import connector_to, endpoint_of
from trading_assets.repositories import LakeIdentity
from trading_assets.sessions import Clock
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.state.owners import Owner
from trading_assets.streaming.bar_stream import Bars
from trading_assets.streaming.context import Context
from trading_assets.streaming.days import Days
from trading_assets.streaming.health import StreamHealth, Subscription
from trading_assets.streaming.link import Link
from trading_assets.streaming.nearest import Nearest
from trading_assets.streaming.outlet import Outlet
from trading_assets.streaming.quote_stream import Quotes
from trading_assets.streaming.replay_clock import ReplayClock
from trading_assets.streaming.steering import Steering
from trading_assets.streaming.store.writer import LiveWriter
from trading_assets.streaming.stream import Stream
from trading_assets.streaming.subjects import QUOTE, Subject, subjects_of
from trading_assets.streaming.timing import Timing
from trading_assets.streaming.upstream import Upstream

T = TypeVar("T")

logger = logging.getLogger("trading_assets.streaming")

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, where the system has such a clock."""

_UNWANTED = "Nobody wants this stream any more."
_FARTHER = "Other options are wanted now, which are nearer the money."

DATABASE_THREADS = 3
"""Threads for pacing, what is wanted, and health: a slow one must not hold the others."""


class Recorder:
    """Records the streams that are wanted.

        await Recorder(settings, writer, wanted=registry.wanted, publish=registry.publish).run(stop)

    `wanted()` says what is to be streamed, `publish(health)` gets the health of all streams about once a second; both
    are called in worker threads. `endpoint()` gives host and port (default: from the settings). What `publish` raises
    ends the recorder. A `clock` that is a `ReplayClock` follows the market's time.
    """

    def __init__(
        self,
        settings: Settings,
        writer: LiveWriter,
        *,
        wanted: Callable[[], Sequence[Subscription]],
        publish: Callable[[Sequence[StreamHealth]], object],
        clock: Clock | None = None,
        endpoint: Callable[[], tuple[str, int]] | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._settings = settings
        self._writer = writer
        self._wanted = wanted
        self._publish = publish
        self._clock = clock or settings.clock
        self._replay = clock if isinstance(clock, ReplayClock) else None
        self._endpoint = endpoint or partial(endpoint_of, settings)
        self._timing = timing or Timing()
        self._name = uuid.uuid4().hex[:8]
        self._streams: dict[str, Stream] = {}
        self._retired: dict[str, Stream] = {}
        """Streams that nobody wants now: one that is wanted again goes on as the same stream."""
        self._days = Days()
        self._nearest = Nearest()

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop` is set. Raises `IdentityMismatch` or `BrokerIncompatible`, with which no stream can be
        recorded; other trouble is waited for and stands in the health."""
        with ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="recorder-state") as self._database:
            await self._assemble()
            try:
                await self._until(stop)
            finally:
                await self._end()

    async def _assemble(self) -> None:
        settings = self._settings
        self._owner = Owner(await self._run(lambda: connect_state(settings.state_url)))
        connector = await connector_to(
            settings,
            self._owner,
            self._endpoint,
            self._database,
            clock=self._clock,
            on_identity=LakeIdentity(settings.data_dir).pin,
        )
        self._pacer = connector.pacer
        self._outlet = Outlet(self._writer, most_waiting=self._timing.most_waiting)
        self._upstream = Upstream(self._all, self._clock, resume_seconds=self._timing.resume_seconds)
        self._link = Link(
            connector,
            self._pacer,
            on_up=lambda: self._steering.connected(),
            on_down=self._upstream.on_down,
            on_status=self._on_status,
            on_fresh=self._upstream.renew,
            on_time=None if self._replay is None else self._replay.is_now,
            quiet_seconds=self._timing.quiet_seconds,
            pong_seconds=self._timing.pong_seconds,
        )
        self._steering = steering = Steering(
            settings, self._link, self._upstream, self._pacer, self._all, self._days, self._clock, self._timing
        )
        self._context = Context(
            self._outlet,
            self._clock,
            self._days,
            steering.released,
            self._timing.retry_seconds,
            self._timing.image_seconds,
            allow_delayed=settings.delayed,
            in_reset=lambda: connector.reset_end() is not None,
            replay=self._replay,
        )

    async def _until(self, stop: asyncio.Event) -> None:
        work = [
            asyncio.create_task(task)
            for task in (
                self._link.keep(),
                self._follow(),
                self._steering.run(),
                self._report(),
                self._look_for_standstill(),
                stop.wait(),
            )
        ]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _end(self) -> None:
        for stream in self._all():
            stream.stopped()
        self._link.close()
        self._outlet.close()
        await self._pacer.close()
        await self._run(self._owner.close)

    async def _look_for_standstill(self) -> None:
        """Nobody looked while this process did not run: there is a gap from the last moment on in which it did."""
        most = self._timing.standstill_seconds
        while True:
            ran, began = time.clock_gettime(_CLOCK), self._clock()
            await asyncio.sleep(min(1.0, most / 4))
            stood = time.clock_gettime(_CLOCK) - ran
            if stood >= most:
                self._upstream.stood_still(began, stood)
                self._divide_gaps(began, self._clock())

    def _divide_gaps(self, began: datetime, now: datetime) -> None:
        """Where another session has begun since, gaps that last are ones of both."""
        if self._days.session(began) != self._days.session(now):
            for stream in self._all():
                stream.begin_session(self._days.begins(now))

    # what is wanted

    async def _follow(self) -> None:
        """Have the streams that are wanted, looked up twice a second; what the lake knows of them when that changes,
        once a session, when a price has moved away from the options that are streamed, and now and then where it may
        have something else: a contract that it lacked, another chain."""
        known: tuple[tuple[Subscription, ...], date] | None = None
        loop_time = asyncio.get_running_loop().time
        looked_at, moved_at = 0.0, loop_time()
        while True:
            wanted = tuple(await self._run(self._wanted))
            now = self._clock()
            current = (wanted, self._days.session(now))
            if known is not None and known[1] != current[1]:
                for stream in self._all():
                    stream.begin_session(self._days.begins(now))
            lacking = any(stream.subject.refusal for stream in self._all())
            selects = any(one.options for one in wanted)
            again = min(
                self._timing.look_again_seconds if lacking else inf, self._timing.reselect_seconds if selects else inf
            )
            has_moved = loop_time() - moved_at >= self._timing.follow_seconds and self._nearest.follow(self._prices())
            if has_moved:
                moved_at = loop_time()
            if has_moved or current != known or loop_time() - looked_at >= again:
                subjects = await self._run(partial(self._subjects, wanted, now))
                self._have(subjects)
                known, looked_at = current, loop_time()
            await asyncio.sleep(self._timing.wanted_seconds)

    def _subjects(self, wanted: Sequence[Subscription], now: datetime) -> list[Subject]:
        return subjects_of(wanted, self._settings.data_dir, now, self._nearest)

    def _prices(self) -> dict[str, float]:
        """The prices of the underlyings that are seen now, by symbol."""
        quotes = [one for one in self._all() if isinstance(one, Quotes) and one.subject.is_underlying]
        return {one.subject.symbol: price for one in quotes if (price := one.price_now) is not None}

    def _have(self, subjects: Iterable[Subject]) -> None:
        named = {subject.key: subject for subject in subjects}
        unknown = {subject.symbol for subject in named.values() if subject.unknown}
        running = {
            key: one.subject for key, one in self._streams.items() if one.con_id and one.subject.symbol in unknown
        }
        if running:  # what runs goes on, whatever has happened to the lake's files
            known = {subject.symbol for subject in running.values()}
            named = running | {key: one for key, one in named.items() if not (one.unknown and one.symbol in known)}
        for key in self._streams.keys() - named.keys():
            self._retired[key] = retired = self._streams.pop(key)
            others = any(one.symbol == retired.subject.symbol and not one.is_underlying for one in named.values())
            retired.retire(_FARTHER if others and not retired.subject.is_underlying else _UNWANTED)
        for key, subject in named.items():
            if key in self._retired:
                self._streams[key] = self._retired.pop(key)
                self._streams[key].ask_again()
            elif key not in self._streams:
                self._streams[key] = self._stream_of(subject)
            self._streams[key].about(subject)
        self._streams = {key: self._streams[key] for key in named}

    def _stream_of(self, subject: Subject) -> Stream:
        stream_id = f"{self._name}-{subject.kind[0]}{subject.instrument.key}"
        return (Quotes if subject.kind == QUOTE else Bars)(subject, stream_id, self._context)

    def _all(self) -> list[Stream]:
        """All streams, the most useful first."""
        return list(self._streams.values())

    def _on_status(self, code: int, text: str) -> None:
        if code in CONNECTIVITY_RESTORED and self._link.connection is not None:
            self._link.connection.market_data_type = 0
        self._upstream.on_status(code, text)

    # health

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(self._timing.publish_seconds)
            self._outlet.look()
            health = [stream.health() for stream in self._all()]
            await self._run(partial(self._publish, health))

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._database, function)
