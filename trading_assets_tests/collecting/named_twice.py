"""A market whose option parameters and contract details name the same things differently, and that refuses a request
which gives anything beside a contract id."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import ContractQuery, ListedContract, MarketRefusal, OptionParameters

Naming = Callable[[ListedContract], ListedContract]


def saturday(contract: ListedContract) -> ListedContract:
    """The last trading day is the Saturday after the Friday that the parameters name."""
    day = date(int(contract.last_trade[:4]), int(contract.last_trade[4:6]), int(contract.last_trade[6:]))
    return replace(contract, last_trade=f"{day + timedelta(days=1):%Y%m%d}") if day.weekday() == 4 else contract


def in_other_words(contract: ListedContract) -> ListedContract:
    """Symbol, class, right, multiplier, exchange and the form of the day."""
    return replace(
        contract,
        symbol="BRK.B",
        trading_class="BRK B",
        right="CALL" if contract.right == "C" else "PUT",
        multiplier="100.0",
        exchange="CBOE",
        last_trade=f"{contract.last_trade} 15:00:00 US/Central",
    )


def month_alone(contract: ListedContract) -> ListedContract:
    """The last trading day is a month."""
    return replace(contract, last_trade=contract.last_trade[:6])


NAMINGS: dict[str, Naming] = {"AAPL": saturday, "BRK B": in_other_words, "IBM": month_alone}


class NamedTwice(GeneratedMarket):
    """The generated market with the names of `NAMINGS`, and option parameters that name AM-settled classes of SPX by
    their expiry, a day after the last trading day of the details."""

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        if query.con_id:
            alone = ContractQuery(query.con_id, exchange=query.exchange)
            if query != alone:
                raise MarketRefusal(
                    478, f"Parameters in request conflicts with contract parameters received by contract id: {query}"
                )
            return super().contracts(alone, now)
        found = super().contracts(query, now)
        if query.sec_type != "OPT":
            return [
                replace(c, symbol="BRK.B", primary_exchange="NYSE.NYSE") if c.symbol == "BRK B" else c for c in found
            ]
        if query.symbol == "SPX":
            return [c for c in found if c.trading_class != "SPX"] + self._morning(query, now)
        return [NAMINGS[query.symbol](contract) for contract in found]

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        found = super().option_parameters(symbol, sec_type, con_id, now)
        return [
            replace(one, expirations=tuple(self._day_after(day) for day in one.expirations))
            if one.trading_class == "SPX"
            else one
            for one in found
        ]

    def _morning(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        """The AM-settled contracts that expire on the day asked for."""
        asked = date(int(query.last_trade[:4]), int(query.last_trade[4:6]), int(query.last_trade[6:]))
        before = f"{asked - timedelta(days=1):%Y%m%d}"
        return [c for c in super().contracts(replace(query, last_trade=before), now) if c.trading_class == "SPX"]

    @staticmethod
    def _day_after(day: str) -> str:
        return f"{date(int(day[:4]), int(day[4:6]), int(day[6:])) + timedelta(days=1):%Y%m%d}"
