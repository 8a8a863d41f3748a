"""One TCP session with a TWS: the library's client, its inbox, and the end of the session as an event.

A session is opened once and never again; `broker.client` makes a new one to reconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trading_assets.broker.handshake import ConnectFailed, unreached
from trading_assets.broker.inbox import Inbox
from trading_assets.broker.library import WireClient
from trading_assets.broker.outcomes import Outcome, OutcomeKind

CLIENT_ID_IN_USE = 326

PONG_TIMEOUT = 10.0
"""Seconds a live TWS may take to answer the time: it answers that itself, at once, without its servers."""

FIRST_REQUEST_ID = 1000
"""The least request id of a session: larger than the small numbers that stand beside ids in messages (versions, tick
types)."""


class ClientIdInUse(ConnectionError):
    """Another client of this TWS has the client id."""


class Connection:
    """One session. `on_status(code, text)` gets every message without a request id, `on_lost()` the end of the
    session."""

    def __init__(self, on_status: Callable[[int, str], None], on_lost: Callable[[Connection], None]) -> None:
        self.inbox = Inbox(self)
        self.wire = WireClient(self.inbox)
        self.alive = False
        self.ended: Outcome | None = None
        """How the session ended."""
        self.market_data_type = 0
        self._on_status = on_status
        self._on_lost = on_lost
        self._greeting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clock: asyncio.Future[int | None] | None = None

    async def open(self, host: str, port: int, client_id: int, timeout: float) -> list[str]:
        """Connect and shake hands within `timeout` seconds; the accounts. Raises `ClientIdInUse` or `ConnectFailed`."""
        try:
            await asyncio.wait_for(self._shake_hands(host, port, client_id), timeout)
        except (ClientIdInUse, ConnectFailed):
            self.wire.disconnect()
            raise
        except OSError as error:  # a TimeoutError is one
            failure = (
                self.wire.handshake.silent(timeout, self.wire.pending)
                if self.wire.handshake.reached
                else unreached(error, host, timeout)
            )
            self.wire.disconnect()
            raise failure from None
        except BaseException:
            self.wire.disconnect()
            raise
        self.wire.updateReqId(FIRST_REQUEST_ID)
        self.alive = True
        return list(self.wire.getAccounts())

    async def _shake_hands(self, host: str, port: int, client_id: int) -> None:
        await self.wire.reach(host, port, client_id)
        await self._greeting

    async def server_time(self, timeout: float = PONG_TIMEOUT) -> int | None:
        """The clock of TWS, epoch seconds; None when its answer cannot be read. Raises `TimeoutError` without one
        within `timeout` seconds: the session is dead."""
        if self._clock is None or self._clock.done():
            self._clock = asyncio.get_running_loop().create_future()
            self.wire.reqCurrentTime()
        return await asyncio.wait_for(asyncio.shield(self._clock), timeout)

    def drop(self, outcome: Outcome | None = None) -> None:
        """Close the session from our side."""
        if self.wire.isConnected():
            self.wire.disconnect()
        self._lost(outcome or Outcome(OutcomeKind.DISCONNECTED, None, "We closed the connection."))

    def give_up_all(self, outcome: Outcome) -> None:
        """End every open request."""
        for collector in list(self.inbox.open.values()):
            collector.give_up(outcome)
        self.inbox.give_up_positions(f"{outcome.text} The positions were not listed; run it again.")

    # called by the inbox and the library

    def on_status(self, code: int, text: str) -> None:
        if code == CLIENT_ID_IN_USE:
            self._end_greeting(ClientIdInUse(text))
        self._on_status(code, text)

    def on_ready(self) -> None:
        self._end_greeting(None)

    def on_failed(self, failure: ConnectFailed) -> None:
        self._end_greeting(failure)

    def on_time(self, epoch: int | None) -> None:
        if self._clock is not None and not self._clock.done():
            self._clock.set_result(epoch)

    def on_lost(self, reason: str = "") -> None:
        self.drop(Outcome(OutcomeKind.DISCONNECTED, None, reason or "The connection to TWS broke."))

    def _end_greeting(self, failure: ConnectionError | None) -> None:
        if self._greeting.done():
            return
        if failure is None:
            self._greeting.set_result(None)
        else:
            self._greeting.set_exception(failure)
            self._greeting.exception()  # mark it read: the attempt may have been given up

    def _lost(self, outcome: Outcome) -> None:
        was_alive, self.alive = self.alive, False
        self.ended = self.ended or outcome
        self.give_up_all(outcome)
        if self._clock is not None and not self._clock.done():
            self._clock.set_exception(ConnectionError(outcome.text))
            self._clock.exception()  # mark it read: nobody may be waiting
        if was_alive:
            self._on_lost(self)
