"""What the recorder sends, and when: streams begun, ended, begun again, within the lines and limits that it has.

One message at a time, each when the pacer allows it; what ends comes before what begins, so that its line is free.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from trading_assets.broker import messages
from trading_assets.broker.client import DELAYED_FROZEN, FROZEN
from trading_assets.broker.connection import Connection
from trading_assets.broker.ledger import MARKET_DATA_SLOTS
from trading_assets.broker.pacing import FreedLines, Pacer
from trading_assets.broker.quotes import OPEN_INTEREST_TICK
from trading_assets.sessions import Clock
from trading_assets.settings import Settings
from trading_assets.streaming.bar_stream import Bars
from trading_assets.streaming.days import Days
from trading_assets.streaming.health import StreamState
from trading_assets.streaming.link import Link
from trading_assets.streaming.quote_stream import Quotes
from trading_assets.streaming.stream import Stream
from trading_assets.streaming.subjects import QUOTE
from trading_assets.streaming.timing import Timing
from trading_assets.streaming.updates import GapReason
from trading_assets.streaming.upstream import Upstream

logger = logging.getLogger("trading_assets.streaming")

_LATER = "what streams goes on, the rest is tried again."


@dataclass(eq=False)
class Steering:
    """Sends for the streams (`streams()`, the most useful first) over the link's connection."""

    settings: Settings
    link: Link
    upstream: Upstream
    pacer: Pacer
    streams: Callable[[], Sequence[Stream]]
    days: Days
    clock: Clock
    timing: Timing

    def __post_init__(self) -> None:
        self._time = asyncio.get_running_loop().time
        self._cancels: deque[tuple[str, int]] = deque()
        self._share = 0
        self._is_short = False
        """Whether the share is less than was asked for."""
        self._freed = FreedLines()
        self._most = math.inf
        """Lines that may be in use while it is decided what other processes get: those that are now."""
        self._regular_since = math.inf

    async def run(self) -> None:
        """Send what is to be sent, until cancelled."""
        sharing = asyncio.create_task(self._follow_share())
        try:
            while not sharing.done():
                self._look_at_time()
                try:
                    await self._send_what_is_due()
                except SQLAlchemyError:
                    logger.warning("The state database gives no leave to send: %s", _LATER, exc_info=True)
                await asyncio.sleep(self.timing.steer_seconds)
            sharing.result()
        finally:
            sharing.cancel()
            await asyncio.gather(sharing, return_exceptions=True)

    def connected(self) -> None:
        """There is a new connection: nothing is open on it, and every stream is asked for, also one that was refused
        on an earlier one."""
        self._cancels.clear()
        for stream in self.streams():
            stream.ask_again()

    def released(self, kind: str, req_id: int, cancel: bool) -> None:
        """A stream takes nothing more under an id; it is cancelled at the broker if it may still send."""
        connection = self.link.connection
        if connection is not None:
            connection.inbox.streams.forget(req_id)
            if cancel and connection.alive:
                self._cancels.append((kind, req_id))

    # lines

    @property
    def _in_use(self) -> int:
        """Market-data lines that are open at the broker."""
        return sum(stream.req_id is not None for stream in self.streams()) + len(self._cancels)

    async def _follow_share(self) -> None:
        """Follow the fair share of the market-data lines a few times a second."""
        while True:
            wanting = sum(stream.wants_line for stream in self.streams())
            in_use = self._in_use + len(self._freed)
            waiting = max(0, min(wanting, self.settings.live_lines) - in_use)
            self._most = in_use
            try:
                share = await self.pacer.share(MARKET_DATA_SLOTS, in_use, waiting)
            except SQLAlchemyError:
                logger.warning("The state database does not share out lines: %s", _LATER, exc_info=True)
            else:
                self._share, self._is_short = share, share < in_use + waiting
            finally:
                self._most = math.inf
            await asyncio.sleep(self.timing.steer_seconds)

    def _divide_lines(self) -> list[Stream]:
        """The streams that may have a line now; the others lose theirs, the least useful first."""
        most = self.settings.live_lines
        wanting = [stream for stream in self.streams() if stream.wants_line]
        allowed = min(most, self._share)
        certain = allowed if self._is_short else most  # what is new has no share yet
        for place, stream in enumerate(wanting[certain:], certain):
            if stream.state is not StreamState.SHED:
                text = (
                    f"More streams are wanted than lines may be used ({most}): raise TRADING_ASSETS_LIVE_LINES, or want"
                    " fewer."
                    if place >= most
                    else "Another process uses the market-data lines: it is streamed again when they are free."
                )
                stream.let_go(cancel=True)
                stream.ask_again(math.inf)
                stream.lose(StreamState.SHED, GapReason.SHED, text=text)
        for stream in wanting[:allowed]:
            if stream.state is StreamState.SHED and stream.due == math.inf:
                stream.ask_again()
        return wanting[:allowed]

    # sending

    async def _send_what_is_due(self) -> None:
        while (connection := self.link.connection) is not None and connection.alive and not self.upstream.lost:
            allowed = self._divide_lines()
            if self._cancels:
                await self._end_one(connection)
                continue
            stream = self._next(allowed)
            if stream is None:
                return
            if stream.req_id is not None:
                stream.let_go(cancel=True)  # its line is free before it is asked for again
            else:
                await self._begin(connection, stream)

    def _next(self, allowed: Sequence[Stream]) -> Stream | None:
        now, full = self._time(), self._in_use >= min(len(allowed), self._most)
        # Of new streams of bars there are few: those of a contract whose quotes still go elsewhere wait for the quotes.
        elsewhere = {one.con_id for one in allowed if isinstance(one, Quotes) and one.state is StreamState.COMPETING}
        return next(
            (
                stream
                for stream in allowed
                if stream.due <= now
                and (stream.req_id is not None or not full)
                and not (isinstance(stream, Bars) and stream.con_id in elsewhere)
            ),
            None,
        )

    async def _end_one(self, connection: Connection) -> None:
        await self.pacer.message()
        if self._may_send(connection) and self._cancels:
            kind, req_id = self._cancels.popleft()
            self._freed.add()
            if kind == QUOTE:
                connection.wire.cancelMktData(req_id)
            else:
                connection.wire.cancelRealTimeBars(req_id)

    async def _begin(self, connection: Connection, stream: Stream) -> None:
        if stream.subject.kind == QUOTE:
            await self._name_data_type(connection)
            await self.pacer.message()
        else:
            wait = await self.pacer.realtime_bars(stream.subject.instrument.key)
            if wait > 0:
                stream.wait_for_turn(self._time() + wait)
                return
        if not self._may_send(connection) or stream.due > self._time() or stream not in self.streams():
            return
        req_id = connection.wire.getReqId()
        connection.inbox.issue(req_id)
        stream.asked(req_id)
        self._freed.use()
        if isinstance(stream, Quotes):
            connection.inbox.streams.quotes[req_id] = stream
            instrument = stream.subject.instrument
            ticks = OPEN_INTEREST_TICK if instrument.sec_type == "OPT" else ""
            messages.start_quotes(connection.wire, req_id, instrument, ticks)
        elif isinstance(stream, Bars):
            connection.inbox.streams.bars[req_id] = stream
            messages.start_bars(connection.wire, req_id, stream.subject.instrument)

    async def _name_data_type(self, connection: Connection) -> None:
        """Say once a connection that live data is wanted, or delayed: the last quote while the market is closed."""
        wanted = DELAYED_FROZEN if self.settings.delayed else FROZEN
        if connection.market_data_type != wanted:
            await self.pacer.message()
            if self._may_send(connection):
                connection.wire.reqMarketDataType(wanted)
                connection.market_data_type = wanted

    def _may_send(self, connection: Connection) -> bool:
        return connection is self.link.connection and connection.alive and not self.upstream.lost

    # the time that passes

    def _look_at_time(self) -> None:
        now, at = self._time(), self.clock()
        if not self.days.is_regular(at):
            self._regular_since = math.inf
        elif self._regular_since == math.inf:
            self._regular_since = now
        halted = {stream.con_id for stream in self.streams() if isinstance(stream, Quotes) and stream.halted}
        for stream in self.streams():
            if stream.req_id is None:
                continue
            stream.look_for_outage()
            if isinstance(stream, Quotes):
                stream.look_for_lapsed()
            if now >= stream.answer_by:
                stream.ask_again()
            elif stream.is_unanswered or (stream.subject.is_underlying and stream.con_id not in halted):
                # an option may be quiet, but not from the beginning: TWS sends the last quote of any contract
                stream.look_for_stall(self.settings.stall_seconds, self._regular_since)
