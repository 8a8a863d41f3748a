"""The parts of heavy work: groups of symbols, and periods of sessions that end where files end. Pure.

A period file holds all symbols. Two runs that write one at the same time are safe (a lock, on an object store a
conditional put), but one waits for the other or merges again. So a period never shares a file with another one where
it can be avoided, and symbols are split only as far as the size of a part demands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import groupby, pairwise, zip_longest
from typing import TypeVar

from trading_assets.errors import InvalidRequest

Item = TypeVar("Item")


class Work(StrEnum):
    """What can be split into parts."""

    GREEKS = "greeks"
    VALIDATION = "validation"
    BACKFILL = "backfill"

    @classmethod
    def of(cls, value: str) -> Work:
        """The work of that name. Raises `InvalidRequest`."""
        try:
            return cls(value)
        except ValueError:
            raise InvalidRequest(f"{value!r} cannot be split into parts: give {', '.join(cls)}.") from None


@dataclass(frozen=True, slots=True)
class Part:
    """One part: `symbols` (none: what concerns the lake as a whole) in the sessions `first` to `last` (None: all).

    `number` counts from 1. `gateway` is the name of the one that all symbols are asked through, empty where that does
    not matter.
    """

    number: int
    symbols: tuple[str, ...]
    first: date | None
    last: date | None
    gateway: str = ""

    def words(self) -> str:
        """Which part it is, for people: `50 symbols, AAPL to CAT, sessions 2025-01-02 to 2025-03-31`."""
        who = "the lake as a whole"
        if self.symbols:
            ends = self.symbols[0] if len(self.symbols) == 1 else f"{self.symbols[0]} to {self.symbols[-1]}"
            who = f"{len(self.symbols)} symbol{'' if len(self.symbols) == 1 else 's'}, {ends}"
        when = f"sessions {self.first or 'from the first one on'} to {self.last or 'the last one'}"
        return f"{who}, {when if self.first or self.last else 'all sessions'}"


@dataclass(frozen=True, slots=True)
class SymbolGroup:
    """Symbols that one part works on, in order; `gateway` as of `Part`."""

    symbols: tuple[str, ...]
    gateway: str = ""


def symbol_groups(
    symbols: Collection[str], most: int, gateway_of: Callable[[str], str] | None = None
) -> list[SymbolGroup]:
    """The symbols, sorted, in the fewest groups of at most `most`, of nearly the same size.

    With `gateway_of` the symbols of a group share their gateway, and the groups of different gateways take turns: so
    those that run side by side use different logins.
    """
    shares: dict[str, list[str]] = {}
    for symbol in sorted(set(symbols)):
        shares.setdefault(gateway_of(symbol) if gateway_of else "", []).append(symbol)
    split = [
        [SymbolGroup(tuple(part), name) for part in _evenly(share, most)] for name, share in sorted(shares.items())
    ]
    return [group for turn in zip_longest(*split) for group in turn if group is not None]


def session_periods(
    sessions: Sequence[date], most: int | None, file_of: Callable[[date], str]
) -> list[tuple[date, date]]:
    """First and last session of each period of at most `most` sessions (None: one period), in order.

    `file_of` names the period file of a session: whole files are put together as long as they fit, and a file that does
    not fit by itself is cut into pieces of nearly the same size.
    """
    if most is None or len(sessions) <= most:
        return [(sessions[0], sessions[-1])]
    found: list[list[date]] = []
    takes_more = False  # whether the last period holds whole files
    for _, group in groupby(sessions, file_of):
        of_file = list(group)
        if len(of_file) > most:
            found += _evenly(of_file, most)
            takes_more = False
        elif takes_more and len(found[-1]) + len(of_file) <= most:
            found[-1] += of_file
        else:
            found.append(of_file)
            takes_more = True
    return [(period[0], period[-1]) for period in found]


def _evenly(items: Sequence[Item], most: int) -> list[list[Item]]:
    """The items in order in the fewest pieces of at most `most`, of nearly the same size."""
    pieces = -(-len(items) // most)
    ends = [len(items) * number // pieces for number in range(pieces + 1)]
    return [list(items[begin:end]) for begin, end in pairwise(ends)]
