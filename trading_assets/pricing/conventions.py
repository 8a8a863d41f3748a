"""What all of pricing agrees on: day count, the range of volatilities, arrays of one length, rights as signs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DAYS_A_YEAR = 365.0
"""Calendar days a year: the day count of the broker's theta and of the vendors' recorded volatilities."""

MAX_VOLATILITY = 10.0
"""Upper end of the search for an implied volatility (1000 %); recorded deep wings stay below 5."""
MIN_VOLATILITY = 1e-4
"""Lower end of that search; a price that needs less has no usable time value."""

Floats = NDArray[np.float64]


class Greeks(NamedTuple):
    """Prices and greeks, each a number or an array of one shape, in this order.

    Price in dollars a share; delta and gamma per dollar of the underlying; vega per volatility point (0.01); theta per
    calendar day; rho per rate point (0.01).
    """

    price: Any
    delta: Any
    gamma: Any
    vega: Any
    theta: Any
    rho: Any


class Aligned(NamedTuple):
    """Arguments of one call as flat arrays of one length, which a compiled kernel takes, and the shape they came in."""

    columns: tuple[Floats, ...]
    shape: tuple[int, ...]

    def like(self, values: Floats) -> Any:
        """A result in the shape of the arguments: a float for numbers."""
        return values.reshape(self.shape) if self.shape else float(values[0])

    def greeks(self, table: Floats) -> Greeks:
        """The columns of a kernel's table in the shape of the arguments."""
        return Greeks(*(self.like(np.ascontiguousarray(column)) for column in table.T))


def aligned(**arguments: Any) -> Aligned:
    """Numbers and arrays broadcast together, in the order given; `right` becomes +1 for calls and -1 for puts.

    Raises `ValueError` in one sentence for a right that is none, a strike that is not a number, and lengths that do not
    agree.
    """
    arrays = {name: _signs(value) if name == "right" else _numbers(name, value) for name, value in arguments.items()}
    wrong = np.flatnonzero(np.isnan(arrays["strike"]))
    if len(wrong):
        which = "The strike" if arrays["strike"].ndim == 0 else f"Strike {wrong[0] + 1} of {arrays['strike'].size}"
        raise ValueError(f"{which} is not a number: leave that contract out.")
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError:
        sizes = ", ".join(f"{name} {_size(array)}" for name, array in arrays.items() if array.ndim)
        raise ValueError(f"The arguments have different lengths ({sizes}): give one value, or one an option.") from None
    # A copy each: a kernel has one compiled form, for arrays that are contiguous and may be written.
    columns = tuple(np.array(np.broadcast_to(array, shape), dtype=np.float64).ravel() for array in arrays.values())
    return Aligned(columns, shape)


def _numbers(name: str, value: Any) -> Floats:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number or an array of numbers, not {value!r:.60}.") from None


def _signs(right: Any) -> Floats:
    rights = np.asarray(right)
    calls, puts = np.isin(rights, ("C", "CALL")), np.isin(rights, ("P", "PUT"))
    wrong = rights[~(calls | puts)]
    if wrong.size:
        raise ValueError(f"An option's right is 'C' or 'P', not {wrong.flat[0]!s:.20}.")
    return np.where(calls, 1.0, -1.0)


def _size(array: Floats) -> str:
    return " x ".join(str(length) for length in array.shape)
