"""Attempts to connect that fail, over the wire: what the sentence says, how long the attempt takes, and whether it is
repeated."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from trading_assets.broker.broker import Broker
from trading_assets.broker.contact import last_contact
from trading_assets.broker.journal import Journal
from trading_assets.broker.library import LIBRARY, WireClient
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.errors import BrokerError, BrokerIncompatible, BrokerUnavailable
from trading_assets.reliability import Phase
from trading_assets.settings import BrokerKind, Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.broker.conftest import DETAILS, wall_clock
from trading_assets_tests.rewriting import Fields, Link, Rewriting, pack
from trading_assets_tests.simulator.tiny_market import NOW

pytestmark = pytest.mark.timeout(300)

HIGHEST = WireClient.MaxClientVersion
OFFER = f"157 to {HIGHEST} ({LIBRARY})"

CONNECT_TIMEOUT = 0.6

Talk = Callable[[socket.socket], None]

BrokerFor = Callable[..., Broker]
JournalFor = Callable[[Settings], Journal]


@contextmanager
def answering(talk: Talk) -> Iterator[tuple[int, list[bytes]]]:
    """Something listens on the port and does `talk` on every connection after it was greeted; the greetings it got."""
    greetings: list[bytes] = []
    done = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                greetings.append(connection.recv(4096))
                talk(connection)
                done.wait(300)
            except (OSError, EOFError):
                """The talk is over."""

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1], greetings
        finally:
            done.set()
            listening.shutdown(socket.SHUT_RDWR)


def says(*messages: list[str] | bytes, closes: bool = False, resets: bool = False) -> Talk:
    """Sends messages (fields, or bytes as they are), then closes or stays."""

    def talk(connection: socket.socket) -> None:
        for message in messages:
            connection.sendall(message if isinstance(message, bytes) else pack(message))
        if resets:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if closes or resets:
            connection.close()
            raise EOFError

    return talk


def protobuf(message_id: int) -> bytes:
    body = struct.pack(">I", message_id + 200) + b"\x0a\x08DU123456"
    return struct.pack(">I", len(body)) + body


HELLO = [str(HIGHEST), "20260603 16:30:00 US/Eastern"]
BAD_VERSION = "Bad version: this TWS supports API versions 201 and later"
TLS_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"

LASTING: dict[str, tuple[Talk, tuple[str, ...]]] = {
    "an older TWS": (says(["142", "20180603 16:30:00 EST"]), ("too old", "142", OFFER, "Update")),
    "a newer TWS": (
        says(["213", "20260603 16:30:00"], protobuf(15), protobuf(9)),
        ("too new", "213", OFFER, "protobuf", "Install"),
    ),
    "the first TWS with protobuf": (
        says(["201", "20260603 16:30:00"]),
        ("too new", "201", OFFER, "protobuf", "Install"),
    ),
    "a newer TWS that agrees first": (
        says(HELLO, protobuf(15), protobuf(9)),
        ("too new", str(HIGHEST), OFFER, "protobuf", "Install"),
    ),
    "a newer TWS without a version": (says(protobuf(15)), ("too new", OFFER, "protobuf", "Install")),
    "a TWS that refuses the version": (
        says(["4", "2", "-1", "508", BAD_VERSION, ""], closes=True),
        (BAD_VERSION, "508", OFFER, "Install"),
    ),
    "a TWS that refuses the version and stays": (
        says(["4", "2", "-1", "508", BAD_VERSION]),
        (BAD_VERSION, "508", OFFER, "Install"),
    ),
    "a TWS that refuses it in the later form": (
        says(["4", "-1", "503", "Update!", "", "1700000000"], closes=True),
        ("Update!", "503", OFFER),
    ),
    "a web server": (
        says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        ("not TWS", "web server", "400 Bad Request", "IB_PORT"),
    ),
    "a web server that closes": (
        says(b"HTTP/1.1 400 Bad Request\r\n\r\n", closes=True),
        ("not TWS", "web server", "IB_PORT"),
    ),
    "an encrypted server": (says(TLS_ALERT, closes=True), ("not TWS", "TLS", "IB_PORT")),
    "another server": (says(b"SSH-2.0-OpenSSH_9.6\r\n"), ("not TWS", "SSH-2.0-OpenSSH_9.6", "IB_PORT")),
    "another server with few bytes": (says(b"N", closes=True), ("not TWS", "IB_PORT")),
    "another server with binary": (says(b"J\x00\x00\x00\x0a8.0\x00\x01\x02"), ("not TWS", "4a 00 00", "IB_PORT")),
    "another server with frames": (says(["hello", "you", "there"]), ("not TWS", "IB_PORT")),
    "another server with half a frame": (says(b"\x00\x00\x00\x40half"), ("not TWS", "IB_PORT")),
}
"""What another attempt would not change: who answers, and words of the sentence."""

PASSING: dict[str, tuple[Talk, tuple[str, ...]]] = {
    "closes": (says(closes=True), ("accepted and closed without a word", OFFER, "trusted IP addresses", "protobuf")),
    "resets": (says(resets=True), ("without a word", OFFER, "trusted IP addresses")),
    "closes after its version": (says(HELLO, closes=True), (f"named API version {HIGHEST} and closed", "dialog")),
    "is silent": (says(), ("nothing was sent within 0.6 s", OFFER, "dialog")),
    "is silent after its version": (
        says(HELLO),
        (f"named API version {HIGHEST}, but nothing more within 0.6 s", "dialog"),
    ),
    "is silent after a version above ours": (
        says(["179", "20260603 16:30:00"]),
        ("named API version 179, but nothing more", "dialog"),
    ),
    "is not logged in": (says(HELLO, ["9", "1", "1"], ["15", "1", ""]), ("but not its accounts", "logged in")),
    "greets unreadably": (
        says(HELLO, ["9", "1"], ["15", "1", "SIM-TINY-1"]),
        ("nextValidId (9) could not be read", OFFER, "Restart TWS"),
    ),
    "says something else": (
        says(["4", "2", "-1", "10999", "Inicie sesi\\u00f3n", ""], closes=True),
        ("Inicie sesión", "10999", "Do what TWS says"),
    ),
}
"""What may be over a moment later."""


@pytest.fixture
def settings(settings_for: Callable[..., Settings], simulate: Callable[..., Simulator]) -> Settings:
    return settings_for(simulate(), broker=BrokerKind.TWS, connect_timeout=CONNECT_TIMEOUT, reconnect_timeout=0.5)


def issues(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Errors and tracebacks in the log. What other tests left for the garbage collector to close (`sqlalchemy.pool`) is
    not of this one."""
    told = [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"]
    return [record for record in told if not record.name.startswith("sqlalchemy.pool")]


@pytest.mark.parametrize(("talk", "words"), LASTING.values(), ids=LASTING.keys())
def test_an_attempt_that_would_always_fail_is_not_repeated(
    talk: Talk,
    words: tuple[str, ...],
    settings: Settings,
    broker_for: BrokerFor,
    journal_for: JournalFor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal = journal_for(settings)
    with answering(talk) as (port, greetings):
        broker = broker_for(settings.model_copy(update={"ib_port": port, "reconnect_timeout": 50.0}), journal)
        began = time.monotonic()
        with pytest.raises(BrokerIncompatible) as caught:
            broker.run([DETAILS], planned_at=wall_clock())
        assert time.monotonic() - began < 10.0
    assert not caught.value.retryable
    assert len(greetings) == 1
    assert broker.breaker.state.phase is Phase.CLOSED
    _assert_sentence(str(caught.value), port, words)
    contact = last_contact(journal.engine)
    assert contact is not None
    assert contact.error == str(caught.value)
    assert not issues(caplog)


@pytest.mark.parametrize(("talk", "words"), PASSING.values(), ids=PASSING.keys())
def test_an_attempt_that_may_succeed_later_is_repeated(
    talk: Talk, words: tuple[str, ...], settings: Settings, broker_for: BrokerFor, caplog: pytest.LogCaptureFixture
) -> None:
    with answering(talk) as (port, greetings):
        broker = broker_for(settings.model_copy(update={"ib_port": port}))
        with pytest.raises(BrokerUnavailable) as caught:
            broker.run([DETAILS], planned_at=wall_clock())
    assert caught.value.retryable
    assert len(greetings) >= 1
    _assert_sentence(str(caught.value), port, words)
    assert not issues(caplog)


def _assert_sentence(sentence: str, port: int, words: tuple[str, ...]) -> None:
    assert sentence.startswith(f"No connection to TWS or IB Gateway at 127.0.0.1:{port}: ")
    assert [word for word in words if word not in sentence] == []
    assert "run again: what came is kept" in sentence
    assert "Error(" not in sentence and "Traceback" not in sentence


def test_a_closed_connection_ends_the_attempt_at_once(settings: Settings, broker_for: BrokerFor) -> None:
    with answering(says(closes=True)) as (port, greetings):
        broker = broker_for(settings.model_copy(update={"ib_port": port, "connect_timeout": 50.0}))
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable):
            broker.run([DETAILS], planned_at=wall_clock())
        assert time.monotonic() - began < 20.0
    assert len(greetings) >= 2, "and the next one follows after a wait"


def test_nothing_listens(settings: Settings, broker_for: BrokerFor) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(BrokerUnavailable) as caught:
            broker_for(settings.model_copy(update={"ib_port": port})).run([DETAILS], planned_at=wall_clock())
    _assert_sentence(str(caught.value), port, ("nothing listens there", "Enable ActiveX", "TRADING_ASSETS_IB_PORT"))


def test_a_host_that_does_not_exist(settings: Settings, broker_for: BrokerFor) -> None:
    with pytest.raises(BrokerError) as caught:
        broker_for(settings.model_copy(update={"ib_host": "tws.invalid"})).run([DETAILS], planned_at=wall_clock())
    assert "'tws.invalid' is not known" in str(caught.value)
    assert "TRADING_ASSETS_IB_HOST" in str(caught.value)


def test_tws_answers_after_a_dialog_was_confirmed(
    simulate: Callable[..., Simulator],
    settings_for: Callable[..., Settings],
    broker_for: BrokerFor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first session gets its version and no more; the next attempt is let in."""
    simulator = simulate()
    sessions: list[Link] = []

    def hello(_fields: Fields, link: Link) -> None:
        sessions.append(link)

    def dialog(_fields: Fields, link: Link) -> list[Fields] | None:
        return [] if link is sessions[0] else None

    with Rewriting(simulator.port, on_server=dialog, on_hello=hello) as wire:
        settings = settings_for(simulator, ib_port=wire.port, connect_timeout=CONNECT_TIMEOUT, now=NOW)
        [result] = broker_for(settings).run([DETAILS], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert len(sessions) == 2
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert "but nothing more within 0.6 s" in warning


@pytest.mark.parametrize("place", [0, 1], ids=["during the greeting", "after it"])
def test_tws_without_its_servers_is_waited_for_from_the_connect_on(
    place: int, simulate: Callable[..., Simulator], settings_for: Callable[..., Settings], broker_for: BrokerFor
) -> None:
    """TWS says at the connect that it has lost its servers: nothing is asked before it has them again."""
    simulator = simulate()
    asked_before: list[int] = []
    lost = [
        "4",
        "2",
        "-1",
        "2110",
        "Connectivity between TWS and server is broken. It will be restored automatically.",
        "",
    ]

    def restore(link: Link) -> None:
        asked_before.append(len(wire.asked(9)))
        link.to_client(
            ["4", "2", "-1", "1102", "Connectivity between IB and TWS has been restored - data maintained.", ""]
        )

    def greeting(fields: Fields, link: Link) -> list[Fields] | None:
        if fields[0] != ("15", "9")[place]:
            return None
        threading.Timer(0.5, restore, [link]).start()
        return [lost, fields] if place == 0 else [fields, lost]

    with Rewriting(simulator.port, on_server=greeting) as wire:
        [result] = broker_for(settings_for(simulator, ib_port=wire.port)).run([DETAILS], planned_at=wall_clock())
    assert result.outcome.kind is OutcomeKind.COMPLETE
    assert asked_before == [0]


def test_tws_that_does_not_get_its_servers_back_is_unavailable(
    simulate: Callable[..., Simulator], settings_for: Callable[..., Settings], broker_for: BrokerFor
) -> None:
    simulator = simulate()
    lost = ["4", "2", "-1", "1100", "Connectivity between IB and TWS has been lost.", ""]
    with Rewriting(simulator.port, on_server=lambda fields, _: [lost, fields] if fields[0] == "15" else None) as wire:
        with pytest.raises(BrokerUnavailable) as caught:
            broker_for(settings_for(simulator, ib_port=wire.port, reconnect_timeout=0.5)).run(
                [DETAILS], planned_at=wall_clock()
            )
        assert "without its connection to the broker" in str(caught.value)
        assert wire.asked(9) == []
