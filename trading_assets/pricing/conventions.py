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
        return Greeks(*(self.like(column) for column in np.ascontiguousarray(table.T)))


_SIGNS = {"C": 1.0, "CALL": 1.0, "P": -1.0, "PUT": -1.0}


def aligned(**arguments: Any) -> Aligned:
    """Numbers and arrays broadcast together, in the order given; `right` becomes +1 for calls and -1 for puts.

    Raises `ValueError` in one sentence for a right that is none, a strike that is not a number, and lengths that do not
    agree.
    """
    arrays = {name: _signs(value) if name == "right" else _numbers(name, value) for name, value in arguments.items()}
    strike = arrays["strike"]
    wrong = np.isnan(strike)
    if wrong.any():
        which = f"Strike {np.flatnonzero(wrong)[0] + 1} of {strike.size}" if strike.ndim else "The strike"
        raise ValueError(f"{which} is not a number: leave that contract out.")
    shapes = {array.shape for array in arrays.values() if array.ndim}
    try:
        shape = shapes.pop() if len(shapes) == 1 else np.broadcast_shapes(*shapes)
    except ValueError:
        sizes = ", ".join(f"{name} {_size(array)}" for name, array in arrays.items() if array.ndim)
        raise ValueError(f"The arguments have different lengths ({sizes}): give one value, or one an option.") from None
    return Aligned(tuple(_flat(array, shape) for array in arrays.values()), shape)


VALUING = ("spot", "strike", "years", "volatility", "right", "rate", "dividend_yield")
IMPLYING = ("option_price", "spot", "strike", "years", "right", "rate", "dividend_yield")
"""The arguments of a value, and of the volatility that a price implies, in the order of the kernels."""


def aligned_in(names: tuple[str, ...], *values: Any) -> Aligned:
    """The same of values in the order of their names."""
    return aligned(**dict(zip(names, values, strict=True)))


def _flat(array: Floats, shape: tuple[int, ...]) -> Floats:
    """A copy as a kernel takes it: contiguous and writable, for which alone there is a compiled form."""
    if array.shape == shape:
        return array.flatten()
    filled = np.empty(shape)
    filled[...] = array
    return filled.ravel()


def _numbers(name: str, value: Any) -> Floats:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number or an array of numbers, not {value!r:.60}.") from None


def _signs(right: Any) -> Floats:
    if isinstance(right, str) and right in _SIGNS:
        return np.asarray(_SIGNS[right])
    rights = np.asarray(right)
    signs = np.zeros(rights.shape)
    for word, sign in _SIGNS.items():
        signs[rights == word] = sign
    if not signs.all():
        wrong = rights[signs == 0].flat[0]
        raise ValueError(f"An option's right is 'C' or 'P', not {wrong!s:.20}.")
    return signs


def _size(array: Floats) -> str:
    return " x ".join(str(length) for length in array.shape)
