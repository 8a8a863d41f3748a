"""A broker that answers something else than the simulator would: a proxy that rewrites frames, and collecting through
it in this process.

    with Simulator(GeneratedMarket(seed=42), now=NOW) as tws, Rewriting(tws.port, on_server=rewrite) as wire:
        reports = collect(settings_for(tmp_path, wire.port, NOW), ["AAPL"], steps="ch")
    assert len(wire.asked(9)) == 2

A frame is a list of text fields without the length prefix; bytes that are not UTF-8 are kept as surrogate escapes.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.collecting.steps.equity_bars import collect_equity_bars
from trading_assets.collecting.steps.option_bars import collect_option_bars
from trading_assets.collecting.steps.option_chains import collect_option_chains
from trading_assets.repositories import connect
from trading_assets.repositories.schemas import CONTRACTS, OPTION_CHAINS
from trading_assets.selection_rules import SelectionRules
from trading_assets.settings import Settings
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ListedContract

Fields = list[str]

Passed = Iterable[Sequence[object] | bytes]
"""Frames to pass on: fields, or the bytes of a frame with its prefix (whatever they are)."""

PREFIX = struct.Struct(">I")


def pack(fields: Sequence[object]) -> bytes:
    """A frame of fields, each text or with a text form."""
    body = "".join(f"{field}\0" for field in fields).encode(errors="surrogateescape")
    return PREFIX.pack(len(body)) + body


class Link:
    """One client's connection through the proxy. `state` is the hooks' own; both `to_` methods may be called from hooks
    at any time."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.state: dict[str, Any] = {}
        self.server_version = 0
        self._sending = threading.Lock()

    def to_client(self, frame: Sequence[object] | bytes) -> None:
        """Send a frame to the product."""
        self._send(self.client, frame)

    def to_server(self, frame: Sequence[object] | bytes) -> None:
        """Send a frame to the simulator."""
        self._send(self.server, frame)

    def close(self) -> None:
        """Break the connection on both sides."""
        for side in (self.client, self.server):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                """Broken already."""
            side.close()

    def _send(self, side: socket.socket, frame: Sequence[object] | bytes) -> None:
        with self._sending:
            try:
                side.sendall(frame if isinstance(frame, bytes) else pack(frame))
            except OSError:
                """The other side has gone: the pumps see it too."""


Hook = Callable[[Fields, Link], Passed | None]
"""Gives the frames to pass on instead of the one it got: `[]` for none, None for the frame as it is."""


_CON_ID = {"1": 3, "9": 3, "20": 2, "78": 5}
"""Where the contract id stands in what clients ask: quotes, contract details, bars, option parameters."""


@cache
def _market() -> GeneratedMarket:
    return GeneratedMarket()


def contract_asked(fields: Fields) -> ListedContract | None:
    """The contract of the generated market whose id a client's frame gives; None without one."""
    place = _CON_ID.get(fields[0])
    con_id = fields[place] if place is not None and place < len(fields) else ""
    return _market().by_id(int(con_id)) if con_id.isdecimal() and con_id != "0" else None


def asks_about(fields: Fields, symbol: str) -> bool:
    """Whether a client's frame asks about a symbol or one of its options, by words or by contract id."""
    contract = contract_asked(fields)
    return symbol in fields if contract is None else contract.symbol == symbol


def asks_quote(fields: Fields, sec_type: str) -> bool:
    """Whether a client's frame asks for the quote of a contract of that type."""
    contract = contract_asked(fields) if fields[0] == "1" else None
    return contract is not None and contract.sec_type == sec_type


class Rewriting:
    """A TCP proxy on `port` in front of the simulator on `target_port`.

    `on_server` gets each frame to the product after the version reply, `on_hello` the version reply, `on_client` each
    frame of the product after its version frame. Hooks run in the proxy's threads, those of one direction of one
    connection in order.
    """

    def __init__(
        self,
        target_port: int,
        *,
        on_server: Hook | None = None,
        on_client: Hook | None = None,
        on_hello: Hook | None = None,
    ) -> None:
        self._target = target_port
        self._on_server, self._on_client, self._on_hello = on_server, on_client, on_hello
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.frames: list[Fields] = []
        """What the product sent, in order, over all connections."""
        self._links: list[Link] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for link in self._links:
            link.close()

    def asked(self, message_id: int) -> list[Fields]:
        """The frames of one kind that the product sent."""
        return [frame for frame in self.frames if frame[0] == str(message_id)]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            link = Link(client, server)
            self._links.append(link)
            threading.Thread(target=self._pump_client, args=(link,), daemon=True).start()
            threading.Thread(target=self._pump_server, args=(link,), daemon=True).start()

    def _pump_client(self, link: Link) -> None:
        with link.client.makefile("rb") as stream:
            try:
                link.to_server(stream.read(4))  # API and a NUL
                link.to_server(read_frame(stream))
                while raw := read_frame(stream):
                    fields = fields_of(raw)
                    self.frames.append(fields)
                    self._pass(self._on_client, fields, raw, link, link.to_server)
            except OSError:
                """Broken by the test or by the product."""
        link.close()

    def _pump_server(self, link: Link) -> None:
        with link.server.makefile("rb") as stream:
            try:
                if raw := read_frame(stream):
                    fields = fields_of(raw)
                    link.server_version = int(fields[0])
                    self._pass(self._on_hello, fields, raw, link, link.to_client)
                while raw := read_frame(stream):
                    self._pass(self._on_server, fields_of(raw), raw, link, link.to_client)
            except OSError:
                """Broken by the test or by the simulator."""
        link.close()

    @staticmethod
    def _pass(
        hook: Hook | None, fields: Fields, raw: bytes, link: Link, send: Callable[[Sequence[object] | bytes], None]
    ) -> None:
        frames = hook(list(fields), link) if hook is not None else None
        for frame in (raw,) if frames is None else frames:
            send(frame)


def read_frame(stream: Any) -> bytes:
    """The next frame with its prefix; empty at the end."""
    prefix = stream.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        return b""
    return prefix + stream.read(PREFIX.unpack(prefix)[0])


def fields_of(raw: bytes) -> Fields:
    """The fields of a frame."""
    return raw[PREFIX.size :].decode(errors="surrogateescape").removesuffix("\0").split("\0")


PATIENT = {"history_timeout": 60.0, "contract_timeout": 60.0, "connect_timeout": 60.0, "reconnect_timeout": 60.0}
"""Changes for a market that answers all it is asked, on however slow a machine."""


def settings_for(data_dir: Path, port: int, now: datetime, **changes: Any) -> Settings:
    """Settings for collecting through the proxy, with short timeouts and two tries a request."""
    values = {
        "data_dir": data_dir,
        "ib_port": port,
        "now": now,
        "history_timeout": 6.0,
        "contract_timeout": 6.0,
        "connect_timeout": 4.0,
        "reconnect_timeout": 6.0,
        "max_attempts": 2,
        "quote_quiet_time": 0.5,
    }
    return Settings(**{**values, **changes})


def collect(
    settings: Settings,
    symbols: Sequence[str],
    steps: str = "cheo",
    *,
    lookback_days: int = 10,
    rules: Mapping[str, Any] | None = None,
    bar_sizes: Sequence[str] = ("1 day",),
    refresh: bool = False,
) -> dict[str, CollectionReport]:
    """Collect and write, in this process, as the assets do; the report of each step by its letter.

    Steps: `c` contracts, `h` option chains, `e` equity bars, `o` option bars.
    """
    reports: dict[str, CollectionReport] = {}
    with Archive(settings) as archive:
        entries = archive.universe.add(list(symbols), now=archive.now)
        session = archive.calendar.current(archive.now)
        sessions = archive.calendar.sessions(session - timedelta(days=lookback_days), session)
        selection = SelectionRules(**{"max_days_to_expiry": 8, "strikes_around_spot": 2, **(rules or {})})
        contracts, chains = archive.view(CONTRACTS), archive.view(OPTION_CHAINS)
        run: dict[str, Callable[[], Collected]] = {
            "c": lambda: collect_contracts(archive, entries, session, refresh=refresh),
            "h": lambda: collect_option_chains(
                archive, entries, session, contracts=contracts, rules=selection, refresh=refresh
            ),
            "e": lambda: collect_equity_bars(
                archive, entries, sessions, contracts=contracts, bar_sizes=tuple(bar_sizes), refresh=refresh
            ),
            "o": lambda: collect_option_bars(
                archive, entries, sessions, contracts=contracts, chains=chains, bar_sizes=("8 hours",), refresh=refresh
            ),
        }
        for step in steps:
            collected = run[step]()
            archive.write(collected)
            reports[step] = collected.report
    return reports


def rows(settings: Settings, query: str) -> list[dict[str, Any]]:
    """The rows of a query over the lake."""
    with connect(str(settings.data_dir)) as lake:
        table = lake.sql(query).arrow()
        return (table.read_all() if hasattr(table, "read_all") else table).to_pylist()
