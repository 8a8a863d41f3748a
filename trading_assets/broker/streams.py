"""The running streams of one connection, by request id: who takes their messages.

A stream is no request of the journal: it has no end and no answer. The inbox keeps its streams beside the collectors of
the open requests.
"""

from __future__ import annotations

from typing import Protocol

from trading_assets.broker.wire_format import REALTIME_BAR, TICK_STRING, TICKS


class Stream(Protocol):
    """What every stream takes."""

    def error(self, code: int, text: str) -> None:
        """The broker said something about the stream, a warning or its end."""

    def unreadable(self, fault: str) -> None:
        """A message of the stream could not be read; `fault` says why."""


class QuoteStream(Stream, Protocol):
    """Takes the messages of a market-data subscription; the arguments are those of `quotes.QuoteCollector`."""

    def price(self, tick_type: int, price: float, size: float) -> None: ...

    def size(self, tick_type: int, size: float) -> None: ...

    def generic(self, tick_type: int, value: float) -> None: ...

    def text(self, tick_type: int, value: str) -> None: ...

    def greeks(
        self,
        tick_type: int,
        implied_volatility: float,
        delta: float,
        price: float,
        gamma: float,
        vega: float,
        theta: float,
        underlying: float,
    ) -> None: ...

    def market_data_type(self, kind: int) -> None: ...


class BarStream(Stream, Protocol):
    """Takes real-time bars: `start` in epoch seconds, prices in dollars."""

    def bar(
        self,
        start: int,
        open_: float,
        high: float,
        low: float,
        close: float,
        volume: float,
        wap: float,
        count: int,
    ) -> None: ...


class Streams:
    """The running streams of one connection."""

    def __init__(self) -> None:
        self.quotes: dict[int, QuoteStream] = {}
        self.bars: dict[int, BarStream] = {}

    def of(self, req_id: int | None) -> Stream | None:
        """The stream of a request id; None for an id that is none."""
        return None if req_id is None else self.quotes.get(req_id) or self.bars.get(req_id)

    def that_read(self, message: int) -> list[Stream]:
        """The streams that read messages of that kind."""
        if message == REALTIME_BAR:
            return list(self.bars.values())
        return list(self.quotes.values()) if message in TICKS or message == TICK_STRING else []

    def forget(self, req_id: int) -> None:
        """Take nothing more under this id."""
        self.quotes.pop(req_id, None)
        self.bars.pop(req_id, None)
