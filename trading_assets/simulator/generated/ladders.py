"""Which strikes of an expiry are listed in which sessions, and the contract ids made from that.

A ladder starts around the spot at listing and is extended when the spot moves: a strike is listed from the first
session before which the spot (its running low and high) had come near enough. A listed strike stays until expiry. On a
split all strikes end and their adjusted successors (strike / ratio, two decimals, a new local symbol and id) begin. So
what is listed at a moment is a pure function of the path up to then.

Contract ids can be taken apart again: they hold trading class, expiry, rank in the ladder and right. A rank is a
strike's place in the order of listing, which later listings do not change.

| ids | contracts |
| --- | --- |
| [2^30, 2^31) | options of the built-in classes: 64 slots of 2^24 ids, never ambiguous |
| [2^29, 2^30) | options of all other symbols, shifted by a hash of the symbol |

The second area is too small for every symbol there could be: ids are unique within a symbol, but of two such symbols
with 3,000 listed contracts each, one contract shares its id with a chance of about 2 %. Use built-in symbols where that
matters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property, lru_cache

import numpy as np

from trading_assets.simulator.generated.columns import Floats, Ints
from trading_assets.simulator.generated.expiries import Expiry
from trading_assets.simulator.generated.instruments import OPTION_EXCHANGES, OptionClass
from trading_assets.simulator.generated.paths import Path
from trading_assets.simulator.generated.randomness import stable_hash
from trading_assets.simulator.generated.timeline import Timeline
from trading_assets.simulator.market import ListedContract

MOST_STRIKES = 512
"""Strikes an expiry can have in its whole life: nine bits of the contract id. A ladder that is full lists no more."""

_BUILTIN_IDS, _OTHER_IDS = 1 << 30, 1 << 29
_SLOT_BITS = 24
_MULTIPLIER = 2654435761
"""An odd number (Knuth's), so that multiplication modulo a power of two can be undone."""
_INVERSE = pow(_MULTIPLIER, -1, _OTHER_IDS)
_FIRST_DAY = date(1998, 1, 1)

_NEAR, _WIDE = 1.2, 3.0
"""Standard deviations (to expiry, at listing) around the spot's range within which all, and within which coarse,
strikes are listed."""
_LEAST_NEAR, _LEAST_WIDE, _MOST_WIDE = 0.04, 0.10, 1.2
_NEW_LISTING = 10
"""Sessions after an underlying's first until its options begin."""


@dataclass(frozen=True)
class Ladder:
    """The strikes of one expiry of one trading class, in order of listing (rank).

    `strikes` in dollars; `begins` and `ends` are the first and last session in which each is listed.
    """

    option_class: OptionClass
    expiry: Expiry
    under: ListedContract
    strikes: Floats
    begins: Ints
    ends: Ints
    sessions: Timeline

    def ranks(self, listed_by: int, not_before: int) -> list[int]:
        """Ranks of the strikes listed in or before one session and still in or after another, by strike."""
        rows = np.flatnonzero((self.begins <= listed_by) & (self.ends >= not_before))
        ranked: list[int] = rows[np.argsort(self.strikes[rows], kind="stable")].tolist()
        return ranked

    def contract(self, rank: int, right: str) -> ListedContract:
        """The contract of a rank and right ("C" or "P")."""
        found = self._made.get((rank, right))
        if found is None:
            found = self._made[rank, right] = self._make(rank, right)
        return found

    @cached_property
    def _made(self) -> dict[tuple[int, str], ListedContract]:
        return {}

    @cached_property
    def _template(self) -> ListedContract:
        last_trade = self.sessions.dates[self.expiry.last_trade]
        half_day = self.sessions.minutes[self.expiry.last_trade] < 390
        return replace(
            self.under,
            con_id=0, sec_type="OPT", exchange="SMART", primary_exchange="", trading_class=self.option_class.name,
            min_tick=self.option_class.tick,
            multiplier="100", last_trade=f"{last_trade:%Y%m%d}", last_trade_time="13:00:00" if half_day else "16:00:00",
            expiry=self.expiry.day,
            under_con_id=self.under.con_id, under_sec_type=self.under.sec_type, stock_type="",
            market_name=self.option_class.name,
            valid_exchanges=OPTION_EXCHANGES,
        )  # fmt: skip

    def _make(self, rank: int, right: str) -> ListedContract:
        strike = float(self.strikes[rank])
        local_symbol = f"{self.option_class.name:<6}{self.expiry.day:%y%m%d}{right}{round(strike * 1000):08d}"
        con_id = option_id(self.option_class, self.expiry.day, rank, right)
        return replace(self._template, con_id=con_id, strike=strike, right=right, local_symbol=local_symbol)


def build_ladder(option_class: OptionClass, expiry: Expiry, path: Path, sessions: Timeline) -> Ladder:
    """The ladder of an expiry over its whole life. About 0.1 ms."""
    begin = max(expiry.listed, path.first + _NEW_LISTING)
    strikes: list[Floats] = []
    begins: list[Ints] = []
    ends: list[Ints] = []
    adjusted = np.empty(0)
    while begin <= expiry.last_trade:
        end = min(path.era_end(begin), expiry.last_trade)
        prior = path.close[begin - 1 : end] / 100.0
        prior[0] = prior[0] * path.shares[begin - 1] / path.shares[begin]
        new, from_row = _extending(option_class, path, prior, (expiry.day - sessions.dates[begin]).days)
        fresh = ~np.isin(np.rint(new * 100), np.rint(adjusted * 100))
        era = np.concatenate((adjusted, new[fresh]))
        first = np.concatenate((np.zeros(len(adjusted), dtype=np.int64), from_row[fresh])) + begin
        order = np.lexsort((era, first))
        strikes.append(era[order])
        begins.append(first[order])
        ends.append(np.full(len(era), end, dtype=np.int64))
        begin = end + 1
        if begin <= expiry.last_trade:
            adjusted = np.unique(np.round(era * path.shares[end] / path.shares[begin], 2))
    if not strikes:
        return Ladder(
            option_class,
            expiry,
            path.underlying.contract,
            np.empty(0),
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            sessions,
        )
    cut = slice(0, MOST_STRIKES)
    return Ladder(
        option_class,
        expiry,
        path.underlying.contract,
        np.concatenate(strikes)[cut],
        np.concatenate(begins)[cut],
        np.concatenate(ends)[cut],
        sessions,
    )


def _extending(option_class: OptionClass, path: Path, prior: Floats, days: int) -> tuple[Floats, Ints]:
    """Strikes of a ladder that starts now, and after how many sessions each is listed. `prior` are the closes before
    each session."""
    spot = float(prior[0])
    deviation = path.underlying.volatility * np.sqrt(max(days, 1) / 365.0)
    near = max(_NEAR * deviation, _LEAST_NEAR)
    wide = min(max(_WIDE * deviation, _LEAST_WIDE), _MOST_WIDE)
    highs, lows = np.maximum.accumulate(prior), np.minimum.accumulate(prior)
    grid, coarse = _grid(
        option_class, path, spot, float(lows[-1] * np.exp(-wide)), float(highs[-1] * np.exp(wide)), days
    )
    reach = np.where(coarse, max(near, wide), near)
    up = np.searchsorted(highs, grid * np.exp(-reach))
    down = np.searchsorted(-lows, -grid * np.exp(reach))
    listed = np.where(grid >= spot, up, down)
    keep = listed < len(prior)
    return grid[keep], listed[keep].astype(np.int64)


def _grid(
    option_class: OptionClass, path: Path, spot: float, low: float, high: float, days: int
) -> tuple[Floats, np.ndarray]:
    """Possible strikes in [low, high] and which of them are coarse. Fixed by the spot and the days at listing."""
    if path.underlying.is_index and spot > 400:
        fine, step = (5.0, 25.0) if days <= 60 else (25.0, 50.0) if days <= 300 else (25.0, 100.0)
        # steps of 5 for SPX up to 6,000
        widen = 2.0 ** max(0.0, np.ceil(np.log2(spot * path.underlying.volatility / 1000.0)))
        pieces = [(0.0, np.inf, widen * fine, widen * step)]
    elif option_class.schedule == "daily":
        fine, step = (1.0, 5.0) if days <= 60 or spot < 150 else (2.0, 10.0) if days <= 300 else (5.0, 20.0)
        # steps of 1 for SPY up to 727
        widen = 2.0 ** max(0.0, np.ceil(np.log2(spot * path.underlying.volatility / 120.0)))
        pieces = [(0.0, np.inf, widen * fine, widen * step)]
    else:
        widen = 1.0 if days <= 300 else 2.0
        liquid = option_class.liquidity >= 0.3
        pieces = [
            (0.0, 25.0, 0.5 * widen, 1.0 * widen),
            (25.0, 100.0 if liquid else 50.0, 1.0 * widen, 5.0),
            (100.0 if liquid else 50.0, 200.0, 2.5 * widen, 10.0),
            (200.0, 1000.0, 5.0 * widen, 20.0),
            (1000.0, np.inf, 20.0, 100.0),
        ]
    found, coarse = [], []
    for start, stop, fine, step in pieces:
        first = np.ceil(max(low, start, fine) / fine)
        last = np.ceil(min(high, stop) / fine)
        if last > first:
            values = np.arange(first, last) * fine
            found.append(values)
            coarse.append(np.isclose(np.mod(values + 1e-9, step), 0, atol=1e-6))
    if not found:
        return np.empty(0), np.empty(0, dtype=bool)
    return np.concatenate(found), np.concatenate(coarse)


def option_id(option_class: OptionClass, expiry: date, rank: int, right: str) -> int:
    """The contract id of an option."""
    days = (expiry - _FIRST_DAY).days + 3
    offset = (days // 7 * 5 + days % 7) << 10 | rank << 1 | (right == "P")
    if option_class.slot is not None:
        return _BUILTIN_IDS | option_class.slot << _SLOT_BITS | offset
    return _OTHER_IDS + (offset * _MULTIPLIER + _shift(option_class)) % _OTHER_IDS


def take_apart(con_id: int, option_class: OptionClass) -> tuple[date, int, str] | None:
    """Expiry, rank and right of an id of the class; None if it cannot be one. The expiry may not exist."""
    if option_class.slot is not None:
        if con_id >> _SLOT_BITS != (_BUILTIN_IDS >> _SLOT_BITS) + option_class.slot:
            return None
        offset = con_id & ((1 << _SLOT_BITS) - 1)
    else:
        if not _OTHER_IDS <= con_id < 2 * _OTHER_IDS:
            return None
        offset = (con_id - _OTHER_IDS - _shift(option_class)) * _INVERSE % _OTHER_IDS
        if offset >> _SLOT_BITS:
            return None
    weekday = offset >> 10
    expiry = _FIRST_DAY + timedelta(days=weekday // 5 * 7 + weekday % 5 - 3)
    return expiry, offset >> 1 & (MOST_STRIKES - 1), "P" if offset & 1 else "C"


def _shift(option_class: OptionClass) -> int:
    return _shift_of(option_class.name)


@lru_cache(maxsize=4096)
def _shift_of(name: str) -> int:
    return stable_hash("option", name, bits=29)
