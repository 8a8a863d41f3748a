"""What the lake has, lacks and why: the `coverage` dataset, read before any request is planned.

Here belongs recording conditions. What does not belong here: what is wanted and missing (`repositories.lake`), and
which outcome means which condition (`collecting.decode`).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from trading_assets import arguments
from trading_assets.arguments.days import Day
from trading_assets.arguments.symbols import Symbols
from trading_assets.repositories.merge import Mask, later_answer_wins
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, Condition
from trading_assets.repositories.store import ParquetStore, UpsertCounts
from trading_assets.settings import folder_of


class CoverageRepository:
    """Records and reads conditions. `dataset` is always the name of a dataset, `bar_size` is empty for snapshots.

    Without a store it is of the data folder of the settings.
    """

    def __init__(self, store: ParquetStore | None = None) -> None:
        self._store = store or ParquetStore(folder_of(None))

    def record(self, table: pa.Table | pd.DataFrame) -> UpsertCounts:
        """Record conditions (columns of `coverage`). What is complete stays complete: a later weaker answer does not
        take its place.

        Raises `InvalidFrame` before anything is written.
        """
        return self._store.upsert(COVERAGE, table, wins=never_weaker)

    def reopen(self, table: pa.Table | pd.DataFrame) -> UpsertCounts:
        """Record conditions that take the place of a `complete` as well: what was stored is withdrawn and is to be
        requested again.

        Raises `InvalidFrame` before anything is written.
        """
        return self._store.upsert(COVERAGE, table)

    def conditions(
        self,
        dataset: str,
        bar_size: str | None = None,
        symbols: Symbols = None,
        first: Day | None = None,
        last: Day | None = None,
    ) -> pa.Table:
        """Conditions as recorded, all columns of `coverage`; None does not restrict. `first` and `last` are included;
        `bar_size` is empty for snapshots. Raises `InvalidRequest`, `NotALake`."""
        begin, end = arguments.day_range(first, last, ("first", "last"))
        arguments.lake_folder(self._store.data_dir)
        return self.recorded(
            arguments.dataset(dataset),
            bar_size if not bar_size else arguments.bar_size(bar_size),
            arguments.stored_symbols(symbols, "symbols"),
            begin,
            end,
        )

    def recorded(
        self,
        dataset: str,
        bar_size: str | None = None,
        symbols: Collection[str] | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pa.Table:
        """The same for symbols and days in the platform's own form: an empty collection has no conditions."""
        return self._store.read(COVERAGE, where=_where(bar_size, symbols), variants=[dataset], first=first, last=last)


def _where(bar_size: str | None, symbols: Collection[str] | None) -> pads.Expression | None:
    of_size = None if bar_size is None else pads.field("bar_size") == bar_size
    of_symbols = None if symbols is None else pads.field("symbol").isin(pa.array(sorted(set(symbols)), pa.string()))
    return (
        of_size & of_symbols
        if of_size is not None and of_symbols is not None
        else of_size
        if of_symbols is None
        else of_symbols
    )


def never_weaker(stored: pa.Table, new: pa.Table) -> Mask:
    """The rule of conditions: what is complete stays complete, of others the later answer wins.

    Contract details that were carried into a session without asking (`request_id` 0) are believed, not answered: a
    later answer takes their place.
    """
    complete = Condition.COMPLETE.value
    believed = pc.and_(pc.equal(stored["dataset"], CONTRACTS.name), pc.equal(stored["request_id"], 0))
    had = pc.and_(pc.equal(stored["condition"], complete), pc.invert(believed)).to_numpy()
    has = pc.equal(new["condition"], complete).to_numpy()
    return np.where(had == has, later_answer_wins(stored, new), has)
