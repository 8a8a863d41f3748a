"""The state of a contract as of an instant: quote, last trade, volume, open interest, model greeks.

While a session is open its own rows answer; before the open, at night and on days without trading the session before
(the last known state). The last quote comes from minutes, else hours, else the daily row, else a chain snapshot. What
is not recorded is None: a bid that is missing is no bid, an open interest that is missing is not zero.

Greeks are the vendor's where a chain snapshot has them; else the volatility that gives the mid price in Black-Scholes
(no early exercise, no dividends) at the underlying's last price. `option_universe_lean` lends open interest and, where
nothing else is recorded, the mid price; its own greeks are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from trading_assets.pricing import black_scholes
from trading_assets.simulator.market import Dividends, Greeks, ListedContract, MarketQuote
from trading_assets.simulator.recorded import candles as c
from trading_assets.simulator.recorded.archive import Archive
from trading_assets.simulator.recorded.chains import ChainQuote, ChainQuotes
from trading_assets.simulator.recorded.grid import grid
from trading_assets.simulator.recorded.history import History
from trading_assets.simulator.recorded.instruments import last_trade_day
from trading_assets.simulator.recorded.recorded_files import Rows

_VOLATILITY_SESSIONS = 30
"""Sessions behind `historical_volatility` (broker documentation: the 30-day historical volatility)."""
_SESSIONS_A_YEAR = 252
_STALE = 10
"""Sessions after which an old underlying price no longer stands for the present one."""
_SECONDS_A_DAY = 86_400
_DAYS_A_YEAR = 365
_QUARTER = 91
"""Days from an ex-date to the next one."""


class Quotes:
    """Quotes of underlyings and options."""

    def __init__(self, archive: Archive, history: History, chains: ChainQuotes) -> None:
        self._archive, self._history, self._chains = archive, history, chains

    def underlying(self, contract: ListedContract, now: datetime, open_interest: Mapping[str, float]) -> MarketQuote:
        """The quote of a stock or index. `open_interest` holds the totals of its options by right."""
        instant = now.timestamp()
        session = _state_session(instant)
        today = self._history.known(contract, "TRADES", c.SESSION, session, session, instant)
        before = self._history.known(
            contract, "TRADES", c.SESSION, max(session - _VOLATILITY_SESSIONS - 1, 0), session - 1, instant
        )
        closes = c.aggregate(before, before.session).close if len(before) else before.close
        quote = _traded(today, closes, instant)
        if quote.last is None:
            last = self.spot(contract, instant)
            quote = replace(quote, last=last)
        bid, ask, bid_size, ask_size = _last_quote(self._history.last_quote_rows(contract, session, instant))
        return replace(
            quote, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size,
            historical_volatility=_historical_volatility(closes),
            call_open_interest=open_interest.get("C"), put_open_interest=open_interest.get("P"),
            dividends=self._dividends(contract, grid().current(instant)),
        )  # fmt: skip

    def _dividends(self, contract: ListedContract, session: int) -> Dividends | None:
        """The dividends of a stock: the recorded ones up to a session, and the last one expected again a quarter
        later. What was announced was not recorded."""
        today = int(grid().days[session])
        found = self._archive.factors.dividends(contract.symbol, today) if contract.sec_type == "STK" else None
        if found is None:
            return None
        past = [(day, amount) for day, amount in found if today - day <= _DAYS_A_YEAR]
        if not past:
            return Dividends()
        day, amount = past[-1]
        following = day + 1 + _QUARTER
        while following <= today:
            following += _QUARTER
        ex_date = date(1970, 1, 1) + timedelta(days=following)
        total = sum(paid for _, paid in past)
        return Dividends(round(total, 4), round(4 * amount, 4), ex_date, round(amount, 4))

    def option(self, contract: ListedContract, underlying: ListedContract, now: datetime) -> MarketQuote:
        """The quote of an option, with greeks by side where they can be computed."""
        instant = now.timestamp()
        session = _state_session(instant)
        trades = self._history.known(contract, "TRADES", c.EIGHT_HOURS, session, session, instant)
        before = self._history.known(contract, "TRADES", c.EIGHT_HOURS, session - 1, session - 1, instant)
        quote = _traded(trades, before.close, instant)
        quoted = self._history.last_quote_rows(contract, session, instant)
        bid, ask, bid_size, ask_size = _last_quote(quoted)
        chain = self._chains.at(contract.local_symbol, session, instant)
        if chain is not None and ask is None and bid is None:
            bid, ask = chain.bid, chain.ask
        if chain is not None and quote.last is None:
            quote = replace(quote, last=chain.last, volume=chain.volume)
        if quote.volume is None and quoted is not None:
            quote = replace(quote, volume=0.0)  # quoted and not traded: the broker says 0
        interest = self.open_interest(contract.local_symbol, grid().current(instant))
        greeks = self._greeks(contract, underlying, bid, ask, quote.last, chain, session, instant)
        calls = contract.right == "C"
        return replace(
            quote, bid=bid, ask=ask, bid_size=bid_size, ask_size=ask_size, greeks=greeks,
            call_open_interest=interest if calls else None, put_open_interest=None if calls else interest,
            call_volume=quote.volume if calls else None, put_volume=None if calls else quote.volume,
            implied_volatility=greeks["model"].implied_volatility if "model" in greeks else None,
        )  # fmt: skip

    def spot(self, underlying: ListedContract, instant: float) -> float | None:
        """The last price of an underlying known at an instant, in the shares of that instant; None if there is none
        that is not old."""
        session = _state_session(instant)
        recorded = self._chains.underlying_price(underlying.symbol, session - _STALE, instant)
        trades = self._history.known(underlying, "TRADES", c.SESSION, max(session - _STALE, 0), session, instant)
        if len(trades) and (recorded is None or int(trades.session[-1]) >= recorded[0]):
            return float(trades.close[-1])
        return recorded[1] if recorded is not None else None

    def open_interest(self, osi: str, session: int) -> float | None:
        """The open interest published on the morning of a session.

        The universe file of a session holds the number of the next morning, so the one of the session before is taken.
        """
        archive = self._archive
        for table in (archive.open_interest, archive.option_daily):
            value = table.last(osi, session, "open_interest")
            if value is not None and not math.isnan(value):
                return value
        snapshot = self._chains.open_interest(osi, session)
        if snapshot is not None:
            return snapshot
        value = archive.universe.last(osi, session - 1, "open_interest")
        return None if value is None or math.isnan(value) else value

    def open_interest_totals(self, contracts: Iterable[ListedContract], session: int) -> dict[str, float]:
        """Open interest summed by right over the contracts for which any was published."""
        totals: dict[str, float] = {}
        for contract in contracts:
            interest = self.open_interest(contract.local_symbol, session)
            if interest is not None:
                totals[contract.right] = totals.get(contract.right, 0.0) + interest
        return totals

    def _greeks(
        self, contract: ListedContract, underlying: ListedContract, bid: float | None, ask: float | None,
        last: float | None,
        chain: ChainQuote | None, session: int, instant: float,
    ) -> dict[str, Greeks]:  # fmt: skip
        spot = (
            chain.underlying_price if chain is not None and chain.underlying_price else self.spot(underlying, instant)
        )
        middle = (
            (bid + ask) / 2
            if bid is not None and ask is not None
            else self._universe_middle(contract, session, instant)
        )
        years, rate = years_left(contract, session, instant), self._archive.interest_rate(grid().dates[session])
        sides = {"bid": bid, "ask": ask, "last": last, "model": middle}
        greeks = {
            side: _computed(contract, price, spot, years, rate) for side, price in sides.items() if price is not None
        }
        if chain is not None and chain.implied_volatility is not None:
            greeks["model"] = _vendor(contract, chain, middle, spot, years, rate)
        return greeks

    def _universe_middle(self, contract: ListedContract, session: int, instant: float) -> float | None:
        if instant < grid().closes[session]:
            return None
        middle = self._archive.universe.last(contract.local_symbol, session, "close")
        return middle if middle is not None and middle > 0 else None


def _state_session(instant: float) -> int:
    """The session whose state is shown: the current one from its open on, before that the one before."""
    sessions = grid()
    current = sessions.current(instant)
    return current if instant >= sessions.opens[current] else current - 1


def _last_quote(rows: Rows | None) -> tuple[float | None, float | None, float, float]:
    """Bid, ask and their sizes of the last of some rows; a side that is missing has size 0."""
    if rows is None:
        return None, None, 0.0, 0.0
    bid, ask = (float(rows[f"{side}_close"][-1]) for side in ("bid", "ask"))
    bid_size, ask_size = (float(np.nan_to_num(rows[f"{side}_size"][-1])) for side in ("bid", "ask"))
    return (
        bid if bid > 0 else None,
        ask if ask > 0 else None,
        bid_size if bid > 0 else 0.0,
        ask_size if ask > 0 else 0.0,
    )


def _traded(today: c.Candles, closes_before: c.Floats, instant: float) -> MarketQuote:
    """What the trades of a session up to an instant and the closes before it say."""
    close = float(closes_before[-1]) if len(closes_before) else None
    if not len(today):
        return MarketQuote(close=close)
    session = int(today.session[-1])
    # A row that stands for a whole session starts at its open; its last trade is at the close.
    whole = len(today) == 1 and int(today.start[-1]) == int(grid().opens[session]) and instant >= grid().closes[session]
    last_time = int(grid().closes[session]) if whole else int(today.start[-1])
    return MarketQuote(
        last=float(today.close[-1]), open=float(today.open[0]), high=float(today.high.max()),
        low=float(today.low.min()), close=close,
        volume=float(today.volume.sum()), last_time=datetime.fromtimestamp(last_time, UTC),
    )  # fmt: skip


def years_left(contract: ListedContract, session: int, instant: float) -> float:
    """Years of 365 days from `instant` (at most the close of the session shown) to the close of the last trading
    day."""
    sessions = grid()
    assert contract.expiry is not None
    ends = float(sessions.closes[sessions.of_date(last_trade_day(contract.trading_class, contract.expiry))])
    return max(ends - min(instant, float(sessions.closes[session])), 0.0) / _SECONDS_A_DAY / black_scholes.DAYS_A_YEAR


def _computed(contract: ListedContract, price: float, spot: float | None, years: float, rate: float) -> Greeks:
    """Greeks at the volatility that explains a price; without one (price under intrinsic value, underlying unknown),
    price and underlying only."""
    if spot is None:
        return Greeks(price=price)
    volatility = black_scholes.implied_volatility(price, spot, contract.strike, years, contract.right, rate)
    if math.isnan(volatility):
        return Greeks(price=price, underlying_price=spot)
    terms = (spot, contract.strike, years, volatility, contract.right, rate)
    return Greeks(
        implied_volatility=volatility, price=price, underlying_price=spot, pv_dividend=0.0,
        delta=black_scholes.delta(*terms),
        gamma=black_scholes.gamma(*terms), vega=black_scholes.vega(*terms), theta=black_scholes.theta(*terms),
    )  # fmt: skip


def _vendor(
    contract: ListedContract, chain: ChainQuote, middle: float | None, spot: float | None, years: float, rate: float
) -> Greeks:
    """The vendor's greeks; the vega and theta a vendor leaves out are computed at the vendor's volatility."""
    volatility, vega, theta = chain.implied_volatility, chain.vega, chain.theta
    if spot is not None and volatility is not None:
        terms = (spot, contract.strike, years, volatility, contract.right, rate)
        vega = black_scholes.vega(*terms) if vega is None else vega
        theta = black_scholes.theta(*terms) if theta is None else theta
    return Greeks(
        implied_volatility=volatility, price=middle, underlying_price=spot, pv_dividend=0.0,
        delta=chain.delta, gamma=chain.gamma, vega=vega, theta=theta,
    )  # fmt: skip


def _historical_volatility(closes: c.Floats) -> float | None:
    """Annualised deviation of daily log returns; None with fewer than two returns."""
    if len(closes) < 3:
        return None
    return float(np.std(np.diff(np.log(closes[-_VOLATILITY_SESSIONS - 1 :])), ddof=1) * math.sqrt(_SESSIONS_A_YEAR))
