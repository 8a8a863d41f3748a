"""Which options of an underlying are streamed: those nearest the money, chosen anew once its price has moved far.

They are chosen at one price and stay until the price has moved by a whole strike, and by half of the distance that the
chosen ones cover: a price that goes to and fro around a strike changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

from trading_assets.instrument import is_adjusted_class

LEAST_MOVE = 0.001
"""Part of the price that is no move, however near the strikes are to each other."""

Row = Mapping[str, Any]
"""A row of `option_chains`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The price in dollars at which options were chosen, and the move from it with which they are chosen anew."""

    price: float
    reach: float


class Nearest:
    """The prices at which the options of each symbol are chosen. `follow` has them chosen at another price."""

    def __init__(self) -> None:
        self._live: dict[str, float] = {}
        self._choices: dict[str, Choice] = {}

    def follow(self, prices: Mapping[str, float]) -> bool:
        """Whether options have to be chosen anew at one of these prices of underlyings (dollars), by symbol."""
        moved = {
            symbol: price
            for symbol, price in prices.items()
            if (chosen := self._choices.get(symbol)) is not None and abs(price - chosen.price) >= chosen.reach
        }
        self._live |= moved
        return bool(moved)

    def choose(self, symbol: str, rows: Sequence[Row], spot: float | None, count: int) -> list[Row]:
        """The `count` rows nearest the money, of equal ones those that expire first. Without a move these are of the
        selected ones; after one, of as many of each expiry and right around the price of now. `spot` is the price that
        the chain has. Classes that a corporate action has adjusted have strikes of another scale: they are left out
        where there are others."""
        selected = [row for row in rows if row["selected"]] or list(rows)
        usual = [row for row in selected if not is_adjusted_class(symbol, row["trading_class"], row["multiplier"])]
        selected = usual or selected
        price = self._live.get(symbol, spot)
        if symbol in self._live:
            selected = _around(rows, selected, self._live[symbol])
        ranked = sorted(selected, key=lambda row: (*rank(row, price), row["right"], row["con_id"]))[:count]
        self._choices.pop(symbol, None)
        if price is not None and ranked:
            self._choices[symbol] = Choice(price, _reach(rows, ranked, price))
        return ranked

    def price(self, symbol: str, spot: float | None) -> float | None:
        """The price at which its options were chosen last; `spot` is the one that the chain has."""
        return self._live.get(symbol, spot)


def rank(row: Row, price: float | None) -> tuple[float, float]:
    """Distance from the money, then expiry."""
    distance = abs(row["strike"] / price - 1) if price else 0.0
    return round(distance, 4), float(row["last_trade"])


def _listing(row: Row) -> tuple[Any, ...]:
    return row["trading_class"], row["expiry"], row["multiplier"], row["right"]


def _around(rows: Sequence[Row], selected: Sequence[Row], price: float) -> list[Row]:
    """Of each expiry and right of which there are selected rows, as many nearest that price."""
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    listed: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in selected:
        counts[_listing(row)] += 1
    for row in rows:
        listed[_listing(row)].append(row)
    return [
        row
        for listing, count in counts.items()
        for row in sorted(listed[listing], key=lambda row: (rank(row, price), row["con_id"]))[:count]
    ]


def _reach(rows: Sequence[Row], chosen: Sequence[Row], price: float) -> float:
    listings = {_listing(row) for row in chosen}
    strikes = sorted({row["strike"] for row in rows if _listing(row) in listings}, key=lambda one: abs(one - price))
    step = min((later - one for one, later in pairwise(sorted(strikes[:3]))), default=inf)
    covered = max(abs(row["strike"] - price) for row in chosen)
    return max(step, covered / 2, LEAST_MOVE * price)
