"""One TCP session with a TWS: the library's client, its inbox, and the end of the session as an event.

A session is opened once and never again; `broker.client` makes a new one to reconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trading_assets.broker.inbox import Inbox
from trading_assets.broker.library import WireClient
from trading_assets.broker.outcomes import Outcome, OutcomeKind

CLIENT_ID_IN_USE = 326

PONG_TIMEOUT = 10.0
"""Seconds a live TWS may take to tell the time: it answers that itself, at once, without its servers."""


class ClientIdInUse(ConnectionError):
    """Another client of this TWS has the client id."""


class Connection:
    """One session. `on_status(code, text)` gets every message without a request id, `on_lost()` the end of the session."""

    def __init__(self, on_status: Callable[[int, str], None], on_lost: Callable[[Connection], None]) -> None:
        self.inbox = Inbox(self)
        self.wire = WireClient(self.inbox)
        self.wire.apiError += self._on_wire_error
        self.alive = False
        self.market_data_type = 0
        self._on_status = on_status
        self._on_lost = on_lost
        self._refusal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._clock: asyncio.Future[int] | None = None

    async def open(self, host: str, port: int, client_id: int, timeout: float) -> list[str]:
        """Connect and shake hands; the accounts. Raises `ClientIdInUse`, another `ConnectionError`, `OSError` or `TimeoutError`."""
        shaking = asyncio.ensure_future(self.wire.connectAsync(host, port, client_id, timeout))
        await asyncio.wait({shaking, self._refusal}, return_when=asyncio.FIRST_COMPLETED)
        try:
            if self._refusal.done():
                self._refusal.result()
            await shaking
        except BaseException:
            shaking.cancel()
            await asyncio.gather(shaking, return_exceptions=True)
            raise
        finally:
            self._refusal.cancel()
        self.alive = True
        return list(self.wire.getAccounts())

    async def server_time(self) -> int:
        """The clock of TWS, epoch seconds. Raises `TimeoutError` when it does not answer: the session is dead."""
        if self._clock is None or self._clock.done():
            self._clock = asyncio.get_running_loop().create_future()
            self.wire.reqCurrentTime()
        return await asyncio.wait_for(asyncio.shield(self._clock), PONG_TIMEOUT)

    def drop(self, outcome: Outcome | None = None) -> None:
        """Close the session from our side."""
        if self.wire.isConnected():
            self.wire.disconnect()
        self._lost(outcome or Outcome(OutcomeKind.DISCONNECTED, None, "We closed the connection."))

    def give_up_all(self, outcome: Outcome) -> None:
        """End every open request."""
        for collector in list(self.inbox.open.values()):
            collector.give_up(outcome)

    # what the inbox and the library tell

    def on_status(self, code: int, text: str) -> None:
        if code == CLIENT_ID_IN_USE and not self._refusal.done():
            self._refusal.set_exception(ClientIdInUse(text))
        self._on_status(code, text)

    def on_time(self, epoch: int) -> None:
        if self._clock is not None and not self._clock.done():
            self._clock.set_result(epoch)

    def on_lost(self) -> None:
        self._lost(Outcome(OutcomeKind.DISCONNECTED, None, "The connection to TWS broke."))

    def _on_wire_error(self, text: str) -> None:
        if not self._refusal.done():
            self._refusal.set_exception(ConnectionError(text))

    def _lost(self, outcome: Outcome) -> None:
        was_alive, self.alive = self.alive, False
        self.give_up_all(outcome)
        if self._clock is not None and not self._clock.done():
            self._clock.set_exception(ConnectionError(outcome.text))
            self._clock.exception()  # mark it read: nobody may be waiting
        if was_alive:
            self._on_lost(self)
