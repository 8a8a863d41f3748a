"""What running streams ask a market: many quotes at once, and five-second bars without holes.

Every method runs in the market's worker thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from trading_assets.sessions import calendar
from trading_assets.simulator.durations import closing, opening
from trading_assets.simulator.market import Bar, ListedContract, Market, MarketQuote, StreamingMarket

BAR_SECONDS = 5
"""The only bar size of real-time bars."""
STEP = timedelta(seconds=BAR_SECONDS)


class Feed:
    """A market as running streams see it; a market that is no `StreamingMarket` is asked contract by contract."""

    def __init__(self, market: Market) -> None:
        self._market = market
        streaming = market if isinstance(market, StreamingMarket) else None
        self._quotes = streaming if _goes_with(market, "quotes", "quote") else None
        self._bars = streaming if _goes_with(market, "five_second_bars", "bars") else None

    def quotes(self, contracts: Sequence[ListedContract], now: datetime) -> list[MarketQuote]:
        """The quotes of some contracts at `now`, in their order."""
        if self._quotes is not None:
            return self._quotes.quotes(contracts, now)
        return [self._market.quote(contract, now) for contract in contracts]

    def changes(self, after: datetime, until: datetime) -> list[datetime]:
        """The instants in (`after`, `until`] at which streams have to look; `until` is the last of them."""
        found = self._quotes.quote_changes(after, until) if self._quotes is not None else []
        return found if found and found[-1] == until else [*found, until]

    def bars(
        self, contract: ListedContract, what_to_show: str, start: datetime, end: datetime, use_rth: bool,
        now: datetime, price: float | None = None, halted: bool = False,
    ) -> list[Bar]:  # fmt: skip
        """A bar for each five seconds of trading in [`start`, `end`).

        Where nothing traded it is flat at the price before, with volume 0 (-1 for quotes), and so are all while the
        contract is `halted`. `price` is the one before `start`, None to look it up. Empty while there is no price.
        """
        regular = use_rth or contract.sec_type != "STK"
        if halted:
            found: list[Bar] = []
        elif self._bars is not None:
            found = self._bars.five_second_bars(contract, what_to_show, start, end, regular, now)
        else:
            found = self._market.bars(contract, f"{BAR_SECONDS} secs", what_to_show, start, end, regular, now)
        if what_to_show != "TRADES":
            found = [replace(bar, volume=-1, wap=-1, count=-1) for bar in found]
        return self._without_holes(contract, what_to_show, found, start, end, regular, price)

    def _without_holes(
        self, contract: ListedContract, what_to_show: str, found: list[Bar], start: datetime, end: datetime,
        use_rth: bool, price: float | None = None,
    ) -> list[Bar]:  # fmt: skip
        by_start = {bar.start: bar for bar in found}
        days, bars = calendar(), []
        flat = -1 if what_to_show != "TRADES" else 0
        while start < end:
            session = days.current(start)
            if opening(days, session, use_rth) <= start < closing(days, session, use_rth):
                bar = by_start.get(start)
                if bar is None and price is None:
                    price = self._price(contract, what_to_show, start + STEP)
                if bar is None and price is not None:
                    bar = Bar(start, session, price, price, price, price, flat, price if not flat else -1, flat)
                if bar is not None:
                    bars.append(bar)
                    price = bar.close
            start += STEP
        return bars

    def _price(self, contract: ListedContract, what_to_show: str, now: datetime) -> float | None:
        quote = self._market.quote(contract, now)
        if what_to_show == "MIDPOINT":
            return (quote.bid + quote.ask) / 2 if quote.bid is not None and quote.ask is not None else None
        return {"BID": quote.bid, "ASK": quote.ask}.get(what_to_show, quote.last)


def _goes_with(market: Market, several: str, one: str) -> bool:
    """Whether a market's answer for several contracts goes with that for one: a subclass that changes the latter alone
    means both."""

    def home(name: str) -> type:
        return next((kind for kind in type(market).__mro__ if name in vars(kind)), object)

    return issubclass(home(several), home(one))


def slot(now: datetime) -> datetime:
    """The last five-second mark not after `now`."""
    seconds = int(now.timestamp())
    return datetime.fromtimestamp(seconds - seconds % BAR_SECONDS, UTC)


def is_regular(now: datetime) -> bool:
    """Whether regular trading is on."""
    days = calendar()
    session = days.current(now)
    return opening(days, session, use_rth=True) <= now < closing(days, session, use_rth=True)
