"""The sessions of the trading calendar as arrays, so that whole columns of instants and dates are placed at once.

Here belongs the vectorised form of `trading_assets.sessions` and nothing else: which session a row belongs to, when
that session opens and closes. A session is an *index* into the arrays; -1 stands for "no session".
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from trading_assets.sessions import NEW_YORK, calendar

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400
"""Seconds of a calendar day; sessions never fall on the two days a year that are longer or shorter."""


class SessionGrid:
    """Every session with its date, New York midnight, regular open and close. Instants are epoch seconds (UTC)."""

    def __init__(self) -> None:
        sessions = calendar()
        self.dates = sessions.sessions(sessions.first, sessions.last)
        self.days: Ints = np.array([day.toordinal() - _EPOCH for day in self.dates], dtype=np.int64)
        """Days since 1970-01-01 of each session date."""
        midnights = (np.datetime64(day, "s").astype(np.int64) for day in self.dates)
        offsets = (int(sessions.opens_at(day).astimezone(NEW_YORK).utcoffset().total_seconds()) for day in self.dates)  # type: ignore[union-attr]
        self.midnights: Ints = np.array(
            [midnight - offset for midnight, offset in zip(midnights, offsets, strict=True)], dtype=np.int64
        )
        self.opens: Ints = np.array([int(sessions.opens_at(day).timestamp()) for day in self.dates], dtype=np.int64)
        self.closes: Ints = np.array([int(sessions.closes_at(day).timestamp()) for day in self.dates], dtype=np.int64)

    def of_days(self, days: Ints) -> Ints:
        """The session index of each date (days since 1970-01-01), -1 where the date is no session."""
        position = np.minimum(np.searchsorted(self.days, days), len(self.days) - 1)
        return np.where(self.days[position] == days, position, -1).astype(np.int64)

    def of_instants(self, seconds: Ints) -> Ints:
        """The index of the session on whose New York date each instant falls, -1 where that date is no session."""
        position = np.maximum(np.searchsorted(self.midnights, seconds, side="right") - 1, 0)
        inside = (seconds >= self.midnights[position]) & (seconds < self.midnights[position] + _DAY)
        return np.where(inside, position, -1).astype(np.int64)

    def of_date(self, day: date) -> int:
        """The session index of a date, -1 if it is no session."""
        return int(self.of_days(np.array([day.toordinal() - _EPOCH], dtype=np.int64))[0])

    def current(self, instant: float) -> int:
        """The latest session whose New York date has begun (`SessionCalendar.current`), -1 before the first."""
        return int(np.searchsorted(self.midnights, instant, side="right")) - 1

    def of_or_after(self, instant: float) -> int:
        """The first session whose New York date has not ended at an instant; past the last, the number of sessions."""
        return int(np.searchsorted(self.midnights + _DAY, instant, side="right"))


@lru_cache(maxsize=1)
def grid() -> SessionGrid:
    """The grid of this process, built once (about 0.1 s)."""
    return SessionGrid()
