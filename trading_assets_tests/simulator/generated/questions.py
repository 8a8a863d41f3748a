"""Short ways to put the usual questions to a market."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from trading_assets.sessions import NEW_YORK
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import Bar, ContractQuery, ListedContract

INTRADAY = ("1 secs", "30 secs", "1 min", "2 mins", "3 mins", "5 mins", "10 mins", "15 mins", "20 mins", "30 mins",
"1 hour", "2 hours", "3 hours",
            "4 hours", "8 hours")  # fmt: skip


def new_york(day: date, hour: int = 16, minute: int = 30, second: int = 0) -> datetime:
    """An instant of a New York day, in UTC."""
    return datetime.combine(day, time(hour, minute, second), NEW_YORK).astimezone(UTC)


def underlying(market: GeneratedMarket, symbol: str, now: datetime) -> ListedContract:
    """The underlying of a symbol."""
    (found,) = market.contracts(
        ContractQuery(symbol=symbol, sec_type="IND" if symbol in ("SPX", "VIX") else "STK"), now
    )
    return found


def chain(market: GeneratedMarket, symbol: str, now: datetime, **words: str) -> list[ListedContract]:
    """Listed options of a symbol."""
    return market.contracts(ContractQuery(symbol=symbol, sec_type="OPT", **words), now)  # type: ignore[arg-type]


def day_bars(
    market: GeneratedMarket,
    contract: ListedContract,
    bar_size: str,
    day: date,
    now: datetime,
    what: str = "TRADES",
    use_rth: bool = True,
) -> list[Bar]:
    """Bars that start on a New York day."""
    return market.bars(
        contract, bar_size, what, new_york(day, 0, 0), new_york(day + timedelta(days=1), 0, 0), use_rth, now
    )


def near_the_money(contracts: list[ListedContract], spot: float, count: int) -> list[ListedContract]:
    """The `count` contracts whose strikes are nearest to the spot."""
    return sorted(contracts, key=lambda contract: (abs(contract.strike - spot), contract.local_symbol))[:count]
