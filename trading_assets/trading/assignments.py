"""Which options that are gone were assigned or exercised: those whose deliveries, at their strikes, are the shares that
moved.

The broker's position messages name no cause. A call delivers multiplier x quantity shares to its holder, a put takes
them; TWS books the shares at the strike, some accounts at the strike with the option's premium in the cost. Pure.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MOST_COMBINATIONS = 20_000
"""Combinations of contracts that are tried; beyond, whole positions only, then only all that expired in the money."""

PRICE_TOLERANCE, LEAST_TOLERANCE = 0.0005, 0.02
"""Part of the price, and dollars at least, by which a booked price may differ from the strike: commissions and fees are
a cent or so a share."""


@dataclass(frozen=True, slots=True)
class GoneOption:
    """An option of which `contracts` (negative: short ones) are gone. `premium` is its average cost a share (None:
    unknown); `expired` says that its value is settled by now, `in_the_money` whether exercise paid (None: unknown)."""

    con_id: int
    right: str
    strike: float
    multiplier: float
    contracts: float
    premium: float | None
    expired: bool
    in_the_money: bool | None

    @property
    def delivery(self) -> float:
        """Shares that come (negative: go) when all of them are exercised or assigned."""
        return self.contracts * self.multiplier * (1 if self.right == "C" else -1)

    def plausibility(self, count: int) -> float:
        """How odd it is that so many of the contracts were exercised or assigned: 0 is what was to be expected."""
        whole = round(abs(self.contracts))
        odd = 3.0 if 0 < count < whole else 0.0
        if self.expired:
            wrong = {True: whole - count, False: count, None: 0}[self.in_the_money]
            return odd + 10.0 * wrong
        return odd + count * {True: 1.0, False: 100.0, None: 3.0}[self.in_the_money]


@dataclass(frozen=True, slots=True)
class ShareMove:
    """The shares of an underlying at two looks, with their average costs (None: unknown or none held)."""

    before: float
    after: float
    cost_before: float | None
    cost_after: float | None

    @property
    def moved(self) -> float:
        """Shares that came; negative: went."""
        return self.after - self.before

    @property
    def price(self) -> float | None:
        """The average price at which they came or went; None where the costs do not say: shares that went leave the
        average cost of the others as it is."""
        if self.cost_after is None or not self.after:
            return None
        if self.before * self.after <= 0:
            return self.cost_after
        if abs(self.after) <= abs(self.before) or self.cost_before is None:
            return None
        return (self.after * self.cost_after - self.before * self.cost_before) / self.moved


def delivered(options: Sequence[GoneOption], shares: ShareMove) -> list[tuple[GoneOption, int]]:
    """The options that were exercised or assigned, with the number of contracts, so that they delivered the shares
    that moved: the most plausible combination. Empty where none fits."""
    if not shares.moved:
        return []
    fitting = [
        (sum(option.plausibility(count) for option, count in zip(options, counts, strict=True)), counts)
        for counts in _combinations(options)
        if _fits(options, counts, shares)
    ]
    if not fitting:
        return []
    least, counts = min(fitting)
    if least >= 100:  # exercised before the expiry for a loss: a trade is likelier
        return []
    return [(option, count) for option, count in zip(options, counts, strict=True) if count]


def _combinations(options: Sequence[GoneOption]) -> Iterable[tuple[int, ...]]:
    sizes = [round(abs(option.contracts)) for option in options]
    if math.prod(size + 1 for size in sizes) <= MOST_COMBINATIONS:
        return itertools.product(*(range(size + 1) for size in sizes))
    if 2 ** len(options) <= MOST_COMBINATIONS:
        return itertools.product(*((0, size) for size in sizes))
    return _expected(options)


def _expected(options: Sequence[GoneOption]) -> Iterator[tuple[int, ...]]:
    yield tuple(round(abs(option.contracts)) if option.expired and option.in_the_money else 0 for option in options)


def _fits(options: Sequence[GoneOption], counts: Sequence[int], shares: ShareMove) -> bool:
    parts = [
        (option, option.delivery * count / abs(option.contracts))
        for option, count in zip(options, counts, strict=True)
        if count
    ]
    if not parts or abs(sum(part for _, part in parts) - shares.moved) > 1e-6:
        return False
    if shares.price is None:  # before the expiry, only exercise that paid is likelier than two trades
        return all(option.expired or option.in_the_money for option, _ in parts)
    strikes = sum(part * option.strike for option, part in parts) / shares.moved
    premiums = (
        sum(part * (option.premium or 0.0) * (1 if option.right == "C" else -1) for option, part in parts)
        / shares.moved
    )
    return any(
        math.isclose(shares.price, price, rel_tol=PRICE_TOLERANCE, abs_tol=LEAST_TOLERANCE)
        for price in (strikes, strikes + premiums)
    )
