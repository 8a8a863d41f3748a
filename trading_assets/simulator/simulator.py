"""The handle of a simulated TWS: `Simulator` for programs and tests, `serve` for the command line.

with Simulator(GeneratedMarket(), now=datetime(2024, 6, 3, 20, 30, tzinfo=UTC)) as tws:
    ib.connect("127.0.0.1", tws.port, clientId=1)
    ...
    assert not tws.counters.violations
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from trading_assets.simulator.calls import SimulatedAccount, World
from trading_assets.simulator.clock import SimulatorClock
from trading_assets.simulator.counters import Counters, Snapshot
from trading_assets.simulator.faults import Faults
from trading_assets.simulator.latency import Latency, LatencySetting
from trading_assets.simulator.limits import Limits, Meters
from trading_assets.simulator.market import Market
from trading_assets.simulator.positions import Positions
from trading_assets.simulator.protocol import SERVER_VERSION, SUPPORTED_VERSIONS
from trading_assets.simulator.server import TwsServer
from trading_assets.simulator.worker import MarketWorker

START_SECONDS = 30.0
"""How long starting and stopping may take; both are a matter of milliseconds on a healthy machine."""


class Simulator:
    """A simulated TWS on a port of this machine, running in a thread of its own.

    `now`: None follows the machine's clock; an aware instant pins it (see `clock`). `speed`: with an instant, so many
    market seconds pass in each real one from the start on (None: the clock stands still). `port` 0 takes a free one.
    `latency`: "none", "real", or seconds for every data answer. `faults`: rules, or a script file. `limits`: True the
    broker's, False counts violations without refusing, or `Limits` of your own. `server_version`: 157, 176 or 178.
    `accounts`: names or `SimulatedAccount`s; default one account named after the market, so that its data can never be
    taken for a broker's. `refuse`: symbols without market-data permission. `live_data` False: delayed data only (354,
    10167). `volume_unit`: stock volumes in shares, or in round lots as some TWS settings give them. `message_rate`: so
    many messages a second over all quote streams beside the market's own (see `load`).

    Raises `ValueError` for an impossible argument, `OSError` from `start` when the port is taken.
    """

    def __init__(
        self,
        market: Market,
        *,
        now: datetime | None = None,
        speed: float | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: LatencySetting = "none",
        faults: Faults | Path | str | None = None,
        limits: bool | Limits = True,
        server_version: int = SERVER_VERSION,
        accounts: Sequence[str | SimulatedAccount] | None = None,
        refuse: Iterable[str] = (),
        live_data: bool = True,
        volume_unit: Literal["shares", "round_lots"] = "shares",
        message_rate: float = 0,
    ) -> None:
        if server_version not in SUPPORTED_VERSIONS:
            raise ValueError(
                f"The simulator speaks server versions {', '.join(map(str, SUPPORTED_VERSIONS))}, not {server_version}."
            )
        self.market = market
        if speed is not None and (now is None or not 0 < speed < float("inf")):
            raise ValueError("A speed needs an instant to start from, and is a positive number.")
        self.clock = SimulatorClock(now)
        self._speed = speed
        self._message_rate = _rate(message_rate)
        self._server: TwsServer | None = None
        self.faults = faults if isinstance(faults, Faults) else Faults.load(faults) if faults else Faults()
        self.host = host
        self.server_version = server_version
        self._wanted_port = port
        self._port: int | None = None
        self._latency = Latency(latency)
        self._limits = limits if isinstance(limits, Limits) else Limits(enforced=limits)
        names = accounts if accounts is not None else [default_account(market)]
        self.accounts = tuple(
            account if isinstance(account, SimulatedAccount) else SimulatedAccount(account) for account in names
        )
        self.positions = Positions(self.accounts)
        self._refused = frozenset(refuse)
        self._live_data = live_data
        self._volume_unit: Literal["shares", "round_lots"] = volume_unit
        self._counters = Counters()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self._failure: OSError | None = None

    @property
    def port(self) -> int:
        """The port it listens on. Raises `RuntimeError` before `start`."""
        if self._port is None:
            raise RuntimeError("The simulator is not started: call start() or use it as a context manager.")
        return self._port

    @property
    def counters(self) -> Snapshot:
        """What it has seen so far: a copy."""
        return self._counters.snapshot()

    def reset_counters(self) -> None:
        """Forget what it has seen."""
        self._counters.reset()

    def ready_line(self) -> dict[str, Any]:
        """What `trading-assets simulate` prints when it listens."""
        return {
            "host": self.host,
            "port": self.port,
            "server_version": self.server_version,
            "market": f"{self.market.name}:{self.market.identity}",
            "now": "live" if self.clock.is_live else self.clock.now().isoformat(),
            **({"speed": self.clock.speed} if self._speed is not None else {}),
        }

    def set_message_rate(self, rate: float) -> None:
        """Send so many messages a second over all quote streams from now on, beside the market's own; 0: none.

        Raises `ValueError` for a negative rate, `RuntimeError` before `start`.
        """
        self._message_rate = _rate(rate)
        if self._server is None or self._loop is None:
            raise RuntimeError("The simulator is not started: call start() or use it as a context manager.")
        self._loop.call_soon_threadsafe(self._server.load.set_rate, self._message_rate)

    def drop_connections(self) -> None:
        """Close every connection now."""
        self.faults.trigger("drop_all")

    def start(self) -> Simulator:
        """Listen; returns when clients can connect."""
        if self._thread is not None:
            raise RuntimeError("The simulator is running already.")
        self._started.clear()
        self._failure = None
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._thread.start()
        self._started.wait(START_SECONDS)
        if self._failure is not None or self._port is None:
            self._thread = None
            raise self._failure or RuntimeError(
                f"The simulator did not start within {START_SECONDS:g} s; its thread's log says why."
            )
        return self

    def stop(self) -> None:
        """Close all connections and the port; returns when it is done. May be called again."""
        if self._thread is None:
            return
        if self._loop is not None and self._stopping is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(START_SECONDS)
        self._thread = None
        self._port = None

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except OSError as error:
            self._failure = error
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        with MarketWorker() as worker:
            world = World(
                market=self.market,
                clock=self.clock,
                meters=Meters(self._limits),
                counters=self._counters,
                latency=self._latency,
                positions=self.positions,
                refused=self._refused,
                live_data=self._live_data,
                volume_unit=self._volume_unit,
                worker=worker,
            )
            server = self._server = TwsServer(world, self.faults, self.server_version)
            self._port = await server.start(self.host, self._wanted_port)
            if self._speed is not None:
                self.clock.run(self._speed)
            server.load.set_rate(self._message_rate)
            self._started.set()
            try:
                await self._stopping.wait()
            finally:
                self._server = None
                await server.stop()


def _rate(rate: float) -> float:
    if not 0 <= rate < float("inf"):
        raise ValueError(f"A message rate is a number of messages a second, not {rate!r}.")
    return rate


def default_account(market: Market) -> str:
    """The name of the account of a market, which can never be taken for a broker's."""
    return f"SIM-{market.name.upper()}-{market.identity}"


def serve(simulator: Simulator) -> None:
    """Run until SIGINT or SIGTERM: one JSON line when ready, the counters as one JSON line at the end, both on standard
    output."""
    done = threading.Event()
    previous = {number: signal.signal(number, lambda *_: done.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with simulator:
            _say(simulator.ready_line())
            done.wait()
        _say({"counters": simulator.counters.as_json()})
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
