"""A simulated TWS in a process of its own, which can be killed. Not a test, and light to import."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection

from trading_assets.simulator import Simulator
from trading_assets.simulator.counters import Snapshot
from trading_assets.simulator.generated import GeneratedMarket

PATIENCE = 120.0
"""Seconds to wait for a process that must answer; it only ends a test that has failed."""


def simulate(pipe: Connection, now: datetime, symbols: Sequence[str]) -> None:
    """The process: tells its port, and what it has seen whenever it is asked. It enforces the broker's limits."""
    market = GeneratedMarket()
    market.know(symbols)  # it may be asked for bars of a contract that it has not named
    with Simulator(market, now=now, latency=0.1) as simulator:
        pipe.send(simulator.port)
        while True:
            pipe.recv()
            pipe.send(simulator.counters)


@dataclass(frozen=True)
class Tws:
    """A simulated TWS in a process of its own."""

    pid: int
    port: int
    pipe: Connection

    def counters(self) -> Snapshot:
        """What it has seen so far."""
        self.pipe.send("counters")
        found = _next(self.pipe)
        assert isinstance(found, Snapshot)
        return found


@contextmanager
def started(now: datetime, symbols: Sequence[str]) -> Iterator[Tws]:
    """A simulated TWS of the generated market at that instant, killed at the end."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=simulate, args=(there, now, symbols), daemon=True)
    process.start()
    assert process.pid is not None
    try:
        port = _next(here)
        assert isinstance(port, int)
        yield Tws(process.pid, port, here)
    finally:
        process.kill()
        process.join(PATIENCE)


def _next(pipe: Connection) -> object:
    assert pipe.poll(PATIENCE), "the simulator said nothing"
    return pipe.recv()
