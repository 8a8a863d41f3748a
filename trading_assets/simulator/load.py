"""Many messages a second on the running quote streams, to measure what a client can take.

Each message is a bid, an ask or a size of the quote as it stands, with a running number of its stream as the size:
`FIRST_SIZE` and on, far from the market's own. So every message changes something, and a client can tell a lost or
doubled one. `Snapshot.load_messages` counts them by contract.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from trading_assets.simulator import ticks
from trading_assets.simulator.counters import Counters
from trading_assets.simulator.market import MarketQuote
from trading_assets.simulator.protocol import Out, number
from trading_assets.simulator.streams import QuoteStream

FIRST_SIZE = 1_000_001
"""The size in the first message of a stream."""

PULSE_SECONDS = 0.005
"""Seconds between two bursts."""

MOST_AT_ONCE = 5_000
"""Messages of one burst at the most: what a stall of the simulator held back is not sent later."""


@dataclass(slots=True)
class _Source:
    """One stream's messages: fields up to the running number, and those after it."""

    stream: QuoteStream
    forms: list[tuple[str, str]]
    count: int = 0

    def next(self) -> bytes:
        """The next message."""
        before, after = self.forms[self.count % len(self.forms)]
        payload = f"{before}{FIRST_SIZE + self.count}{after}".encode("ascii")
        self.count += 1
        return struct.pack(">I", len(payload)) + payload


class Load:
    """Sends `rate` messages a second over the streams that `streams` names, each in its turn."""

    def __init__(self, streams: Callable[[], Sequence[QuoteStream]], counters: Counters) -> None:
        self._streams, self._counters = streams, counters
        self._rate = 0.0
        self._changed = asyncio.Event()
        self._sources: dict[QuoteStream, _Source] = {}

    def set_rate(self, rate: float) -> None:
        """So many messages a second from now on, 0 for none. To be called in the event loop."""
        self._rate = rate
        self._changed.set()

    async def serve(self) -> None:
        """The loop. Runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._changed.wait()
            self._changed.clear()
            began, sent = loop.time(), 0
            while self._rate and not self._changed.is_set():
                due = int((loop.time() - began) * self._rate) - sent
                self._send(min(due, MOST_AT_ONCE))
                sent += due
                await asyncio.sleep(PULSE_SECONDS)
            if not self._rate:
                self._settle()

    def _send(self, count: int) -> None:
        streams = self._streams()
        if not streams or count <= 0:
            return
        sources = self._turns(streams)
        frames: dict[QuoteStream, list[bytes]] = {}
        for _ in range(count):
            source = next(sources)
            frames.setdefault(source.stream, []).append(source.next())
        for stream, messages in frames.items():
            stream.call.client.send(*messages)
        self._counters.loaded(Counter({stream.contract.con_id: len(sent) for stream, sent in frames.items()}))

    def _turns(self, streams: Sequence[QuoteStream]) -> Iterator[_Source]:
        """The streams over and over, beginning with the one that had the fewest messages."""
        sources = [self._sources.get(stream) or self._source(stream) for stream in streams]
        sources.sort(key=lambda source: source.count)
        while True:
            yield from sources

    def _source(self, stream: QuoteStream) -> _Source:
        req_id, quote = stream.call.req_id, stream.quote
        forms = [(f"{int(Out.TICK_SIZE)}\0006\0{req_id}\0{tick}\0", "\0") for tick in (ticks.BID_SIZE, ticks.ASK_SIZE)]
        for tick, price in ((ticks.BID, quote.bid), (ticks.ASK, quote.ask)):
            if price is not None:
                forms.append((f"{int(Out.TICK_PRICE)}\0006\0{req_id}\0{tick}\0{number(price)}\0", "\0000\0"))
        found = self._sources[stream] = _Source(stream, forms)
        return found

    def _settle(self) -> None:
        """The next look at the market gives the streams its own prices and sizes again."""
        touched = (ticks.BID, ticks.ASK, ticks.BID_SIZE, ticks.ASK_SIZE)
        for stream in self._sources:
            stream.quote = MarketQuote()
            stream.sent = {key: tick for key, tick in stream.sent.items() if key[1] not in touched}
        self._sources.clear()
