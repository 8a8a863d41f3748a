"""Routes the messages of one connection: by request id to its collector, the rest to the connection's listener.

The library's decoder calls the methods below by name; their names and argument orders are those of the broker's
`EWrapper`. A message for a request that has ended already is dropped: its answer came too late.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from trading_assets.broker.collectors import BarsCollector, Collector, ContractCollector, HeadTimestampCollector, ParameterCollector, parameter_record
from trading_assets.broker.quotes import QuoteCollector

NO_REQUEST = -1
"""Request id of messages that belong to no request."""


_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")


class ConnectionListener(Protocol):
    """Who hears about the connection itself."""

    def on_status(self, code: int, text: str) -> None: ...

    def on_lost(self) -> None: ...

    def on_time(self, epoch: int) -> None: ...


class Inbox:
    """The object a library's client and decoder talk to (their "wrapper")."""

    def __init__(self, listener: ConnectionListener) -> None:
        self._listener = listener
        self.open: dict[int, Collector] = {}

    # requests

    def error(self, reqId: int, errorCode: int, errorString: str, *_: Any) -> None:
        errorString = unescaped(errorString)
        if reqId == NO_REQUEST:
            self._listener.on_status(errorCode, errorString)
        elif (collector := self.open.get(reqId)) is not None:
            collector.error(errorCode, errorString)

    def contractDetails(self, reqId: int, contractDetails: Any) -> None:
        if isinstance(collector := self.open.get(reqId), ContractCollector):
            collector.contract(contractDetails)

    bondContractDetails = contractDetails

    def contractDetailsEnd(self, reqId: int) -> None:
        if isinstance(collector := self.open.get(reqId), ContractCollector):
            collector.finished()

    def securityDefinitionOptionParameter(
        self, reqId: int, exchange: str, underlyingConId: int | str, tradingClass: str, multiplier: str, expirations: list[str], strikes: list[float]
    ) -> None:
        if isinstance(collector := self.open.get(reqId), ParameterCollector):
            collector.parameters(parameter_record(exchange, underlyingConId, tradingClass, multiplier, expirations, strikes))

    def securityDefinitionOptionParameterEnd(self, reqId: int) -> None:
        if isinstance(collector := self.open.get(reqId), ParameterCollector):
            collector.finished()

    def historicalData(self, reqId: int, bar: Any) -> None:
        if isinstance(collector := self.open.get(reqId), BarsCollector):
            collector.bar(bar)

    def historicalDataEnd(self, reqId: int, _start: str, _end: str) -> None:
        if isinstance(collector := self.open.get(reqId), BarsCollector):
            collector.finished()

    def headTimestamp(self, reqId: int, headTimestamp: str) -> None:
        if isinstance(collector := self.open.get(reqId), HeadTimestampCollector):
            collector.head(headTimestamp)

    # market data

    def priceSizeTick(self, reqId: int, tickType: int, price: float, size: float) -> None:
        if isinstance(collector := self.open.get(reqId), QuoteCollector):
            collector.price(tickType, price, size)

    def tickSize(self, reqId: int, tickType: int, size: float) -> None:
        if isinstance(collector := self.open.get(reqId), QuoteCollector):
            collector.size(tickType, size)

    def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:
        if isinstance(collector := self.open.get(reqId), QuoteCollector):
            collector.generic(tickType, value)

    def tickOptionComputation(
        self,
        reqId: int,
        tickType: int,
        _tickAttrib: int,
        impliedVol: float,
        delta: float,
        optPrice: float,
        _pvDividend: float,
        gamma: float,
        vega: float,
        theta: float,
        undPrice: float,
    ) -> None:
        if isinstance(collector := self.open.get(reqId), QuoteCollector):
            collector.greeks(tickType, impliedVol, delta, optPrice, gamma, vega, theta, undPrice)

    def marketDataType(self, reqId: int, marketDataType: int) -> None:
        if isinstance(collector := self.open.get(reqId), QuoteCollector):
            collector.market_data_type(marketDataType)

    def tickSnapshotEnd(self, reqId: int) -> None:
        if isinstance(collector := self.open.get(reqId), QuoteCollector):
            collector.snapshot_end()

    # the connection

    def currentTime(self, time: int) -> None:
        self._listener.on_time(time)

    def connectAck(self) -> None:
        """The version is agreed; the library goes on by itself."""

    def setEventsDone(self) -> None:
        """The library's hook for its own events; there are none here."""

    def connectionClosed(self) -> None:
        self._listener.on_lost()


def unescaped(text: str) -> str:
    """A message of TWS with its letters: from server version 153 on, those that are not ASCII come as `\\u00f3` or `\\xf3`."""
    found = _ESCAPED.sub(lambda escape: chr(int(escape[1] or escape[2], 16)), text)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # two escapes may be the halves of one letter
