"""The TWS client of a process: connects lazily, keeps connected, sends requests and hands out their collectors.

It lives on one event loop (`broker.loop`). Here belongs the life of the connection: reconnecting, lost connectivity,
the nightly reset; making one is in `broker.connector`. Which message a request becomes is in `broker.messages`; when it
may be sent is the caller's business (`broker.pacing`), except for the client's own messages, for which it asks the
pacer itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from trading_assets.broker import messages
from trading_assets.broker.codes import is_warning, lookup
from trading_assets.broker.collectors import Collector
from trading_assets.broker.connection import Connection
from trading_assets.broker.connector import Connector
from trading_assets.broker.contact import TELLING, market_data_word, record_market_data
from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.quotes import QuoteCollector
from trading_assets.broker.requests import QuoteRequest, Request
from trading_assets.errors import BrokerUnavailable

logger = logging.getLogger("trading_assets.broker")

CONNECTIVITY_LOST = frozenset({1100, 2110})
CONNECTIVITY_RESTORED = frozenset({1101, 1102})

FIRST_CONNECT_PATIENCE = 10.0
"""Seconds to try the first connection of a process: a TWS that was never there is an error of set-up, not an outage."""

FROZEN, DELAYED_FROZEN = 2, 4
"""Market data types: live while the market is open, the last quote when it is closed; the same of delayed data."""


class TwsClient:
    """One connection a process, kept up. Use it from one event loop only. `patience()` gives the seconds for which a
    lost connection is waited for (default: from the settings).

    The connector's `on_identity` is called in a worker thread after each connect and before any data request; what it
    raises (`IdentityMismatch`) ends the connection and goes to the caller of `ready`.
    """

    def __init__(self, connector: Connector, patience: Callable[[], float] | None = None) -> None:
        self._connector = connector
        self._patience = patience or (lambda: connector.settings.reconnect_timeout)
        self._settings, self._pacer, self._clock = connector.settings, connector.pacer, connector.clock
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._upstream = asyncio.Event()
        self._upstream.set()
        self._last_lost = ""
        self._market_data = ""
        self._probe: asyncio.Task[bool] | None = None
        self.losses = 0
        """How often a connection, or the connectivity behind it, was lost."""

    @property
    def identity(self) -> str:
        """The identity behind the connection; empty before the first."""
        return self._connector.identity

    @property
    def connects(self) -> int:
        """How often a connection was made."""
        return self._connector.connects

    async def ready(self) -> None:
        """Return when a connection is up and TWS is connected to its servers. Raises `BrokerError`."""
        async with self._connecting:
            while self._connection is None or not self._connection.alive or not self._upstream.is_set():
                if self._connection is None or not self._connection.alive:
                    await self._reconnect()
                else:
                    await self._wait_for_upstream()

    async def prepare(self, request: Request) -> None:
        """Send what must precede a request: the market data type, once a connection, before the first quote."""
        connection = self._connection
        wanted = DELAYED_FROZEN if self._settings.market_data == "delayed" else FROZEN
        if isinstance(request, QuoteRequest) and connection is not None and connection.market_data_type != wanted:
            await self._pacer.message()
            if connection.alive:
                connection.wire.reqMarketDataType(wanted)
                connection.market_data_type = wanted

    def send(self, request: Request) -> Collector:
        """Send a request now; its collector. Raises `ConnectionError` when the connection has just gone."""
        connection = self._connection
        if connection is None or not connection.alive or not self._upstream.is_set():
            raise ConnectionError("The connection to TWS is down.")
        collector = messages.collector_of(request, self._settings, self._clock, in_reset_window=self.in_reset_window())
        req_id = collector.req_id = connection.wire.getReqId()
        connection.inbox.expect(req_id, collector)
        messages.send(connection.wire, req_id, request)
        return collector

    async def settle(self, collector: Collector) -> None:
        """After a request has ended: withdraw what the broker still holds open for it, so that its slot is really
        free."""
        await self._note_market_data(collector)
        connection = self._connection
        if connection is None or connection.inbox.open.pop(collector.req_id, None) is not collector:
            return  # its session is gone, and with it all that was open there
        if messages.needs_cancel(collector.request, collector):
            await self._pacer.message()
            if connection.alive:
                messages.cancel(connection.wire, collector.req_id, collector.request)

    @property
    def session(self) -> Connection | None:
        """The connection of now, None while there is none."""
        return self._connection

    @property
    def connected(self) -> bool:
        """Whether a connection is up now."""
        return self._connection is not None and self._connection.alive

    def abandon(self) -> None:
        """Drop the connection and all that is open in it: nobody waits for the answers. The next `ready` makes a new
        one."""
        if self._connection is not None:
            self._connection.drop()

    async def answers(self) -> bool:
        """Whether TWS still answers at all. A silent one is disconnected, so that its requests end and a new connection
        is made."""
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._answers())
        return await asyncio.shield(self._probe)

    async def _answers(self) -> bool:
        connection = self._connection
        if connection is None or not connection.alive:
            return False
        try:
            await self._pacer.message()
            await connection.server_time()
        except (TimeoutError, ConnectionError):
            connection.drop(Outcome(OutcomeKind.DISCONNECTED, None, "TWS stopped answering; we closed the connection."))
            return False
        return True

    async def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def in_reset_window(self) -> bool:
        """Whether a real broker is in its reset window now."""
        return self._connector.reset_end() is not None

    # connecting

    async def _reconnect(self) -> None:
        patience = self._patience()
        if not self.connects:
            patience = min(FIRST_CONNECT_PATIENCE, patience)
        self._connection = await self._connector.connect(self._fresh, patience)
        self._market_data = ""

    def _fresh(self) -> Connection:
        connection = Connection(self._on_status, self._on_lost)
        # later messages are about this session: TWS may report at once that its servers are unavailable
        self._upstream.set()
        return connection

    async def _wait_for_upstream(self) -> None:
        patience = self._patience()
        if (reset_end := self._connector.reset_end()) is not None:
            patience += (reset_end - self._clock()).total_seconds()
        logger.warning(
            "TWS has lost its connection to the broker (%s); waiting up to %.0f s for it.", self._last_lost, patience
        )
        try:
            await asyncio.wait_for(self._upstream.wait(), patience)
        except TimeoutError:
            sentence = (
                f"TWS at {self._connector.endpoint} has been without its connection to the broker for {patience:.0f} s"
                f" ({self._last_lost}). Run again when TWS shows that it is connected: what came is kept."
            )
            await self._connector.report_unreachable(sentence)
            raise BrokerUnavailable(sentence) from None

    async def _note_market_data(self, collector: Collector) -> None:
        """Keep the kind of market data of this connection's quotes, when it is better evidence than what is known."""
        if not isinstance(collector, QuoteCollector) or not collector.answer.done():
            return
        word = market_data_word(*collector.reported_market_data())
        if TELLING.index(word) > TELLING.index(self._market_data):
            self._market_data = word
            await self._connector.run(
                lambda: record_market_data(self._connector.owner.engine, self._connector.key, word)
            )

    def _on_status(self, code: int, text: str) -> None:
        if code in CONNECTIVITY_LOST:
            self._last_lost = text
            self.losses += 1
            self._upstream.clear()
            if self._connection is not None:
                self._connection.give_up_all(Outcome(OutcomeKind.DISCONNECTED, code, text))
        elif code in CONNECTIVITY_RESTORED:
            self._upstream.set()
            if self._connection is not None:
                self._connection.market_data_type = 0
        elif is_warning(code, text):
            logger.debug("TWS: %s %s", code, text)
        else:
            row = lookup(code, text)
            logger.warning("TWS: %s %s %s", code, text, row.remedy if row else "")

    def _on_lost(self, connection: Connection) -> None:
        if connection is self._connection:
            self.losses += 1
            self._upstream.set()  # it was about that session; the next one speaks for itself
            self._connection = None
