"""Numbers that users give, and the bounds that hold for them in Python, at the command line and in the UI alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from trading_assets.arguments.columns import plain, several
from trading_assets.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the largest value of a number (both allowed), in `unit`."""

    least: float
    most: float
    unit: str

    def whole(self, value: Any, name: str) -> int:
        """The value, when it is a whole number within the bounds. Raises `InvalidRequest`."""
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise InvalidRequest(f"{name} is {value!r}, and a whole number is wanted: {self.words}.")
        return int(self._within(int(value), name))

    def real(self, value: Any, name: str) -> float:
        """The value, when it is a finite number within the bounds. Raises `InvalidRequest`."""
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise InvalidRequest(f"{name} is {value!r}, and a number is wanted: {self.words}.")
        return float(self._within(float(value), name))

    @property
    def words(self) -> str:
        """The bounds in words."""
        return f"from {_written(self.least)} to {_written(self.most)} {self.unit}".rstrip()

    @property
    def option(self) -> dict[str, Any]:
        """The bounds as arguments of an option of the command line."""
        return {"min": self.least, "max": self.most}

    def _within(self, value: float, name: str) -> float:
        if not self.least <= value <= self.most:
            raise InvalidRequest(f"{name} is {_written(value)}, and must be {self.words}.")
        return value


def _written(value: float) -> str:
    """The number with its thousands apart; a whole number with all of its digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.12g}"


LOOKBACK_DAYS = Bounds(0, 36_525, "calendar days")
"""A hundred years: longer than any series of the broker, and dates stay within the calendar."""

SESSIONS = Bounds(1, 10_000, "sessions")
"""Some forty years of trading: more than the calendar has."""

SYMBOLS = Bounds(1, 100_000, "symbols")
"""Ten times the listed shares and funds of the US."""

REQUESTS = Bounds(0, 1_000_000, "requests")
"""A month of requests at the broker's limit of small bars is 250,000."""

MINUTES = Bounds(0, 525_600, "minutes")
"""A year."""

LIMIT = Bounds(1, 1_000_000, "rows")
"""More than a person or a program wants at once."""

ALERT_HOURS = Bounds(1 / 60, 10 * 366 * 24, "hours")
"""From a minute (the alerts sensor looks twice in it) to ten years: what is longer is a mistake of typing."""

CON_ID = Bounds(0, 2**63 - 1, "(0 for a contract without one)")
"""The contract ids that the lake's columns hold."""

DATABASE_ID = Bounds(1, 10**15, "")
"""Ids in the state database, which can hold 18 digits."""

KEPT_SNAPSHOTS = Bounds(1, 100_000, "snapshots")
"""At least the newest one stays; a backup every five minutes makes as many in a year."""

STRIKE = Bounds(0, 1e9, "dollars")
"""Ten times the highest price of any share."""


def con_ids(value: Any, name: str = "con_id") -> list[int]:
    """One contract id or several, each once, in the order given: a number or any collection, a column of a frame too.

    Columns that pandas merged hold whole numbers as floats; these are accepted. Raises `InvalidRequest`.
    """
    return list(dict.fromkeys(one_con_id(one, name) for one in several(value)))


def one_con_id(value: Any, name: str = "con_id") -> int:
    """A contract id. Raises `InvalidRequest`."""
    found = plain(value)
    return CON_ID.whole(int(found) if isinstance(found, float) and found.is_integer() else found, name)
