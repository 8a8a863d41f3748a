"""Bars in another unit than the stored ones: volumes in lots instead of shares, prices in cents, times of another zone.

Compared are bars that are stored already (same start: `compared`) and, of intraday bars, the hours of the session
(`shifted_hours`). What the comparison cannot say is left to the instrument's history (`unit_history`). A change is
found where the same factor of 100 explains the bars and nothing else does; a split changes prices and volume together,
late trades change a volume by a few per cent, and neither is a change of unit. Where a split and a change of unit come
together, the volume is off by a factor of 100 after the ratio of the prices is taken out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from trading_assets.collecting.decode.restated import PRICES, TOLERANCE
from trading_assets.sessions import NEW_YORK, SessionCalendar

FACTORS = (100.0, 0.01)
"""What one unit is of another: shares a round lot, cents a dollar."""

BAND = 0.25
"""By how much of itself a volume may differ from the scaled one: late trades, and lots that were cut off."""

STOCK_SLACK, OPTION_SLACK = 100.0, 1.0
"""Shares or contracts by which it may differ at least: a round lot, a contract."""

LEAST_VOLUME, LEAST_CONTRACTS = 1_000.0, 10.0
"""Compared bars with less volume in all decide nothing: in a thin stock one late trade is a factor of a hundred."""

AGREEING = 0.9
"""Part of the compared bars that the factor has to explain."""

LEAST_BARS = 5
"""Bars outside the session's hours that decide about a zone; fewer are an impossible time."""

_CENT, _RESTATED = 0.01, 0.01
"""Step of prices, and part by which they may differ from those that one ratio restates."""

_HALF_HOUR = 1_800
_MOST_HALF_HOURS = 28

Numbers = npt.NDArray[np.float64]


class Quantity(StrEnum):
    """What may be in another unit."""

    VOLUME = "volume"
    PRICE = "price"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class UnitChange:
    """Bars of one instrument and size are in another unit than assumed.

    `con_id` is 0 for an underlying. `factor` is new value over expected one (100 or 0.01), of times the hours by which
    the bars are off. `evidence` says what shows it; `first` and `last` are the sessions that were compared.
    """

    symbol: str
    con_id: int
    bar_size: str
    quantity: Quantity
    factor: float
    evidence: str
    first: date
    last: date


Series = tuple[str, int, str]
"""Symbol, contract id (0: an underlying) and bar size."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What bars that are stored already say: the changes, and the series whose unit of volume or price they decide."""

    changes: list[UnitChange]
    decided: frozenset[Series]


def compared(new: pa.Table, stored: pa.Table, *, options: bool = False) -> Compared:
    """Compare new bars with stored bars of the same series and start.

    Both tables have the columns symbol, con_id, bar_size, start, session, open, high, low, close, volume (rows of
    `equity_bars` or `option_bars`).
    """
    if not stored.num_rows:
        return Compared([], frozenset())
    names = ["symbol", *(["con_id"] if options else []), "bar_size", "start"]
    both = _columns(new).merge(_columns(stored), on=names, suffixes=("", "_old"))
    changes: list[UnitChange] = []
    decided: set[Series] = set()
    for _, bars in both.groupby([name for name in names if name != "start"], sort=True):
        head = bars.iloc[0]
        series = (str(head["symbol"]), int(head["con_id"]) if options else 0, str(head["bar_size"]))
        prices = bars[list(PRICES)].to_numpy(float)
        before = bars[[f"{name}_old" for name in PRICES]].to_numpy(float)
        volume, known = bars["volume"].to_numpy(float), bars["volume_old"].to_numpy(float)
        same = (abs(prices - before) <= TOLERANCE * abs(before)).all(axis=1)
        found = _volume(volume[same], known[same], options) or _price(prices, before, volume, known)
        words = "same prices, volume" if found is not None and found[0] is Quantity.VOLUME else "same volume, prices"
        restated = not same.any() and not _unchanged(volume, known)
        if found is None and restated and (ratio := _restated_by(prices, before)) is not None:
            found = _volume(volume * ratio, known, options)
            words = f"prices restated by {ratio:.6g}, and beyond that volume"
        if found is not None:
            quantity, factor, count = found
            days = bars["session"]
            evidence = f"{words} x {factor:g} in {count} stored {'bar' if count == 1 else 'bars'}"
            changes.append(UnitChange(*series, quantity, factor, evidence, days.min(), days.max()))
        if found is not None or (same & (volume > 0) & (known > 0)).any():
            decided.add(series)
    return Compared(changes, frozenset(decided))


def shifted_hours(starts: Iterable[Any], calendar: SessionCalendar) -> float | None:
    """By how many hours intraday bars (starts as epoch seconds) are off, so that moved back all of them lie in regular
    hours and most sessions begin at the open; None where they lie in them already, or no such shift explains them."""
    epochs = np.unique([start for start in starts if type(start) is int and 0 < start < 2**32])
    if len(epochs) < LEAST_BARS:
        return None
    shifts = sorted(range(-_MOST_HALF_HOURS, _MOST_HALF_HOURS + 1), key=abs)
    for shift in shifts:
        moved = epochs - shift * _HALF_HOUR
        inside, opening = _in_hours(moved.tolist(), calendar)
        if inside and (shift == 0 or opening):
            return shift / 2 or None
    return None


def _in_hours(epochs: Sequence[int], calendar: SessionCalendar) -> tuple[bool, bool]:
    """Whether all lie in the regular hours of a session, and whether the bars of most sessions begin at its open."""
    firsts: dict[date, int] = {}
    for epoch in epochs:
        firsts.setdefault(datetime.fromtimestamp(epoch, UTC).astimezone(NEW_YORK).date(), epoch)
    days = [day for day in firsts if calendar.is_session(day)]
    if len(days) < len(firsts):
        return False, False
    hours = {day: (calendar.opens_at(day).timestamp(), calendar.closes_at(day).timestamp()) for day in days}
    count: Counter[date] = Counter()
    for epoch in epochs:
        day = datetime.fromtimestamp(epoch, UTC).astimezone(NEW_YORK).date()
        if not hours[day][0] <= epoch < hours[day][1]:
            return False, False
        count[day] += 1
    opening = sum(firsts[day] == hours[day][0] for day in days)
    return True, opening >= AGREEING * len(days)


def _volume(new: Numbers, old: Numbers, options: bool) -> tuple[Quantity, float, int] | None:
    """The factor between volumes of bars with the same prices."""
    traded = (new > 0) & (old > 0)
    new, old = new[traded], old[traded]
    if old.sum() < (LEAST_CONTRACTS if options else LEAST_VOLUME):
        return None
    slack = OPTION_SLACK if options else STOCK_SLACK
    for factor in FACTORS:
        fits = abs(new / factor - old) <= np.maximum(slack, BAND * old)
        differs = abs(new - old) > np.maximum(slack, BAND * old)
        if (fits & differs).sum() >= AGREEING * len(old) and (BAND < (new / factor).sum() / old.sum() < 1 / BAND):
            return Quantity.VOLUME, factor, int((fits & differs).sum())
    return None


def _unchanged(new: Numbers, old: Numbers) -> bool:
    """Whether most volumes are the same: then no unit has changed, and the broker leaves volumes as they were traded
    where it restates prices."""
    return bool((abs(new - old) <= TOLERANCE * old).sum() >= AGREEING * len(old))


def _restated_by(new: Numbers, old: Numbers) -> float | None:
    """The one ratio by which a corporate action has restated prices, None where no ratio explains them: it changes
    volumes by its inverse, so that a change of unit shows in what is left."""
    if not (old > 0).all() or not (new > 0).all():
        return None
    ratio = float(np.median(new / old))
    step = 0.5 * _CENT
    fits = abs(new - ratio * old) <= _RESTATED * ratio * old + step + ratio * step
    return ratio if fits.all(axis=1).sum() >= AGREEING * len(new) else None


def _price(new: Numbers, old: Numbers, volume: Numbers, known: Numbers) -> tuple[Quantity, float, int] | None:
    """The factor between prices of bars with the same volume; of an index, which has none, that of the prices."""
    traded = (volume > 0) & (known > 0)
    if (abs(volume - known) > BAND * known)[traded].any() or ((volume > 0) != (known > 0)).any():
        return None
    for factor in FACTORS:
        half_unit = 0.51 if factor > 1 else 0.0051
        fits = (abs(new - old * factor) <= half_unit).all(axis=1)
        if fits.sum() >= AGREEING * len(new) and abs(new.sum() / old.sum() / factor - 1) < 0.02:
            return Quantity.PRICE, factor, int(fits.sum())
    return None


def _columns(bars: pa.Table) -> pd.DataFrame:
    return bars.select(["symbol", "con_id", "bar_size", "start", "session", *PRICES, "volume"]).to_pandas()
