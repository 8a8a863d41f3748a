"""What the lake has, lacks and why: the `coverage` dataset, read before any request is planned.

Here belong recording conditions and telling which sessions need no request. What does not belong here: deciding what
is wanted (`planning`) and which outcome means which condition (the assets that record it).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from trading_assets.repositories.merge import Mask, combined_codes, later_answer_wins
from trading_assets.repositories.schemas import COVERAGE, Condition
from trading_assets.repositories.store import ParquetStore, UpsertCounts

InstrumentKey = tuple[str, int]
"""Symbol of the underlying and option contract id; 0 for the underlying itself."""


class SettledSessions(Mapping[InstrumentKey, frozenset[date]]):
    """Sessions that need no request now, by `(symbol, con_id)`: `settled["AAPL", 0]`. An instrument without any has the empty set.

    Held as one array of days; the set of an instrument is made when it is asked for. Iterating gives the instruments that have some.
    """

    def __init__(self, table: pa.Table) -> None:
        """`table` has the columns `symbol`, `con_id` and `session`, in any order of rows."""
        order = np.argsort(combined_codes(table, ("symbol", "con_id", "session")), kind="stable")
        instrument = combined_codes(table, ("symbol", "con_id"))[order]
        begins = np.flatnonzero(np.diff(instrument, prepend=-1))
        heads = table.select(["symbol", "con_id"]).take(pa.array(order[begins]))
        keys = zip(heads["symbol"].to_pylist(), heads["con_id"].to_pylist(), strict=True)
        ends = [*begins.tolist(), len(order)][1:]
        self._days: npt.NDArray[np.datetime64] = table["session"].to_numpy().astype("datetime64[D]")[order]
        self._spans: dict[InstrumentKey, tuple[int, int]] = dict(zip(keys, zip(begins.tolist(), ends, strict=True), strict=True))

    def __getitem__(self, key: InstrumentKey) -> frozenset[date]:
        begin, end = self._spans.get(key, (0, 0))
        return frozenset(self._days[begin:end].tolist())

    def __contains__(self, key: object) -> bool:
        return key in self._spans

    def __iter__(self) -> Iterator[InstrumentKey]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)


class CoverageRepository:
    """Records and reads conditions. `dataset` is always the name of a dataset, `bar_size` is empty for snapshots."""

    def __init__(self, store: ParquetStore) -> None:
        self._store = store

    def record(self, table: pa.Table | pd.DataFrame) -> UpsertCounts:
        """Record conditions (columns of `coverage`). What is complete stays complete: a later weaker answer does not take its place.

        Raises `InvalidFrame` before anything is written.
        """
        return self._store.upsert(COVERAGE, table, wins=never_weaker)

    def reopen(self, table: pa.Table | pd.DataFrame) -> UpsertCounts:
        """Record conditions that take the place of a `complete` as well: what was stored is withdrawn and is to be asked for again.

        Raises `InvalidFrame` before anything is written.
        """
        return self._store.upsert(COVERAGE, table)

    def conditions(
        self,
        dataset: str,
        bar_size: str | None = None,
        symbols: Collection[str] | None = None,
        first: date | None = None,
        last: date | None = None,
    ) -> pa.Table:
        """Conditions as recorded, all columns of `coverage`; None does not restrict. `first` and `last` are included."""
        return self._store.read(COVERAGE, where=_where(bar_size, symbols, None), variants=[dataset], first=first, last=last)

    def settled_sessions(
        self,
        dataset: str,
        bar_size: str | None,
        symbols: Collection[str] | None = None,
        first: date | None = None,
        last: date | None = None,
        now: datetime | None = None,
        *,
        con_ids: Collection[int] | None = None,
    ) -> SettledSessions:
        """Sessions not to be asked for at `now`: their condition is settled, or its retry time has not come.

        `bar_size`, `symbols` and `con_ids` restrict; None does not. With `bar_size` None a session counts when it is
        settled for any bar size. Without `now` only settled conditions count.
        """
        answered = pads.field("condition").isin([condition.value for condition in Condition if condition.settled])
        if now is not None:
            if now.tzinfo is None:
                raise ValueError(f"{now!r} has no time zone: give an instant with a zone, for example in UTC.")
            answered = answered | (pads.field("retry_after") > pa.scalar(now, COVERAGE.column("retry_after").type))
        where = _where(bar_size, symbols, con_ids)
        where = answered if where is None else where & answered
        table = self._store.read(COVERAGE, columns=["symbol", "con_id", "session"], where=where, variants=[dataset], first=first, last=last)
        return SettledSessions(table)


def _where(bar_size: str | None, symbols: Collection[str] | None, con_ids: Collection[int] | None) -> pads.Expression | None:
    parts: list[pads.Expression] = []
    if bar_size is not None:
        parts.append(pads.field("bar_size") == bar_size)
    if symbols is not None:
        parts.append(pads.field("symbol").isin(pa.array(sorted(set(symbols)), pa.string())))
    if con_ids is not None:
        parts.append(pads.field("con_id").isin(pa.array(sorted(set(con_ids)), pa.int64())))
    where: pads.Expression | None = None
    for part in parts:
        where = part if where is None else where & part
    return where


def never_weaker(stored: pa.Table, new: pa.Table) -> Mask:
    """The rule of conditions: what is complete stays complete, of others the later answer wins."""
    complete = Condition.COMPLETE.value
    had = pc.equal(stored["condition"], complete).to_numpy()
    has = pc.equal(new["condition"], complete).to_numpy()
    return np.where(had == has, later_answer_wins(stored, new), has)
