"""A recorder at the simulated TWS: what it records is what was sent, and what it says of its streams is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from trading_assets.broker.contact import broker_contact
from trading_assets.simulator import Simulator
from trading_assets.state import connect_state, metadata, write_transaction
from trading_assets.state.tables import pacing_rate, pacing_slots
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.updates import GapReason
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.streaming.recording import QUICK, recording, run, settings_of
from trading_assets_tests.streaming.test_subjects import hold

Simulate = Callable[..., Simulator]

OPTION = "AAA 2024-06-21 100 C"


def test_records_what_was_sent(lake: Path, simulate: Simulate) -> None:
    """The last update of each instant is the market's quote of it; none comes twice, none is invented."""
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 2)) as one:
            await one.until_live("AAA", OPTION)
            for _ in range(3):
                await one.step()
            await one.until(lambda: len(one.writer.bars) == 4)
        rows = [row for row in one.writer.quotes if row.con_id == 1]
        assert [row.seq for row in one.writer.quotes] == list(range(1, len(one.writer.quotes) + 1))
        states = [row[5:-2] for row in rows]
        assert all(before != after for before, after in pairwise(states))
        at = {row.received_at: row for row in rows}
        assert {time: round(row.last or 0, 2) for time, row in at.items()} == {
            NOW + timedelta(seconds=seconds): 100 + seconds / 100 for seconds in (0, 5, 10, 15)
        }
        last = rows[-1]
        assert (last.session, last.symbol, last.halted, last.market_data_type) == (date(2024, 6, 3), "AAA", 0, 1)
        assert (last.bid_size, last.ask_size, last.last_size, last.volume) == (300, 200, 100, 123456)
        option = [row for row in one.writer.quotes if row.con_id == 108][-1]
        assert (option.bid, option.ask, option.last, option.broker_delta, option.broker_theta) == (
            2.4, 2.6, None, 0.5, -0.02,
        )  # fmt: skip
        assert option.greeks_at == last.received_at
        assert [(bar.start, bar.high - bar.low, bar.count) for bar in one.writer.bars] == [
            (NOW + timedelta(seconds=seconds), 2.75, 12) for seconds in (-5, 0, 5, 10)
        ]

    run(work())


def test_no_bid_is_null(lake: Path, simulate: Simulate) -> None:
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 12)) as one:
            await one.until_live("AAA 2024-06-21 105 C")
            await one.until(lambda: any(row.con_id == 110 and row.broker_delta for row in one.writer.quotes))
        last = [row for row in one.writer.quotes if row.con_id == 110][-1]
        assert (last.bid, last.ask, last.last) == (None, 2.6, None)

    run(work())


def test_refuses_what_cannot_be_streamed_before_any_message(lake: Path, simulate: Simulate) -> None:
    """An unknown, an empty and an impossible symbol, and options of an underlying without any; the others go on."""
    tws = simulate()

    async def work() -> None:
        wanted = [Subscription("NOPE"), Subscription(""), Subscription("A/B"), Subscription("BBB", 5)]
        async with recording(lake, tws, *wanted) as one:
            await one.until_live("BBB")
            tws.drop_connections()
            await one.until(lambda: one.of("BBB").resubscriptions == 1)
            await one.until_live("BBB")
            await one.step(2)
            refused = {health.symbol: health.text for health in one.health if health.state is StreamState.REFUSED}
        assert refused.keys() == {"NOPE", "", "A/B", "BBB"}
        assert "trading-assets setup NOPE" in refused["NOPE"]
        assert "is not a US stock" in refused["A/B"]
        assert "No option of BBB is streamed" in refused["BBB"]
        assert {row.symbol for row in one.writer.quotes} == {"BBB"}
        assert {request.subject for request in tws.counters.log if request.kind == "market_data"} == {
            "2:BBB STK BBB BBB SMART"
        }

    run(work())


def test_what_nobody_wants_any_more_ends(lake: Path, simulate: Simulate) -> None:
    """Its line is given back and a gap says that nobody looks; wanted again, the gap ends."""
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA"), Subscription("BBB")) as one:
            await one.until_live("AAA", "BBB")
            one.wanted.pop()
            await one.until(lambda: [health.symbol for health in one.health] == ["AAA", "AAA"])
            await one.until(lambda: tws.counters.open_now["lines"] == 2)
            (gap,) = one.writer.gaps_of(2)
            assert (gap.reason, gap.began, gap.ended) == (GapReason.RECORDER_STOPPED, NOW, None)
            one.wanted.append(Subscription("BBB"))
            await one.until_live("BBB")
            await one.step()
            assert one.writer.gaps_of(2)[0].ended == NOW

    run(work())


def test_session_of_an_update(lake: Path, simulate: Simulate) -> None:
    """Before the open it is that day's; on a weekend the one before. No bar comes before the open."""
    tws = simulate(now=datetime(2024, 6, 1, 15, 0, tzinfo=UTC))

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA")) as one:
            await one.until_state("AAA", StreamState.FROZEN)
            assert one.writer.quotes[-1].session == date(2024, 5, 31)
            assert one.writer.quotes[-1].market_data_type == 2
            tws.clock.set(datetime(2024, 6, 3, 12, 0, tzinfo=UTC))
            await one.until(lambda: one.writer.quotes[-1].session == date(2024, 6, 3))
            assert not one.writer.bars

    run(work())


def test_a_damaged_lake_ends_no_stream(lake: Path, simulate: Simulate) -> None:
    """What runs goes on; what is new is refused with a sentence, and streamed when the lake can be read again."""
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA")) as one:
            await one.until_live("AAA")
            (file,) = (lake / "contracts").rglob("*.parquet")
            whole = file.read_bytes()
            file.write_bytes(b"torn")
            one.wanted.append(Subscription("BBB"))
            refused = await one.until_state("BBB", StreamState.REFUSED)
            assert "could not be read" in refused.text
            await one.step()
            assert one.of("AAA").state is StreamState.LIVE
            assert not one.writer.gaps
            file.write_bytes(whole)
            await one.until_live("BBB")

    run(work())


def make_tables(engine: sa.Engine) -> None:
    """Those that are missing, while the recorder writes others."""
    with write_transaction(engine) as connection:
        metadata.create_all(connection)


def test_a_failing_state_database_ends_no_stream(lake: Path, simulate: Simulate) -> None:
    """Nothing new is sent without leave; what streams is recorded, and all goes on when the database works again."""
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA")) as one:
            await one.until_live("AAA")
            engine = connect_state(settings_of(lake, tws).state_url)
            pacing_slots.drop(engine)
            pacing_rate.drop(engine)
            one.wanted.append(Subscription("BBB"))
            await one.until(lambda: "BBB" in {health.symbol for health in one.health})
            await one.step()
            assert one.of("BBB").state is StreamState.WAITING
            make_tables(engine)
            await one.until_live("BBB")
            await one.step(1, 2)

    run(work())


def test_a_failing_state_database_ends_no_quiet_connection(
    lake: Path, simulate: Simulate, caplog: pytest.LogCaptureFixture
) -> None:
    """A TWS that says nothing for a while is asked for the time, which needs leave from the database; and that TWS is
    not there is kept in it."""
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA")) as one:
            await one.until_live("AAA")
            engine = connect_state(settings_of(lake, tws).state_url)
            pacing_rate.drop(engine)
            await one.until(lambda: "no leave to ask TWS for the time" in caplog.text)
            make_tables(engine)
            broker_contact.drop(engine)
            tws.faults.trigger("nightly_reset", seconds=None)
            await one.until(lambda: "was not told that TWS cannot be reached" in caplog.text)
            tws.faults.end("nightly_reset")
            make_tables(engine)
            await one.until_live("AAA")
            await one.step()
            pacing_slots.drop(engine)
        assert "did not take the end" in caplog.text
        make_tables(engine)

    run(work())


def test_options_that_an_account_holds_since_are_streamed_too(lake: Path, simulate: Simulate) -> None:
    """Which options are streamed is looked up again now and then, not only when somebody wants something else."""
    tws = simulate()

    async def work() -> None:
        quick = replace(QUICK, reselect_seconds=0.1)
        async with recording(lake, tws, Subscription("AAA", 1), timing=quick) as one:
            await one.until_live("AAA", OPTION)
            assert len(one.health) == 3
            hold(lake, NOW, o114=-2)
            await one.until(lambda: {health.con_id for health in one.health} == {1, 108, 114})
            assert one.of(OPTION).resubscriptions == 0

    run(work())
