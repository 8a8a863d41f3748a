"""The running streams of all clients: quotes and five-second bars.

One loop looks at the market for all of them at once, several times a second while the clock runs and whenever it is
moved by hand. Quotes are sent on change, as TWS does; bars when their five seconds are over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import ParamSpec, TypeVar

from trading_assets.simulator import encoding, ticks
from trading_assets.simulator.calls import Call, Ticker, World
from trading_assets.simulator.feed import STEP, Feed, slot
from trading_assets.simulator.market import ListedContract, MarketQuote
from trading_assets.simulator.requests import MarketData, RealTimeBars

P = ParamSpec("P")
T = TypeVar("T")

STREAM_SECONDS = 0.25
"""Real seconds between two looks at the market while the clock runs. TWS sends stocks about four times a second."""

MOST_BARS_AFTER_A_JUMP = 12
"""Bars told after a pinned clock was moved: a minute's."""
MOST_BARS = 720
"""Bars told at once while the clock runs: an hour's."""


@dataclass(eq=False, slots=True)
class QuoteStream:
    """A quote stream: what its client was told last, and the instant of that state (None: look afresh)."""

    call: Call[MarketData]
    contract: ListedContract
    form: ticks.TickForm
    quote: MarketQuote
    sent: dict[tuple[int, int], ticks.Tick]
    at: datetime | None
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def show(self, quote: MarketQuote) -> int:
        """Send what differs from the last state; returns the number of messages."""
        if quote == self.quote:
            return 0
        self.quote = quote
        current = ticks.ticks_of(self.form, self.contract, quote)
        sent, self.sent = self.sent, current
        req_id = self.call.req_id
        frames = [ticks.tick_frame(req_id, key, tick) for key, tick in current.items() if sent.get(key) != tick]
        if frames:
            self.call.client.send(*frames)
        return len(frames)


@dataclass(eq=False, slots=True)
class BarStream:
    """A stream of five-second bars; `start` is that of the next bar."""

    call: Call[RealTimeBars]
    contract: ListedContract
    start: datetime
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


Stream = QuoteStream | BarStream


class Streams:
    """The streams of one world, and the loop that serves them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._feed = Feed(world.market)
        self._quotes: dict[QuoteStream, None] = {}
        self._bars: dict[BarStream, None] = {}
        self._occupied = asyncio.Event()
        self._ticker: Ticker | None = None

    @contextmanager
    def running(self, stream: Stream) -> Iterator[None]:
        """Serve a stream inside the block."""
        streams: dict[Stream, None] = self._quotes if isinstance(stream, QuoteStream) else self._bars  # type: ignore[assignment]
        streams[stream] = None
        self._occupied.set()
        if self._ticker is not None:
            self._ticker.poke()
        try:
            yield
        finally:
            del streams[stream]

    async def serve(self) -> None:
        """The loop. Runs until it is cancelled."""
        world = self._world
        with Ticker(world.clock, STREAM_SECONDS, world.clock.moves) as self._ticker:
            while True:
                if not self._quotes and not self._bars:
                    self._occupied.clear()
                    await self._occupied.wait()
                await self._ticker.next()
                await world.connected.wait()
                await world.farms.wait()
                await self._show_quotes(world.clock.now())
                await self._show_bars(world.clock.now())

    async def _show_quotes(self, now: datetime) -> None:
        due = [stream for stream in self._quotes if stream.at != now]
        if not due:
            return
        looked = [stream.at for stream in due if stream.at is not None]
        instants = [now]
        if self._world.clock.speed and looked:
            instants = await self._world.ask(self._feed.changes, min(looked), now)
        for instant in instants:
            wanted = [
                stream
                for stream in due
                if (instant == now if stream.at is None else stream.at < instant or instant == now)
            ]
            quotes = await self._ask(wanted, self._feed.quotes, [stream.contract for stream in wanted], instant)
            for stream, quote in zip(wanted, quotes, strict=bool(quotes)):
                stream.at = instant
                if stream in self._quotes:
                    stream.show(quote)

    async def _show_bars(self, now: datetime) -> None:
        most = MOST_BARS if self._world.clock.speed else MOST_BARS_AFTER_A_JUMP
        until = slot(now)
        for stream in list(self._bars):
            start = max(stream.start, until - most * STEP)
            if start >= until:
                continue
            stream.start = until
            request = stream.call.request
            bars = await self._ask(
                [stream], self._feed.bars, stream.contract, request.what_to_show, start, until, request.use_rth, now
            )
            if bars and stream in self._bars:
                client, req_id = stream.call.client, stream.call.req_id
                client.send(*(encoding.realtime_bar(client.version, req_id, bar) for bar in bars))

    async def _ask(
        self, streams: Sequence[Stream], question: Callable[P, list[T]], *args: P.args, **kwargs: P.kwargs
    ) -> list[T]:
        """Ask the market; a failure ends the streams that it concerns, each with that failure, and gives nothing."""
        (answer,) = await asyncio.gather(self._world.ask(question, *args, **kwargs), return_exceptions=True)
        if not isinstance(answer, BaseException):
            return answer
        for stream in streams:
            if not stream.ended.done():
                stream.ended.set_exception(answer)
        return []
