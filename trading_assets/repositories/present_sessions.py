"""The sessions of which a series has bars, as a set that knows which series it is of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Series:
    """One series of bars in one lake. `con_id` is 0 for the underlying itself."""

    data_dir: Path
    dataset: str
    symbol: str
    bar_size: str
    con_id: int = 0


class PresentSessions(set[date]):
    """What `present_dates` answers: a plain set of exchange dates in every way.

    `series` lets `calculate_missing_windows` look up which of the other sessions the coverage has settled. What is made
    of it (a union, a difference) is an ordinary set.
    """

    def __init__(self, sessions: Iterable[date], series: Series) -> None:
        super().__init__(sessions)
        self.series = series

    def __reduce__(self) -> tuple[type[PresentSessions], tuple[list[date], Series]]:
        return PresentSessions, (sorted(self), self.series)
