"""The simulated TWS: listens, knows its clients, carries out the faults that concern everything.

Runs in one event loop; questions to the market run in one worker thread. `simulator.Simulator` is the handle that
runs it in a thread of its own, `simulator.serve` the blocking form for the command line.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from trading_assets.simulator import encoding
from trading_assets.simulator.account import FIRST_ORDER_ID, AccountService
from trading_assets.simulator.calls import World
from trading_assets.simulator.connection import Connection
from trading_assets.simulator.contracts import ContractService
from trading_assets.simulator.faults import FaultRule, Faults
from trading_assets.simulator.history import HistoryService
from trading_assets.simulator.limits import Arrival
from trading_assets.simulator.load import Load
from trading_assets.simulator.marketdata import MarketDataService
from trading_assets.simulator.outages import FARMS_BROKEN, FARMS_OK, LOST, Outages
from trading_assets.simulator.requests import DATA_KINDS, ApiRequest
from trading_assets.simulator.settlement import PositionService
from trading_assets.simulator.streams import Streams

_log = logging.getLogger(__name__)

HEARTBEAT = 0.01
"""Seconds between the marks by which the server knows when it last looked at its sockets (see `limits.Arrival`)."""

HANDLE_SECONDS = 10.0
"""How long a change of positions by hand may take; it is a matter of milliseconds."""

DUPLICATE_CLIENT = "Unable to connect as the client id is already in use. Retry with a unique client id."


class TwsServer:
    """One simulated TWS on one port."""

    def __init__(self, world: World, faults: Faults, version: int) -> None:
        self.world = world
        self.version = version
        self._faults = faults
        self._connections: set[Connection] = set()
        self._clients: dict[int, Connection] = {}
        self._refuse_connects = 0
        self._looked_after = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._reset_over = asyncio.Event()
        self._address = ("", 0)
        contracts, history = ContractService(world), HistoryService(world)
        self._streams = Streams(world)
        self.load = Load(self._streams.live_quotes, world.counters)
        self._positions = PositionService(world, lambda: list(self._clients.values()))
        self._outages = Outages(world, self._streams, self._send_to_all, self._forget_calls)
        quotes, account = MarketDataService(world, self._streams), AccountService(world)
        self.handlers: dict[str, Callable[..., Any]] = {
            "contract_details": contracts.contract_details,
            "option_parameters": contracts.option_parameters,
            "matching_symbols": contracts.matching_symbols,
            "market_rule": contracts.market_rule,
            "historical_data": history.historical_data,
            "head_timestamp": history.head_timestamp,
            "historical_ticks": history.historical_ticks,
            "market_data": quotes.market_data,
            "market_data_type": quotes.market_data_type,
            "realtime_bars": quotes.realtime_bars,
            "implied_volatility": quotes.implied_volatility,
            "option_price": quotes.option_price,
            "ids": account.ids,
            "managed_accounts": account.managed_accounts,
            "current_time": account.current_time,
            "positions": account.positions,
            "account_updates": account.account_updates,
            "account_updates_multi": account.account_updates_multi,
            "account_summary": account.account_summary,
            "open_orders": account.open_orders,
            "completed_orders": account.completed_orders,
            "executions": account.executions,
            "place_order": account.place_order,
            "unknown": account.unknown,
            "start_api": account.silent,
            "auto_open_orders": account.silent,
            "cancel_positions": account.cancel_positions,
            "server_log_level": account.silent,
            "global_cancel": account.silent,
        }

    async def start(self, host: str, port: int) -> int:
        """Begin to listen; returns the port (0 asks for a free one). Raises `OSError` when the port is taken."""
        loop = asyncio.get_running_loop()
        self.world.connected.set()
        self.world.farms.set()
        self._listener = await loop.create_server(lambda: Connection(self), host, port)
        self._address = (host, self._listener.sockets[0].getsockname()[1])
        self._last_beat = loop.time()
        self._begin(self._beat())
        self._begin(self._streams.serve())
        self._begin(self._positions.serve())
        self._begin(self.load.serve())
        self.world.positions.attach(lambda change: _run_in(loop, change(self._positions)))
        self._faults.attach(lambda: loop.is_closed() or loop.call_soon_threadsafe(self._take_faults))
        return self._address[1]

    async def stop(self) -> None:
        """Close everything and wait for what was running."""
        self._faults.detach()
        self.world.positions.detach()
        if self._listener:
            self._listener.close()
        for connection in list(self._connections):
            connection.outbox.transport.abort()
            connection.end_calls()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A failed fault must be seen by who ordered it."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("The simulator failed", exc_info=error)
            self.world.counters.internal_error(repr(error))

    async def _beat(self) -> None:
        # A mark counts one beat later: only then has the loop read its sockets after it. A beat that is due together
        # with whatever kept the loop runs before the sockets are read.
        loop = asyncio.get_running_loop()
        self._looked_after = loop.time()
        while True:
            mark = loop.time()
            await asyncio.sleep(HEARTBEAT)
            self._looked_after = mark

    def arrival(self) -> Arrival:
        """The arrival of a message read just now: it may have waited since the sockets were read last."""
        now = asyncio.get_running_loop().time()
        return Arrival(min(self._looked_after, now), now)

    # clients

    def admit(self, connection: Connection) -> bool:
        """Whether a new socket may stay: TWS serves 32 clients."""
        world = self.world
        self._connections.add(connection)
        world.counters.opened("clients")
        if world.meters.clients.take():
            world.counters.connection("accepted")
            return True
        world.counters.violation(
            "clients", f"{world.meters.clients.used} connections, {world.meters.clients.most} allowed", -1
        )
        if world.enforced:
            world.counters.connection("refused")
        return not world.enforced

    def forget(self, connection: Connection) -> None:
        """A socket is closed."""
        if connection in self._connections:
            self._connections.discard(connection)
            self.world.meters.clients.give()
            self.world.counters.opened("clients", -1)
        if self._clients.get(connection.client_id) is connection:
            del self._clients[connection.client_id]

    def start_client(self, connection: Connection) -> None:
        """A client said who it is: greet it, or refuse a client id in use."""
        duplicate = connection.client_id in self._clients
        if duplicate or self._refuse_connects:
            self._refuse_connects -= not duplicate
            self.world.counters.connection("refused")
            connection.error(-1, 326, DUPLICATE_CLIENT)
            connection.close()
            return
        self._clients[connection.client_id] = connection
        connection.started = True
        self.world.counters.connection("started")
        connection.send(
            encoding.managed_accounts(self.world.positions.books),
            encoding.next_valid_id(FIRST_ORDER_ID),
        )
        for code, text in FARMS_OK if self.world.farms.is_set() else FARMS_BROKEN:
            connection.error(-1, code, text)
        if not self.world.connected.is_set():
            connection.error(-1, 1100, LOST)

    def _forget_calls(self) -> None:
        for client in list(self._clients.values()):
            client.end_calls(DATA_KINDS)

    def _send_to_all(self, messages: Sequence[tuple[int, str]]) -> None:
        for client in list(self._clients.values()):
            for code, text in messages:
                client.error(-1, code, text)

    def drop_all(self) -> None:
        """Close every connection."""
        for connection in list(self._connections):
            self.world.counters.connection("dropped")
            connection.close()

    # faults

    def strike(self, connection: Connection, request: ApiRequest) -> FaultRule | None:
        """Carry out the faults that this request calls forth; returns the one that strikes the request itself."""
        own: FaultRule | None = None
        for rule in self._faults.strike(request):
            self.world.counters.fault(rule.do)
            if rule.is_global:
                self._begin(self._carry_out(rule))
            else:
                own = rule
        return own

    def _take_faults(self) -> None:
        for rule in self._faults.take_triggered():
            self._begin(self._carry_out_later(rule))
        # behind the first step of the faults just begun, which may be among them
        asyncio.get_running_loop().call_soon(self._end_faults)

    def _end_faults(self) -> None:
        for do, contract in self._faults.take_ended():
            if do == "nightly_reset":
                self._reset_over.set()
            else:
                self._outages.end(do, contract)

    async def _carry_out_later(self, rule: FaultRule) -> None:
        await asyncio.sleep(rule.after_seconds or 0.0)
        self.world.counters.fault(rule.do)
        await self._carry_out(rule)

    async def _carry_out(self, rule: FaultRule) -> None:
        match rule.do:
            case "nightly_reset":
                await self._reset(rule.seconds)
            case "duplicate_client_id":
                self._refuse_connects += rule.connects
            case "drop_all":
                self.drop_all()
            case "broadcast":
                self._send_to_all([(rule.code, rule.text)])
            case _:
                await self._outages.carry_out(rule)

    async def _reset(self, seconds: float | None) -> None:
        """Close all connections and the port, for some seconds or until it is ended. A bound socket that does not
        listen keeps the port ours and refuses connects."""
        if self._listener is None:
            return
        self._listener.close()
        self._listener = None
        self._reset_over.clear()
        self.drop_all()
        host, port = self._address
        holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((host, port))
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reset_over.wait(), seconds)
        except asyncio.CancelledError:
            holder.close()
            raise
        self._listener = await asyncio.get_running_loop().create_server(lambda: Connection(self), sock=holder)


def _run_in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a loop from another thread, and wait for it."""
    asyncio.run_coroutine_threadsafe(work, loop).result(HANDLE_SECONDS)
