"""Answers about contracts: details, option parameters, symbol search, market rules."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.simulator import encoding
from trading_assets.simulator.calls import NO_SECURITY, Answer, Call, World
from trading_assets.simulator.durations import closing, opening
from trading_assets.simulator.market import ListedContract
from trading_assets.simulator.request_checks import Refusal, invalid
from trading_assets.simulator.requests import ContractRequest, OptionParametersRequest, Words

SECURITY_TYPES = frozenset(
    {
        "",
        "STK",
        "OPT",
        "IND",
        "FUT",
        "FOP",
        "CASH",
        "BOND",
        "CFD",
        "WAR",
        "CMDTY",
        "FUND",
        "NEWS",
        "CRYPTO",
        "CONTFUT",
        "BAG",
    }
)
"""Security types TWS accepts; empty goes with a contract id."""

HOURS_DAYS = 6
"""Calendar days of trading hours in contract details (TWS shows about a week)."""

MARKET_RULES: dict[int, tuple[tuple[float, float], ...]] = {
    26: ((0.0, 0.01),),
    32: ((0.0, 0.01), (3.0, 0.05)),
    109: ((0.0, 0.05), (3.0, 0.1)),
    110: ((0.0, 0.05), (3.0, 0.1)),
}
"""Rule id to (from price, increment): 26 US stocks, 32 options in the penny programme, 109 and 110 other options."""

MAX_SEARCH_RESULTS = 16
"""Most rows of one symbol search (broker documentation)."""


class ContractService:
    """Contract details, option parameters, symbol search and market rules of one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def contract_details(self, call: Call[ContractRequest]) -> Answer:
        """All contracts that fit: many for a partial option contract. 200 when none does."""
        query = call.request.contract
        if query.sec_type not in SECURITY_TYPES or not (query.sec_type or query.con_id):
            raise invalid("Please enter a valid security type")
        frames = await self._world.ask(self._contract_frames, call)
        return Answer(frames, self._world.latency.contracts(len(frames) - 1))

    def _contract_frames(self, call: Call[ContractRequest]) -> list[bytes]:
        now = self._world.clock.now()
        rows = self._world.market.contracts(call.request.contract, now)
        if not rows:
            raise Refusal(200, NO_SECURITY)
        today = now.astimezone(NEW_YORK).date()
        version, req_id = call.client.version, call.req_id
        frames = [
            encoding.contract_data(version, req_id, row, trading_hours(today, row.sec_type), self._underlying(row))
            for row in rows
        ]
        return [*frames, encoding.contract_data_end(req_id)]

    def _underlying(self, row: ListedContract) -> str:
        """An option's underlying symbol is its own symbol at the broker: trading class and local symbol carry the
        rest."""
        return row.symbol if row.under_con_id else ""

    async def option_parameters(self, call: Call[OptionParametersRequest]) -> Answer:
        """One message per exchange and trading class, then the end; only the end for an underlying without options."""
        request = call.request
        if request.con_id <= 0:
            raise invalid("Invalid contract id")
        frames = await self._world.ask(self._parameter_frames, request)
        return Answer(frames, self._world.latency.light())

    def _parameter_frames(self, request: OptionParametersRequest) -> list[bytes]:
        now = self._world.clock.now()
        rows = self._world.market.option_parameters(request.symbol, request.sec_type, request.con_id, now)
        if request.exchange:
            rows = [row for row in rows if row.exchange == request.exchange]
        return [
            *(encoding.option_parameters(request.req_id, row) for row in rows),
            encoding.option_parameters_end(request.req_id),
        ]

    async def matching_symbols(self, call: Call[Words]) -> Answer:
        """Underlyings whose symbol or name begins with the pattern; a second search within a second is answered
        late."""
        world = self._world
        searches = world.meters.searches
        if searches.add(call.arrival):
            call.violation(
                "matching_symbols", f"more than one search within {world.meters.limits.matching_symbols_interval:g} s"
            )
            if world.enforced:
                await asyncio.sleep(world.meters.limits.matching_symbols_interval)
        pattern = call.request.words[0]
        found = await world.ask(world.market.search, pattern, world.clock.now()) if pattern else []
        rows = [(row, ("OPT",) if row.sec_type in ("STK", "IND") else ()) for row in found[:MAX_SEARCH_RESULTS]]
        return Answer([encoding.symbol_samples(call.client.version, call.req_id, rows)], world.latency.light())

    async def market_rule(self, call: Call[Words]) -> Answer:
        """The price increments of a rule id."""
        words = call.request.words[0]
        increments = MARKET_RULES.get(int(words)) if words.isdigit() else None
        if increments is None:
            raise invalid(f"Market rule id {words} is not known")
        return Answer([encoding.market_rule(int(words), increments)])


@lru_cache(maxsize=64)
def trading_hours(today: date, sec_type: str) -> encoding.Hours:
    """Hours of the coming days: extended and regular for stocks, regular for the rest."""
    days = calendar()
    trading, liquid = [], []
    for day in (today + timedelta(days=offset) for offset in range(HOURS_DAYS)):
        if not days.is_session(day):
            trading.append(f"{day:%Y%m%d}:CLOSED")
            liquid.append(f"{day:%Y%m%d}:CLOSED")
            continue
        for hours, use_rth in ((trading, sec_type != "STK"), (liquid, True)):
            opens, closes = (_wall(f(days, day, use_rth)) for f in (opening, closing))
            hours.append(f"{day:%Y%m%d}:{opens:%H%M}-{day:%Y%m%d}:{closes:%H%M}")
    return encoding.Hours(";".join(trading), ";".join(liquid))


def _wall(instant: datetime) -> time:
    return instant.astimezone(NEW_YORK).time()
