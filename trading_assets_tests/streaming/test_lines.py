"""Market-data lines and the limits on what is asked for: what gives way, and what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trading_assets.broker.ledger import MARKET_DATA_SLOTS, Ledger
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state
from trading_assets.state.owners import Owner
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.timing import Timing
from trading_assets.streaming.updates import GapReason
from trading_assets_tests.streaming.recording import QUICK, Recording, recording, run, settings_of

Simulate = Callable[..., Simulator]

ALL = Subscription("AAA", 12)
"""Two streams of the underlying and twelve of options."""


def live(one: Recording) -> list[str]:
    return [health.contract for health in one.health if health.state is StreamState.LIVE and health.kind == "quote"]


def test_at_most_live_lines(lake: Path, simulate: Simulate) -> None:
    """The underlying and the options nearest the money have them; the others are shed, with a gap."""
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, ALL, live_lines=6) as one:
            await one.until(lambda: len(live(one)) == 5)
            assert live(one) == [
                "AAA",
                "AAA 2024-06-21 100 C",
                "AAA 2024-06-21 100 P",
                "AAA 2024-07-19 100 C",
                "AAA 2024-07-19 100 P",
            ]
            shed = one.of("AAA 2024-06-21 95 C")
            assert (shed.state, shed.gaps) == (StreamState.SHED, 1)
            assert "TRADING_ASSETS_LIVE_LINES" in shed.text
            assert {gap.reason for gap in one.writer.gaps} == {GapReason.SHED}
            await one.step(1, 115)
        assert tws.counters.open_max["lines"] == 6

    run(work())


def test_gives_lines_to_a_process_that_asks(lake: Path, simulate: Simulate) -> None:
    """Down to the fair share, the least useful first; all come back when the other has done."""
    tws = simulate()
    settings = settings_of(lake, tws, market_data_lines=14)
    owner = Owner(connect_state(settings.state_url))
    other = Ledger(owner.engine, owner.ensure(), f"127.0.0.1:{tws.port}", settings)

    async def work() -> None:
        as_in_use = replace(QUICK, steer_seconds=Timing().steer_seconds)
        async with recording(lake, tws, ALL, timing=as_in_use, market_data_lines=14) as one:
            await one.until(lambda: len(live(one)) == 13)
            now = asyncio.get_running_loop().time  # the recorder's own clock: it runs in this loop
            asked = now()
            assert other.rebalance(MARKET_DATA_SLOTS, 0, 50) == (0, 0)
            await one.until(lambda: tws.counters.open_now["lines"] == 7)
            assert now() - asked < 2, "seconds within which lines are given back"
            await one.until(lambda: len(live(one)) == 6)
            await one.until(lambda: other.rebalance(MARKET_DATA_SLOTS, 0, 50) == (7, 7))
            assert live(one)[0] == "AAA"
            assert one.of("AAA", "bar").state is StreamState.LIVE
            shed = [health for health in one.health if health.state is StreamState.SHED]
            assert len(shed) == 7
            assert all("Another process" in health.text for health in shed)
            assert not {"AAA 2024-06-21 100 C", "AAA 2024-07-19 100 P"} & {health.contract for health in shed}
            assert tws.counters.open_now["lines"] == 7
            tws.clock.advance(10)
            other.rebalance(MARKET_DATA_SLOTS, 0, 0)
            await one.until(lambda: len(live(one)) == 13)
            await one.step(1, 110, 117)
            ended = [gap for gap in one.writer.gaps if gap.reason is GapReason.SHED and gap.ended]
            assert len(ended) == 7
            assert {(gap.ended - gap.began).seconds for gap in ended if gap.ended} == {10}

    run(work())
    owner.close()


def test_new_streams_of_bars_keep_within_the_limit(lake: Path, simulate: Simulate) -> None:
    """Counted over reconnects and recorders; what is too many waits for its turn."""
    tws = simulate()

    async def work() -> None:
        wanted = [Subscription("AAA"), Subscription("BBB")]
        async with recording(lake, tws, *wanted, small_bar_requests_in_10_min=3) as one:
            for symbol in ("AAA", "BBB"):
                await one.until_state(symbol, StreamState.LIVE, "bar")
            tws.drop_connections()
            await one.until_live("AAA", "BBB")
            await one.until_state("AAA", StreamState.LIVE, "bar")
            waiting = await one.until_state("BBB", StreamState.WAITING, "bar")
            assert "60 new streams" in waiting.text
            await one.until(lambda: one.asked("realtime_bars") == 3)  # AAA's, again
            assert one.writer.gaps_of(2, "b")[0].ended is None
        async with recording(lake, tws, *wanted, small_bar_requests_in_10_min=3) as one:
            await one.until_live("AAA", "BBB")
            await one.until(lambda: "60 new streams" in one.of("AAA", "bar").text)
        assert tws.counters.requests["realtime_bars"] == 3

    run(work())


def test_messages_keep_within_the_rate(lake: Path, simulate: Simulate) -> None:
    """Fourteen streams begun, ended and begun again; the simulator counts no violation (see `simulate`)."""
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, ALL) as one:
            await one.until(lambda: len(live(one)) == 13)
            one.wanted.clear()
            await one.until(lambda: tws.counters.open_now["lines"] == 0)
            one.wanted.append(ALL)
            await one.until(lambda: len(live(one)) == 13)

    run(work())
