"""A recorder at work in a test: what it writes and publishes, and waiting for it. Not a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from trading_assets.broker.loop import LoopThread
from trading_assets.sessions import Clock
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.streaming.health import StreamHealth, StreamState, Subscription
from trading_assets.streaming.recorder import Recorder
from trading_assets.streaming.timing import Timing
from trading_assets.streaming.updates import BarUpdate, Gap, QuoteUpdate
from trading_assets_tests.simulator.tiny_market import NOW

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds to wait for what must happen."""

QUICK = Timing(
    wanted_seconds=0.05, publish_seconds=0.05, steer_seconds=0.05, look_again_seconds=0.2, quiet_seconds=0.3,
    retry_seconds=0.4, pong_seconds=PATIENCE, resume_seconds=PATIENCE, standstill_seconds=PATIENCE,
)  # fmt: skip
"""Looks often, and takes nothing that a busy machine does late for an outage: a test of an outage says what is one."""


@dataclass
class ListWriter:
    """Keeps what it is given in lists. `backlog` and `fault` are what a test makes them."""

    next_seq: int = 1
    backlog: int = 0
    fault: str | None = None
    quotes: list[QuoteUpdate] = field(default_factory=list)
    bars: list[BarUpdate] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    lost: list[Any] = field(default_factory=list)

    def append(
        self, quotes: Sequence[QuoteUpdate] = (), bars: Sequence[BarUpdate] = (), gaps: Sequence[Gap] = ()
    ) -> None:
        self.quotes += quotes
        self.bars += bars
        self.gaps += gaps

    def take_lost(self) -> list[Any]:
        taken, self.lost = self.lost, []
        return taken

    def gaps_of(self, con_id: int, kind: str = "q") -> list[Gap]:
        """The gaps of a stream as the store will show them: the last word on each, oldest first."""
        last = {(gap.stream_id, gap.began, gap.reason): gap for gap in self.gaps if gap.con_id == con_id}
        return [gap for gap in last.values() if f"-{kind}" in gap.stream_id]


@dataclass
class Recording:
    """A running recorder. `wanted` may be changed while it runs."""

    tws: Simulator
    writer: ListWriter
    wanted: list[Subscription]
    task: asyncio.Task[None]
    health: list[StreamHealth] = field(default_factory=list)

    def of(self, contract: str, kind: str = "quote") -> StreamHealth:
        """The health of a stream published last."""
        return next(one for one in self.health if one.contract == contract and one.kind == kind)

    async def until(self, condition: Callable[[], Any], what: str = "") -> None:
        """Wait for something that must happen."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            if self.task.done():
                self.task.result()
            try:
                if condition():
                    return
            except StopIteration:
                """The stream is not published yet."""
            assert asyncio.get_running_loop().time() < deadline, what or self.health
            await asyncio.sleep(0.01)

    async def until_state(self, contract: str, state: StreamState, kind: str = "quote") -> StreamHealth:
        """Wait until a stream is in that state."""
        await self.until(lambda: self.of(contract, kind).state is state)
        return self.of(contract, kind)

    async def step(self, *con_ids: int, seconds: int = 5) -> None:
        """Let the market move, and wait until the quotes of these contracts (AAA) at that instant are recorded."""
        self.tws.clock.advance(seconds)
        now = self.tws.clock.now()
        for con_id in con_ids or (1,):
            await self.until(
                lambda con_id=con_id: any(
                    row.con_id == con_id and row.received_at == now for row in self.writer.quotes
                ),
                f"no quote of {con_id} at {now}",
            )

    def asked(self, kind: str = "market_data") -> int:
        """How many requests of that kind TWS has seen."""
        return self.tws.counters.requests.get(kind, 0)

    async def until_live(self, *contracts: str) -> None:
        """Wait until the quotes of these are live."""
        for contract in contracts:
            await self.until_state(contract, StreamState.LIVE)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end on a loop in a thread of its own: the client library asks for "the current loop", which a test's
    worker has none of."""
    thread = LoopThread()
    try:
        return thread.submit(work).result()
    finally:
        thread.stop()


def settings_of(data_dir: Path, tws: Simulator, **changes: Any) -> Settings:
    """Settings of a recorder at a simulator of the tiny market."""
    return Settings(**{"data_dir": data_dir, "ib_port": tws.port, "now": NOW, "connect_timeout": 3.0, **changes})


@asynccontextmanager
async def recording(
    data_dir: Path,
    tws: Simulator,
    *wanted: Subscription,
    timing: Timing = QUICK,
    clock: Clock | None = None,
    writer: ListWriter | None = None,
    **changes: Any,
) -> AsyncIterator[Recording]:
    """A recorder whose clock is the simulator's unless one is given, until the block ends."""
    writer, stop, subscriptions = writer or ListWriter(), asyncio.Event(), list(wanted)
    published: list[Sequence[StreamHealth]] = []
    recorder = Recorder(
        settings_of(data_dir, tws, **changes),
        writer,
        wanted=lambda: list(subscriptions),
        publish=published.append,
        clock=clock or tws.clock.now,
        timing=timing,
    )
    running = Recording(tws, writer, subscriptions, asyncio.create_task(recorder.run(stop)))

    async def follow() -> None:
        while True:
            if published:
                running.health = list(published[-1])
                published.clear()
            await asyncio.sleep(0.005)

    following = asyncio.create_task(follow())
    try:
        yield running
        stop.set()
        await running.task
    finally:
        running.task.cancel()
        following.cancel()
        await asyncio.gather(running.task, following, return_exceptions=True)
