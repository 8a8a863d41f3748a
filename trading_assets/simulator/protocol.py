"""The wire itself: frames, fields and value forms of the classic text protocol, and the ids of its messages.

Here belongs what is true of every message. What a single message carries is in `encoding` (answers) and
`decoding` (questions). Both directions use frames: a 4-byte big-endian length, then fields that each end in NUL.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

from trading_assets.simulator.market import ContractQuery

HELLO = b"API\0"
"""The four raw bytes a client sends before its first frame."""

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Longest frame accepted. TWS's own buffers end at 16 MB (ibapi: "Bad message length" beyond)."""

SUPPORTED_VERSIONS = (157, 176, 178)
"""Server versions the simulator can speak: ibapi 9.81, ib_insync and ib_async stop there. All are below 201
(protobuf)."""

SERVER_VERSION = 178
"""The default: the newest version that ib_async 2.1 accepts."""

FRACTIONAL_SIZES = 163
"""From this version on sizes and volumes are decimals; older clients parse them as integers."""
SIZE_RULES = 164
"""From this version on contract data carries three size rules and no message version."""
ORDER_REJECT_FIELD = 166
"""From this version on an error has a sixth field, the advanced order rejection."""
ZONED_DATES = 174
"""From this version on intraday bar times carry the instrument's time zone."""
ISSUER_ID = 176
"""From this version on contract queries and symbol samples carry an issuer id."""

UNSET_DOUBLE_LIMIT = 1e300
"""Above it a number in a request is the library's "unset" (1.797e308), which 10.x clients may send as a literal."""
UNSET_INTEGER = 2**31 - 1
"""The library's unset integer."""


class In(IntEnum):
    """Ids of messages from the client."""

    MARKET_DATA = 1
    CANCEL_MARKET_DATA = 2
    PLACE_ORDER = 3
    CANCEL_ORDER = 4
    OPEN_ORDERS = 5
    ACCOUNT_UPDATES = 6
    EXECUTIONS = 7
    IDS = 8
    CONTRACT_DETAILS = 9
    SERVER_LOG_LEVEL = 14
    AUTO_OPEN_ORDERS = 15
    ALL_OPEN_ORDERS = 16
    MANAGED_ACCOUNTS = 17
    HISTORICAL_DATA = 20
    CANCEL_HISTORICAL_DATA = 25
    CURRENT_TIME = 49
    REALTIME_BARS = 50
    CANCEL_REALTIME_BARS = 51
    IMPLIED_VOLATILITY = 54
    OPTION_PRICE = 55
    CANCEL_IMPLIED_VOLATILITY = 56
    CANCEL_OPTION_PRICE = 57
    GLOBAL_CANCEL = 58
    MARKET_DATA_TYPE = 59
    POSITIONS = 61
    ACCOUNT_SUMMARY = 62
    CANCEL_ACCOUNT_SUMMARY = 63
    CANCEL_POSITIONS = 64
    START_API = 71
    ACCOUNT_UPDATES_MULTI = 76
    CANCEL_ACCOUNT_UPDATES_MULTI = 77
    OPTION_PARAMETERS = 78
    MATCHING_SYMBOLS = 81
    HEAD_TIMESTAMP = 87
    CANCEL_HEAD_TIMESTAMP = 90
    MARKET_RULE = 91
    HISTORICAL_TICKS = 96
    COMPLETED_ORDERS = 99


class Out(IntEnum):
    """Ids of messages to the client."""

    TICK_PRICE = 1
    TICK_SIZE = 2
    ERROR = 4
    ACCOUNT_VALUE = 6
    PORTFOLIO_VALUE = 7
    ACCOUNT_TIME = 8
    NEXT_VALID_ID = 9
    CONTRACT_DATA = 10
    MANAGED_ACCOUNTS = 15
    HISTORICAL_DATA = 17
    TICK_OPTION_COMPUTATION = 21
    TICK_GENERIC = 45
    TICK_STRING = 46
    CURRENT_TIME = 49
    REALTIME_BAR = 50
    CONTRACT_DATA_END = 52
    OPEN_ORDER_END = 53
    ACCOUNT_DOWNLOAD_END = 54
    EXECUTION_DATA_END = 55
    TICK_SNAPSHOT_END = 57
    MARKET_DATA_TYPE = 58
    POSITION = 61
    POSITION_END = 62
    ACCOUNT_SUMMARY = 63
    ACCOUNT_SUMMARY_END = 64
    ACCOUNT_UPDATE_MULTI = 73
    ACCOUNT_UPDATE_MULTI_END = 74
    OPTION_PARAMETERS = 75
    OPTION_PARAMETERS_END = 76
    SYMBOL_SAMPLES = 79
    TICK_REQ_PARAMS = 81
    HEAD_TIMESTAMP = 88
    HISTORICAL_DATA_UPDATE = 90
    MARKET_RULE = 93
    HISTORICAL_TICKS = 96
    HISTORICAL_TICKS_BID_ASK = 97
    HISTORICAL_TICKS_LAST = 98
    COMPLETED_ORDERS_END = 102
    HISTORICAL_SCHEDULE = 106


class MalformedFrame(Exception):
    """The bytes are no frame of this protocol: the connection cannot go on."""


class MalformedRequest(Exception):
    """A field of a request cannot be read. `req_id` is -1 when it was not reached."""

    def __init__(self, req_id: int, reason: str) -> None:
        super().__init__(reason)
        self.req_id = req_id
        self.reason = reason


def number(value: float) -> str:
    """A number as TWS writes it: shortest exact decimal, whole numbers without a point, `Infinite` for infinity."""
    written = repr(float(value))
    if written.endswith(".0"):
        return written[:-2]
    return "Infinite" if written == "inf" else written


def size(value: float, version: int) -> str:
    """A size or volume: a decimal for clients that read decimals, else the nearest integer."""
    return number(value) if version >= FRACTIONAL_SIZES else str(round(value))


def text(value: str | float | bool | None) -> str:
    """The wire form of one field. None is empty, booleans are 1 and 0, an embedded NUL is dropped."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, bool):
        return "1" if value else "0"
    return number(value)


def frame(*fields: str | float | bool | None) -> bytes:
    """One message: length prefix and NUL-ended fields. Non-ASCII arrives escaped, as from version 153 on."""
    return frame_of(text(field) for field in fields)


def frame_of(fields: Iterable[str]) -> bytes:
    """One message of fields that are already in wire form."""
    return frame_of_payload("\0".join(fields) + "\0")


def frame_of_payload(fields: str) -> bytes:
    """One message of fields that already end in NUL each."""
    payload = fields.encode("ascii", "backslashreplace")
    return struct.pack(">I", len(payload)) + payload


class FrameReader:
    """Turns the byte stream of one connection into payloads, whatever the segmentation.

    The first thing it expects is `HELLO`; `feed` then yields payloads without their length.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._greeted = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The payloads completed by these bytes. Raises `MalformedFrame`."""
        self._buffer += data
        if not self._greeted:
            if len(self._buffer) < len(HELLO):
                return
            if not self._buffer.startswith(HELLO):
                raise MalformedFrame("The client did not begin with API\\0.")
            del self._buffer[: len(HELLO)]
            self._greeted = True
        position = 0
        while len(self._buffer) - position >= 4:
            (length,) = struct.unpack_from(">I", self._buffer, position)
            if length > MAX_FRAME_BYTES:
                raise MalformedFrame(f"Bad message length: {length} bytes.")
            end = position + 4 + length
            if len(self._buffer) < end:
                break
            payload = bytes(self._buffer[position + 4 : end])
            position = end
            yield payload
        del self._buffer[:position]


class FieldReader:
    """Reads the fields of one request in order. Every method raises `MalformedRequest` for a field it cannot read."""

    def __init__(self, payload: bytes) -> None:
        self._fields = payload.decode("utf-8", "backslashreplace").split("\0")
        if self._fields and not self._fields[-1]:
            self._fields.pop()
        self._position = 0
        self.req_id = -1

    def text(self) -> str:
        """The next field."""
        if self._position >= len(self._fields):
            raise MalformedRequest(self.req_id, "Message ended before its last field.")
        value = self._fields[self._position]
        self._position += 1
        return value

    def optional(self) -> str:
        """The next field, empty if the message ends here (trailing fields that older clients leave out)."""
        return self.text() if self._position < len(self._fields) else ""

    def skip(self, count: int = 1) -> None:
        """Pass over fields that mean nothing here, such as message versions."""
        for _ in range(count):
            self.text()

    def integer(self) -> int:
        """The next field as an integer; empty and unset are 0."""
        value = self.text()
        try:
            result = int(value) if value else 0
        except ValueError:
            raise MalformedRequest(self.req_id, f'Unable to parse field: "{value}" is not an integer.') from None
        return 0 if result == UNSET_INTEGER else result

    def decimal(self) -> float:
        """The next field as a float; empty and unset are 0."""
        value = self.text()
        if value == "Infinite":
            return math.inf
        try:
            result = float(value) if value else 0.0
        except ValueError:
            raise MalformedRequest(self.req_id, f'Unable to parse field: "{value}" is not a number.') from None
        return 0.0 if abs(result) > UNSET_DOUBLE_LIMIT else result

    def flag(self) -> bool:
        """The next field as a boolean."""
        return self.text() in ("1", "true", "True")

    def request_id(self) -> int:
        """The next field as the request's id; errors after it carry the id."""
        self.req_id = self.integer()
        return self.req_id

    def contract(self) -> ContractQuery:
        """The next twelve fields as a contract block."""
        con_id = self.integer()
        symbol, sec_type, last_trade = self.text(), self.text(), self.text()
        strike = self.decimal()
        right, multiplier, exchange, primary, currency, local_symbol, trading_class = (self.text() for _ in range(7))
        return ContractQuery(
            con_id=con_id,
            symbol=symbol,
            sec_type=sec_type,
            last_trade=last_trade,
            strike=strike,
            right={"CALL": "C", "PUT": "P", "0": "", "?": ""}.get(right.upper(), right.upper()),
            multiplier=multiplier,
            exchange=exchange,
            primary_exchange=primary,
            currency=currency,
            local_symbol=local_symbol,
            trading_class=trading_class,
        )
