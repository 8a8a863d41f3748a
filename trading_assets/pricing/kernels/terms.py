"""What the functions of the American kernel hand on."""

from __future__ import annotations

from typing import Any, NamedTuple


class Option(NamedTuple):
    """The terms of one option: sign +1 for a call and -1 for a put, carry the continuous dividend yield."""

    spot: float
    strike: float
    years: float
    sign: float
    rate: float
    carry: float


class Cash(NamedTuple):
    """The dividends in the life of an option: the first `paid` of times (years) and amounts (dollars)."""

    times: Any
    amounts: Any
    paid: int


class Grid(NamedTuple):
    """Nodes of a stretch at its start: their number, the lowest (dollars), half the distance of two (logarithm) and
    their ratio. `last_step` is the time to expiry (years) where no stretch but the last step follows, else 0."""

    nodes: int
    lowest: float
    h: float
    ratio: float
    last_step: float
