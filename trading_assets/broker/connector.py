"""Making connections to one TWS: a free client id, the lake's broker identity, waits between attempts.

What is done over a connection is its holder's business: requests (`broker.client`), streams (`streaming.recorder`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import KW_ONLY, dataclass
from datetime import datetime
from typing import TypeVar

from trading_assets.broker.connection import ClientIdInUse, Connection
from trading_assets.broker.contact import record_connected, record_failure
from trading_assets.broker.handshake import ConnectFailed
from trading_assets.broker.identity import check_settings, identity_of
from trading_assets.broker.ledger import Ledger
from trading_assets.broker.logins import refuse_shared_login
from trading_assets.broker.pacing import OnWait, Pacer
from trading_assets.broker.reset_windows import reset_window_end
from trading_assets.errors import BrokerIncompatible, BrokerNotConfigured, BrokerUnavailable, ClientIdsExhausted
from trading_assets.reliability import RetryConfig
from trading_assets.sessions import Clock
from trading_assets.settings import BrokerKind, Settings
from trading_assets.state.owners import Owner, lease_client_id

T = TypeVar("T")

logger = logging.getLogger("trading_assets.broker")

RECONNECT = RetryConfig(wait_initial=0.25, wait_max=30.0)
"""Waits between attempts to connect."""

_ADDRESS = ("TRADING_ASSETS_IB_HOST", "TRADING_ASSETS_IB_PORT")

MAX_CLOCK_SKEW = 60.0
"""Seconds the machine's clock may differ from the clock of TWS before it is reported."""

HANDSHAKE_MESSAGES = 2
"""Version and startApi."""


@dataclass(eq=False)
class Connector:
    """Makes connections to `address` (host, port). Use it from one event loop only.

    `on_identity(identity)` is called in a worker thread after each connect and before any data request; what it raises
    (`IdentityMismatch`) ends the connection and goes to the caller.
    """

    settings: Settings
    owner: Owner
    address: tuple[str, int]
    pacer: Pacer
    database: Executor
    _: KW_ONLY
    clock: Clock
    on_identity: Callable[[str], None] | None

    def __post_init__(self) -> None:
        self._host, self._port = self.address
        place, name = f"{self._host}:{self._port}", self.settings.gateway_name
        self.key = name or place
        """What pacing, client ids and the last contact are kept under: the gateway's name, `host:port` without one."""
        self.endpoint = f"{place} (gateway {name})" if name else place
        """The same in sentences."""
        self.identity = ""
        """The identity behind the connection made last."""
        self.connects = 0
        """How often a connection was made."""

    async def connect(self, fresh: Callable[[], Connection], patience: float) -> Connection:
        """A connection that was made within `patience` seconds, a nightly reset not counted. `fresh` makes the object
        of each attempt. Raises `BrokerError`."""
        deadline = time.monotonic() + patience
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self.attempt(fresh)
            except ConnectFailed as failure:
                failed = failure
            sentence = self.sentence(failed)
            await self.report_unreachable(sentence)
            if failed.lasting:
                raise BrokerIncompatible(sentence)
            if (reset_end := self.reset_end()) is not None:
                deadline = max(deadline, time.monotonic() + (reset_end - self.clock()).total_seconds() + patience)
            wait = min(RECONNECT.wait(attempt), deadline - time.monotonic())
            if wait <= 0:
                raise BrokerUnavailable(sentence)
            until = f" (the broker's nightly reset lasts until {reset_end:%H:%M} UTC)" if reset_end else ""
            logger.warning(
                "No connection to TWS at %s: %s; trying again in %.1f s%s.", self.endpoint, failed, wait, until
            )
            await asyncio.sleep(wait)

    async def attempt(self, fresh: Callable[[], Connection]) -> Connection:
        """One attempt, over as many client ids as it takes. Raises `ConnectFailed`, `ClientIdsExhausted`,
        `IdentityMismatch`."""
        try:
            return await self._attempt(fresh)
        except ConnectFailed:
            raise
        except (ConnectionError, TimeoutError) as error:  # lost again before it was introduced
            text = f"the session broke at once ({str(error) or 'TWS does not answer'})"
            raise ConnectFailed(text, "Look at TWS, then run again: what came is kept.") from error

    def sentence(self, failed: ConnectFailed) -> str:
        """What a failed attempt is reported as."""
        remedy = failed.remedy
        if self.settings.gateways:  # where host and port are set then
            for setting in ("TRADING_ASSETS_IB_HOST and TRADING_ASSETS_IB_PORT", *_ADDRESS):
                remedy = remedy.replace(setting, "TRADING_ASSETS_GATEWAYS")
        return f"No connection to TWS or IB Gateway at {self.endpoint}: {failed}. {remedy}"

    async def report_unreachable(self, sentence: str) -> None:
        """Keep that the broker cannot be reached."""
        await self.run(lambda: record_failure(self.owner.engine, self.key, sentence))

    def reset_end(self) -> datetime | None:
        """The end of the reset window that a real broker is in now; None outside of it."""
        return reset_window_end(self.clock()) if self.settings.broker is BrokerKind.TWS else None

    async def _attempt(self, fresh: Callable[[], Connection]) -> Connection:
        in_use: set[int] = set()
        self.owner.ensure()
        while True:
            client_id = await self.run(
                lambda: lease_client_id(
                    self.owner.engine,
                    self.owner.name,
                    self.key,
                    self.settings.ib_client_ids,
                    in_use,
                    compare=bool(self.settings.gateways),
                )
            )
            if client_id is None:
                first, last = self.settings.ib_client_ids
                raise ClientIdsExhausted(
                    f"All client ids from {first} to {last} are in use at {self.endpoint}: close other clients or widen"
                    " TRADING_ASSETS_IB_CLIENT_IDS."
                )
            for _ in range(HANDSHAKE_MESSAGES):
                await self.pacer.message()
            connection = fresh()
            try:
                accounts = await connection.open(self._host, self._port, client_id, self.settings.connect_timeout)
                break
            except ClientIdInUse:
                in_use.add(client_id)
        try:
            if self.settings.gateways:
                mine = self.owner.engine, self.settings.gateways[0], client_id, in_use, accounts
                await self.run(lambda: refuse_shared_login(*mine))
            await self._introduce(connection, accounts)
        except BaseException:
            connection.alive = False
            connection.drop()
            raise
        self.connects += 1
        return connection

    async def _introduce(self, connection: Connection, accounts: list[str]) -> None:
        """Find out who is behind the connection, before any data is asked for."""
        self.identity = identity_of(accounts, delayed=self.settings.market_data == "delayed")
        check_settings(self.settings, self.identity, self.endpoint)
        if self.on_identity is not None:
            await self.run(lambda: self.on_identity(self.identity) if self.on_identity else None)
        if self.settings.now is None:
            await self.pacer.message()
            answer = await connection.server_time()
            skew = 0.0 if answer is None else answer - time.time()
            if abs(skew) > MAX_CLOCK_SKEW:
                logger.warning(
                    "The clock of TWS is %.0f s ahead of this machine's: set it right, or sessions may be told apart"
                    " wrongly.",
                    skew,
                )
        version = connection.wire.serverVersion()
        await self.run(lambda: record_connected(self.owner.engine, self.key, self.identity, version))

    async def run(self, function: Callable[[], T]) -> T:
        """Do what waits for the state database, in a thread of `database`."""
        return await asyncio.get_running_loop().run_in_executor(self.database, function)


async def connector_to(
    settings: Settings,
    owner: Owner,
    endpoint: Callable[[], tuple[str, int]],
    database: Executor,
    *,
    clock: Clock,
    on_identity: Callable[[str], None] | None,
    on_wait: OnWait | None = None,
) -> Connector:
    """The connector to what `endpoint()` names, with a pacer of its own; both are asked in a thread of `database`. Of
    several gateways it is the first."""
    loop = asyncio.get_running_loop()
    settings = settings.each_gateway()[0]
    host, port = await loop.run_in_executor(database, endpoint)
    name = await loop.run_in_executor(database, owner.ensure)
    key = settings.gateway_name or f"{host}:{port}"
    ledger = Ledger(owner.engine, name, key, settings) if settings.enforce_pacing else None
    pacer = Pacer(ledger, database, on_wait)
    return Connector(settings, owner, (host, port), pacer, database, clock=clock, on_identity=on_identity)


def endpoint_of(settings: Settings) -> tuple[str, int]:
    """Host and port of the settings. Raises `BrokerNotConfigured`."""
    if settings.endpoint is None:
        raise BrokerNotConfigured(
            "No simulator to connect to: set TRADING_ASSETS_IB_PORT to the port of a running one (`trading-assets"
            " simulate`), or TRADING_ASSETS_BROKER=tws to use a TWS."
        )
    return settings.endpoint
