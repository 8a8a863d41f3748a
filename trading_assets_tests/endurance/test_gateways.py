"""A whole collection through two gateways, each a process of its own that enforces its limits; also when one of them is
killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.broker.routing import gateway_of
from trading_assets.collecting.progress import Silent, listening
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.counters import Snapshot
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.endurance.collect import by_the_steps
from trading_assets_tests.endurance.conftest import NOW, settings_of
from trading_assets_tests.endurance.lakes import asked, broken, contents, difference

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SYMBOLS = ("AAPL", "MSFT", "GOOG", "NVDA", "AMZN", "META")
NAMES = ("east", "west")
PATIENCE = 120.0
"""Seconds to wait for a process that must answer; it only ends a test that has failed."""

CONTEXT = multiprocessing.get_context("spawn")


def simulate(pipe: Connection) -> None:
    """The process of a simulated TWS: tells its port, and what it has seen whenever it is asked."""
    market = GeneratedMarket()
    market.know(SYMBOLS)  # it may be asked for bars of a contract that it has not named
    with Simulator(market, now=NOW, latency=0.1) as simulator:
        pipe.send(simulator.port)
        while True:
            pipe.recv()
            pipe.send(simulator.counters)


@dataclass
class Tws:
    """A simulated TWS in a process of its own."""

    pid: int
    pipe: Connection

    def hear(self) -> object:
        """What it says next."""
        assert self.pipe.poll(PATIENCE), "the simulator said nothing"
        return self.pipe.recv()

    def counters(self) -> Snapshot:
        """What it has seen so far."""
        self.pipe.send("counters")
        found = self.hear()
        assert isinstance(found, Snapshot)
        return found


@contextmanager
def started() -> Iterator[tuple[Tws, int]]:
    """A simulated TWS and its port."""
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=simulate, args=(there,), daemon=True)
    process.start()
    assert process.pid is not None
    try:
        tws = Tws(process.pid, here)
        port = tws.hear()
        assert isinstance(port, int)
        yield tws, port
    finally:
        process.kill()
        process.join(PATIENCE)


@pytest.fixture
def two() -> Iterator[tuple[dict[str, Tws], list[dict[str, object]]]]:
    """Two simulated TWS by name, and their gateways as settings have them."""
    with ExitStack() as stack:
        running = {name: stack.enter_context(started()) for name in NAMES}
        yield (
            {name: tws for name, (tws, _) in running.items()},
            [{"name": name, "port": port} for name, (_, port) in running.items()],
        )


@pytest.fixture(scope="module")
def alone(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pa.Table]:
    """What is collected of the symbols through one TWS."""
    settings = settings_of(tmp_path_factory.mktemp("alone"), simulator)
    assert by_the_steps(settings, SYMBOLS)["success"]
    return contents(settings.data_dir)


class Killer(Silent):
    """Kills a TWS after so many requests were sent, keeping what it had seen."""

    def __init__(self, tws: Tws, after: int) -> None:
        self._tws, self._after = tws, after
        self.seen: Snapshot | None = None

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        if self.seen is None and sent >= self._after:
            self.seen = self._tws.counters()
            os.kill(self._tws.pid, signal.SIGKILL)


def settings_through(gateways: list[dict[str, object]], simulator: Simulator, folder: Path) -> Settings:
    return settings_of(folder, simulator, ib_port=None, gateways=gateways, enforce_pacing=True, reconnect_timeout=2.0)


def questions_answered_twice(folder: Path) -> list[str]:
    """Keys with several rows in the journal: a question that was answered, and asked again."""
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        rows = connection.execute("select key from requests group by key having count(*) > 1").fetchall()
    return [row[0] for row in rows]


def test_the_symbols_chosen_use_both() -> None:
    assert set(Counter(gateway_of(symbol, NAMES) for symbol in SYMBOLS)) == set(NAMES)


def test_both_work_within_their_limits_and_ask_nothing_twice(
    two: tuple[dict[str, Tws], list[dict[str, object]]],
    simulator: Simulator,
    alone: dict[str, pa.Table],
    tmp_path: Path,
) -> None:
    running, gateways = two
    settings = settings_through(gateways, simulator, tmp_path / "lake")
    record = by_the_steps(settings, SYMBOLS)
    assert record["success"], record["problems"]
    seen = {name: tws.counters() for name, tws in running.items()}
    for name, counters in seen.items():
        assert counters.violations == [] and counters.errors == {} and counters.internal_errors == []
        symbols = {symbol for symbol in SYMBOLS if gateway_of(symbol, NAMES) == name}
        details = [entry.subject.split()[0] for entry in counters.of("contract_details") if "STK" in entry.subject]
        assert symbols == set(details), "a symbol was asked through another gateway than its own"
    together = sum((asked(counters.log) for counters in seen.values()), Counter())
    assert set(together.values()) == {1}
    assert together.total() == record["requests"]["sent"]
    assert difference(settings.data_dir, alone) == []
    assert broken(settings.data_dir) == []


@pytest.mark.parametrize("after", [20, 90])
def test_when_one_is_killed_everything_is_collected_through_the_other(
    after: int,
    two: tuple[dict[str, Tws], list[dict[str, object]]],
    simulator: Simulator,
    alone: dict[str, pa.Table],
    tmp_path: Path,
) -> None:
    running, gateways = two
    settings = settings_through(gateways, simulator, tmp_path / "lake")
    killer = Killer(running["west"], after)
    with listening(killer):
        record = by_the_steps(settings, SYMBOLS)
    assert record["success"], record["problems"]
    assert killer.seen is not None, "it was never killed"
    east = running["east"].counters()
    for counters in (killer.seen, east):
        assert counters.violations == [] and counters.internal_errors == []
    assert asked(killer.seen.log) and asked(east.log)
    assert questions_answered_twice(settings.data_dir) == []
    assert difference(settings.data_dir, alone) == []
    assert broken(settings.data_dir) == []
