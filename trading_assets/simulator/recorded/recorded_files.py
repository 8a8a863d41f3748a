"""Recorded Parquet files as column arrays, cut per symbol or contract.

Here belongs reading: types, time zones, sessions, sort order, the index from a key to its rows. What the rows mean
(bars, quotes, listings) does not belong here. A file that is absent is an empty table, an absent column is all NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading_assets.simulator.recorded.grid import Floats, Ints, Mask, grid

PRICES = ("open", "high", "low", "close", "volume")
BID = ("bid_open", "bid_high", "bid_low", "bid_close", "bid_size")
ASK = ("ask_open", "ask_high", "ask_low", "ask_close", "ask_size")
BAR_COLUMNS = (*PRICES, *BID, *ASK)

_TIME_COLUMNS = ("ts_utc", "date", "quote_date")
"""What places a row in time, finest first: the start of a bar, or the date it stands for."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of one key in order of time.

    `start` is epoch seconds (UTC) of the bar's start, the regular open for rows that stand for a whole session;
    `session` is the session index of `SessionGrid`; `columns` hold floats, NaN where the file has null.
    """

    start: Ints
    session: Ints
    columns: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, column: str) -> Floats:
        return self.columns[column]

    def where(self, wanted: Mask | slice) -> Rows:
        """The rows of a mask or a slice."""
        return Rows(
            self.start[wanted], self.session[wanted], {name: values[wanted] for name, values in self.columns.items()}
        )

    def of_session(self, session: int) -> Rows:
        """The rows of one session."""
        return self.sessions(session, session)

    def sessions(self, first: int, last: int) -> Rows:
        """The rows of the sessions `first` to `last`, both included."""
        low, high = self.session.searchsorted((first, last + 1))
        return self.where(slice(int(low), int(high)))


class Table:
    """All rows of one kind of file, sorted by key and time.

    `files` may be several of the same columns, or none. Rows on a date that is no session (a scrape on a holiday that
    repeats the session before) are left out.
    """

    def __init__(self, files: Iterable[Path], key: str, columns: Sequence[str]) -> None:
        parts = [part for file in files if (part := _read(file, key, columns)) is not None]
        rows = pa.concat_tables(parts).unify_dictionaries().combine_chunks() if parts else None
        if rows is None or rows.num_rows == 0:
            self.keys: list[str] = []
            self.code: Ints = np.empty(0, dtype=np.int64)
            self.rows = Rows(
                np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), {name: np.empty(0) for name in columns}
            )
        else:
            keys = rows.column("key").chunk(0)
            self.keys = keys.dictionary.to_pylist()
            code = keys.indices.to_numpy().astype(np.int64)
            start = rows.column("start").to_numpy()
            session = rows.column("session").to_numpy()
            order = np.lexsort((start, code))
            self.code = code[order]
            self.rows = Rows(
                start[order], session[order], {name: rows.column(name).to_numpy()[order] for name in columns}
            )
        bounds = np.searchsorted(self.code, np.arange(len(self.keys) + 1))
        self._slices = {name: slice(int(bounds[i]), int(bounds[i + 1])) for i, name in enumerate(self.keys)}
        self._nothing = self.rows.where(slice(0, 0))

    def __len__(self) -> int:
        return len(self.rows)

    def __contains__(self, key: str) -> bool:
        return key in self._slices

    def of(self, key: str) -> Rows:
        """The rows of a key, none if the file has no such key. Views, not copies."""
        place = self._slices.get(key)
        return self.rows.where(place) if place is not None else self._nothing

    def last(self, key: str, session: int, column: str) -> float | None:
        """The value of one column in the last row of a key in a session, NaN where the file has null; None without a
        row.

        A quote of an underlying asks this for each of its thousands of options: no other column is looked at.
        """
        place = self._slices.get(key)
        if place is None:
            return None
        row = place.start + int(self.rows.session[place].searchsorted(session, "right")) - 1
        if row < place.start or self.rows.session[row] != session:
            return None
        return float(self.rows.columns[column][row])


def _read(file: Path, key: str, columns: Sequence[str]) -> pa.Table | None:
    """One file as the columns key (dictionary), start, session and the wanted ones as floats; None if it has no key or
    time."""
    present = pq.read_schema(file).names
    clock = next((name for name in _TIME_COLUMNS if name in present), None)
    if clock is None or key not in present:
        return None
    wanted = [name for name in columns if name in present]
    table = pq.read_table(file, columns=[key, clock, *wanted], read_dictionary=[key])
    start, session = _place(table.column(clock))
    arrays: dict[str, pa.Array | pa.ChunkedArray | Floats] = {
        "key": pc.cast(table.column(key), pa.dictionary(pa.int32(), pa.string())),
        "start": pa.array(start),
        "session": pa.array(session),
    }
    for name in columns:
        arrays[name] = pa.array(_floats(table.column(name)) if name in wanted else np.full(table.num_rows, np.nan))
    return pa.table(arrays).filter(pa.array(session >= 0))


def _place(clock: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """Start instants (epoch seconds) and session indices of a column of instants or dates."""
    sessions = grid()
    if pa.types.is_timestamp(clock.type):
        start = pc.cast(clock, pa.timestamp("s", tz=clock.type.tz), safe=False).cast(pa.int64()).to_numpy()
        return start, sessions.of_instants(start)
    session = sessions.of_days(clock.cast(pa.date32()).cast(pa.int32()).to_numpy().astype(np.int64))
    return np.where(session >= 0, sessions.opens[session], 0), session


def _floats(column: pa.ChunkedArray) -> Floats:
    return pc.fill_null(pc.cast(column, pa.float64(), safe=False), float("nan")).to_numpy()
