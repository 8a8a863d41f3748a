"""A market whose answers cost next to nothing, served by a simulated TWS in a process of its own: what the benchmarks
of the broker side measure is the platform alone. Not a benchmark."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection

from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.simulator.counters import Snapshot
from trading_assets.simulator.market import Bar, ContractQuery, ListedContract, MarketQuote, OptionParameters

NOW = datetime(2024, 6, 3, 20, 30, tzinfo=UTC)
SESSION = date(2024, 6, 3)
EXPIRY = date(2024, 6, 21)
BARS = 25
"""Bars in each answer."""

ContractOf = Callable[[int], ListedContract]


def stock(con_id: int) -> ListedContract:
    """A stock with a symbol of its own."""
    name = f"S{con_id:03d}"
    return ListedContract(con_id, name, "STK", "SMART", "NYSE", "USD", name, name, name, stock_type="COMMON")


def option(con_id: int) -> ListedContract:
    """A call of one underlying and expiry; its strike is its id."""
    local = f"FLAT  {EXPIRY:%y%m%d}C{con_id:08d}"
    return ListedContract(
        con_id, "FLAT", "OPT", "SMART", "", "USD", local, "FLAT", "FLAT", multiplier="100",
        last_trade=f"{EXPIRY:%Y%m%d}", expiry=EXPIRY,
        strike=float(con_id), right="C",
    )  # fmt: skip


class FlatMarket:
    """Any number of contracts, known by id, with the same bars each."""

    name = "flat"
    identity = "1"

    def __init__(self, contract_of: ContractOf) -> None:
        sessions = calendar().sessions(SESSION - timedelta(days=60), SESSION)[-BARS:]
        self._bars = [Bar(calendar().opens_at(s), s, 1.0, 1.25, 0.75, 1.1, 120.0, 1.05, 12) for s in sessions]
        self._contract_of = contract_of

    def by_id(self, con_id: int) -> ListedContract | None:
        return self._contract_of(con_id)

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        return [self._contract_of(query.con_id)] if query.con_id else []

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        return []

    def bars(
        self,
        contract: ListedContract,
        bar_size: str,
        what: str,
        start: datetime,
        end: datetime,
        use_rth: bool,
        now: datetime,
    ) -> list[Bar]:
        return self._bars

    def head_timestamp(
        self, contract: ListedContract, what_to_show: str, use_rth: bool, now: datetime
    ) -> datetime | None:
        return None

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        return MarketQuote()

    def search(self, pattern: str, now: datetime) -> list[ListedContract]:
        return []


def _simulate(pipe: Connection, contract_of: ContractOf, latency: float, limits: bool) -> None:
    """The process: tells its port, runs until the other end says so, tells what it has seen."""
    with Simulator(FlatMarket(contract_of), now=NOW, latency=latency or "none", limits=limits) as simulator:
        pipe.send(simulator.port)
        pipe.recv()
        pipe.send(simulator.counters)


@dataclass(frozen=True)
class FlatTws:
    """A simulated TWS of the flat market in a process of its own."""

    port: int
    pipe: Connection

    def stop(self) -> Snapshot:
        """End it; what it has seen."""
        self.pipe.send("stop")
        seen = self.pipe.recv()
        assert isinstance(seen, Snapshot)
        return seen


@contextmanager
def flat_tws(contract_of: ContractOf, latency: float, *, limits: bool = True) -> Iterator[FlatTws]:
    """A simulated TWS whose answers take `latency` seconds, for the time of a block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_simulate, args=(there, contract_of, latency, limits), daemon=True)
    process.start()
    try:
        yield FlatTws(here.recv(), here)
    finally:
        process.kill()
        process.join(10)
