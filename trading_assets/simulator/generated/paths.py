"""Daily paths of underlyings: what an underlying did in each session, from its listing to the horizon.

Here belong the daily bars (as traded, in whole cents), splits, dividends and the volatility of each session. What
happens inside a session is `intraday`; how history is restated for splits and dividends as of a moment is
`Path.split_divisors` and `Path.dividend_factors`.

The model: log-returns with a slowly varying volatility and a market factor common to all symbols, pulled gently to a
trend so that prices stay plausible; the day's range is that of a Brownian bridge from open to close.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from itertools import accumulate

import numpy as np

from trading_assets.simulator.generated.columns import Floats, Ints
from trading_assets.simulator.generated.instruments import Underlying
from trading_assets.simulator.generated.randomness import fraction, stable_hash, stream
from trading_assets.simulator.generated.timeline import Timeline

SESSIONS_A_YEAR = 252
_OVERNIGHT_SHARE = 0.25
"""Part of a day's variance that happens between close and open, as measured for US stocks (about a fifth to a
third)."""
_MARKET_SHARE = 0.35
"""Part of a symbol's variance that it shares with all others (correlation of two stocks)."""
_VOLATILITY_PULL = 0.012
"""Pull of the log-volatility to its mean, a session: half-life about 58 sessions."""
_VOLATILITY_NOISE = 0.045
"""Standard deviation of the log-volatility's daily change: 0.3 in the long run."""
_SPLIT_RATIOS = (2, 3, 4, 5, 7, 10, 20)
_SPLIT_TARGET = 0.3
"""A split brings the price to about this part of the level that caused it."""
_SPLIT_NOTICE = 20
"""Sessions between the close that causes a split and the split's first session."""
_HALT_CHANCE = 0.004
"""Chance that trading in a stock is halted for some minutes of a session."""
_TRADE_SIZE = 110
"""Mean shares of a trade: makes the count of a bar from its volume."""


_LEADERS = {"SPY": "SPX", "DIA": "DJX"}
"""Funds that follow an index share its random streams, and in the table its growth and volatility."""


@dataclass(frozen=True, slots=True)
class Path:
    """An underlying's sessions. Arrays are indexed by session number; rows before `first` are meaningless.

    `open`, `high`, `low`, `close` are whole cents as traded that day (before later splits); `volume`, `count` as
    traded. `high_step`, `low_step` say after how many traded minutes the high and the low come; `halt_start`,
    `halt_minutes` which minutes are halted (0: none). `volatility` is the session's own, a year, per 1.00. `shares` is
    what one share of the first session has become by splits. `splits` are (first session, ratio), `dividends` (ex
    session, cents a share as of that day).
    """

    underlying: Underlying
    first: int
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    count: Ints
    high_step: Ints
    low_step: Ints
    halt_start: Ints
    halt_minutes: Ints
    volatility: Floats
    shares: Ints
    splits: tuple[tuple[int, int], ...]
    dividends: tuple[tuple[int, int], ...]
    _dividend_products: Floats = field(repr=False)

    def split_divisors(self, sessions: Ints, as_of: int) -> Floats:
        """By what the as-traded prices of sessions are divided, and volumes multiplied, as of a session."""
        return self.shares[as_of] / self.shares[sessions]

    def dividend_factors(self, sessions: Ints, as_of: int) -> Floats:
        """By what split-adjusted prices are multiplied for the dividends after each session, up to and with `as_of`."""
        return self._dividend_products[as_of] / self._dividend_products[sessions]

    def era_end(self, session: int) -> int:
        """The last session before the next split after `session` (the last of all if there is none)."""
        return min([len(self.open) - 1, *(start - 1 for start, _ in self.splits if start > session)])


def build_path(underlying: Underlying, seed: int, timeline: Timeline) -> Path:
    """The path of an underlying. Costs some 10 ms; keep it."""
    symbol, weekdays = _LEADERS.get(underlying.symbol, underlying.symbol), timeline.weekdays
    total = len(timeline)
    first = min(timeline.on_or_after(underlying.first), total - 1)

    def normal(*words: object) -> Floats:
        return stream(seed, *words).standard_normal(int(weekdays[-1]) + 1)[weekdays]

    def uniform(*words: object) -> Floats:
        return stream(seed, *words).random(int(weekdays[-1]) + 1)[weekdays]

    def shocks(purpose: str) -> Floats:
        return np.sqrt(_MARKET_SHARE) * normal("market", purpose) + np.sqrt(1 - _MARKET_SHARE) * normal(symbol, purpose)

    log_volatility = _pulled_back(_VOLATILITY_NOISE * normal(symbol, "volatility"), _VOLATILITY_PULL)
    volatility = underlying.volatility * np.exp(np.clip(log_volatility, -0.7, 0.9))
    daily = volatility / np.sqrt(SESSIONS_A_YEAR)
    inside = daily * np.sqrt(1 - _OVERNIGHT_SHARE)
    day_return = inside * shocks("day")
    step = day_return + daily * np.sqrt(_OVERNIGHT_SHARE) * shocks("night")
    step[: first + 1] = day_return[: first + 1]
    step[:first] = 0.0
    distance = _pulled_back(step, underlying.reversion)
    log_close = (
        np.log(underlying.start_price)
        + underlying.growth / SESSIONS_A_YEAR * np.maximum(np.arange(total) - first, 0)
        + distance
    )
    log_open = log_close - day_return
    up, down = 1.0 - uniform(symbol, "high"), 1.0 - uniform(symbol, "low")
    spread = 0.9 * inside  # a session's path has finitely many steps: a little less range than the continuous one
    log_high = log_open + 0.5 * (day_return + np.sqrt(day_return**2 - 2 * spread**2 * np.log(up)))
    log_low = log_open + 0.5 * (day_return - np.sqrt(day_return**2 - 2 * spread**2 * np.log(down)))

    splits, shares = _splits(underlying, np.exp(log_close), first, seed)
    in_cents = 100.0 / shares

    def cents(log_price: Floats) -> Ints:
        return np.maximum(np.rint(np.exp(log_price) * in_cents), 1).astype(np.int64)

    opened, closed = cents(log_open), cents(log_close)
    high = np.maximum(np.maximum(opened, closed), cents(log_high))
    low = np.minimum(np.minimum(opened, closed), cents(log_low))

    whole = timeline.minutes >= 390
    if underlying.is_index:
        volume = np.zeros(total, dtype=np.int64)
        count = np.zeros(total, dtype=np.int64)
        halt_minutes = np.zeros(total, dtype=np.int64)
    else:
        surprise = 0.3 * normal(symbol, "volume") + 0.25 * np.abs(day_return) / inside + 0.5 * (log_volatility - 0.1)
        volume = np.rint(underlying.volume * np.exp(surprise) * np.where(whole, 1.0, 0.45)).astype(np.int64) + 50_000
        count = volume // _TRADE_SIZE
        halted = uniform(symbol, "halt") < _HALT_CHANCE
        halt_minutes = np.where(halted, 5 + np.rint(40 * uniform(symbol, "halt length")), 0).astype(np.int64)
    traded = timeline.minutes - halt_minutes
    halt_start = np.where(halt_minutes > 0, 10 + np.floor(uniform(symbol, "halt start") * (traded - 20)), 0).astype(
        np.int64
    )
    # The extremes come early or late more often than at noon (arcsine law); both at least two steps from the ends and
    # each other.
    high_step = 2 + np.floor(np.sin(0.5 * np.pi * uniform(symbol, "high step")) ** 2 * (traded - 5)).astype(np.int64)
    low_step = 2 + np.floor(np.sin(0.5 * np.pi * uniform(symbol, "low step")) ** 2 * (traded - 5)).astype(np.int64)
    near = np.abs(high_step - low_step) < 2
    low_step = np.where(near, np.where(high_step > traded // 2, high_step - 9, high_step + 9), low_step)

    dividends = _dividends(underlying, closed, first, timeline)
    factors: Floats = np.ones(total)
    for ex_session, amount in dividends:
        before = closed[ex_session - 1] * shares[ex_session - 1] / shares[ex_session]
        factors[ex_session] = 1.0 - amount / before
    return Path(
        underlying, first, opened, high, low, closed, volume, count, high_step, low_step, halt_start, halt_minutes,
        volatility, shares,
        splits, dividends, np.cumprod(factors, dtype=np.float64),
    )  # fmt: skip


def _pulled_back(steps: Floats, pull: float) -> Floats:
    """A path that makes these steps and loses the part `pull` of its distance from 0 before each (an AR(1) process)."""
    keep = 1.0 - pull
    return np.array(list(accumulate(steps.tolist(), lambda distance, step: step + keep * distance)))


def _splits(underlying: Underlying, value: Floats, first: int, seed: int) -> tuple[tuple[tuple[int, int], ...], Ints]:
    """Splits of a path of values (a share of the first session, dollars), and the shares one share has become, by
    session."""
    shares = np.ones(len(value), dtype=np.int64)
    splits: list[tuple[int, int]] = []
    at = first + SESSIONS_A_YEAR
    while underlying.split_above and at < len(value):
        above = np.flatnonzero(value[at:] / shares[at:] > underlying.split_above)
        if not len(above):
            break
        cause = at + int(above[0])
        session = cause + _SPLIT_NOTICE + stable_hash(seed, underlying.symbol, "split", len(splits)) % 20
        if session >= len(value):
            break
        wanted = value[cause] / shares[cause] / (_SPLIT_TARGET * underlying.split_above)
        wanted *= 0.6 + 0.8 * fraction(seed, underlying.symbol, "ratio", len(splits))
        ratio = min(_SPLIT_RATIOS, key=lambda r: abs(np.log(r / wanted)))
        splits.append((session, ratio))
        shares[session:] *= ratio
        at = session + SESSIONS_A_YEAR
    return tuple(splits), shares


def _dividends(underlying: Underlying, close: Ints, first: int, timeline: Timeline) -> tuple[tuple[int, int], ...]:
    """Quarterly dividends: (ex session, cents a share). A quarter of the yield on the mean price of the year before."""
    if not underlying.dividend_yield:
        return ()
    month, day = (
        1 + stable_hash(underlying.symbol, "dividend month") % 3,
        5 + stable_hash(underlying.symbol, "dividend day") % 20,
    )
    found = []
    for year in range(timeline.dates[first].year, timeline.dates[-1].year + 1):
        for quarter in range(4):
            session = timeline.on_or_after(date(year, month + 3 * quarter, day))
            if session <= first + 60 or session >= len(close) - 1:
                continue
            amount = round(underlying.dividend_yield / 4 * float(close[session - 1]))
            if amount > 0:
                found.append((session, amount))
    return tuple(found)
