"""Clients for tests: a raw socket that speaks the protocol by hand, and an ib_insync connection that must log no
error."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ib_insync import IB, util

from trading_assets.simulator import Simulator

READ_SECONDS = 15.0
"""How long a test waits for a message that must come."""


class RawClient:
    """A client by hand: `send` fields, `read` the next message as fields. Raises `TimeoutError`, and `EOFError` when
    closed."""

    def __init__(
        self, port: int, client_id: int = 1, *, options: str = "", version: str = "v157..178", start: bool = True
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), READ_SECONDS)
        self._buffer = b""
        words = f"{version} {options}" if options else version
        self.socket.sendall(b"API\0" + _framed(words.encode()))
        self.version, self.connected = self.read()
        if start:
            self.send(71, 2, client_id, "")

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def send(self, *fields: object) -> None:
        """Send one message."""
        self.send_many([fields])

    def send_many(self, messages: list[tuple[object, ...]]) -> None:
        """Send messages in one segment."""
        self.socket.sendall(
            b"".join(_framed("".join(f"{field}\0" for field in fields).encode()) for fields in messages)
        )

    def read(self) -> list[str]:
        """The next message."""
        while True:
            if len(self._buffer) >= 4:
                (length,) = struct.unpack(">I", self._buffer[:4])
                if len(self._buffer) >= 4 + length:
                    payload, self._buffer = self._buffer[4 : 4 + length], self._buffer[4 + length :]
                    return payload.decode().split("\0")[:-1]
            data = self.socket.recv(65536)
            if not data:
                raise EOFError("The simulator closed the connection.")
            self._buffer += data

    def read_until(self, found: Callable[[list[str]], bool]) -> list[str]:
        """The next message that fits; others are passed over."""
        while not found(fields := self.read()):
            pass
        return fields

    def read_message(self, message_id: int) -> list[str]:
        """The next message of an id."""
        return self.read_until(lambda fields: fields[0] == str(message_id))

    def read_error(self, req_id: int | None = None) -> tuple[int, str]:
        """Code and text of the next error of a request (of none: status messages)."""
        wanted = str(-1 if req_id is None else req_id)
        fields = self.read_until(lambda fields: fields[0] == "4" and fields[2] == wanted)
        return int(fields[3]), fields[4]

    def settle(self) -> None:
        """Read until the greeting is over."""
        self.read_until(lambda fields: fields[0] == "4" and fields[3] == "2158")

    def closed(self) -> bool:
        """Whether the simulator closes the connection; passes over what comes before."""
        try:
            while True:
                self.read()
        except (EOFError, ConnectionError):
            return True
        except TimeoutError:
            return False


def _framed(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload


NO_CONTRACT = (0, "", "", "", 0.0, "", "", "", "", "", "", "")


def stock(symbol: str = "AAA", con_id: int = 0) -> tuple[object, ...]:
    """The contract block of a stock."""
    return (con_id, symbol, "STK", "", 0.0, "", "", "SMART", "", "USD", "", "")


def history(
    req_id: int,
    contract: tuple[object, ...],
    *,
    end: str = "",
    bar_size: str = "1 day",
    duration: str = "5 D",
    rth: int = 1,
    show: str = "TRADES",
    form: object = 1,
    live: int = 0,
    expired: int = 0,
) -> tuple[object, ...]:
    """The fields of reqHistoricalData."""
    return (20, req_id, *contract, expired, end, bar_size, duration, rth, show, form, live, "")


def library_until(condition: Callable[[], bool]) -> None:
    """Let the client library work until the condition holds. Raises `TimeoutError`."""

    async def watch() -> None:
        async with asyncio.timeout(READ_SECONDS):
            while not condition():
                await asyncio.sleep(0.005)

    util.run(watch())


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def logged_errors(*loggers: str) -> Iterator[list[str]]:
    """What client libraries log at warning level or above meanwhile."""
    handler = _Errors()
    for name in loggers or ("ib_insync", "ibapi"):
        logging.getLogger(name).addHandler(handler)
    try:
        yield handler.lines
    finally:
        for name in loggers or ("ib_insync", "ibapi"):
            logging.getLogger(name).removeHandler(handler)


@contextmanager
def connected(tws: Simulator, client_id: int = 1, *, may_log: bool = False) -> Iterator[Any]:
    """A connected ib_insync client; fails if the library logs anything from warning upwards, unless it `may_log`."""
    ib = IB()
    ib.RequestTimeout = READ_SECONDS
    with logged_errors() as lines:
        ib.connect("127.0.0.1", tws.port, clientId=client_id, timeout=READ_SECONDS)
        try:
            yield ib
        finally:
            ib.disconnect()
    assert may_log or not lines, lines
