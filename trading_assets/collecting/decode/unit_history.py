"""What a series says of its unit where no stored bar has the same start: its other bar sizes, the sessions beside, and
the trades that the broker counts.

A bar of one session is never enough: a stock that trades a hundred times its usual volume on the day of its earnings
is not in another unit. What cannot be told is stored.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.collecting.decode.unit_changes import FACTORS, Quantity, UnitChange

LEAST_SESSIONS, LEAST_HISTORY = 3, 10
"""New and stored sessions that a comparison of their volumes needs."""

SEPARATED = 5.0
"""The least of the larger volumes is more than so many times the greatest of the smaller ones."""

WIDE = 2.5
"""By how much more or less than 100 the volume of another period, or of another bar size, may be."""

SAME_LEVEL = 2.0
"""Prices of two periods are of one level up to this ratio."""

SAME_VOLUME = 5.0
"""Volumes of two periods are of one level up to this ratio, where the prices differ by a factor of 100."""

LEAST_TRADES = 1_000
"""Trades of a new series that its first answer needs to be judged by."""

FEW_SHARES, FEW_DOLLARS = 3.0, 1_000.0
"""A mean trade below both is none of shares: what was counted are lots."""

MANY_SHARES, MANY_DOLLARS = 2_000.0, 250_000.0
"""A mean trade above both is none of a listed stock: shares were taken for lots."""


def by_session(bars: pa.Table) -> pd.DataFrame:
    """Rows of `equity_bars` as sums by session: symbol, bar_size, session, close (the last), volume, trades."""
    frame = bars.select(["symbol", "bar_size", "session", "start", "close", "volume", "bar_count"]).to_pandas()
    grouped = frame.sort_values("start").groupby(["symbol", "bar_size", "session"], sort=True)
    return grouped.agg(
        close=("close", "last"), volume=("volume", "sum"), trades=("bar_count", "sum"), bars=("volume", "size")
    ).reset_index()


def against_history(symbol: str, bar_size: str, new: pd.DataFrame, stored: pd.DataFrame) -> UnitChange | None:
    """Compare the sessions of one series with stored sessions of its symbol, both as `by_session` gives them; `stored`
    holds any bar sizes."""
    others = stored[stored["bar_size"] != bar_size]
    both = new.merge(others, on=["symbol", "session"], suffixes=("", "_old"))
    both = both[(both["volume"] > 0) & (both["volume_old"] >= 1_000)]
    if len(both):
        ratio = both["volume"] / both["volume_old"]
        level = both["close"] / both["close_old"]
        for factor in FACTORS:
            if ratio.div(factor).between(1 / WIDE, WIDE).all() and level.between(0.9, 1.1).all():
                evidence = f"same prices, volume x {factor:g} of {len(both)} session(s) stored as other bars"
                return _change(symbol, bar_size, Quantity.VOLUME, factor, evidence, both["session"])
        return None
    beside = stored[stored["bar_size"] == bar_size]
    beside = beside[~beside["session"].isin(new["session"])]
    return _against_others(symbol, bar_size, new, beside)


def _against_others(symbol: str, bar_size: str, new: pd.DataFrame, old: pd.DataFrame) -> UnitChange | None:
    """Compare with other sessions of the same series."""
    old, new = old[old["volume"] > 0], new[new["volume"] > 0]
    if len(old) < LEAST_HISTORY or not len(new):
        return None
    level = float(new["close"].median() / old["close"].median())
    volumes = float(new["volume"].median() / old["volume"].median())
    for factor in FACTORS:
        if 1 / 1.5 < level / factor < 1.5 and 1 / SAME_VOLUME < volumes < SAME_VOLUME:
            evidence = f"volume as before, prices x {factor:g} against the {len(old)} stored sessions beside"
            return _change(symbol, bar_size, Quantity.PRICE, factor, evidence, new["session"])
        apart = (
            new["volume"].min() > SEPARATED * old["volume"].max()
            if factor > 1
            else new["volume"].max() * SEPARATED < old["volume"].min()
        )
        enough = len(new) >= LEAST_SESSIONS and apart and 1 / SAME_LEVEL < level < SAME_LEVEL
        if enough and 1 / WIDE < volumes / factor < WIDE:
            evidence = (
                f"prices as before, volume x {factor:g} in {len(new)} sessions against the {len(old)} stored beside"
            )
            return _change(symbol, bar_size, Quantity.VOLUME, factor, evidence, new["session"])
    return None


def of_new_series(bars: pa.Table, assumed: str) -> UnitChange | None:
    """Whether the first answer of a stock contradicts the unit of volume that was assumed (`shares`, `round_lots`).

    `bars` are the rows of one series, volumes in shares by that assumption. Judged by the mean trade, its shares and
    its dollars, and by fractions: the broker gives lots with two digits, and whole shares.
    """
    known = bars.filter(pc.and_(pc.greater(bars["volume"], 0), pc.greater(bars["bar_count"], 0)))
    sessions = known["session"].unique()
    volume, trades = known["volume"].to_numpy(), known["bar_count"].to_numpy()
    if len(sessions) < LEAST_SESSIONS or trades.sum() < LEAST_TRADES:
        return None
    shares = float(volume.sum() / trades.sum())
    dollars = float((volume * known["close"].to_numpy()).sum() / trades.sum())
    cents = np.rint(volume * 100)
    fractions = (volume != np.rint(volume)) & (abs(volume * 100 - cents) < 1e-4)
    factor, evidence = None, f"{shares:.3g} shares a trade on average, worth {dollars:,.0f}"
    if assumed == "shares" and shares < FEW_SHARES and dollars < FEW_DOLLARS:
        factor = 0.01
    elif assumed == "shares" and fractions.sum() > len(volume) / 2 and len(volume) >= LEAST_SESSIONS:
        whole = bool((abs(volume * 100 - cents) < 1e-4).all())
        factor, evidence = (0.01 if whole else None), f"hundredths of a share in {int(fractions.sum())} bars"
    elif assumed == "round_lots" and shares > MANY_SHARES and dollars > MANY_DOLLARS:
        factor = 100.0
    if factor is None:
        return None
    symbol, size = bars["symbol"][0].as_py(), bars["bar_size"][0].as_py()
    return _change(symbol, size, Quantity.VOLUME, factor, evidence, pd.Series(sessions.to_pylist()))


def _change(
    symbol: str, bar_size: str, quantity: Quantity, factor: float, evidence: str, sessions: pd.Series[date]
) -> UnitChange:
    return UnitChange(symbol, 0, bar_size, quantity, factor, evidence, min(sessions), max(sessions))
