"""Messages of running streams that cannot be read, over the wire: the stream they belong to lacks an update and says
so, the others do not notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from trading_assets.simulator import Simulator
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.updates import GapReason
from trading_assets_tests.rewriting import Fields, Link, Passed, Rewriting
from trading_assets_tests.streaming.recording import recording, run

TICK_PRICE, TICK_STRING, REALTIME_BAR = "1", "46", "50"


def without_last(fields: Fields) -> Fields:
    return fields[:-1]


def no_number(place: int) -> Callable[[Fields], Fields]:
    return lambda fields: [*fields[:place], "x", *fields[place + 1 :]]


@pytest.mark.parametrize(
    ("message", "spoil", "kind"),
    [
        (TICK_PRICE, without_last, "quote"),
        (TICK_PRICE, no_number(4), "quote"),
        (TICK_STRING, no_number(4), "quote"),
        (REALTIME_BAR, without_last, "bar"),
        (REALTIME_BAR, no_number(4), "bar"),
    ],
)
def test_one_message(
    lake: Path,
    simulate: Callable[..., Simulator],
    message: str,
    spoil: Callable[[Fields], Fields],
    kind: str,
) -> None:
    """The stream is asked for again, which brings the whole quote; until then it has a gap."""
    tws = simulate()
    spoiled: list[Fields] = []
    armed = False

    def on_server(fields: Fields, _: Link) -> Passed | None:
        if armed and not spoiled and fields[0] == message:
            spoiled.append(fields)
            return [spoil(fields)]
        return None

    async def work() -> None:
        nonlocal armed
        async with recording(lake, tws, Subscription("AAA"), Subscription("IDX"), ib_port=wire.port) as one:
            await one.until(lambda: [health.state for health in one.health] == [StreamState.LIVE] * 4)
            armed = True
            tws.clock.advance(5)
            await one.until(lambda: spoiled)
            await one.until(lambda: one.writer.gaps)
            con_id = one.writer.gaps[0].con_id
            (gap,) = one.writer.gaps_of(con_id, kind[0])
            assert gap.reason is GapReason.UNREADABLE
            assert "could not be read" in gap.text or "time of the last trade" in gap.text
            name = {1: "AAA", 3: "IDX"}[con_id]
            await one.until(lambda: one.of(name, kind).resubscriptions == 1)
            tws.clock.advance(5)
            await one.until_state(name, StreamState.LIVE, kind)
            assert one.writer.gaps_of(con_id, kind[0])[0].ended is not None
            assert {health.resubscriptions for health in one.health} == {0, 1}
            assert len({gap.stream_id for gap in one.writer.gaps}) == 1

    with Rewriting(tws.port, on_server=on_server) as wire:
        run(work())


def test_a_message_without_an_owner(lake: Path, simulate: Callable[..., Simulator]) -> None:
    """It may be about each stream that reads its kind: all of these are asked for again, the bars go on."""
    tws = simulate()
    armed = False

    def on_server(fields: Fields, _: Link) -> Passed | None:
        nonlocal armed
        if armed and fields[0] == TICK_PRICE:
            armed = False
            return [no_number(2)(fields)]
        return None

    async def work() -> None:
        nonlocal armed
        async with recording(lake, tws, Subscription("AAA", 1), ib_port=wire.port) as one:
            await one.until(lambda: [health.state for health in one.health] == [StreamState.LIVE] * 3)
            armed = True
            tws.clock.advance(5)
            await one.until(lambda: [health.resubscriptions for health in one.health] == [1, 0, 1])
            await one.until(lambda: [health.state for health in one.health] == [StreamState.LIVE] * 3)
            assert {gap.con_id for gap in one.writer.gaps} == {1, 108}
            assert not one.writer.gaps_of(1, "b")

    with Rewriting(tws.port, on_server=on_server) as wire:
        run(work())
