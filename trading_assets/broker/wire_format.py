"""What a message of TWS looks like: the kinds that are read here, where each carries its request id, and how many
fields it has.

The protocol version that client and TWS agreed on fixes the form of a message, so a field too many or too few means
that the others cannot be trusted either. The client library's decoder does not look at most of this: it drops what it
cannot decode and takes what it can (a bar count of 0 in front of bars is "no bars" to it). Facts: `tws/protocol.md`.
The text form is the only one here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SIZE_RULES = 164
"""Server version from which `contractData` has neither a version nor `mdSizeMultiplier`, and ends in three sizes."""

FRACTIONAL_SIZES = 163
"""The one server version at which `contractData` ends in one size."""

ADVANCED_REJECT = 166
"""Server version from which `error` has a sixth field."""

PROTOBUF_VERSION = 201
"""Server version from which messages are protobuf. Up to here the text form is spoken, also by a TWS that names a
version above ours."""

PROTOBUF_IDS = range(200, 1000)
"""A message whose first four bytes are such a number is protobuf: its message id plus 200."""


@dataclass(frozen=True, slots=True)
class MessageKind:
    """One kind of message. `req_id` is the index of the request id in its fields, the message id's being 0; `fields`
    their number, 0 where it varies. `free_text` are the indices of fields that people wrote (at `SIZE_RULES` and
    later): any character may stand there."""

    number: int
    name: str
    req_id: int
    fields: int = 0
    free_text: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} ({self.number})"


ERROR, NEXT_VALID_ID, CONTRACT_DATA, MANAGED_ACCOUNTS, HISTORICAL_DATA, BOND_DATA = 4, 9, 10, 15, 17, 18

POSITION, POSITION_END = 61, 62

CURRENT_TIME, CONTRACT_DATA_END, OPTION_PARAMETERS, OPTION_PARAMETERS_END = 49, 52, 75, 76

TICK_STRING, REALTIME_BAR = 46, 50

TICKS = frozenset({1, 2, 21, 45, 57, 58})
"""Messages of a market-data subscription that hold a part of a quote."""

OF_STREAMS = frozenset({TICK_STRING, REALTIME_BAR})
"""Messages that streams read; no answer to a request lacks its price or greeks without one."""

KINDS: dict[int, MessageKind] = {
    kind.number: kind
    for kind in (
        MessageKind(1, "tickPrice", 2, 7),
        MessageKind(2, "tickSize", 2, 5),
        MessageKind(ERROR, "error", 2, 6, (4, 5)),
        MessageKind(CONTRACT_DATA, "contractData", 1, 0, (10, 19, 22, 23, 24)),
        MessageKind(HISTORICAL_DATA, "historicalData", 1),
        MessageKind(BOND_DATA, "bondContractData", 1, 0, tuple(range(2, 60))),
        MessageKind(21, "tickOptionComputation", 1, 12),
        MessageKind(45, "tickGeneric", 2, 5),
        MessageKind(TICK_STRING, "tickString", 2, 5, (4,)),
        MessageKind(CURRENT_TIME, "currentTime", 0, 3),
        MessageKind(REALTIME_BAR, "realtimeBar", 2, 11),
        MessageKind(CONTRACT_DATA_END, "contractDataEnd", 2, 3),
        MessageKind(57, "tickSnapshotEnd", 2, 3),
        MessageKind(58, "marketDataType", 2, 4),
        MessageKind(POSITION, "position", 0, 16, (4, 12, 13)),
        MessageKind(POSITION_END, "positionEnd", 0, 2),
        MessageKind(OPTION_PARAMETERS, "securityDefinitionOptionParameter", 1),
        MessageKind(OPTION_PARAMETERS_END, "securityDefinitionOptionParameterEnd", 1, 2),
    )
}
"""The kinds that answer a request of ours or belong to a stream, positions, and the clock. All others (account values,
orders) are not read at all."""

_SECURITY_IDS = 30
"""Index of the number of security ids in `contractData` at `SIZE_RULES` and later."""

_LONG_NAME = 19
"""Index of the long name there."""

_BAR_FIELDS = 8
_BARS_BEGIN = 5


class Unreadable(ValueError):
    """A message is not of the form that the protocol gives it; the text says what is wrong."""


def kind_of(fields: Sequence[str]) -> MessageKind | None:
    """The kind of a message; None for one that is not read. Raises `Unreadable` when its id is no number."""
    if not fields or not fields[0].isdecimal():
        raise Unreadable("its message id is no number")
    return KINDS.get(int(fields[0]))


def normal(kind: MessageKind | None, fields: list[str], version: int) -> list[str]:
    """The fields in the order of `SIZE_RULES` and later: contract data of older versions without the two fields they
    have more."""
    if version >= SIZE_RULES or kind is None or kind.number not in (CONTRACT_DATA, BOND_DATA):
        return fields
    return [fields[0], *fields[2:15], *fields[16:]]


def request_id(kind: MessageKind | None, fields: Sequence[str]) -> int | None:
    """The request id that a message of this kind (as `normal` gives it) carries; None where none can be read."""
    if kind is None or not kind.req_id or len(fields) <= kind.req_id:
        return None
    text = fields[kind.req_id]
    return int(text) if re.fullmatch(r"-?\d{1,10}", text) else None


def check(kind: MessageKind, fields: Sequence[str], version: int) -> None:
    """Raise `Unreadable` unless the message (as `normal` gives it) has the fields that its kind, and the counts in it,
    ask for."""
    if kind.req_id and request_id(kind, fields) is None:
        raise Unreadable("its request id is no number")
    if kind.number == HISTORICAL_DATA:
        bars = _count(fields, _BARS_BEGIN - 1, "bars")
        _must_be(len(fields), _BARS_BEGIN + _BAR_FIELDS * bars, f"for {bars} bars")
    elif kind.number == OPTION_PARAMETERS:
        expiries = _count(fields, 6, "expiries")
        strikes = _count(fields, 7 + expiries, "strikes")
        _must_be(len(fields), 8 + expiries + strikes, f"for {expiries} expiries and {strikes} strikes")
    elif kind.number == CONTRACT_DATA:
        _check_contract(fields, version)
    elif kind.fields:
        expected = kind.fields - (kind.number == ERROR and version < ADVANCED_REJECT)
        _must_be(len(fields), expected, "")
    _check_text(kind, fields)


def with_plain_name(kind: MessageKind, fields: list[str], version: int) -> list[str]:
    """The fields as they came, but the long name of a contract escaped anew, so that the library's own decoding of
    escapes gives `plain_text` and cannot fail."""
    if kind.number != CONTRACT_DATA:
        return fields
    place = _LONG_NAME if version >= SIZE_RULES else _LONG_NAME + 2
    name = plain_text(fields[place]).encode("unicode_escape").decode("ascii")
    return [*fields[:place], name, *fields[place + 1 :]]


_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\x([0-9a-fA-F]{2})|\\(\\)")
_NOT_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def plain_text(text: str) -> str:
    """A text without the escapes that TWS (server version 153 and up) writes for characters that are not ASCII.

    A backslash that begins no escape stays. What is no character (half of a pair, a control character) becomes U+FFFD.
    """
    if "\\" in text:
        text = _ESCAPE.sub(_character, text)
        # two halves written as two escapes are one character
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _NOT_TEXT.sub("\ufffd", text)


def _character(escape: re.Match[str]) -> str:
    four, eight, two, backslash = escape.groups()
    if backslash:
        return "\\"
    number = int(four or eight or two, 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"


def _check_contract(fields: Sequence[str], version: int) -> None:
    """`contractData`: at least the fields of the version (further ones may follow), and at the end what the names
    promise."""
    ids = _count(fields, _SECURITY_IDS, "security ids")
    tail = fields[_SECURITY_IDS + 1 + 2 * ids :]
    sizes = 3 if version >= SIZE_RULES else 1 if version == FRACTIONAL_SIZES else 0
    if len(tail) < 6 + sizes:
        raise Unreadable(f"it ends {6 + sizes - len(tail)} fields early, with {ids} security ids")
    aggregation, _, under_type, rules, expiry = tail[:5]
    forms = ((aggregation, r"-?\d*"), (under_type, "[A-Z]*"), (rules, r"[\d,]*"), (expiry, r"\d*"))
    if not all(re.fullmatch(form, text) for text, form in forms):
        raise Unreadable(f"the fields after its {ids} security ids are not those that must follow")


_ODD = re.compile(r"[\\\x80-\U0010ffff]|\d_\d")
"""What no value of TWS holds: a backslash (bytes that are no UTF-8 become one when the frame is read), a character that
is not ASCII, and what Python alone takes for a number."""


def _check_text(kind: MessageKind, fields: Sequence[str]) -> None:
    """Such characters are harmless in a name, not in a value."""
    values = [field for place, field in enumerate(fields) if place not in kind.free_text] if kind.free_text else fields
    together = "\0".join(values)
    if together.isascii() and "\\" not in together and "_" not in together:  # quick: an answer may have 40,000 fields
        return
    odd = next((field for field in values if _ODD.search(field)), None)
    if odd is not None:
        raise Unreadable(f"one of its fields is no plain text: {odd[:40]}")


def _count(fields: Sequence[str], place: int, what: str) -> int:
    if place >= len(fields):
        raise Unreadable(f"it ends before the number of its {what}")
    if not re.fullmatch(r"\d{1,7}", fields[place]):
        raise Unreadable(f"the number of its {what} is {fields[place][:40]!r}")
    return int(fields[place])


def _must_be(found: int, expected: int, why: str) -> None:
    if found != expected:
        raise Unreadable(f"it has {found} fields instead of {expected} {why}".rstrip())
