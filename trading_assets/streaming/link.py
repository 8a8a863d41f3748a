"""The recorder's connection: made, kept, made again, for as long as the recorder runs.

A connection that stays open without a word is asked for the time: one that does not answer is dead, and is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass

from sqlalchemy.exc import SQLAlchemyError

from trading_assets.broker.connection import PONG_TIMEOUT, Connection
from trading_assets.broker.connector import RECONNECT, Connector
from trading_assets.broker.handshake import ConnectFailed
from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.broker.pacing import Pacer
from trading_assets.errors import BrokerIncompatible, ClientIdsExhausted

logger = logging.getLogger("trading_assets.streaming")

WATCH_SECONDS = 1.0
"""Seconds between two looks whether anything came."""

REPLAY_SECONDS = 0.25
"""Seconds between two questions for the time in a replay."""

QUIET_SECONDS = 5.0
"""Seconds without any message after which TWS is asked for the time."""


@dataclass(eq=False)
class Link:
    """Keeps one connection. `on_fresh()` is called before each attempt, `on_up()` when there is a connection,
    `on_down(text)` when it is lost or cannot be made, `on_status(code, text)` for every message that belongs to no
    request. With `on_time(epoch)` TWS is asked for its time all along."""

    connector: Connector
    pacer: Pacer
    _: KW_ONLY
    on_up: Callable[[], None]
    on_down: Callable[[str], None]
    on_status: Callable[[int, str], None]
    on_fresh: Callable[[], None]
    on_time: Callable[[int], None] | None = None
    quiet_seconds: float = QUIET_SECONDS
    pong_seconds: float = PONG_TIMEOUT

    def __post_init__(self) -> None:
        self._lost = asyncio.Event()
        self.connection: Connection | None = None
        self.trouble = ""
        """Why there is no connection, as a sentence."""

    async def keep(self) -> None:
        """Connect, and again whenever the connection is lost. Raises `BrokerIncompatible` and `IdentityMismatch`, which
        another attempt does not mend."""
        attempt = 0
        while True:
            attempt += 1
            self._lost.clear()
            try:
                connection = await self.connector.attempt(self._fresh)
            except ConnectFailed as failed:
                await self._failed(failed, RECONNECT.wait(attempt))
                continue
            except (ClientIdsExhausted, SQLAlchemyError) as error:
                self.trouble = str(error)
                logger.warning("No connection is made now: %s", error)
                self.on_down(self.trouble)
                await asyncio.sleep(RECONNECT.wait(attempt))
                continue
            if not connection.alive:
                continue
            attempt = 0
            if self.on_time is not None:
                await self._probe(connection)
            if not connection.alive:
                continue
            self.connection, self.trouble = connection, ""
            self.on_up()
            await self._watch(connection)

    def close(self) -> None:
        """Disconnect."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.drop()

    def _fresh(self) -> Connection:
        self.on_fresh()  # what TWS says from now on is about this session
        return Connection(self.on_status, self._on_lost)

    async def _failed(self, failed: ConnectFailed, wait: float) -> None:
        self.trouble = self.connector.sentence(failed)
        try:
            await self.connector.report_unreachable(self.trouble)
        except SQLAlchemyError:
            logger.warning("The state database was not told that TWS cannot be reached.", exc_info=True)
        if failed.lasting:
            raise BrokerIncompatible(self.trouble)
        logger.warning("%s Trying again in %.1f s.", self.trouble, wait)
        self.on_down(self.trouble)
        await asyncio.sleep(wait)

    async def _watch(self, connection: Connection) -> None:
        """Return when the connection is lost."""
        loop = asyncio.get_running_loop()
        seen, since = connection.wire.received, loop.time()
        interval = min(WATCH_SECONDS if self.on_time is None else REPLAY_SECONDS, self.quiet_seconds)
        while connection.alive:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), interval)
            if self.on_time is not None and connection.alive:
                await self._probe(connection)
            elif connection.wire.received != seen:
                seen, since = connection.wire.received, loop.time()
            elif connection.alive and loop.time() - since >= self.quiet_seconds:
                await self._probe(connection)
                since = loop.time()

    async def _probe(self, connection: Connection) -> None:
        try:
            await self.pacer.message()
            epoch = await connection.server_time(self.pong_seconds)
            if epoch is not None and self.on_time is not None:
                self.on_time(epoch)
        except TimeoutError:
            connection.drop(Outcome(OutcomeKind.DISCONNECTED, None, "TWS stopped answering; we closed the connection."))
        except ConnectionError:
            """It was lost meanwhile."""
        except SQLAlchemyError:
            logger.warning("The state database gives no leave to ask TWS for the time: asked later.", exc_info=True)

    def _on_lost(self, connection: Connection) -> None:
        if connection is self.connection:
            self.connection = None
            self.trouble = connection.ended.text if connection.ended is not None else ""
            self._lost.set()
            self.on_down(self.trouble)
