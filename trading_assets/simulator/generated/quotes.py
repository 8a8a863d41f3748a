"""The state of a contract at one instant: last, bid, ask, sizes, greeks, open interest.

Outside regular hours it is the state of the last close.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import repeat

import numpy as np

from trading_assets.pricing import black_scholes
from trading_assets.simulator.generated.aggregation import known_minutes, seconds_of_day
from trading_assets.simulator.generated.caches import kept
from trading_assets.simulator.generated.columns import Floats
from trading_assets.simulator.generated.option_series import WORTHLESS, YEAR_SECONDS, OptionModel, TradeSeries
from trading_assets.simulator.generated.paths import SESSIONS_A_YEAR
from trading_assets.simulator.generated.randomness import fraction
from trading_assets.simulator.generated.spreads import option_bid_ask, stock_bid_ask
from trading_assets.simulator.generated.stock_series import StockSeries
from trading_assets.simulator.generated.timeline import Timeline
from trading_assets.simulator.generated.traded import NOTHING_TRADED, SessionTrades, Traded
from trading_assets.simulator.generated.volatility import Surface
from trading_assets.simulator.market import Dividends, Greeks, ListedContract, MarketQuote
from trading_assets.simulator.sides import greeks_by_side

_MONTH = 30 / 365
"""Years of the broker's 30-day implied volatility (generic tick 106)."""
_KEPT_TRADES = 1500
"""Options whose trades of a session are kept, some 30 kB each once it is open."""
_SIZES_A_SECOND = 4
"""How often quoted sizes change; prices change with the trades, at most once a second."""


@dataclass(frozen=True, slots=True)
class SpotState:
    """What is known of an underlying at an instant, in dollars as of that instant.

    `session` is the latest one that has opened, `instant` the given one or that session's close if earlier.
    """

    session: int
    instant: datetime
    open: float
    high: float
    low: float
    last: float
    close_before: float
    volume: float
    last_size: float
    last_time: datetime
    halted: bool


def spot_state(stock: StockSeries, now: datetime, sessions: Timeline) -> SpotState | None:
    """The state of an underlying; None before its first session has a price."""
    path = stock.path
    session = sessions.last_opened(now)
    known = None
    if session >= path.first and now < sessions.closes[session]:
        known = known_minutes(stock, session, True, now, sessions)
        if not len(known):
            known, session = None, session - 1
    if session < path.first:
        return None
    instant = min(now, sessions.closes[session])
    before = max(session - 1, path.first)
    prior = float(path.close[before] * path.shares[before]) / float(path.shares[session]) / 100.0
    ratio = float(path.shares[sessions.current(now)]) / float(path.shares[session])
    if known is None:
        opened, high, low, last = (
            float(array[session]) / 100.0 for array in (path.open, path.high, path.low, path.close)
        )
        volume, size, ended, halted = float(path.volume[session]), 100.0, instant, False
    else:
        opened, high, low, last = (
            float(known.open[0]),
            float(known.high.max()),
            float(known.low.min()),
            float(known.close[-1]),
        )
        volume, size = float(known.volume.sum()), 100.0
        age = seconds_of_day(now, session, sessions) - int(known.start[-1])
        halted = age > 120
        ended = sessions.at(session, int(known.start[-1]) // 60 + 1) if age >= 60 else now
    if ratio != 1.0:
        opened, high, low, last, prior, volume = (
            round(x / ratio, 4) for x in (opened, high, low, last, prior, volume * ratio * ratio)
        )
    return SpotState(session, instant, opened, high, low, last, round(prior, 4), volume, size, ended, halted)


class Quotes:
    """Quotes of one market's contracts. `stock` and `option` give the series of a symbol and of an option contract."""

    def __init__(
        self,
        seed: int,
        sessions: Timeline,
        stock: Callable[[str], StockSeries],
        option: Callable[[ListedContract], TradeSeries],
    ) -> None:
        self._seed, self._sessions, self._stock, self._option = seed, sessions, stock, option
        self._spots: OrderedDict[tuple[str, datetime], SpotState | None] = OrderedDict()
        self._traded: OrderedDict[tuple[int, int], SessionTrades] = OrderedDict()

    def of(self, contracts: Sequence[ListedContract], listed: Sequence[bool], now: datetime) -> list[MarketQuote]:
        """The quotes of some contracts, empty ones for those not listed; options of one underlying are priced at
        once."""
        found = [MarketQuote()] * len(contracts)
        options: dict[str, list[int]] = {}
        for place, contract in enumerate(contracts):
            state = self._spot(contract.symbol, now) if listed[place] else None
            if state is None:
                continue
            if contract.sec_type == "OPT":
                options.setdefault(contract.symbol, []).append(place)
            else:
                found[place] = underlying_quote(self._stock(contract.symbol), state, self._seed)
        for symbol, places in options.items():
            state = self._spot(symbol, now)
            assert state is not None
            wanted = [self._with_trades(contracts[place], state.session) for place in places]
            for place, quote in zip(places, option_quotes(wanted, state), strict=True):
                found[place] = quote
        return found

    def _spot(self, symbol: str, now: datetime) -> SpotState | None:
        return kept(self._spots, (symbol, now), lambda: spot_state(self._stock(symbol), now, self._sessions), 64)

    def _with_trades(self, contract: ListedContract, session: int) -> tuple[TradeSeries, SessionTrades | None]:
        """An option with its trades of a session, None outside its life."""
        trades = self._option(contract)
        if not trades.model.first <= session <= trades.model.last:
            return trades, None
        key = (contract.con_id, session)
        return trades, kept(self._traded, key, lambda: SessionTrades(trades, session), _KEPT_TRADES)


def underlying_quote(stock: StockSeries, state: SpotState, seed: int) -> MarketQuote:
    """Quote of a stock, ETF (with bid and ask) or index (without)."""
    underlying = stock.path.underlying
    values = {"last": state.last, "high": state.high, "low": state.low, "open": state.open, "close": state.close_before}
    implied = float(Surface(stock.path).at_the_money(state.session, _MONTH))
    historical = _realised(stock, state.session)
    liquidity = sum(option_class.liquidity for option_class in underlying.option_classes)

    def draw(purpose: str, low: float, high: float) -> float:
        return low + (high - low) * fraction(seed, underlying.symbol, state.session, purpose)

    totals = {
        "call_open_interest": float(round(draw("call interest", 0.8e6, 1.2e6) * liquidity)),
        "put_open_interest": float(round(draw("put interest", 0.6e6, 1.1e6) * liquidity)),
        "call_volume": float(round(draw("call volume", 0.8e5, 3e5) * liquidity)),
        "put_volume": float(round(draw("put volume", 0.6e5, 2.5e5) * liquidity)),
    }
    common = {
        "implied_volatility": implied,
        "historical_volatility": historical,
        "last_time": state.last_time,
        **values,
        **totals,
    }
    if underlying.is_index:
        return MarketQuote(**common)  # type: ignore[arg-type]
    bid, ask = stock_bid_ask(state.last, underlying)
    moment = _moment(state.instant)
    return MarketQuote(
        bid=float(bid),
        ask=float(ask),
        bid_size=_size(seed, underlying.symbol, moment, "bid", 1500),
        ask_size=_size(seed, underlying.symbol, moment, "ask", 1500),
        last_size=state.last_size,
        volume=state.volume,
        halted=state.halted,
        dividends=_dividends(stock, state.session),
        **common,  # type: ignore[arg-type]
    )


def option_quotes(options: Sequence[tuple[TradeSeries, SessionTrades | None]], state: SpotState) -> list[MarketQuote]:
    """Quotes of options on one underlying, with greeks of each side and of the model; priced all at once.

    Each option comes with its trades of the state's session; None outside its life.
    """
    models = [trades.model for trades, _ in options]
    strike = np.array([model.contract.strike for model in models])
    right = np.array([model.contract.right for model in models])
    ends = np.array([model.end_seconds for model in models])
    years = np.maximum(ends - state.instant.timestamp(), 0.0) / YEAR_SECONDS
    volatility, lowest, highest = (np.array(column) for column in zip(*map(_range, models, repeat(state)), strict=True))
    unknown = np.isnan(volatility)  # before the open of its first session
    if unknown.any():
        surface = models[0].surface
        volatility[unknown] = surface.volatility(state.session, state.last, strike[unknown], years[unknown])
    value = black_scholes.price(state.last, strike, years, volatility, right)
    value = np.minimum(np.maximum(value, lowest), highest)
    bid, ask = _quoted(models, value)
    traded = [session.at(state.instant) if session else NOTHING_TRADED for _, session in options]
    last = np.array([t.last if t.volume and t.last is not None else np.nan for t in traded])
    prices = {"model": value, "ask": ask, "bid": bid, "last": last}
    greeks = greeks_by_side(state.last, strike, years, right, prices, volatility={"model": volatility})
    return [
        _option_quote(model, state, traded[i], None if np.isnan(bid[i]) else float(bid[i]), float(ask[i]), greeks[i])
        for i, model in enumerate(models)
    ]


def _range(model: OptionModel, state: SpotState) -> tuple[float, float, float]:
    """Volatility, lowest and highest value of an option in a session; no volatility and no bounds outside its life."""
    if not model.first <= state.session <= model.last:
        return np.nan, -np.inf, np.inf
    row = model.row(state.session)
    return float(model.volatility[row]), float(model.lowest[row]), float(model.highest[row])


def _quoted(models: Sequence[OptionModel], value: Floats) -> tuple[Floats, Floats]:
    """Bid (NaN: none) and ask of each option."""
    bid, ask = np.empty(len(models)), np.empty(len(models))
    classes = {model.option_class.name: model.option_class for model in models}
    for option_class in classes.values():
        own = np.array([model.option_class.name == option_class.name for model in models])
        bid[own], ask[own] = option_bid_ask(value[own], option_class)
    bid[(bid <= 0) | (value < WORTHLESS)] = np.nan
    return bid, ask


def _option_quote(
    model: OptionModel, state: SpotState, traded: Traded, bid: float | None, ask: float, greeks: dict[str, Greeks]
) -> MarketQuote:
    name, is_call = model.contract.local_symbol, model.contract.right == "C"
    interest = float(model.open_interest(state.session)) if model.first <= state.session <= model.last else 0.0
    moment = _moment(state.instant)
    return MarketQuote(
        bid=bid,
        ask=ask,
        last=traded.last,
        bid_size=_size(model.seed, name, moment, "bid", 120) if bid else 0,
        ask_size=_size(model.seed, name, moment, "ask", 120),
        last_size=traded.last_size,
        high=traded.high,
        low=traded.low,
        open=traded.open,
        close=traded.close_before,
        volume=traded.volume,
        call_open_interest=interest if is_call else 0.0,
        put_open_interest=0.0 if is_call else interest,
        call_volume=traded.volume if is_call else 0.0,
        put_volume=0.0 if is_call else traded.volume,
        implied_volatility=greeks["model"].implied_volatility,
        last_time=traded.last_time,
        greeks=greeks,
    )


def _realised(stock: StockSeries, session: int) -> float | None:
    """Volatility of the last 30 daily returns, a year, per 1.00."""
    first = max(stock.path.first, session - 30)
    if session - first < 5:
        return None
    value = stock.path.close[first : session + 1] * stock.path.shares[first : session + 1]
    return float(np.std(np.diff(np.log(value)), ddof=1) * np.sqrt(SESSIONS_A_YEAR))


def _dividends(stock: StockSeries, session: int) -> Dividends:
    """The dividends of a stock as of a session, in its shares. They are quarterly, and the next one is announced."""
    path, sessions = stock.path, stock.sessions
    at = bisect_right(path.dividends, session, key=lambda dividend: dividend[0])
    if at == len(path.dividends):
        return Dividends()
    shares = float(path.shares[session])
    year = sessions.dates[session] - timedelta(days=365)
    past = [
        cents * float(path.shares[ex]) / shares
        for ex, cents in path.dividends[max(at - 5, 0) : at]
        if sessions.dates[ex] > year
    ]
    ex, cents = path.dividends[at]
    # a split before the ex-date is not known yet: the amount is what the stock of today would pay
    amount = round(cents * float(path.shares[ex]) / shares) / 100.0
    return Dividends(round(sum(past) / 100.0, 4), round(4 * amount, 4), sessions.dates[ex], amount)


def _moment(instant: datetime) -> int:
    """Number of the stretch of time in which quoted sizes stay as they are."""
    return int(instant.timestamp() * _SIZES_A_SECOND)


def _size(seed: int, name: str, moment: int, side: str, usual: int) -> float:
    return float(1 + int(usual * fraction(seed, name, moment, side) ** 2))
