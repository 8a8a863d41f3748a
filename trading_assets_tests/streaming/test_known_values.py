"""What is known of a contract: what its subscription has brought in this session. What was known before is not shown as
new, whatever TWS leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from trading_assets.simulator import Simulator
from trading_assets.simulator.market import ListedContract, MarketQuote
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.updates import QuoteUpdate
from trading_assets_tests.simulator.tiny_market import TinyMarket
from trading_assets_tests.streaming.recording import QUICK, Recording, recording, run
from trading_assets_tests.streaming.test_recorder import OPTION

Simulate = Callable[..., Simulator]

SOON = replace(QUICK, image_seconds=0.2)


class Altered(TinyMarket):
    """The tiny market, whose quotes are altered by a function."""

    def __init__(self) -> None:
        self.alter: Callable[[ListedContract, MarketQuote], MarketQuote] = lambda _, quote: quote

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        return self.alter(contract, super().quote(contract, now))


def without_trade(contract: ListedContract, quote: MarketQuote) -> MarketQuote:
    """Neither the last trade nor the ask of a stock, no model of an option."""
    if contract.sec_type == "OPT":
        return replace(quote, greeks={})
    return replace(quote, last=None, last_size=None, last_time=None, ask=None, ask_size=None)


def newest(one: Recording, con_id: int) -> QuoteUpdate:
    return [row for row in one.writer.quotes if row.con_id == con_id][-1]


def test_after_a_reconnect_only_what_came_again_is_known(lake: Path, simulate: Simulate) -> None:
    """Also where nothing else changed; what came again as it was is no update."""
    market = Altered()
    tws = simulate(market)

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 1), timing=SOON) as one:
            await one.until_live("AAA", OPTION)
            await one.until(lambda: newest(one, 108).broker_delta and newest(one, 1).last_trade_at)
            whole = [newest(one, 1), newest(one, 108)]
            count = len(one.writer.quotes)
            tws.drop_connections()
            await one.until(lambda: [health.resubscriptions for health in one.health] == [1, 1, 1])
            await one.until_live("AAA", OPTION)
            await one.step()
            assert {row.con_id for row in one.writer.quotes[count:]} == {1, 108}, "the underlying's price moved"
            market.alter = without_trade
            tws.drop_connections()
            await one.until(lambda: [health.resubscriptions for health in one.health] == [2, 2, 2])
            await one.until_live("AAA", OPTION)
            await one.until(lambda: newest(one, 1).ask is None and newest(one, 108).broker_delta is None)
            share, option = newest(one, 1), newest(one, 108)
            assert (share.last, share.last_size, share.last_trade_at, share.ask) == (None, None, None, None)
            assert (share.bid_size, share.volume, share.halted) == (whole[0].bid_size, whole[0].volume, 0)
            assert (option.bid, option.ask, option.open_interest) == (2.4, 2.6, whole[1].open_interest)
            assert (option.underlying_price, option.greeks_at) == (None, None)

    run(work())


def test_the_same_quote_after_a_reconnect_is_no_update(lake: Path, simulate: Simulate) -> None:
    tws = simulate()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 1), timing=SOON) as one:
            await one.until_live("AAA", OPTION)
            await one.until(lambda: newest(one, 108).open_interest and newest(one, 1).halted == 0)
            recorded = list(one.writer.quotes)
            tws.drop_connections()
            await one.until(lambda: [health.resubscriptions for health in one.health] == [1, 1, 1])
            await one.until_live("AAA", OPTION)
            asked = one.asked("current_time")
            await one.until(lambda: one.asked("current_time") > asked, "a while passes")
            assert one.writer.quotes == recorded

    run(work())


def test_a_new_session_begins_with_what_it_brings(lake: Path, simulate: Simulate) -> None:
    """At midnight in New York each quote is asked for anew: the last trade of the evening is none of the new day."""
    market = Altered()
    tws = simulate(market, now=datetime(2024, 6, 4, 3, 59, 50, tzinfo=UTC))

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 1), timing=SOON) as one:
            for contract in ("AAA", OPTION):
                await one.until_state(contract, StreamState.FROZEN)
            await one.until(lambda: newest(one, 1).last_trade_at and newest(one, 108).broker_delta)
            market.alter = without_trade
            tws.clock.set(datetime(2024, 6, 4, 14, 0, tzinfo=UTC))
            await one.until_live("AAA", OPTION)
            await one.until(lambda: [health.resubscriptions for health in one.health] == [1, 0, 1], "bars go on")
            await one.until(lambda: newest(one, 1).last is None and newest(one, 108).broker_delta is None)
            share = newest(one, 1)
            assert (share.session, share.market_data_type, share.bid_size) == (date(2024, 6, 4), 1, 300)
            assert all(row.last is None for row in one.writer.quotes if row.session == share.session)
            assert not [gap for gap in one.writer.gaps if gap.ended is None]

    run(work())
