"""The broker's ways to say "no value" among numbers, and the one way in which they become null.

| the broker writes | means |
| --- | --- |
| 1.7976931348623157E308 (`Double.MAX_VALUE`), NaN, infinity | unset |
| -1 (prices, sizes, volumes, counts, volatilities) or -2 (greeks) | not computed or not known; the field says which |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

UNSET = 1e300
"""Doubles above this are the broker's "unset" (1.797e308)."""


def number(value: float | None, absent: float | None = None) -> float | None:
    """A finite number; None for every way to say "unset", and for `absent`, the placeholder of the field (-1 or -2)."""
    if value is None or value == absent or not math.isfinite(value) or abs(value) > UNSET:
        return None
    return float(value)


def numbers(values: Sequence[Any], absent: float | None = None) -> npt.NDArray[np.float64]:
    """`number` of many values at once: an array with NaN in the place of None. Raises as `float` does for what is no
    number."""
    array = np.array(values, dtype=np.float64)
    known = np.isfinite(array) & (np.abs(array) <= UNSET)
    if absent is not None:
        known &= array != absent
    return np.where(known, array, np.nan)
