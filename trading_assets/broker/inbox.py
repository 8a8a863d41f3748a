"""Routes the messages of one connection: by request id to its collector, the rest to the connection's listener.

The library's decoder calls the methods below by name; their names and argument orders are those of the broker's
`EWrapper`. A message for a request that has ended already is dropped: its answer came too late. A message that cannot
be read ends the requests it may belong to (`unread`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from trading_assets.broker.codes import is_warning
from trading_assets.broker.collectors import (
    BarsCollector,
    Collector,
    ContractCollector,
    ParameterCollector,
    parameter_record,
)
from trading_assets.broker.doubts import Doubts
from trading_assets.broker.handshake import ConnectFailed
from trading_assets.broker.positions import Gathering, holding_of, without_account
from trading_assets.broker.quotes import QuoteCollector
from trading_assets.broker.streams import QuoteStream, Streams
from trading_assets.broker.wire_format import (
    BOND_DATA,
    CONTRACT_DATA,
    CONTRACT_DATA_END,
    CURRENT_TIME,
    ERROR,
    HISTORICAL_DATA,
    OF_STREAMS,
    OPTION_PARAMETERS,
    OPTION_PARAMETERS_END,
    POSITION,
    POSITION_END,
    TICKS,
    MessageKind,
    Unreadable,
)
from trading_assets.errors import BrokerUnavailable

logger = logging.getLogger("trading_assets.broker")

C = TypeVar("C", bound=Collector)

NO_REQUEST = -1
"""Request id of messages that belong to no request."""

_ANSWERS: dict[int, type[Collector]] = {
    **dict.fromkeys((CONTRACT_DATA, BOND_DATA, CONTRACT_DATA_END), ContractCollector),
    **dict.fromkeys((OPTION_PARAMETERS, OPTION_PARAMETERS_END), ParameterCollector),
    **dict.fromkeys(TICKS, QuoteCollector),
    HISTORICAL_DATA: BarsCollector,
}
"""Which requests a kind of message answers; an error, and a message of no known kind, may answer any."""

_PARTS = frozenset({CONTRACT_DATA, BOND_DATA, OPTION_PARAMETERS, *TICKS})
"""Kinds that are one of many in an answer: without it, the answer ends as if nothing were missing."""

_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")


class ConnectionListener(Protocol):
    """Who hears about the connection itself."""

    def on_status(self, code: int, text: str) -> None: ...

    def on_lost(self, reason: str = "") -> None: ...

    def on_time(self, epoch: int | None) -> None: ...

    def on_ready(self) -> None: ...

    def on_failed(self, failure: ConnectFailed) -> None: ...


class Inbox:
    """The object a library's client and decoder talk to (their "wrapper"): a `library.Reader`."""

    def __init__(self, listener: ConnectionListener) -> None:
        self._listener = listener
        self.open: dict[int, Collector] = {}
        self.streams = Streams()
        self._issued = range(0)
        self._doubts = Doubts()
        self._told: set[str] = set()
        self._positions: Gathering | None = None

    def expect(self, req_id: int, collector: Collector) -> None:
        """A request is about to be sent under this id, the next one of the connection."""
        self.issue(req_id)
        self.open[req_id] = collector

    def issue(self, req_id: int) -> None:
        """This id, the next one of the connection, is used from now on."""
        self._issued = range(self._issued.start if self._issued else req_id, req_id + 1)

    def _of(self, req_id: int, wanted: type[C]) -> C | None:
        """The open request of this id and kind; None for one that has ended. Raises `Unreadable` when the id cannot be
        right."""
        collector = self.open.get(req_id)
        if isinstance(collector, wanted):
            return collector
        if collector is None and req_id in self._issued:
            return None
        raise Unreadable(f"no request that it could answer has the id {req_id}")

    def _taker(self, req_id: int) -> QuoteStream | QuoteCollector | None:
        """Who takes the ticks of this id."""
        return self.streams.quotes.get(req_id) or self._of(req_id, QuoteCollector)

    # requests

    def error(self, reqId: int, errorCode: int, errorString: str, *_: Any) -> None:
        errorString = unescaped(errorString)
        if reqId == NO_REQUEST or (reqId not in self._issued and is_warning(errorCode, errorString)):
            self._listener.on_status(errorCode, errorString)
        elif (stream := self.streams.of(reqId)) is not None:
            stream.error(errorCode, errorString)
        elif (collector := self._of(reqId, Collector)) is not None:
            collector.error(errorCode, errorString)

    def contractDetails(self, reqId: int, contractDetails: Any) -> None:
        if (collector := self._of(reqId, ContractCollector)) is not None:
            collector.contract(contractDetails)

    bondContractDetails = contractDetails

    def contractDetailsEnd(self, reqId: int) -> None:
        if (collector := self._of(reqId, ContractCollector)) is not None:
            collector.finished()

    def securityDefinitionOptionParameter(
        self,
        reqId: int,
        exchange: str,
        underlyingConId: int | str,
        tradingClass: str,
        multiplier: str,
        expirations: list[str],
        strikes: list[float],
    ) -> None:
        if (collector := self._of(reqId, ParameterCollector)) is not None:
            collector.parameters(
                parameter_record(exchange, underlyingConId, tradingClass, multiplier, expirations, strikes)
            )

    def securityDefinitionOptionParameterEnd(self, reqId: int) -> None:
        if (collector := self._of(reqId, ParameterCollector)) is not None:
            collector.finished()

    def historicalData(self, reqId: int, bar: Any) -> None:
        if (collector := self._of(reqId, BarsCollector)) is not None:
            collector.bar(bar)

    def historicalDataEnd(self, reqId: int, _start: str, _end: str) -> None:
        if (collector := self._of(reqId, BarsCollector)) is not None:
            collector.finished()

    # market data

    def priceSizeTick(self, reqId: int, tickType: int, price: float, size: float) -> None:
        if (taker := self._taker(reqId)) is not None:
            taker.price(tickType, price, size)

    def tickSize(self, reqId: int, tickType: int, size: float) -> None:
        if (taker := self._taker(reqId)) is not None:
            taker.size(tickType, size)

    def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:
        if (taker := self._taker(reqId)) is not None:
            taker.generic(tickType, value)

    def tickString(self, reqId: int, tickType: int, value: str) -> None:
        if (taker := self._taker(reqId)) is not None:
            taker.text(tickType, value)

    def realtimeBar(
        self,
        reqId: int,
        time: int,
        open_: float,
        high: float,
        low: float,
        close: float,
        volume: float,
        wap: float,
        count: int,
    ) -> None:
        if (stream := self.streams.bars.get(reqId)) is not None:
            stream.bar(time, open_, high, low, close, volume, wap, count)

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
        if (taker := self._taker(reqId)) is not None:
            taker.greeks(tickType, impliedVol, delta, optPrice, gamma, vega, theta, undPrice)

    def marketDataType(self, reqId: int, marketDataType: int) -> None:
        if (taker := self._taker(reqId)) is not None:
            taker.market_data_type(marketDataType)

    def tickSnapshotEnd(self, reqId: int) -> None:
        if (collector := self._of(reqId, QuoteCollector)) is not None:
            collector.snapshot_end()

    # positions, which carry no request id

    def gather_positions(self) -> Gathering:
        """Positions are about to be asked for."""
        self._positions = Gathering()
        return self._positions

    def position(self, account: str, contract: Any, quantity: float, average_cost: float) -> None:
        if self._positions is not None:
            self._positions.add(holding_of(account, contract, quantity, average_cost))

    def positionEnd(self) -> None:
        if self._positions is not None:
            self._positions.finished()

    def give_up_positions(self, reason: str) -> None:
        """The session cannot answer any more."""
        if self._positions is not None:
            self._positions.fail(BrokerUnavailable(reason))

    # what cannot be read

    def unread(self, fields: Sequence[str], kind: MessageKind | None, req_id: int | None, fault: str) -> None:
        """End as `unreadable` the requests that a message may belong to: the one whose id it carries, else all that its
        kind can answer.

        Of those, a request that is answered by a single message waits for it: who gets one was not meant (`Doubts`).
        """
        number = kind.number if kind is not None else 0
        name = (
            str(kind)
            if kind is not None
            else f"of kind {fields[0][:20]!r}"
            if fields and fields[0]
            else "without a kind"
        )
        self._note(name, fault, fields)
        if number == CURRENT_TIME:
            self._listener.on_time(None)
            return
        if (stream := self.streams.of(req_id)) is not None:
            stream.unreadable(f"TWS's message {name} could not be read: {fault}.")
            return
        if req_id not in self._issued:
            for stream in self.streams.that_read(number):
                stream.unreadable(f"TWS's message {name} that may be about it could not be read: {fault}.")
        if number in OF_STREAMS:
            return
        if number == POSITION:
            if self._positions is not None:
                self._positions.unreadable(fault)
            return
        if number == POSITION_END:
            self.give_up_positions(f"The end of the positions could not be read: {fault}. Run it again.")
            return
        wanted = _ANSWERS.get(number, Collector)
        if kind is None:
            req_id = next((int(text) for text in fields[1:3] if text.isdecimal() and int(text) in self.open), None)
            if req_id is None and fields and fields[0].isdecimal():
                return  # something new that is about no request of ours
        collector = self.open.get(req_id) if req_id is not None else None
        described = f"{fault} ({', '.join(fields[1:])[:200]})" if number == ERROR else fault
        if isinstance(collector, wanted):
            outcome = collector.unreadable(name, described)
            # Bars are one message: after it, the broker is done with the request.
            (collector.end if number == HISTORICAL_DATA else collector.give_up)(outcome)
        elif (collector is not None or req_id not in self._issued) and not (number == ERROR and req_id == NO_REQUEST):
            self._suspect(number, name, described, [other for other in self.open.values() if isinstance(other, wanted)])

    def _suspect(self, number: int, name: str, fault: str, suspects: Sequence[Collector]) -> None:
        waiting = []
        for collector in suspects:
            if number in _PARTS or (not number and not isinstance(collector, BarsCollector)):
                collector.give_up(collector.unreadable(name, fault, certain=False))
            elif not collector.answer.done():
                waiting.append((collector, collector.unreadable(name, fault, certain=False)))
        self._doubts.add(number, waiting)

    def _note(self, name: str, fault: str, fields: Sequence[str]) -> None:
        """Log the first of each kind where it is seen, the others with what they hold for whoever looks for the
        cause."""
        level = logging.DEBUG if name in self._told else logging.WARNING
        self._told.add(name)
        logger.log(level, "A message of TWS could not be read: %s, %s.", name, fault)
        logger.debug("It holds: %s", without_account(fields))

    # the connection

    def currentTime(self, time: int) -> None:
        self._listener.on_time(time)

    def ready(self) -> None:
        """The handshake is done."""
        self._listener.on_ready()

    def greeted(self, code: int, text: str) -> None:
        """TWS said something during the handshake."""
        self._listener.on_status(code, text)

    def failed(self, failure: ConnectFailed) -> None:
        """The handshake failed."""
        self._listener.on_failed(failure)

    def out_of_step(self) -> None:
        """What comes is not cut into messages any more: nothing after it can be read."""
        self._listener.on_lost("TWS sent a message of an impossible length (507), so nothing after it could be read.")

    def connectionClosed(self) -> None:
        self._listener.on_lost()


def unescaped(text: str) -> str:
    """A message of TWS with its letters: from server version 153 on, those that are not ASCII come as `\\u00f3` or
    `\\xf3`."""
    found = _ESCAPED.sub(lambda escape: chr(int(escape[1] or escape[2], 16)), text)
    # two escapes may be the halves of one letter
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
