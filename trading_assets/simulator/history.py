"""Answers about the past: bars, live-updated bars, schedules, head timestamps and historical ticks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.simulator import encoding
from trading_assets.simulator.calls import Answer, Call, Ticker, World
from trading_assets.simulator.durations import BAR_SECONDS, SMALL_SECONDS, Span, closing, last_begun, opening, span_of
from trading_assets.simulator.market import Bar, ContractQuery, ListedContract
from trading_assets.simulator.request_checks import (
    BAD_END_DATE,
    HISTORY_ERROR,
    MARKET_SHOWS,
    MISSING_ZONE_WARNING,
    Refusal,
    ValidHistory,
    check_history,
    history_refusal,
    invalid,
    no_data,
    not_processed,
)
from trading_assets.simulator.requests import HeadTimestamp, HistoricalData, HistoricalTicks
from trading_assets.simulator.timetext import InvalidDate, parse_end

UPDATE_SECONDS = 5.0
"""How often a `keepUpToDate` request is updated (broker documentation)."""
LEAST_UPDATE_SECONDS = 0.25
"""Real seconds between two updates of a fast clock at the least."""

MAX_BARS = 300_000
"""Longest answer. TWS lets requests far beyond a year of minutes run into its own timeout; so does the simulator, at
once."""

MAX_TICKS = 1000
"""Most historical ticks of one request (broker documentation)."""

NO_DAILY_OPTION_BARS = (
    "No data of type EODChart is available for the exchange 'BEST' and the security type 'Option' and '1 d' and '1 day'"
)

REGULAR_HOURS_ONLY = frozenset({"OPT", "FOP", "IND", "CASH"})
"""Security types whose history TWS always gives for regular hours."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a historical request found, in the market's form and as the frame that answers it."""

    contract: ListedContract
    valid: ValidHistory
    use_rth: bool
    form: encoding.BarForm
    bars: list[Bar]
    frame: bytes


class HistoryService:
    """Historical answers of one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def historical_data(self, call: Call[HistoricalData]) -> Answer:
        """Bars or a schedule. Refusals come in the gateway's order: validation, open requests, pacing, contract,
        permission, data."""
        request, world = call.request, self._world
        valid = check_history(request)
        if valid.zone_missing:
            call.warn(2174, MISSING_ZONE_WARNING)
        self._take_slot(call)
        if BAR_SECONDS[valid.bar_size] <= SMALL_SECONDS:
            self._pace(call, request.what_to_show)
        moves = world.clock.moves
        found = await world.ask(self._look_up, call, valid)
        stream = None
        if request.keep_up_to_date and found.bars:

            async def stream() -> None:
                interval = max(UPDATE_SECONDS / max(world.clock.speed, 1.0), LEAST_UPDATE_SECONDS)
                with Ticker(world.clock, interval, moves) as ticker:
                    await self._keep_up_to_date(call, found, ticker)

        return Answer([found.frame], world.latency.bars(len(found.bars)), stream)

    def _look_up(self, call: Call[HistoricalData], valid: ValidHistory) -> _Found:
        """Contract, permission, bars and their frame, in one visit to the worker."""
        request, now = call.request, self._world.clock.now()
        contract = self._contract(request.contract)
        use_rth = request.use_rth or contract.sec_type in REGULAR_HOURS_ONLY
        # an end still to come means now
        span = span_of(valid.duration, min(valid.end or now, now), use_rth, valid.bar_size)
        form = encoding.BarForm(call.client.version, valid.daily, valid.epoch, contract.time_zone_id)
        if valid.what_to_show == "SCHEDULE":
            return _Found(contract, valid, use_rth, form, [], self._schedule(call, contract, span, use_rth))
        self._refuse_what_does_not_exist(contract, valid, span)
        bars = self._bars(contract, valid, span, use_rth, now)
        if not bars:
            raise no_data(contract.local_symbol or contract.symbol, valid.what_to_show)
        return _Found(
            contract,
            valid,
            use_rth,
            form,
            bars,
            encoding.historical_data(form, call.req_id, span.start, span.end, bars),
        )

    def _take_slot(self, call: Call[HistoricalData] | Call[HeadTimestamp]) -> None:
        if not call.hold(self._world.meters.history, "history"):
            raise not_processed(
                f"Only {self._world.meters.limits.open_history} simultaneous API historical data requests allowed"
            )

    def _pace(self, call: Call[HistoricalData] | Call[HeadTimestamp], what_to_show: str) -> None:
        request = call.request
        contract_tick = f"{request.subject}/{what_to_show}"
        question = f"{request.kind}|{request.subject}|{request.detail}"
        broken = self._world.meters.small_bars.add(
            call.arrival, contract_tick, question, 2 if what_to_show == "BID_ASK" else 1
        )
        if broken:
            call.violation("small_bars", broken)
            if self._world.enforced:
                raise history_refusal("Historical data request pacing violation")

    def _contract(self, query: ContractQuery) -> ListedContract:
        """The contract that a query means, if the account may see its history. Runs in the worker."""
        contract = self._world.find(query)
        if contract.symbol in self._world.refused:
            exchange = "ISLAND" if contract.sec_type == "STK" else contract.exchange
            raise history_refusal(f"No market data permissions for {exchange} {contract.sec_type}.")
        return contract

    def _refuse_what_does_not_exist(self, contract: ListedContract, valid: ValidHistory, span: Span) -> None:
        if valid.daily and contract.sec_type in ("OPT", "FOP"):
            raise history_refusal(NO_DAILY_OPTION_BARS)
        if valid.what_to_show not in MARKET_SHOWS:
            raise no_data(contract.local_symbol or contract.symbol, valid.what_to_show)
        # a calendar day holds at most 16 hours of trading
        most = (span.end - span.start).total_seconds() * 16 / 24 * 5 / 7 / BAR_SECONDS[valid.bar_size]
        if not valid.daily and most > MAX_BARS:
            raise history_refusal("Request Timed Out")

    def _bars(
        self, contract: ListedContract, valid: ValidHistory, span: Span, use_rth: bool, now: datetime
    ) -> list[Bar]:
        """The market's bars in the form of the wire. Runs in the worker."""
        bars = self._world.market.bars(contract, valid.bar_size, valid.what_to_show, span.start, span.end, use_rth, now)
        if valid.what_to_show not in ("TRADES", "ADJUSTED_LAST"):
            return [replace(bar, volume=-1, wap=-1, count=-1) for bar in bars]
        if self._world.volume_unit == "round_lots" and contract.sec_type == "STK":
            return [replace(bar, volume=bar.volume / 100) for bar in bars]
        return bars

    async def _keep_up_to_date(self, call: Call[HistoricalData], found: _Found, ticker: Ticker) -> None:
        world, last = self._world, found.bars[-1]
        while True:
            await ticker.next()
            await world.connected.wait()
            now = world.clock.now()
            bars = await world.ask(self._bars, found.contract, found.valid, Span(last.start, now), found.use_rth, now)
            for bar in bars:
                if bar != last:
                    call.client.send(encoding.historical_data_update(found.form, call.req_id, bar))
            last = bars[-1] if bars else last

    def _schedule(self, call: Call[HistoricalData], contract: ListedContract, span: Span, use_rth: bool) -> bytes:
        days = calendar()
        last = last_begun(days, span.end, use_rth)
        first = span.start.astimezone(NEW_YORK).date()
        sessions = days.sessions(first, last) if last else []
        rows = [(opening(days, day, use_rth), closing(days, day, use_rth), f"{day:%Y%m%d}") for day in sessions]
        start, end = (rows[0][0], rows[-1][1]) if rows else (span.start, span.end)
        return encoding.historical_schedule(call.req_id, start, end, contract.time_zone_id, rows)

    async def head_timestamp(self, call: Call[HeadTimestamp]) -> Answer:
        """The start of the oldest bar; the request keeps its slot until it is cancelled."""
        request, world = call.request, self._world
        if request.what_to_show not in MARKET_SHOWS:
            raise invalid(f"What to show value of {request.what_to_show} rejected.")
        if request.format_date not in (1, 2):
            raise invalid(f"Date formatting selection of {request.format_date} rejected.")
        self._take_slot(call)
        self._pace(call, request.what_to_show)
        head = await world.ask(self._head, request)

        async def until_cancelled() -> None:
            await asyncio.Event().wait()

        frames = [encoding.head_timestamp(call.req_id, head, request.format_date == 2)]
        return Answer(frames, world.latency.bars(1), until_cancelled)

    def _head(self, request: HeadTimestamp) -> datetime:
        contract, market = self._contract(request.contract), self._world.market
        head = market.head_timestamp(contract, request.what_to_show, request.use_rth, self._world.clock.now())
        if head is None:
            raise history_refusal("No head time stamp")
        return head

    async def historical_ticks(self, call: Call[HistoricalTicks]) -> Answer:
        """Ticks made of one-minute bars: the first after `start`, or the last before `end`."""
        request, world = call.request, self._world
        try:
            (start, _), (end, _) = parse_end(request.start.strip()), parse_end(request.end.strip())
        except InvalidDate:
            raise Refusal(10314, BAD_END_DATE) from None
        if (start is None) == (end is None):
            raise invalid("Please specify one of start or end time")
        if not 1 <= request.count <= MAX_TICKS:
            raise invalid(f"Number of ticks must be between 1 and {MAX_TICKS}")
        if request.what_to_show not in ("TRADES", "BID_ASK", "MIDPOINT"):
            raise invalid(f"What to show value of {request.what_to_show} rejected.")
        bars = await world.ask(self._minutes, request, start, end)
        frames = [encoding.historical_ticks(call.client.version, call.req_id, request.what_to_show, bars)]
        return Answer(frames, world.latency.bars(len(bars)))

    def _ticks_contract(self, query: ContractQuery) -> ListedContract:
        try:
            return self._contract(query)
        except Refusal as refusal:
            if refusal.code != 162:
                raise
            reason = refusal.text.removeprefix(HISTORY_ERROR)
            raise Refusal(10187, f"Failed to request historical ticks:{reason}") from None

    def _minutes(self, request: HistoricalTicks, start: datetime | None, end: datetime | None) -> Sequence[Bar]:
        """Up to `count` minutes in order, looked for some sessions at most. Runs in the worker."""
        contract, now = self._ticks_contract(request.contract), self._world.clock.now()
        reach = timedelta(days=3 + request.count // 200)
        if start is not None:
            window = (start, min(now, start + reach))
        else:
            assert end is not None
            window = (end - reach, min(now, end))
        bars = self._world.market.bars(contract, "1 min", request.what_to_show, *window, request.use_rth, now)
        return bars[: request.count] if start is not None else bars[-request.count :]
