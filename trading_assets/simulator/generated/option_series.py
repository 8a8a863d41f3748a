"""Option prices through the life of a contract: theoretical values, trades and bars.

A contract's session is known from four moments of its underlying's: open, high, low and close. Its value at each comes
from the surface and Black-Scholes with a rate of zero, so that American and European values coincide, put-call parity
is exact up to rounding and no price is under the intrinsic value. The volatility of a contract is fixed for a session
(sticky strike), so the value is monotone in the spot; between the moments minute values are held within the session's
range, which the day's time decay would otherwise leave by a little.

How much trades falls off with moneyness and time. A contract with fewer than `_ACTIVE` trades in a session trades at
some of the four moments only; some contracts never trade. Option volumes are contracts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from trading_assets.pricing import black_scholes
from trading_assets.simulator.generated.columns import NO_ROWS, Columns, Floats, Ints, Mask
from trading_assets.simulator.generated.expiries import Expiry
from trading_assets.simulator.generated.instruments import OptionClass
from trading_assets.simulator.generated.intraday import seconds_of, share_out
from trading_assets.simulator.generated.paths import Path
from trading_assets.simulator.generated.randomness import fraction, stream
from trading_assets.simulator.generated.stock_series import StockSeries
from trading_assets.simulator.generated.timeline import REGULAR_OPEN, Timeline
from trading_assets.simulator.generated.volatility import Surface
from trading_assets.simulator.market import ListedContract

YEAR_SECONDS = 365 * 86_400
_ACTIVE = 24
"""Trades in a session from which a contract trades between the four moments too."""
_USUAL_VOLUME = 2600.0
"""Contracts a session at the money, near expiry, at liquidity 1."""
_NEVER_TRADES = 0.2
"""Part of the contracts that never trade, of those that stay a standard deviation from the spot; fewer of the nearer
ones."""
_CONTRACTS_A_TRADE = 5
WORTHLESS = 0.005
"""Dollars under which nobody bids and nothing trades."""


class OptionModel:
    """The life of one contract, one row a session from `first` to `last` (session numbers).

    Columns of `values` and `traded_at` are the four moments in order of time; `values` are theoretical values in
    dollars, `volatility` the implied volatility (per 1.00), `volume` contracts and `count` trades.
    """

    def __init__(
        self,
        contract: ListedContract,
        option_class: OptionClass,
        expiry: Expiry,
        life: tuple[int, int],
        path: Path,
        sessions: Timeline,
        seed: int,
    ) -> None:
        self.contract, self.option_class, self.path, self.sessions, self.seed = (
            contract,
            option_class,
            path,
            sessions,
            seed,
        )
        self.first, self.last = life
        self.end_seconds = expiry.end_seconds(sessions)
        self.surface = Surface(path)
        rows = np.arange(self.first, self.last + 1)
        high_first = path.high_step[rows] < path.low_step[rows]
        early = np.where(high_first, path.high_step[rows], path.low_step[rows])
        late = np.where(high_first, path.low_step[rows], path.high_step[rows])
        early_price = np.where(high_first, path.high[rows], path.low[rows])
        late_price = np.where(high_first, path.low[rows], path.high[rows])
        spots = np.stack((path.open[rows], early_price, late_price, path.close[rows]), axis=1) / 100.0
        self.moments: Ints = np.stack(
            (
                np.zeros(len(rows), dtype=np.int64),
                self._elapsed(rows, early),
                self._elapsed(rows, late),
                sessions.minutes[rows],
            ),
            axis=1,
        )
        years = self.years(rows[:, None], self.moments)
        strike = contract.strike
        self.volatility: Floats = self.surface.volatility(rows, spots[:, 0], strike, years[:, 0])
        self.values: Floats = black_scholes.price(spots, strike, years, self.volatility[:, None], contract.right)
        self.highest: Floats = self.values.max(axis=1)
        self.lowest: Floats = self.values.min(axis=1)
        rng = stream(seed, contract.local_symbol, sessions.dates[self.first], "trades")
        draws = rng.standard_normal((len(rows), 5))
        distance = self.surface.deviations(rows, spots[:, 0], strike, years[:, 0])
        usual = (
            _USUAL_VOLUME * option_class.liquidity * np.exp(-0.7 * distance**2 - 1.3 * years[:, 0] + 0.7 * draws[:, 4])
        )
        taste = stream(seed, contract.local_symbol, "taste").standard_normal()
        never = fraction(seed, contract.local_symbol, "never") < _NEVER_TRADES * min(
            1.0, float(np.min(np.abs(distance))) ** 2
        )
        usual *= 0.0 if never else np.exp(0.9 * taste)
        self.volume: Ints = np.where(self.highest < WORTHLESS, 0, np.floor(usual)).astype(np.int64)
        self.count: Ints = (self.volume + _CONTRACTS_A_TRADE - 1) // _CONTRACTS_A_TRADE
        self.traded_at: Mask = np.argsort(np.argsort(draws[:, :4], axis=1), axis=1) < self.count[:, None]

    def row(self, session: int) -> int:
        """The row of a session."""
        return session - self.first

    def years(self, session: Ints | int, elapsed: Ints | int) -> Floats:
        """Years to the end of the contract's life, `elapsed` minutes after the open of a session."""
        left = self.end_seconds - (self.sessions.open_seconds[session] + 60 * np.asarray(elapsed))
        return np.maximum(left, 0) / YEAR_SECONDS

    def value(self, session: int, spot: Floats, elapsed: Ints) -> Floats:
        """Theoretical values at given spots and minutes after the open, held within the session's range."""
        row = self.row(session)
        values = black_scholes.price(
            spot, self.contract.strike, self.years(session, elapsed), float(self.volatility[row]), self.contract.right
        )
        return np.clip(values, self.lowest[row], self.highest[row])

    def open_interest(self, session: int) -> int:
        """Open contracts on the morning of a session: part of what was traded before it."""
        before = int(self._traded_before[self.row(session)])
        return int(before * (0.25 + 0.3 * fraction(self.seed, self.contract.local_symbol, "held")))

    @cached_property
    def _traded_before(self) -> Ints:
        return np.concatenate(([0], np.cumsum(self.volume)[:-1]))

    def _elapsed(self, rows: Ints, step: Ints) -> Ints:
        """Minutes after the open at which traded minute `step` - 1 ends, halts counted."""
        path = self.path
        return step + np.where(step - 1 >= path.halt_start[rows], path.halt_minutes[rows], 0)


@dataclass(frozen=True, slots=True)
class TradeSeries:
    """The trades of a contract as bars."""

    model: OptionModel
    stock: StockSeries

    @property
    def life(self) -> tuple[int, int]:
        return self.model.first, self.model.last

    def daily(self, first: int, last: int, regular_hours: bool) -> Columns:
        model = self.model
        rows = np.arange(first, last + 1) - model.first
        rows = rows[model.volume[rows] > 0]
        traded, prices = model.traded_at[rows], trade_prices(model.values[rows])
        at = np.arange(len(rows))
        return Columns(
            rows + model.first,
            np.full(len(rows), REGULAR_OPEN * 60, dtype=np.int64),
            prices[at, np.argmax(traded, axis=1)],
            np.where(traded, prices, -np.inf).max(axis=1, initial=-np.inf),
            np.where(traded, prices, np.inf).min(axis=1, initial=np.inf),
            prices[at, 3 - np.argmax(traded[:, ::-1], axis=1)],
            model.volume[rows],
            np.round(np.where(traded, prices, 0.0).sum(axis=1) / np.maximum(traded.sum(axis=1), 1), 4),
            model.count[rows],
        )

    def minutes(self, session: int, regular_hours: bool) -> Columns:
        model = self.model
        row = model.row(session)
        volume, count = int(model.volume[row]), int(model.count[row])
        if not volume:
            return NO_ROWS
        # The minute bar in which each moment falls: the open in the first, the others at the end of theirs.
        moments = np.maximum(model.moments[row] - 1, 0)
        prices = trade_prices(model.values[row])
        rng = stream(model.seed, model.contract.local_symbol, self.model.sessions.dates[session], "minutes")
        if count < _ACTIVE:
            used = np.flatnonzero(model.traded_at[row])
            minute, price = moments[used], prices[used]
            opened, high, low, closed = price, price, price, price
        else:
            stock = self.stock.minutes(session, True)
            whole = mid_minutes(model, session, stock)
            at = stock.start // 60 - REGULAR_OPEN
            chosen = np.zeros(len(at), dtype=bool)
            events = np.searchsorted(at, moments)
            chosen[rng.permutation(len(at))[: min(len(at), count // 2)]] = True
            chosen[events] = True
            opened, high, low, closed = (
                trade_prices(column) for column in (whole.open, whole.high, whole.low, whole.close)
            )
            opened[events[0]], closed[events[3]] = prices[0], prices[3]
            np.maximum.at(high, events, prices)
            np.minimum.at(low, events, prices)
            minute, opened, high, low, closed = at[chosen], opened[chosen], high[chosen], low[chosen], closed[chosen]
        busy = rng.exponential(1.0, len(minute))
        counts = 1 + share_out(count - len(minute), busy)
        volumes = counts + share_out(volume - count, busy)
        return Columns(
            np.full(len(minute), session, dtype=np.int64), (minute + REGULAR_OPEN) * 60, opened, high, low, closed,
            volumes,
            np.round((opened + high + low + closed) / 4.0, 4), counts,
        )  # fmt: skip

    def seconds(self, minute: Columns) -> Columns:
        return seconds_of(minute, (self.model.seed, self.model.contract.local_symbol))


@dataclass(frozen=True, slots=True)
class MidSeries:
    """The theoretical values of a contract as bars without volume, from which quote bars are made."""

    model: OptionModel
    stock: StockSeries

    @property
    def life(self) -> tuple[int, int]:
        return self.model.first, self.model.last

    def daily(self, first: int, last: int, regular_hours: bool) -> Columns:
        model = self.model
        rows = np.arange(first, last + 1) - model.first
        values, nothing = np.round(model.values[rows], 4), np.zeros(len(rows), dtype=np.int64)
        return Columns(
            rows + model.first, np.full(len(rows), REGULAR_OPEN * 60, dtype=np.int64), values[:, 0], values.max(axis=1,
            initial=-np.inf),
            values.min(axis=1, initial=np.inf), values[:, 3], nothing, nothing.astype(np.float64), nothing,
        )  # fmt: skip

    def minutes(self, session: int, regular_hours: bool) -> Columns:
        return mid_minutes(self.model, session, self.stock.minutes(session, True))

    def seconds(self, minute: Columns) -> Columns:
        return seconds_of(minute, (self.model.seed, self.model.contract.local_symbol, "mid"), ticks_a_dollar=10_000)


def mid_minutes(model: OptionModel, session: int, stock: Columns) -> Columns:
    """Theoretical values for each minute of the underlying, rounded to 4 decimals; the four moments exactly as in the
    session's bar."""
    at = stock.start // 60 - REGULAR_OPEN
    spots = np.stack((stock.open, stock.high, stock.low, stock.close))
    values = model.value(session, spots, np.stack((at, at + 1, at + 1, at + 1)))
    row = model.row(session)
    moments = model.values[row]
    opened, closed = values[0], values[3]
    high, low = values.max(axis=0), values.min(axis=0)
    events = np.searchsorted(at, np.maximum(model.moments[row] - 1, 0))
    opened[events[0]], closed[events[3]] = moments[0], moments[3]
    np.maximum.at(high, events, moments)
    np.minimum.at(low, events, moments)
    nothing = np.zeros(len(at), dtype=np.int64)
    return Columns(
        stock.session, stock.start, np.round(opened, 4), np.round(high, 4), np.round(low, 4), np.round(closed, 4),
        nothing,
        nothing.astype(np.float64), nothing,
    )  # fmt: skip


def trade_prices(values: Floats) -> Floats:
    """Prices at which trades happen: the value on the cent, at least one cent.

    Values are taken with 4 decimals, as minutes hold them: rounded once in the session's bar and twice in its minutes,
    they would differ.
    """
    return np.maximum(np.rint(np.round(values, 4) * 100.0), 1.0) / 100.0
