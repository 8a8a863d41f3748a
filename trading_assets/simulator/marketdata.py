"""Answers about the present: quote streams and snapshots, real-time bars, option calculations."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from trading_assets.pricing import black_scholes
from trading_assets.sessions import calendar
from trading_assets.simulator import ticks
from trading_assets.simulator.calls import Answer, Call, World
from trading_assets.simulator.durations import closing
from trading_assets.simulator.faults import NAMED_ERRORS, SILENCING_ACTIONS
from trading_assets.simulator.feed import BAR_SECONDS, STEP, is_regular, slot
from trading_assets.simulator.market import Greeks, ListedContract
from trading_assets.simulator.protocol import Out, frame
from trading_assets.simulator.request_checks import Refusal, check_market_data, invalid
from trading_assets.simulator.requests import MarketData, OptionCalculation, RealTimeBars, Words
from trading_assets.simulator.streams import BarStream, QuoteStream, Streams
from trading_assets.simulator.ticks import DELAYED_DATA as DELAYED
from trading_assets.simulator.ticks import DELAYED_FROZEN_DATA as DELAYED_FROZEN
from trading_assets.simulator.ticks import FROZEN_DATA as FROZEN
from trading_assets.simulator.ticks import LIVE_DATA as LIVE

COMPETING = NAMED_ERRORS["competing_session"]


class MarketDataService:
    """Quotes and real-time bars of one world."""

    def __init__(self, world: World, streams: Streams) -> None:
        self._world = world
        self._streams = streams

    async def market_data_type(self, call: Call[Words]) -> Answer:
        """What kind of data the client wants from now on."""
        words = call.request.words[0]
        if words not in ("1", "2", "3", "4"):
            raise invalid(f"Market data type {words} rejected.")
        call.client.market_data_type = int(words)
        return Answer()

    async def market_data(self, call: Call[MarketData]) -> Answer:
        """All ticks of the present quote, then changes; a snapshot ends with its own message instead."""
        request, world = call.request, self._world
        check_market_data(request)
        self._take_line(call)
        contract = await world.ask(world.find, request.contract)
        struck = self._streams.found("quotes", call, contract)
        if "competing_session" in struck:
            raise Refusal(*COMPETING)
        kind = self._data_type(call, contract, world.live_data and "delayed" not in struck)
        delayed = kind in (DELAYED, DELAYED_FROZEN)
        form = ticks.TickForm(call.client.version, delayed, request.generic_ticks)
        unavailable = [tick for tick in request.generic_ticks if delayed and tick not in ticks.DELAYED_GENERIC_TICKS]
        if unavailable:
            call.warn(2187, f"Generic tick {','.join(unavailable)} is not allowed on delayed data")
        before = [ticks.market_data_type(call.req_id, kind), ticks.tick_req_params(call.req_id, contract.min_tick)]
        running = QuoteStream(call, contract, form, before, call.client.market_data_type, kind)

        async def snapshot() -> None:
            await asyncio.sleep(world.latency.snapshot())
            call.release()
            call.client.send(ticks.tick_snapshot_end(call.req_id))

        async def stream() -> None:
            with self._streams.running(running):
                await running.ended

        if struck & SILENCING_ACTIONS and not request.snapshot:
            return Answer([], world.latency.light(), stream)
        now = world.clock.now()
        if request.snapshot:
            quote = await world.ask(world.market.quote, contract, now)
        else:
            quote = await self._streams.first_quote(contract, now)
        frames = running.frames(replace(quote, halted=True) if "halt" in struck else quote)
        running.at = now
        return Answer(frames, world.latency.light(), snapshot if request.snapshot else stream)

    def _take_line(self, call: Call[MarketData] | Call[RealTimeBars]) -> None:
        if not call.hold(self._world.meters.lines, "lines"):
            raise Refusal(101, "Max number of tickers has been reached")

    def _data_type(self, call: Call[MarketData], contract: ListedContract, live_data: bool) -> int:
        """The market data type of the answer; refuses (354) or warns (10167) as the subscriptions demand."""
        wanted, subject = (
            call.client.market_data_type,
            f"{contract.symbol} {contract.primary_exchange or contract.exchange}/TOP/ALL",
        )
        if contract.symbol in self._world.refused:
            raise Refusal(
                354, f"Requested market data is not subscribed. Delayed market data is not available.{subject}"
            )
        regular = is_regular(self._world.clock.now())
        if wanted in (LIVE, FROZEN) and not live_data:
            raise Refusal(354, f"Requested market data is not subscribed. Delayed market data is available.{subject}")
        if wanted not in (LIVE, FROZEN) and not live_data:
            call.warn(10167, "Requested market data is not subscribed. Displaying delayed market data.")
        return ticks.data_type(wanted, regular)

    async def realtime_bars(self, call: Call[RealTimeBars]) -> Answer:
        """A bar for every five seconds of trading from now on."""
        request, world = call.request, self._world
        if request.bar_seconds != BAR_SECONDS:
            raise invalid(f"Real-time bar size {request.bar_seconds} rejected.")
        if request.what_to_show not in ("TRADES", "MIDPOINT", "BID", "ASK"):
            raise invalid(f"What to show value of {request.what_to_show} rejected.")
        if count := world.meters.realtime_bars.add(call.arrival):
            call.violation("realtime_bars", f"{count} new within {world.meters.limits.realtime_bars_window:g} s")
            if world.enforced:
                raise Refusal(420, "Invalid Real-time Query:Historical data request pacing violation")
        self._take_line(call)
        contract = await world.ask(world.find, request.contract)
        if contract.symbol in world.refused:
            raise Refusal(
                420,
                f"Invalid Real-time Query:No market data permissions for {contract.primary_exchange}"
                f" {contract.sec_type}",
            )
        if "competing_session" in self._streams.found("bars", call, contract):
            raise Refusal(*COMPETING)
        start = slot(world.clock.now()) - STEP

        async def stream() -> None:
            running = BarStream(call, contract, start)
            with self._streams.running(running):
                await running.ended

        return Answer([], world.latency.light(), stream)

    async def implied_volatility(self, call: Call[OptionCalculation]) -> Answer:
        """The volatility at which the option is worth the given price, at the given underlying price."""
        return await self._calculate(call, from_price=True)

    async def option_price(self, call: Call[OptionCalculation]) -> Answer:
        """The option's price at the given volatility and underlying price."""
        return await self._calculate(call, from_price=False)

    async def _calculate(self, call: Call[OptionCalculation], *, from_price: bool) -> Answer:
        contract = await self._world.ask(self._world.find, call.request.contract)
        if contract.sec_type not in ("OPT", "FOP") or contract.expiry is None:
            raise invalid("Please enter an option contract")
        greeks = await self._world.ask(self._greeks, call.request, contract, from_price)
        fields = ticks.computation(greeks)
        return Answer(
            [frame(Out.TICK_OPTION_COMPUTATION, call.req_id, ticks.CUSTOM_COMPUTATION, *fields)],
            self._world.latency.light(),
        )

    def _greeks(self, request: OptionCalculation, contract: ListedContract, from_price: bool) -> Greeks:
        """Black-Scholes without rate and dividends. Runs in the worker."""
        assert contract.expiry is not None
        expires = closing(calendar(), calendar().on_or_before(contract.expiry), use_rth=True)
        years = (expires - self._world.clock.now()).total_seconds() / (black_scholes.DAYS_A_YEAR * 86400)
        spot, terms = request.under_price, (contract.strike, years)
        volatility = (
            black_scholes.implied_volatility(request.value, spot, *terms, contract.right)
            if from_price
            else request.value
        )
        if not volatility > 0 or years <= 0 or spot <= 0:
            return Greeks(underlying_price=spot)
        model = (spot, *terms, volatility, contract.right)
        return Greeks(
            implied_volatility=volatility,
            delta=black_scholes.delta(*model),
            price=black_scholes.price(*model),
            pv_dividend=0.0,
            gamma=black_scholes.gamma(*model),
            vega=black_scholes.vega(*model),
            theta=black_scholes.theta(*model),
            underlying_price=spot,
        )
