"""Shaking hands with TWS: what was heard on a new connection, and, where no session came of it, why not and what to do.

Both sides name their protocol versions: we our range, TWS the one it will speak. Then TWS gives the next free order id
and the accounts. Anything else ends the attempt with a `ConnectFailed` that says what was seen. Here belongs judging
the bytes; the socket itself is in `broker.connection`.
"""

from __future__ import annotations

import errno
import socket
import struct

from trading_assets.broker.codes import CodeClass, lookup
from trading_assets.broker.wire_format import (
    ERROR,
    MANAGED_ACCOUNTS,
    NEXT_VALID_ID,
    PROTOBUF_IDS,
    PROTOBUF_VERSION,
    plain_text,
)

MAX_GREETING = 65_536
"""Bytes of the longest frame believed before TWS has named its version; its own are shorter than a hundred."""

VERSION_REFUSED = frozenset({503, 508})
"""Codes by which TWS refuses the protocol version of a client."""

OLDEST_TWS = 972
"""The first release of TWS that speaks the client libraries' lowest protocol version (157)."""

_PORTS = "TRADING_ASSETS_IB_PORT (TWS 7497 paper, 7496 live; Gateway 4002, 4001)"
_WHERE = "check TRADING_ASSETS_IB_HOST and TRADING_ASSETS_IB_PORT"
_AGAIN = "then run again: what came is kept."
_THEN = "Then run again: what came is kept."
_DIALOG = "a dialog may be open there (accept the incoming connection, a login, a message to confirm)"


class ConnectFailed(ConnectionError):
    """An attempt to connect failed. The text says what was seen, `remedy` what to do; with `lasting` another attempt
    brings the same."""

    def __init__(self, text: str, remedy: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.remedy = remedy
        self.lasting = lasting


class Handshake:
    """What was heard so far. `versions` are the lowest and highest protocol version that we offer, `client` is who
    speaks them."""

    def __init__(self, versions: tuple[int, int], client: str) -> None:
        self.version: int | None = None
        self.next_id: int | None = None
        self.accounts: list[str] = []
        self.words: list[tuple[int, str]] = []
        """Codes and texts of what TWS said about the attempt, warnings left out."""
        self.reached = False
        """Whether the socket is connected."""
        self._first_frame = b""
        self._lowest, self._highest = versions
        self._offer = f"this platform offers API versions {self._lowest} to {self._highest} ({client})"

    @property
    def complete(self) -> bool:
        """Whether the session can begin."""
        return self.version is not None and self.next_id is not None and bool(self.accounts)

    def receive(self, payload: bytes) -> None:
        """Take one frame. Raises `ConnectFailed` when it cannot be part of a greeting that we understand."""
        self._first_frame = self._first_frame or payload
        fields = payload.decode(errors="backslashreplace").removesuffix("\0").split("\0")
        if len(payload) >= 4 and struct.unpack(">I", payload[:4])[0] in PROTOBUF_IDS:
            raise self._too_new(self.version)
        if self.version is None and len(fields) == 2 and fields[0].isdecimal():
            self._agree(int(fields[0]))
        elif fields[0] == str(ERROR):
            self._take_words(fields)
        elif self.version is None:
            raise self.not_tws(payload)
        elif fields[0] in (str(NEXT_VALID_ID), str(MANAGED_ACCOUNTS)):
            self._take_greeting(fields)

    def not_tws(self, payload: bytes) -> ConnectFailed:
        """The bytes are none of TWS."""
        start = payload[:60].decode("latin-1").splitlines()[0] if payload else ""
        if payload.startswith((b"HTTP/", b"<")):
            what = f"a web server answers there ({start})"
        elif payload[:1] in (b"\x15", b"\x16") and payload[1:2] == b"\x03":
            what = "a server of encrypted connections (TLS) answers there"
        else:
            what = f"something else answers there ({start if start.isprintable() and start else payload[:16].hex(' ')})"
        remedy = (
            f"Set {_PORTS} to the socket port in TWS's API settings (the Client Portal Gateway is another program),"
            f" {_AGAIN}"
        )
        return ConnectFailed(f"it is not TWS: {what}", remedy, lasting=True)

    def closed(self, reason: str = "") -> ConnectFailed:
        """TWS closed the connection before the session began."""
        why = f" ({reason})" if reason else ""
        if self.words:
            return self._refused()
        if self.version is not None:
            text = f"TWS named API version {self.version} and closed the connection{why} without saying why"
            return ConnectFailed(text, f"Look at TWS: {_DIALOG}; restart it if it persists, {_AGAIN}")
        if self._first_frame:
            return self.not_tws(self._first_frame)
        text = f"the connection was accepted and closed without a word{why}; {self._offer}"
        remedy = (
            "In TWS's API settings tick 'Enable ActiveX and Socket Clients' and add this machine to the trusted IP"
            f" addresses. If that is so, this TWS may speak other API versions only: {self._usable} Check also"
            f" {_PORTS}, {_AGAIN}"
        )
        return ConnectFailed(text, remedy)

    def silent(self, seconds: float, pending: bytes = b"") -> ConnectFailed:
        """Nothing more was said for so long; `pending` are bytes that make no whole frame."""
        if self.words:
            return self._refused()
        if self.version is not None:
            missing = (
                "not its accounts"
                if self.next_id is not None
                else "not the next order id"
                if self.accounts
                else "nothing more"
            )
            text = f"TWS named API version {self.version}, but {missing} within {seconds:g} s"
            return ConnectFailed(text, f"Look at TWS: {_DIALOG}; answer it, see that TWS is logged in, {_AGAIN}")
        if self._first_frame or pending:
            return self.not_tws(self._first_frame or pending)
        text = f"the connection was accepted, but nothing was sent within {seconds:g} s; {self._offer}"
        remedy = (
            f"Look at TWS: {_DIALOG}, or it is still starting, or hangs; restart it if it persists. Check also"
            f" {_PORTS}, {_AGAIN}"
        )
        return ConnectFailed(text, remedy)

    def _agree(self, version: int) -> None:
        if version < self._lowest:
            text = f"TWS is too old: it speaks API version {version}, and {self._offer}"
            raise ConnectFailed(text, f"Update TWS or IB Gateway to {OLDEST_TWS} or later, {_AGAIN}", lasting=True)
        if version >= PROTOBUF_VERSION:
            raise self._too_new(version)
        self.version = version

    def _take_words(self, fields: list[str]) -> None:
        """An error message, in the form of server versions up to 193 or the later one without a version."""
        number = 3 if len(fields) > 4 and fields[1] == "2" and fields[3].isdecimal() else 2
        if len(fields) > number + 1 and fields[number].isdecimal():
            code, text = int(fields[number]), plain_text(fields[number + 1]).strip()
            row = lookup(code, text)
            if row is None or row.cls is not CodeClass.WARNING:
                self.words.append((code, text))

    def _take_greeting(self, fields: list[str]) -> None:
        is_id = fields[0] == str(NEXT_VALID_ID)
        if len(fields) != 3 or (is_id and not fields[2].isdecimal()):
            name = f"nextValidId ({NEXT_VALID_ID})" if is_id else f"managedAccounts ({MANAGED_ACCOUNTS})"
            raise ConnectFailed(
                f"TWS's message {name} could not be read; {self._offer}",
                f"Restart TWS. If it persists: {self._usable} {_THEN}",
            )
        if is_id:
            self.next_id = int(fields[2])
        else:
            self.accounts = [account for account in fields[2].split(",") if account]

    def _refused(self) -> ConnectFailed:
        """In TWS's own words."""
        code, text = self.words[-1]
        said = f"TWS began no session and said {text!r} (code {code})"
        if code in VERSION_REFUSED or "version" in text.lower():
            return ConnectFailed(f"{said}; {self._offer}", f"{self._usable} {_THEN}", lasting=True)
        row = lookup(code, text)
        return ConnectFailed(said, f"{row.remedy if row and row.remedy else 'Do what TWS says.'} {_THEN}")

    def _too_new(self, version: int | None) -> ConnectFailed:
        speaks = f"API version {version}" if version is not None else "an API version of its own (protobuf)"
        if version is not None and version < PROTOBUF_VERSION:
            speaks += ", but goes on in protobuf"
        text = f"TWS is too new: it speaks {speaks} and no longer the text protocol; {self._offer}"
        return ConnectFailed(text, f"{self._usable} {_THEN}", lasting=True)

    @property
    def _usable(self) -> str:
        return (
            f"Install a TWS or IB Gateway that speaks an API version from {self._lowest} to {self._highest}:"
            f" {OLDEST_TWS} or later, but not one that speaks protobuf only (the offline installers keep their"
            " version)."
        )


def unreached(error: OSError, host: str, seconds: float) -> ConnectFailed:
    """No socket could be connected. A `TimeoutError` is nobody answering within `seconds`."""
    if isinstance(error, socket.gaierror):
        return ConnectFailed(
            f"the host {host!r} is not known ({error.strerror})", f"Check TRADING_ASSETS_IB_HOST, {_AGAIN}"
        )
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        remedy = f"Start it and tick 'Enable ActiveX and Socket Clients' in its API settings, {_WHERE}, {_AGAIN}"
        return ConnectFailed("nothing listens there (connection refused)", remedy)
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        remedy = f"Look at the trusted IP addresses in TWS's API settings, {_WHERE}, {_AGAIN}"
        return ConnectFailed("the connection was broken at once", remedy)
    why = (
        f"nobody answered within {seconds:g} s"
        if isinstance(error, TimeoutError)
        else f"the machine cannot be reached ({error.strerror or error})"
    )
    return ConnectFailed(why, f"{_WHERE[:1].upper()}{_WHERE[1:]}, and the network and firewalls on the way, {_AGAIN}")
