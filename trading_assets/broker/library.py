"""The one module that imports the broker's client library: ib_insync, or ib_async (its maintained successor) where that
is installed instead.

Both are the same code base: their `Client` (connection, encoding, decoding) and `Contract` are used here; the layers
above it (`IB`, its wrapper and tickers) are not, because they turn errors and timeouts into empty lists
(`tws/limits.md`). What differs between the two at this level is absorbed here: the package name, the loggers, and the
highest protocol version (176 and 178).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import math
import re
import struct
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

from trading_assets.broker.handshake import MAX_GREETING, ConnectFailed, Handshake
from trading_assets.broker.numbers import UNSET
from trading_assets.broker.positions import without_account
from trading_assets.broker.wire_format import (
    MessageKind,
    Unreadable,
    check,
    kind_of,
    normal,
    plain_text,
    request_id,
    with_plain_name,
)
from trading_assets.instrument import Instrument

logger = logging.getLogger("trading_assets.broker")


@contextmanager
def _an_event_loop() -> Iterator[None]:
    """The library asks for the thread's event loop when it is imported: only the main thread always has one, with
    a warning since Python 3.12."""
    with warnings.catch_warnings(), ExitStack() as after:
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            asyncio.get_event_loop_policy().get_event_loop()
        except RuntimeError:
            loop = asyncio.new_event_loop()
            after.callback(loop.close)
            asyncio.set_event_loop(loop)
            after.callback(asyncio.set_event_loop, None)
        yield


if TYPE_CHECKING:
    from ib_insync import IB, Contract
    from ib_insync.client import Client
    from ib_insync.decoder import Decoder

    LIBRARY = "ib_insync"
else:
    with _an_event_loop():
        try:
            _library = importlib.import_module("ib_insync")
        except ModuleNotFoundError as missing:
            if missing.name != "ib_insync":
                raise
            _library = importlib.import_module("ib_async")
        LIBRARY = _library.__name__
        IB = _library.IB
        Contract = _library.Contract
        Client = importlib.import_module(f"{LIBRARY}.client").Client
        Decoder = importlib.import_module(f"{LIBRARY}.decoder").Decoder

MAX_FRAME = 0xFFFFFF
"""Bytes of the longest frame; what claims to be longer is no frame: the stream is out of step (the official client's
limit)."""


_MISREAD = (ArithmeticError, LookupError, StopIteration, TypeError, ValueError)
"""What decoding a message of the wrong form can raise: too few or too many values, values of another kind, numbers out
of range."""


class Reader(Protocol):
    """Who gets what comes in: the methods that the library's decoder calls by name, and these."""

    def unread(self, fields: Sequence[str], kind: MessageKind | None, req_id: int | None, fault: str) -> None: ...

    def out_of_step(self) -> None: ...

    def connectionClosed(self) -> None: ...

    def position(self, account: str, contract: Contract, quantity: float, average_cost: float) -> None: ...

    def greeted(self, code: int, text: str) -> None: ...

    def ready(self) -> None: ...

    def failed(self, failure: ConnectFailed) -> None: ...


class ReadingDecoder(Decoder):
    """The library's decoder, but a message that cannot be read is handed on (`Reader.unread`), not logged and dropped.

    Only kinds that we use are decoded, and only once their form is right: the library takes a wrong count for a right
    one.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        super().__init__(cast(Any, reader), 0)

    def wrap(self, methodName: str, types: list[type], skip: int = 2) -> Callable[[list[str]], None]:
        """As in the library, without catching what goes wrong, and without a 0 for a number that is missing."""

        def handler(fields: list[str]) -> None:
            given = zip(types, fields[skip:], strict=True)
            getattr(self.reader, methodName)(
                *(_or_unset(field) if typ is float else typ(field) for typ, field in given)
            )

        return handler

    def priceSizeTick(self, fields: list[str]) -> None:
        """`tickPrice`: as in the library, without a size of 0 where none is given. An empty price says nothing."""
        _, _, req_id, tick_type, price, size, _ = fields
        if price:
            self.wrapper.priceSizeTick(int(req_id), int(tick_type), float(price), _or_unset(size))

    def position(self, fields: list[str]) -> None:
        """`position`: as in the library, without a quantity or cost of 0 where none is given."""
        contract = Contract()
        names = (
            "conId symbol secType lastTradeDateOrContractMonth strike right multiplier exchange currency localSymbol"
        )
        for name, value in zip((*names.split(), "tradingClass"), fields[3:14], strict=True):
            setattr(contract, name, plain_text(value))
        self.parse(contract)
        quantity = float(fields[14])
        if not math.isfinite(quantity) or abs(quantity) > UNSET:
            raise Unreadable(f"its quantity is {fields[14][:40]}")
        self.reader.position(fields[2], contract, quantity, _or_unset(fields[15]))

    def read(self, fields: list[str], fault: str = "") -> None:
        """Decode a message and call the reader's method for it. `fault` is what is wrong with it already."""
        kind: MessageKind | None = None
        plain: list[str] = fields
        try:
            kind = kind_of(fields)
            if kind is None and int(fields[0]) in self.handlers:
                return
            plain = normal(kind, fields, self.serverVersion)
            if kind is None or fault:
                raise Unreadable(fault or "it is of a kind that this platform does not know")
            check(kind, plain, self.serverVersion)
            self.handlers[kind.number](with_plain_name(kind, fields, self.serverVersion))
        except _MISREAD as error:
            logger.debug("The message %s was not read.", fields[:1], exc_info=error)
            self.reader.unread(
                plain, kind, request_id(kind, plain), str(error) if isinstance(error, Unreadable) else _in_words(error)
            )


class WireClient(Client):
    """The library's client with its own request throttling off: `broker.pacing` paces, over all processes.

    It reads frames itself and shakes hands itself (`broker.handshake`): the library waits for its timeout where it
    could know better, and does not say what it has seen. Nothing of the library is logged; failures are reported once,
    by us, as sentences.
    """

    MaxRequests = 0

    def __init__(self, reader: Reader) -> None:
        super().__init__(cast(Any, reader))
        self.reader = reader
        self.decoder: ReadingDecoder = ReadingDecoder(reader)
        self.handshake = Handshake((self.MinClientVersion, self.MaxClientVersion), LIBRARY)
        self._logger = logging.getLogger("trading_assets.broker.wire")
        self._logger.addFilter(_only_details)

    async def reach(self, host: str, port: int, client_id: int) -> None:
        """Connect the socket and name our versions; what follows comes as `Reader.ready` or `Reader.failed`. Raises
        `OSError`."""
        self.host, self.port, self.clientId = host, port, client_id
        self.connState = Client.CONNECTING
        await self.conn.connectAsync(host, port)
        self.handshake.reached = True
        self.conn.sendMsg(b"API\0" + self._prefix(b"v%d..%d" % (self.MinClientVersion, self.MaxClientVersion)))

    @property
    def received(self) -> int:
        """Messages that came so far."""
        return int(self._numMsgRecv)

    @property
    def pending(self) -> bytes:
        """Bytes that came and are no whole frame yet."""
        return bytes(self._data)

    def disconnect(self) -> None:
        """Close the connection, also one that is half closed already."""
        try:
            super().disconnect()
        except OSError as error:
            self._logger.debug("Closing: %s", error)
            self.reset()

    def _onSocketHasData(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= 4:
            length = struct.unpack(">I", self._data[:4])[0]
            if length > (MAX_FRAME if self._serverVersion else MAX_GREETING):
                self._no_frame()
                return
            if len(self._data) < 4 + length:
                return
            payload, self._data = self._data[4 : 4 + length], self._data[4 + length :]
            self._numMsgRecv += 1
            if self._apiReady:
                self._take(payload)
            else:
                self._greet(payload)

    def _onSocketDisconnected(self, reason: str) -> None:
        was_ready, pending = self._apiReady, self.pending
        self.reset()
        if was_ready:
            self.reader.connectionClosed()
        else:
            self.reader.failed(
                self.handshake.not_tws(pending)
                if pending and self.handshake.version is None
                else self.handshake.closed(reason)
            )

    def _take(self, payload: bytes) -> None:
        fields = payload.decode(errors="backslashreplace").split("\0")
        rest = fields.pop()
        if self._logger.isEnabledFor(logging.DEBUG):
            self._logger.debug("<<< %s", ",".join(without_account(fields)))
        self.decoder.read(fields, f"it ends in the middle of a field: {rest[:40]}" if rest else "")

    def _greet(self, payload: bytes) -> None:
        """One frame of the handshake."""
        shaking, said = self.handshake, len(self.handshake.words)
        try:
            shaking.receive(payload)
        except ConnectFailed as failure:
            self.reader.failed(failure)
            return
        if shaking.version is not None and not self._serverVersion:
            self._serverVersion = self.decoder.serverVersion = shaking.version
            self.connState = Client.CONNECTED
            self.startApi()
        elif shaking.complete:
            self._accounts = shaking.accounts
            self.updateReqId(shaking.next_id)
            self._apiReady = True
            self.reader.ready()
        for code, text in shaking.words[said:]:
            self.reader.greeted(code, text)

    def _no_frame(self) -> None:
        if self._apiReady:
            self.reader.out_of_step()
        else:
            self.reader.failed(self.handshake.not_tws(self.pending))


def _in_words(error: Exception) -> str:
    """What is wrong with a message, of an error of Python's or the library's decoding."""
    no_number = re.search(r"(?:to float|base 10): (.*)", str(error))
    return (
        f"one of its fields is no number: {no_number[1][:40]}"
        if no_number
        else f"one of its fields holds no proper value ({error})"
    )


def _or_unset(field: str) -> float:
    """A number; NaN where TWS leaves it empty."""
    return float(field) if field else math.nan


def _only_details(record: logging.LogRecord) -> bool:
    """Let DEBUG records of the connection through; what is worth more is reported by `broker.client`."""
    return record.levelno <= logging.DEBUG


_CONTRACT_FIELDS = {
    "con_id": "conId",
    "symbol": "symbol",
    "sec_type": "secType",
    "last_trade": "lastTradeDateOrContractMonth",
    "strike": "strike",
    "right": "right",
    "multiplier": "multiplier",
    "exchange": "exchange",
    "primary_exchange": "primaryExchange",
    "currency": "currency",
    "local_symbol": "localSymbol",
    "trading_class": "tradingClass",
}
"""The fields of an instrument by our names, and by the library's."""


def contract_of(instrument: Instrument) -> Contract:
    """The library's contract object."""
    return Contract(**{theirs: getattr(instrument, ours) for ours, theirs in _CONTRACT_FIELDS.items()})


__all__ = ["IB", "LIBRARY", "Contract", "WireClient", "contract_of"]
