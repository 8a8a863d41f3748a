"""Where the platform's clock is pinned and the market's time goes on, what is recorded carries the market's time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from trading_assets.simulator import Simulator
from trading_assets.streaming.health import Subscription
from trading_assets.streaming.replay_clock import ReplayClock
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.streaming.recording import recording, run


def test_the_newest_instant_is_the_present() -> None:
    clock = ReplayClock(NOW)
    clock.has_passed(NOW - timedelta(seconds=5))
    assert clock() == NOW
    clock.has_passed(NOW + timedelta(seconds=5, milliseconds=500))
    clock.is_now(int(NOW.timestamp()) + 5)
    assert clock() == NOW + timedelta(seconds=5, milliseconds=500), "TWS says whole seconds"
    clock.is_now(int(NOW.timestamp()) - 60)
    assert clock() == NOW - timedelta(seconds=60), "a replay that was set back"


def test_rows_carry_the_time_of_the_market(lake: Path, simulate: Callable[..., Simulator]) -> None:
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA"), clock=ReplayClock(NOW)) as one:
            await one.until_live("AAA")
            tws.clock.run(60)
            await one.until(lambda: len(one.writer.bars) > 8)
            at = {row.last_trade_at: row.received_at for row in one.writer.quotes if row.last_trade_at}
            assert len(at) > 3
            assert all(timedelta(0) <= received - traded < timedelta(minutes=1) for traded, received in at.items())
            assert all(bar.received_at >= bar.start + timedelta(seconds=5) for bar in one.writer.bars)

    run(work())
