"""What can happen to running streams, each at the simulated TWS: health and gaps are true at every step, no update is
doubled or invented."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from trading_assets.simulator import Simulator
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.updates import Gap, GapReason
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.streaming.recording import QUICK, Recording, recording, run

Test = Callable[[Recording], Coroutine[Any, Any, None]]
Simulate = Callable[..., Simulator]

OPTION, OPTION_ID = "AAA 2024-06-21 100 C", 108
AAA = Subscription("AAA", 2)

RESUMES_SOON = replace(QUICK, resume_seconds=0.3)
"""What is silent for so long after an outage is asked for again."""


@pytest.fixture
def at_work(lake: Path, simulate: Simulate) -> Callable[..., None]:
    """Runs a test of a recorder whose streams of AAA and two options are live, and checks at the end that each update
    changed something and is the market's."""

    def work(
        test: Callable[[Recording], Coroutine[Any, Any, None]], *, wanted: Subscription = AAA, **given: Any
    ) -> None:
        tws = simulate(**given.pop("simulator", {}))

        async def whole() -> None:
            async with recording(lake, tws, wanted, **given) as one:
                await one.until(lambda: [health.state for health in one.health] == [StreamState.LIVE] * 4)
                await test(one)
            assert_true(one)

        run(whole())

    return work


def assert_true(one: Recording) -> None:
    """No update repeats the one before, none is another than the market's at that instant, no bar comes twice."""
    for con_id in {row.con_id for row in one.writer.quotes}:
        rows = [row for row in one.writer.quotes if row.con_id == con_id]
        values = [(*row[5:-3], row.open_interest) for row in rows]
        assert all(before != after for before, after in pairwise(values))
    for row in one.writer.quotes:
        if row.con_id == 1 and row.last_trade_at == row.received_at:
            assert row.last is not None
            assert round(row.last, 2) == round(100 + row.received_at.second / 100, 2)
    starts = [(bar.con_id, bar.start) for bar in one.writer.bars]
    assert len(starts) == len(set(starts))


def only_gap(one: Recording, con_id: int = 1, kind: str = "q") -> Gap:
    (gap,) = one.writer.gaps_of(con_id, kind)
    return gap


def seconds(gap: Gap) -> tuple[float, float | None]:
    """Begin and end of a gap in seconds of the market since the test's begin."""
    ended = None if gap.ended is None else (gap.ended - NOW).total_seconds()
    return (gap.began - NOW).total_seconds(), ended


def test_socket_lost(at_work: Callable[..., None]) -> None:
    """The streams are down with a gap each, connected again they are asked for under new ids."""

    async def test(one: Recording) -> None:
        await one.step()
        one.tws.drop_connections()
        await one.until(lambda: one.writer.gaps_of(1))
        assert only_gap(one).reason is GapReason.DISCONNECTED
        await one.until(lambda: [health.resubscriptions for health in one.health] == [1] * 4)
        await one.until_live("AAA", OPTION, "AAA 2024-06-21 100 P")
        assert seconds(only_gap(one)) == seconds(only_gap(one, OPTION_ID)) == (5, 5)
        await one.step(1, OPTION_ID)
        assert one.of("AAA").gaps == 1

    at_work(test)


def test_nightly_reset(at_work: Callable[..., None]) -> None:
    """While TWS refuses, the streams are down and the gap is open."""

    async def test(one: Recording) -> None:
        one.tws.faults.trigger("nightly_reset", seconds=None)
        await one.until_state("AAA", StreamState.DOWN)
        one.tws.clock.advance(60)
        assert seconds(only_gap(one)) == (0, None)
        one.tws.faults.end("nightly_reset")
        await one.until_live("AAA", OPTION)
        assert seconds(only_gap(one)) == seconds(only_gap(one, 1, "b")) == (0, 60)

    at_work(test)


def test_silent_connection(at_work: Callable[..., None]) -> None:
    """A TWS that answers nothing, not even the time, is dead: the connection is closed and made anew."""

    async def test(one: Recording) -> None:
        one.tws.faults.add(on="current_time", do="stall", seconds=3.0)
        await one.until(lambda: one.writer.gaps_of(1))
        assert only_gap(one).reason is GapReason.DISCONNECTED
        assert "stopped answering" in only_gap(one).text
        await one.until_live("AAA", OPTION)
        await one.step(1, OPTION_ID)

    at_work(test, timing=replace(QUICK, pong_seconds=1.0))


def test_standstill(at_work: Callable[..., None]) -> None:
    """While the process does not run, as on a suspended machine, nobody looks: the gap begins with its last moment, and
    each stream is asked for again, since what comes first is late."""

    async def test(one: Recording) -> None:
        await one.step()
        one.tws.clock.advance(5)
        time.sleep(1.0)  # the event loop is the recorder's: nothing of it runs
        await one.until(lambda: one.writer.gaps_of(1))
        assert only_gap(one).reason is GapReason.DISCONNECTED
        assert "stood still for 1 s" in only_gap(one).text
        await one.until(lambda: [health.resubscriptions for health in one.health] == [1] * 4)
        await one.until_live("AAA", OPTION)
        assert seconds(only_gap(one)) == seconds(only_gap(one, OPTION_ID))
        began, ended = seconds(only_gap(one))
        assert began in (0, 5) and ended == 10
        await one.step(1, OPTION_ID)
        assert one.of("AAA").gaps == 1

    at_work(test, timing=replace(QUICK, standstill_seconds=0.6))


def test_standstill_over_night(at_work: Callable[..., None]) -> None:
    """The gap is one of both sessions."""

    async def test(one: Recording) -> None:
        one.tws.clock.set(datetime(2024, 6, 4, 14, 0, tzinfo=UTC))
        time.sleep(1.0)
        await one.until(lambda: one.of("AAA").resubscriptions == 1)
        await one.until_live("AAA")
        midnight, now = datetime(2024, 6, 4, 4, 0, tzinfo=UTC), one.tws.clock.now()
        assert [(gap.session, gap.began, gap.ended) for gap in one.writer.gaps_of(1)] == [
            (date(2024, 6, 3), NOW, midnight),
            (date(2024, 6, 4), midnight, now),
        ]

    at_work(test, timing=replace(QUICK, standstill_seconds=0.6))


def test_connectivity_lost_and_kept(at_work: Callable[..., None]) -> None:
    """1100 opens the gaps; after 1102 the streams go on as they are."""

    async def test(one: Recording) -> None:
        asked = one.asked()
        one.tws.faults.trigger("connectivity_lost", seconds=None)
        await one.until_state("AAA", StreamState.DOWN)
        one.tws.clock.advance(5)
        assert one.of(OPTION).state is StreamState.DOWN
        assert (only_gap(one).reason, only_gap(one).code, seconds(only_gap(one))) == (
            GapReason.UPSTREAM_LOST, 1100, (0, None),
        )  # fmt: skip
        one.tws.faults.end("connectivity_lost")
        await one.until_live("AAA", OPTION)
        assert seconds(only_gap(one)) == (0, 5)
        await one.step(1, OPTION_ID)
        assert one.asked() == asked

    at_work(test)


def test_connectivity_kept_but_silent(at_work: Callable[..., None]) -> None:
    """What stays silent after 1102 is asked for again."""

    async def test(one: Recording) -> None:
        asked = one.asked()
        one.tws.faults.trigger("connectivity_lost", seconds=None, resume=False)
        await one.until_state("AAA", StreamState.DOWN)
        one.tws.faults.end("connectivity_lost")
        await one.until_live("AAA", OPTION)
        await one.until_state("AAA", StreamState.LIVE, "bar")
        await one.until(lambda: one.asked() == asked + 3)
        assert one.of("AAA").resubscriptions == 1
        await one.step(1, OPTION_ID)
        await one.until(lambda: one.tws.counters.open_now["lines"] == 4)

    at_work(test, timing=RESUMES_SOON)


def test_connectivity_lost_with_data(at_work: Callable[..., None]) -> None:
    """After 1101 everything is asked for again, at once."""

    async def test(one: Recording) -> None:
        asked = one.asked()
        one.tws.faults.trigger("connectivity_lost", seconds=None, data_lost=True)
        await one.until_state("AAA", StreamState.DOWN)
        one.tws.faults.end("connectivity_lost")
        await one.until_live("AAA", OPTION)
        await one.until(lambda: one.asked() == asked + 3)
        assert only_gap(one).code == 1100
        await one.step(1, OPTION_ID)

    at_work(test)


def test_farm_of_stocks_down(at_work: Callable[..., None]) -> None:
    """2103 opens gaps on that farm's streams only: the socket stays, options with updates stay live."""

    async def test(one: Recording) -> None:
        asked, connections = one.asked(), one.tws.counters.connections["started"]
        one.tws.faults.trigger("farm_down", farm="usfarm", seconds=None)
        await one.until_state("AAA", StreamState.DOWN)
        await one.step(OPTION_ID)
        assert one.of(OPTION).state is StreamState.LIVE
        gap = only_gap(one)
        assert (gap.reason, gap.code, seconds(gap)) == (GapReason.FARM_DOWN, 2103, (0, None))
        assert only_gap(one, 1, "b").reason is GapReason.FARM_DOWN
        one.tws.faults.end("farm_down")
        await one.until_live("AAA")
        assert seconds(only_gap(one)) == (0, 5)
        await one.step(1, OPTION_ID)
        assert not one.writer.gaps_of(OPTION_ID)
        assert (one.asked(), one.tws.counters.connections["started"]) == (asked, connections)

    at_work(test)


def test_farm_of_options_down_and_silent(at_work: Callable[..., None]) -> None:
    """After 2104, what stays silent is asked for again."""

    async def test(one: Recording) -> None:
        asked = one.asked()
        one.tws.faults.trigger("farm_down", farm="usopt", seconds=None, resume=False)
        await one.until_state(OPTION, StreamState.DOWN)
        one.tws.faults.end("farm_down")
        assert one.of("AAA").state is StreamState.LIVE
        await one.until_live(OPTION, "AAA 2024-06-21 100 P")
        assert one.asked() == asked + 2
        assert not one.writer.gaps_of(1)
        assert only_gap(one, OPTION_ID).reason is GapReason.FARM_DOWN
        await one.step(1, OPTION_ID)

    at_work(test, timing=RESUMES_SOON)


def test_one_farm_for_all(at_work: Callable[..., None]) -> None:
    """Options that come from the farm of stocks: down once nothing comes of them, since the farm broke."""

    async def test(one: Recording) -> None:
        one.tws.faults.trigger("farm_down", seconds=None)
        await one.until_state("AAA", StreamState.DOWN)
        one.tws.clock.advance(5)
        await one.until_state(OPTION, StreamState.DOWN)
        assert seconds(only_gap(one, OPTION_ID)) == (0, None)
        one.tws.faults.end("farm_down")
        await one.until_live("AAA", OPTION)
        assert seconds(only_gap(one, OPTION_ID)) == (0, 5)

    at_work(test, timing=RESUMES_SOON)


@pytest.mark.parametrize(("fault", "code"), [("bars_disconnected", 10182), ("bars_bust", 10225)])
def test_bars_ended_by_the_broker(at_work: Callable[..., None], fault: str, code: int) -> None:
    """That stream of bars is asked for again; quotes do not notice."""

    async def test(one: Recording) -> None:
        one.tws.faults.trigger(fault)
        await one.until(lambda: one.of("AAA", "bar").resubscriptions == 1)
        await one.step()
        await one.until_state("AAA", StreamState.LIVE, "bar")
        assert only_gap(one, 1, "b").code == code
        assert not one.writer.gaps_of(1)
        assert one.asked("realtime_bars") == 2

    at_work(test)


def test_competing_session(at_work: Callable[..., None]) -> None:
    """10197: competing, asked for again now and then, live when the other session has ended."""

    async def test(one: Recording) -> None:
        one.tws.faults.trigger("competing_session", seconds=None)
        competing = await one.until_state("AAA", StreamState.COMPETING)
        assert competing.code == 10197
        assert "Log out the other session" in competing.text
        await one.until(lambda: one.of("AAA").resubscriptions >= 2)
        assert one.of("AAA").state is one.of("AAA", "bar").state is StreamState.COMPETING
        assert one.asked("realtime_bars") == 1, "the 60 new streams of ten minutes are not used up in vain"
        one.tws.clock.advance(30)
        assert (only_gap(one).reason, seconds(only_gap(one))) == (GapReason.COMPETING, (0, None))
        one.tws.faults.end("competing_session")
        await one.until_live("AAA", OPTION)
        await one.until(lambda: one.asked("realtime_bars") == 2)
        await one.step(1, OPTION_ID)
        await one.until_state("AAA", StreamState.LIVE, "bar")
        assert seconds(only_gap(one)) == (0, 30)
        await one.until(lambda: one.tws.counters.open_now["lines"] == 4)

    at_work(test)


def test_accepted_but_silent(at_work: Callable[..., None]) -> None:
    """Stalled since the last update, asked for once more, and not again while TWS says nothing."""

    async def test(one: Recording) -> None:
        await one.step()
        one.tws.faults.trigger("mute", seconds=None)
        one.tws.clock.advance(40)
        stalled = await one.until_state("AAA", StreamState.STALLED)
        assert "regular hours" in stalled.text
        assert (only_gap(one).reason, seconds(only_gap(one))) == (GapReason.STALLED, (5, None))
        await one.until(lambda: "after it was asked for again" in one.of("AAA").text)
        assert one.of("AAA").resubscriptions == 1
        assert one.of(OPTION).state is StreamState.LIVE, "an option may be quiet"
        one.tws.faults.end("mute")
        await one.until_live("AAA")
        assert seconds(only_gap(one)) == (5, 45)
        await one.step(1, OPTION_ID)

    at_work(test, stall_seconds=0.6)


def test_silent_from_the_beginning(lake: Path, simulate: Simulate) -> None:
    """A stream that was accepted and never said anything is no live one."""
    tws = simulate()
    tws.faults.trigger("mute", seconds=None)

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA"), stall_seconds=0.6) as one:
            await one.until_state("AAA", StreamState.WAITING)
            await one.until_state("AAA", StreamState.STALLED)
            assert not one.writer.quotes
            tws.faults.end("mute")
            await one.until_live("AAA")

    run(work())


def test_an_option_that_is_never_answered(lake: Path, simulate: Simulate) -> None:
    """It is asked for once more and then named, as an underlying is; an option that was answered may be quiet."""
    tws = simulate()
    tws.faults.trigger("mute", seconds=None, contract="AAA OPT")

    async def work() -> None:
        async with recording(lake, tws, AAA, stall_seconds=0.3) as one:
            await one.until_live("AAA")
            await one.until_state(OPTION, StreamState.WAITING)
            await one.until_state(OPTION, StreamState.STALLED)
            await one.until(lambda: (one.of(OPTION).stalls, one.of(OPTION).resubscriptions) == (2, 1))
            assert "after it was asked for again" in one.of(OPTION).text
            assert only_gap(one, OPTION_ID).reason is GapReason.STALLED
            tws.faults.end("mute")
            tws.clock.advance(5)
            await one.until_live(OPTION, "AAA 2024-06-21 100 P")
            assert seconds(only_gap(one, OPTION_ID)) == (0, 5)
            again = one.of("AAA").resubscriptions + 1
            await one.until(lambda: one.of("AAA").resubscriptions == again, "as long without an update")
            assert (one.of(OPTION).resubscriptions, one.of(OPTION).state) == (1, StreamState.LIVE)

    run(work())


def test_halted_is_not_stalled(at_work: Callable[..., None]) -> None:
    async def test(one: Recording) -> None:
        one.tws.faults.trigger("halt", seconds=None)
        await one.until(lambda: one.writer.quotes[-1].halted == 1)
        asked = one.asked()
        await one.until(lambda: one.asked("current_time") >= 4, "seconds pass")
        assert (one.of("AAA").state, one.asked(), one.writer.gaps) == (StreamState.LIVE, asked, [])
        one.tws.faults.end("halt")
        one.tws.clock.advance(5)
        await one.until(lambda: [row for row in one.writer.quotes if row.con_id == 1][-1].halted == 0)

    at_work(test, stall_seconds=0.4)


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"do": "not_subscribed"}, 354, "Subscribe to the market data"),
        ({"do": "no_security"}, 200, "Check the symbol"),
        ({"do": "error", "code": 101, "text": "Max number of tickers has been reached"}, 101, "line is free"),
    ],
)
def test_refused_by_the_broker(lake: Path, simulate: Simulate, fault: dict[str, Any], code: int, words: str) -> None:
    """Refused with a sentence; the others go on, and the session of not looking is a gap."""
    tws = simulate()
    tws.faults.add(on="market_data", contract="BBB", times=1, **fault)

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA"), Subscription("BBB")) as one:
            refused = await one.until_state("BBB", StreamState.REFUSED)
            assert refused.code == code
            assert words in refused.text
            await one.until_live("AAA")
            assert only_gap(one, 2).reason is GapReason.REFUSED
            if code == 101:  # a line may be free later
                await one.until_live("BBB")
                assert only_gap(one, 2).ended == NOW

    run(work())


@pytest.mark.parametrize("announce", [True, False])
def test_delayed_data_in_a_live_lake(at_work: Callable[..., None], announce: bool) -> None:
    """The stream ends, its line is given back, nothing delayed is stored."""

    async def test(one: Recording) -> None:
        one.tws.faults.trigger("delayed", seconds=None, contract="AAA STK", announce=announce)
        one.tws.clock.advance(5)
        ended = await one.until_state("AAA", StreamState.NOT_PERMITTED)
        assert "delayed data only" in ended.text
        await one.until(lambda: one.tws.counters.open_now["lines"] == 3)
        recorded = [row for row in one.writer.quotes if row.con_id == 1]
        one.tws.faults.end("delayed")
        await one.step(OPTION_ID)
        assert [row for row in one.writer.quotes if row.con_id == 1] == recorded
        assert {row.market_data_type for row in one.writer.quotes} == {1}
        assert (only_gap(one).reason, only_gap(one).ended) == (GapReason.NOT_PERMITTED, None)

    at_work(test)


def test_account_without_live_data(lake: Path, simulate: Simulate) -> None:
    tws = simulate(live_data=False)

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 2)) as one:
            await one.until(lambda: {health.state for health in one.health if health.kind == "quote"} == {
                StreamState.REFUSED
            })  # fmt: skip
            assert one.of("AAA").code == 354
            assert not one.writer.quotes

    run(work())


def test_delayed_lake(lake: Path, simulate: Simulate) -> None:
    """Where delayed data is asked for it is recorded as such."""
    tws = simulate(live_data=False)
    (lake / "lake.json").write_text((lake / "lake.json").read_text().replace('tiny/1"', 'tiny/1/delayed"'))

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA"), market_data="delayed") as one:
            await one.until_state("AAA", StreamState.DELAYED)
            last = one.writer.quotes[-1]
            assert (round(last.last or 0, 2), last.bid_size, last.market_data_type) == (100, 300, 3)

    run(work())


def test_recorder_stopped(at_work: Callable[..., None]) -> None:
    """From its end on nobody looks: the gap says so."""
    kept: list[Recording] = []

    async def test(one: Recording) -> None:
        await one.step()
        kept.append(one)

    at_work(test)
    gap = only_gap(kept[0])
    assert (gap.reason, gap.began, gap.ended) == (GapReason.RECORDER_STOPPED, NOW + timedelta(seconds=5), None)


def test_no_tws(lake: Path, simulate: Simulate) -> None:
    """Down from the beginning, with the sentence that says what to do; live when TWS is there."""
    tws = simulate()
    tws.faults.trigger("nightly_reset", seconds=None)

    async def work() -> None:
        while not tws.counters.faults.get("nightly_reset"):
            await asyncio.sleep(0.005)
        async with recording(lake, tws, Subscription("AAA")) as one:
            down = await one.until_state("AAA", StreamState.DOWN)
            assert "nothing listens there" in down.text
            assert seconds(only_gap(one)) == (0, None)
            tws.faults.end("nightly_reset")
            await one.until_live("AAA")
            assert seconds(only_gap(one)) == (0, 0)

    run(work())


def test_a_gap_that_lasts_is_one_of_each_session(at_work: Callable[..., None]) -> None:
    """It ends at midnight in New York, and begins there in the next session."""

    async def test(one: Recording) -> None:
        one.tws.faults.trigger("connectivity_lost", seconds=None)
        await one.until_state("AAA", StreamState.DOWN)
        one.tws.clock.set(datetime(2024, 6, 4, 13, 0, tzinfo=UTC))
        await one.until(lambda: len(one.writer.gaps_of(1)) == 2)
        midnight = datetime(2024, 6, 4, 4, 0, tzinfo=UTC)
        assert [(gap.session, gap.began, gap.ended, gap.code) for gap in one.writer.gaps_of(1)] == [
            (date(2024, 6, 3), NOW, midnight, 1100),
            (date(2024, 6, 4), midnight, None, 1100),
        ]
        assert one.of("AAA").gaps == 1
        one.tws.faults.end("connectivity_lost")

    at_work(test)


def test_another_session_holds_the_bars(at_work: Callable[..., None]) -> None:
    """420 with another address is a competing session, too."""

    async def test(one: Recording) -> None:
        text = "Invalid Real-time Query:Trading TWS session is connected from a different IP address"
        one.tws.faults.trigger("stream_error", code=420, text=text, streams="bars")
        await one.until_state("AAA", StreamState.COMPETING, "bar")
        assert one.of("AAA").state is StreamState.LIVE
        await one.until(lambda: one.of("AAA", "bar").resubscriptions == 1)
        one.tws.clock.advance(5)
        await one.until_state("AAA", StreamState.LIVE, "bar")
        assert only_gap(one, 1, "b").reason is GapReason.COMPETING

    at_work(test)
