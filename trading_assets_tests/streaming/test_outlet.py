"""The way from the recorder to the writer: what a slow writer and a full disk do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from trading_assets.simulator import Simulator
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.outlet import Outlet
from trading_assets.streaming.store.losses import Losses
from trading_assets.streaming.updates import GapReason
from trading_assets_tests.coroutines import run_coroutine
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.streaming.live_rows import START, STEP, bar, quote
from trading_assets_tests.streaming.recording import ListWriter, recording, run

Simulate = Callable[..., Simulator]


def test_a_slow_writer_gets_the_newest_state_of_each_contract() -> None:
    """From the limit on until half of it is written; what was dropped is a gap of its stream."""

    async def work() -> None:
        writer = ListWriter()
        outlet = Outlet(writer, most_waiting=10)
        outlet.quote(quote(0))
        outlet.close()
        assert outlet.lag() == 0
        writer.backlog = 11
        assert outlet.lag() > 0
        for seq in (1, 2, 3):
            outlet.quote(quote(seq, con_id=1000 + seq % 2))
        outlet.bar(bar(1))
        await asyncio.sleep(0)
        assert "More than 10 updates wait" in outlet.trouble
        assert [row.seq for row in writer.quotes] == [0]
        assert {(gap.stream_id, gap.reason, gap.ended) for gap in writer.gaps} == {
            ("stream-1000", GapReason.OVERLOAD, None),
            ("stream-1001", GapReason.OVERLOAD, None),
            ("bars-1000", GapReason.OVERLOAD, None),
        }
        writer.backlog = 6
        outlet.look()
        assert [row.seq for row in writer.quotes] == [0], "half of the limit is not written yet"
        writer.backlog = 5
        outlet.quote(quote(4))
        await asyncio.sleep(0)
        assert [row.seq for row in writer.quotes] == [0, 2, 3, 4]
        assert not writer.bars
        ended = {gap.stream_id: (gap.began, gap.ended) for gap in writer.gaps if gap.ended}
        assert ended["stream-1001"] == (START + STEP, START + 3 * STEP)
        assert (outlet.trouble, outlet.dropped) == ("", 4)

    run_coroutine(work())


def test_disk_full(lake: Path, simulate: Simulate) -> None:
    """What the writer lost is a gap of each stream, from the first to the last lost update; streaming goes on."""
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 1)) as one:
            await one.until_live("AAA")
            await one.step(1, 108)
            losses, text = Losses(), "Live data cannot be written: No space left on device."
            for _ in range(2):
                await one.step(1, 108)
                losses.add([row for row in one.writer.quotes if row.received_at == tws.clock.now()], text)
                one.writer.fault = text
                one.writer.lost = losses.take()
                await one.until(lambda: one.of("AAA").unrecorded == text)
            health = one.of("AAA")
            assert (health.state, health.gaps) == (StreamState.LIVE, 1)
            (gap,) = one.writer.gaps_of(1)
            assert (gap.reason, gap.text, (gap.began - NOW).seconds, gap.ended) == (
                GapReason.NOT_RECORDED, text, 10, None,
            )  # fmt: skip
            one.writer.fault = None
            await one.until(lambda: one.writer.gaps_of(1)[0].ended)
            assert [(one.writer.gaps_of(con_id)[0].ended - NOW).seconds for con_id in (1, 108)] == [15, 15]  # type: ignore[operator]
            await one.until(lambda: not one.of("AAA").unrecorded)
            await one.step(1, 108)

    run(work())
