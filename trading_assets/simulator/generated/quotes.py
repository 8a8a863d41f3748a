"""The state of a contract at one instant: last, bid, ask, sizes, greeks, open interest.

Outside regular hours it is the state of the last close.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from trading_assets.pricing import black_scholes
from trading_assets.simulator.generated.aggregation import known_minutes, seconds_of_day
from trading_assets.simulator.generated.option_series import WORTHLESS, YEAR_SECONDS, OptionModel, TradeSeries
from trading_assets.simulator.generated.paths import SESSIONS_A_YEAR
from trading_assets.simulator.generated.randomness import fraction
from trading_assets.simulator.generated.spreads import option_bid_ask, stock_bid_ask
from trading_assets.simulator.generated.stock_series import StockSeries
from trading_assets.simulator.generated.timeline import REGULAR_OPEN, Timeline
from trading_assets.simulator.generated.volatility import Surface
from trading_assets.simulator.market import Greeks, MarketQuote

_MONTH = 30 / 365
"""Years of the broker's 30-day implied volatility (generic tick 106)."""


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
    minute = int(state.instant.timestamp()) // 60
    return MarketQuote(
        bid=float(bid),
        ask=float(ask),
        bid_size=_size(seed, underlying.symbol, minute, "bid", 1500),
        ask_size=_size(seed, underlying.symbol, minute, "ask", 1500),
        last_size=state.last_size,
        volume=state.volume,
        halted=state.halted,
        **common,  # type: ignore[arg-type]
    )


def option_quote(trades: TradeSeries, state: SpotState) -> MarketQuote:
    """Quote of an option, with greeks of each side and of the model."""
    model, contract = trades.model, trades.model.contract
    years = max(model.end_seconds - state.instant.timestamp(), 0.0) / YEAR_SECONDS
    listed = model.first <= state.session <= model.last
    if listed:
        row = model.row(state.session)
        volatility = float(model.volatility[row])
        value = black_scholes.price(state.last, contract.strike, years, volatility, contract.right)
        value = min(max(value, float(model.lowest[row])), float(model.highest[row]))
    else:  # before the open of its first session
        volatility = float(model.surface.volatility(state.session, state.last, contract.strike, years))
        value = black_scholes.price(state.last, contract.strike, years, volatility, contract.right)
    low, high = option_bid_ask(value, model.option_class)
    bid, ask = float(low), float(high)
    if bid <= 0 or value < WORTHLESS:
        bid = 0.0
    traded = _traded(trades, state) if listed else _NOTHING_TRADED
    interest = float(model.open_interest(state.session)) if listed else 0.0
    minute = int(state.instant.timestamp()) // 60
    is_call = contract.right == "C"
    return MarketQuote(
        bid=bid or None,
        ask=ask,
        last=traded.last,
        bid_size=_size(model.seed, contract.local_symbol, minute, "bid", 120) if bid else 0,
        ask_size=_size(model.seed, contract.local_symbol, minute, "ask", 120),
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
        implied_volatility=volatility,
        last_time=traded.last_time,
        greeks=_greeks(model, state.last, years, volatility, value, bid, ask, traded.last if traded.volume else None),
    )


@dataclass(frozen=True, slots=True)
class _Traded:
    """What has traded in a session up to an instant; `last` may be of an earlier session."""

    last: float | None = None
    last_size: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    volume: float = 0.0
    close_before: float | None = None
    last_time: datetime | None = None


_NOTHING_TRADED = _Traded()


def _traded(trades: TradeSeries, state: SpotState) -> _Traded:
    model = trades.model
    sessions, row = model.sessions, model.row(state.session)
    earlier = np.flatnonzero(model.volume[:row] > 0)
    before = (
        trades.daily(model.first + int(earlier[-1]), model.first + int(earlier[-1]), True) if len(earlier) else None
    )
    close_before = float(before.close[0]) if before is not None else None
    over = state.instant >= sessions.closes[state.session]
    today = (
        trades.daily(state.session, state.session, True)
        if over
        else known_minutes(trades, state.session, True, state.instant, sessions)
    )
    if not len(today):
        ended = sessions.closes[int(before.session[0])] if before is not None else None
        return _Traded(
            last=close_before, last_size=1.0 if before is not None else None, close_before=close_before, last_time=ended
        )
    last_time = state.instant if over else sessions.at(state.session, REGULAR_OPEN)
    if not over:
        last_time = min(state.instant, sessions.at(state.session, int(today.start[-1]) // 60 + 1))
    return _Traded(
        float(today.close[-1]), 1.0, float(today.open[0]), float(today.high.max()), float(today.low.min()),
        float(today.volume.sum()),
        close_before, last_time,
    )  # fmt: skip


def _greeks(
    model: OptionModel,
    spot: float,
    years: float,
    volatility: float,
    value: float,
    bid: float,
    ask: float,
    last: float | None,
) -> dict[str, Greeks]:
    """Greeks by side. A side whose price implies no volatility has its price only."""
    strike, right = model.contract.strike, model.contract.right
    prices = {"model": value, "ask": ask}
    if bid > 0:
        prices["bid"] = bid
    if last is not None:
        prices["last"] = last
    implied = [
        volatility if side == "model" else black_scholes.implied_volatility(price, spot, strike, years, right)
        for side, price in prices.items()
    ]
    known = np.nan_to_num(np.array(implied))
    figures = [
        formula(spot, strike, years, known, right)
        for formula in (black_scholes.delta, black_scholes.gamma, black_scholes.vega, black_scholes.theta)
    ]
    found = {}
    for i, (side, price) in enumerate(prices.items()):
        if math.isnan(implied[i]):
            found[side] = Greeks(price=price, underlying_price=spot)
        else:
            delta, gamma, vega, theta = (float(figure[i]) for figure in figures)
            found[side] = Greeks(implied[i], delta, price, 0.0, gamma, vega, theta, spot)
    return found


def _realised(stock: StockSeries, session: int) -> float | None:
    """Volatility of the last 30 daily returns, a year, per 1.00."""
    first = max(stock.path.first, session - 30)
    if session - first < 5:
        return None
    value = stock.path.close[first : session + 1] * stock.path.shares[first : session + 1]
    return float(np.std(np.diff(np.log(value)), ddof=1) * np.sqrt(SESSIONS_A_YEAR))


def _size(seed: int, name: str, minute: int, side: str, usual: int) -> float:
    return float(1 + int(usual * fraction(seed, name, minute, side) ** 2))
