"""Recorded sessions as running streams show them: the minutes replayed while the session is open.

`Quotes` answers what was complete at an instant; a stream has to show the minute in progress too, so that what it
showed is what was recorded (see `tapes`). Contracts without minutes of the session, and all of them outside regular
hours, stand as `Quotes` says, minute by minute.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np

from trading_assets.simulator.market import Bar, ListedContract, MarketQuote
from trading_assets.simulator.recorded import candles as c
from trading_assets.simulator.recorded.archive import Archive
from trading_assets.simulator.recorded.grid import grid
from trading_assets.simulator.recorded.quotes import years_left
from trading_assets.simulator.recorded.recorded_files import Rows
from trading_assets.simulator.recorded.tapes import OFFSETS, QuoteTape, TradeTape, quote_tape, trade_tape
from trading_assets.simulator.sides import greeks_by_side

_MOST_CHANGES = 960
"""Changes named at once: four hours of a clock that ran ahead."""
_KEPT = 4000
"""Tapes and session states kept, some 50 kB each."""
_BAR = 5

K = TypeVar("K")
V = TypeVar("V")
Quote = Callable[[ListedContract, datetime], MarketQuote]
Key = tuple[str, str, int]


class Replay:
    """Streams of one recorded market. `quote` is the market's answer about what is complete."""

    def __init__(self, archive: Archive, quote: Quote, underlying: Callable[[str], ListedContract]) -> None:
        self._archive, self._quote, self._underlying = archive, quote, underlying
        self._quotes: dict[Key, QuoteTape | None] = {}
        self._trades: dict[Key, TradeTape] = {}
        self._standing: dict[tuple[Key, int], MarketQuote] = {}

    def changes(self, after: datetime, until: datetime) -> list[datetime]:
        """The moments in (`after`, `until`] at which replayed quotes change."""
        first, last = after.timestamp(), until.timestamp()
        session = grid().current(last)
        first = max(first, float(grid().opens[session]) - 1)
        minute = int(first) // c.MINUTE * c.MINUTE
        found = [
            start + offset
            for start in range(minute, int(min(last, float(grid().closes[session]))) + 1, c.MINUTE)
            for offset in OFFSETS
            if first < start + offset <= last
        ]
        return [datetime.fromtimestamp(instant, UTC) for instant in found[-_MOST_CHANGES:]]

    def quotes(self, contracts: Sequence[ListedContract], now: datetime) -> list[MarketQuote]:
        """The states that streams show at `now`."""
        found = [self._shown(contract, now) for contract in contracts]
        options: dict[str, list[int]] = {}
        for place, (contract, (_, replayed)) in enumerate(zip(contracts, found, strict=True)):
            if replayed and contract.sec_type == "OPT":
                options.setdefault(contract.symbol, []).append(place)
        quotes = [quote for quote, _ in found]
        for symbol, places in options.items():
            shown = self._with_greeks(
                symbol, [contracts[place] for place in places], [quotes[place] for place in places], now
            )
            for place, quote in zip(places, shown, strict=True):
                quotes[place] = quote
        return quotes

    def five_second_bars(
        self, contract: ListedContract, what_to_show: str, start: datetime, end: datetime, use_rth: bool
    ) -> list[Bar]:
        """The five seconds in [`start`, `end`) in which something happened. Average price and count: -1."""
        dates, bars = grid().dates, []
        first, last = start.timestamp(), end.timestamp()
        for session in range(grid().current(first), grid().current(last - 1) + 1):
            at, price, size = self._prices(contract, what_to_show, session, use_rth)
            chosen = slice(*np.searchsorted(at, (first, last)).tolist())
            for instant, value, amount in zip(
                at[chosen].tolist(), price[chosen].tolist(), size[chosen].tolist(), strict=True
            ):
                begun = datetime.fromtimestamp(instant // _BAR * _BAR, UTC)
                if value == value and amount:
                    bars.append(Bar(begun, dates[session], value, value, value, value, amount, -1.0, -1))
        return bars

    def _prices(
        self, contract: ListedContract, what_to_show: str, session: int, use_rth: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Instants, prices and sizes (-1 for quotes) of a session."""
        if what_to_show in c.TRADE_BARS:
            trades = self._trade_tape(contract, session, use_rth)
            return trades.at, trades.price, trades.size
        quotes = self._quote_tape(contract, session)
        if quotes is None:
            return np.empty(0), np.empty(0), np.empty(0)
        shown = {"BID": quotes.bid, "ASK": quotes.ask, "MIDPOINT": (quotes.bid + quotes.ask) / 2}[what_to_show]
        return quotes.at, shown, np.full(len(shown), -1.0)

    def _shown(self, contract: ListedContract, now: datetime) -> tuple[MarketQuote, bool]:
        """The state of a contract without its greeks, and whether it is replayed from minutes."""
        instant = now.timestamp()
        session = grid().current(instant)
        opened = int(grid().opens[session])
        if not opened <= instant < grid().closes[session]:
            return self._stands(contract, session, int(instant) // c.MINUTE * c.MINUTE), False
        quotes = self._quote_tape(contract, session)
        trades = self._trade_tape(contract, session, use_rth=True)
        if quotes is None and not len(trades.at):
            return self._stands(contract, session, int(instant) // c.MINUTE * c.MINUTE), False
        standing = self._stands(contract, session, opened)
        if standing == MarketQuote():  # not listed
            return standing, False
        return self._played(contract, standing, quotes, trades, session, instant), True

    def _played(
        self, contract: ListedContract, standing: MarketQuote, quotes: QuoteTape | None, trades: TradeTape,
        session: int, instant: float,
    ) -> MarketQuote:  # fmt: skip
        quote = standing
        row = quotes.row(instant) if quotes is not None else -1
        if quotes is not None and row >= 0:
            bid, ask = float(quotes.bid[row]), float(quotes.ask[row])
            quote = replace(
                quote,
                bid=bid if bid == bid else None, ask=ask if ask == ask else None,
                bid_size=float(quotes.bid_size[row]) if bid == bid else 0.0,
                ask_size=float(quotes.ask_size[row]) if ask == ask else 0.0,
            )  # fmt: skip
        row = trades.row(instant)
        if row >= 0:
            quote = replace(
                quote,
                last=float(trades.price[row]), last_size=float(trades.size[row]), open=float(trades.price[0]),
                high=float(trades.high[row]), low=float(trades.low[row]), volume=float(trades.volume[row]),
                last_time=datetime.fromtimestamp(int(trades.at[row]), UTC),
            )  # fmt: skip
        elif contract.sec_type == "OPT":
            quote = replace(quote, volume=0.0)
        elif quote.last is not None and quote.last_time is None:  # of the session before
            quote = replace(quote, last_time=datetime.fromtimestamp(int(grid().closes[session - 1]), UTC))
        if contract.sec_type == "OPT":
            calls = contract.right == "C"
            quote = replace(
                quote, call_volume=quote.volume if calls else None, put_volume=None if calls else quote.volume
            )
        return quote

    def _with_greeks(
        self, symbol: str, contracts: Sequence[ListedContract], quotes: Sequence[MarketQuote], now: datetime
    ) -> list[MarketQuote]:
        """Options' quotes with the greeks of their prices at the underlying's last price."""
        underlying = self._underlying(symbol)
        spot = self._shown(underlying, now)[0].last
        if spot is None:
            return [replace(quote, greeks={}, implied_volatility=None) for quote in quotes]
        instant = now.timestamp()
        session = grid().current(instant)
        shown = instant - (instant - OFFSETS[0]) % (OFFSETS[1] - OFFSETS[0])  # greeks change with the moments
        years = np.array([years_left(contract, session, shown) for contract in contracts])
        sides = {
            side: np.array([np.nan if value is None else value for value in (getattr(q, side) for q in quotes)])
            for side in ("bid", "ask", "last")
        }
        sides["model"] = (sides["bid"] + sides["ask"]) / 2
        rate = self._archive.interest_rate(grid().dates[session])
        strike, right = np.array([row.strike for row in contracts]), np.array([row.right for row in contracts])
        greeks = greeks_by_side(spot, strike, years, right, sides, rate=rate)
        return [
            replace(quote, greeks=g, implied_volatility=g["model"].implied_volatility if "model" in g else None)
            for quote, g in zip(quotes, greeks, strict=True)
        ]

    def _stands(self, contract: ListedContract, session: int, instant: int) -> MarketQuote:
        """What is complete at an instant, asked once."""
        key = ((contract.local_symbol, contract.sec_type, session), instant)
        if key not in self._standing:
            _make_room(self._standing)
            self._standing[key] = self._quote(contract, datetime.fromtimestamp(instant, UTC))
        return self._standing[key]

    def _rows(self, contract: ListedContract, session: int) -> Rows:
        table = self._archive.option_minute if contract.sec_type == "OPT" else self._archive.equity_minute
        return table.of(contract.local_symbol if contract.sec_type == "OPT" else contract.symbol).of_session(session)

    def _quote_tape(self, contract: ListedContract, session: int) -> QuoteTape | None:
        """The quotes of a session in minutes, None without any."""
        key = (contract.local_symbol, contract.sec_type, session)
        if key not in self._quotes:
            rows = self._rows(contract, session)
            said = np.zeros(len(rows), dtype=np.bool_)
            for name in ("bid_close", "ask_close", "bid_size", "ask_size"):
                said |= ~np.isnan(rows[name])
            _make_room(self._quotes)
            self._quotes[key] = quote_tape(rows.where(said)) if said.any() else None
        return self._quotes[key]

    def _trade_tape(self, contract: ListedContract, session: int, use_rth: bool) -> TradeTape:
        key = (contract.local_symbol, f"{contract.sec_type} {use_rth}", session)
        if key not in self._trades:
            traded = c.candles(self._rows(contract, session), "TRADES", contract.sec_type == "IND")
            if use_rth or contract.sec_type == "OPT":
                inside = (traded.start >= grid().opens[session]) & (traded.start < grid().closes[session])
                traded = traded.where(inside)
            _make_room(self._trades)
            self._trades[key] = trade_tape(traded)
        return self._trades[key]


def _make_room(kept: dict[K, V]) -> None:
    """Give up the oldest of what is kept."""
    while len(kept) >= _KEPT:
        kept.pop(next(iter(kept)))
