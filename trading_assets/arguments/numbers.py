"""Numbers that users give, and the bounds that hold for them in Python, at the command line and in the UI alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

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
        return f"from {self.least:,.12g} to {self.most:,.12g} {self.unit}".rstrip()

    @property
    def option(self) -> dict[str, Any]:
        """The bounds as arguments of an option of the command line."""
        return {"min": self.least, "max": self.most}

    def _within(self, value: float, name: str) -> float:
        if not self.least <= value <= self.most:
            raise InvalidRequest(f"{name} is {value:,.12g}, and must be {self.words}.")
        return value


LOOKBACK_DAYS = Bounds(0, 36_525, "calendar days")
"""A hundred years: longer than any series of the broker, and dates stay within the calendar."""

SESSIONS = Bounds(1, 10_000, "sessions")
"""Some forty years of trading: more than the calendar has."""

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

STRIKE = Bounds(0, 1e9, "dollars")
"""Ten times the highest price of any share."""
