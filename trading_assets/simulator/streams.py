"""The running streams of all clients: quotes and five-second bars.

One loop looks at the market for all of them at once, several times a second while the clock runs and whenever it is
moved by hand. Quotes are sent on change, as TWS does; bars when their five seconds are over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

from trading_assets.simulator import encoding, ticks
from trading_assets.simulator.calls import Call, Ticker, World
from trading_assets.simulator.faults import SILENCING_ACTIONS, FaultRule
from trading_assets.simulator.feed import STEP, Feed, is_regular, slot
from trading_assets.simulator.market import ListedContract, MarketQuote
from trading_assets.simulator.requests import MarketData, RealTimeBars

P = ParamSpec("P")
T = TypeVar("T")

STREAM_SECONDS = 0.25
"""Real seconds between two looks at the market while the clock runs. TWS sends stocks about four times a second."""
LEAST_SECONDS = 0.002
"""Real seconds between two looks at the least."""

MOST_BARS_AFTER_A_JUMP = 12
"""Bars told after a pinned clock was moved: a minute's."""
MOST_BARS = 720
"""Bars told at once while the clock runs: an hour's."""


@dataclass(eq=False, slots=True)
class QuoteStream:
    """A quote stream: what its client was told last, and the instant of that state (None: look afresh).

    `before` are the frames that come before the next tick. `wanted` is the market data type that the client wants,
    `told` the one it was told last. A `silenced` stream stays open and is never served again.
    """

    call: Call[MarketData]
    contract: ListedContract
    form: ticks.TickForm
    before: list[bytes]
    wanted: int
    told: int
    quote: MarketQuote = field(default_factory=MarketQuote)
    at: datetime | None = None
    sent: dict[tuple[int, int], ticks.Tick] = field(default_factory=dict)
    silenced: bool = False
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    kind = "quotes"

    def frames(self, quote: MarketQuote) -> list[bytes]:
        """The messages that bring the client from the last state to this one."""
        before, self.before = self.before, []
        if quote == self.quote and self.sent:
            return before
        self.quote = quote
        current = ticks.ticks_of(self.form, self.contract, quote)
        sent, self.sent = self.sent, current
        req_id = self.call.req_id
        return before + [ticks.tick_frame(req_id, key, tick) for key, tick in current.items() if sent.get(key) != tick]

    def tell(self, kind: int) -> None:
        """Say before the next tick of which type the data is from now on, unless it was said."""
        if kind != self.told:
            self.told = kind
            self.before.append(ticks.market_data_type(self.call.req_id, kind))

    def turn(self, delayed: bool, kind: int, announce: bool) -> None:
        """Go on with delayed ticks, or with live ones: all of them are sent anew."""
        self.form = replace(self.form, delayed=delayed)
        self.sent = {}
        if announce:
            self.tell(kind)
        self.call.client.send(*self.frames(self.quote))


@dataclass(eq=False, slots=True)
class BarStream:
    """A stream of five-second bars; `start` is that of the next bar, `price` the last one that was told."""

    call: Call[RealTimeBars]
    contract: ListedContract
    start: datetime
    price: float | None = None
    silenced: bool = False
    ended: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    kind = "bars"


Stream = QuoteStream | BarStream


class Streams:
    """The streams of one world, the loop that serves them, and what goes wrong with them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._feed = Feed(world.market)
        self._quotes: dict[QuoteStream, None] = {}
        self._bars: dict[BarStream, None] = {}
        self._disturbances: list[FaultRule] = []
        self._occupied = asyncio.Event()
        self._ticker: Ticker | None = None

    @contextmanager
    def running(self, stream: Stream) -> Iterator[None]:
        """Serve a stream inside the block."""
        if isinstance(stream, QuoteStream):
            self._quotes[stream] = None
        else:
            self._bars[stream] = None
        self._occupied.set()
        self._wake()
        try:
            yield
        finally:
            if isinstance(stream, QuoteStream):
                del self._quotes[stream]
            else:
                del self._bars[stream]

    def live_quotes(self) -> list[QuoteStream]:
        """The quote streams that have begun, show live ticks and are not struck by a fault."""
        return [
            stream
            for stream in self._quotes
            if stream.sent and not stream.form.delayed and not self._is_silent(stream) and not self._is_halted(stream)
        ]

    def _wake(self) -> None:
        if self._ticker is not None:
            self._ticker.poke()

    # faults

    @contextmanager
    def disturbed(self, rule: FaultRule) -> Iterator[None]:
        """A lasting fault on the running streams, inside the block."""
        self._disturbances.append(rule)
        if rule.do == "competing_session":
            for stream in self._struck(rule):
                stream.call.client.error(stream.call.req_id, *rule.error)  # type: ignore[misc]
        if rule.do == "delayed":
            self._turn(rule, True)
        self._wake()
        try:
            yield
        finally:
            self._disturbances.remove(rule)
            if rule.do == "delayed":
                self._turn(rule, False)
            if not rule.resumes:
                for stream in self._struck(rule):
                    stream.silenced = True
            self._wake()

    def end(self, rule: FaultRule) -> None:
        """End running streams with an error."""
        assert rule.error is not None
        for stream in self._struck(rule):
            stream.call.release()
            stream.call.client.error(stream.call.req_id, *rule.error)
            if not stream.ended.done():
                stream.ended.set_result(None)

    def found(self, kind: str, call: Call[MarketData] | Call[RealTimeBars], contract: ListedContract) -> set[str]:
        """What strikes streams of this kind and contract now: names of faults."""
        return {
            rule.do
            for rule in self._disturbances
            if rule.strikes_stream(kind, _in_words(call, contract), contract.sec_type)
        }

    async def first_quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        """The quote with which a stream begins."""
        (quote,) = await self._world.ask(self._feed.quotes, [contract], now)
        return quote

    def _struck(self, rule: FaultRule) -> list[Stream]:
        streams: list[Stream] = [*self._quotes, *self._bars]
        return [stream for stream in streams if self._strikes(rule, stream)]

    @staticmethod
    def _strikes(rule: FaultRule, stream: Stream) -> bool:
        words = _in_words(stream.call, stream.contract)
        return rule.strikes_stream(stream.kind, words, stream.contract.sec_type)

    def _turn(self, rule: FaultRule, delayed: bool) -> None:
        for stream in self._struck(rule):
            if isinstance(stream, QuoteStream) and stream.sent:
                stream.turn(delayed, ticks.DELAYED_DATA if delayed else ticks.LIVE_DATA, rule.announce)

    def _is_silent(self, stream: Stream) -> bool:
        return stream.silenced or any(
            rule.do in SILENCING_ACTIONS and self._strikes(rule, stream) for rule in self._disturbances
        )

    def _is_halted(self, stream: Stream) -> bool:
        return any(rule.do == "halt" and self._strikes(rule, stream) for rule in self._disturbances)

    # serving

    async def serve(self) -> None:
        """The loop. Runs until it is cancelled."""
        clock = self._world.clock
        with Ticker(clock, STREAM_SECONDS, clock.moves) as self._ticker:
            while True:
                if not self._quotes and not self._bars:
                    self._occupied.clear()
                    await self._occupied.wait()
                await self._ticker.next(await self._next_change())
                await self._show_quotes(clock.now())
                await self._show_bars(clock.now())

    async def _next_change(self) -> float:
        """Real seconds to the next moment at which quotes change, as far as the market knows it: what a client receives
        then belongs to that moment."""
        clock = self._world.clock
        if not (speed := clock.speed) or not self._quotes:
            return STREAM_SECONDS
        now = clock.now()
        changes = await self._world.ask(self._feed.changes, now, now + timedelta(seconds=STREAM_SECONDS * speed))
        return max((changes[0] - clock.now()).total_seconds() / speed, LEAST_SECONDS)

    async def _show_quotes(self, now: datetime) -> None:
        due, regular = [], is_regular(now)
        for stream in self._quotes:
            if stream.form.delayed == (stream.wanted in (ticks.DELAYED_DATA, ticks.DELAYED_FROZEN_DATA)):
                stream.tell(ticks.data_type(stream.wanted, regular))
            if self._is_silent(stream):
                stream.at = None
            elif self._is_halted(stream):
                stream.at = None
                stream.call.client.send(*stream.frames(replace(stream.quote, halted=True)))
            elif stream.at != now:
                due.append(stream)
        if not due:
            return
        looked = [stream.at for stream in due if stream.at is not None]
        instants = [now]
        if self._world.clock.speed and looked:
            instants = await self._world.ask(self._feed.changes, min(looked), now)
        for instant in instants:
            wanted = [stream for stream in due if instant == now or (stream.at is not None and stream.at < instant)]
            quotes = await self._ask(wanted, self._feed.quotes, [stream.contract for stream in wanted], instant)
            for stream, quote in zip(wanted, quotes, strict=bool(quotes)):
                if stream in self._quotes and not self._is_silent(stream):
                    stream.at = instant
                    stream.call.client.send(*stream.frames(quote))

    async def _show_bars(self, now: datetime) -> None:
        most = MOST_BARS if self._world.clock.speed else MOST_BARS_AFTER_A_JUMP
        until = slot(now)
        for stream in list(self._bars):
            if self._is_silent(stream):
                stream.start = until
            start = max(stream.start, until - most * STEP)
            if start >= until:
                continue
            stream.start = until
            request, halted = stream.call.request, self._is_halted(stream)
            bars = await self._ask(
                [stream], self._feed.bars, stream.contract, request.what_to_show, start, until, request.use_rth, now,
                stream.price, halted,
            )  # fmt: skip
            if bars and stream in self._bars and not self._is_silent(stream):
                client, req_id = stream.call.client, stream.call.req_id
                client.send(*(encoding.realtime_bar(client.version, req_id, bar) for bar in bars))
                stream.price = bars[-1].close

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


def _in_words(call: Call[MarketData] | Call[RealTimeBars], contract: ListedContract) -> str:
    """A stream's contract as faults may name it: as the client asked for it, and as the market lists it."""
    return f"{call.request.subject} {contract.symbol} {contract.sec_type} {contract.local_symbol}"
