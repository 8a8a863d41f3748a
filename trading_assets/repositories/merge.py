"""Merging new rows into old ones by key: what is inserted, updated, unchanged and superseded. Pure, on Arrow tables.

What does not belong here: files (`repositories.files`), validation, the order of the steps (`repositories.store`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.repositories.schemas import INSTANT, Column, Dataset

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Wins = Callable[[pa.Table, pa.Table], Mask]
"""Given the stored rows and, beside each, the new row of the same key, says which new rows take the place of the
stored."""

SLICE_ROWS = 65_536
"""Rows taken at once where there may be millions: taking holds each row two more times for a moment."""

_LARGEST_CODE = 2**62


def contiguous(table: pa.Table) -> pa.Table:
    """The table with one chunk a column, so that rows are taken fast. A column's chunks are freed before the next is
    copied."""
    schema, columns = table.schema, []
    for _ in schema:
        columns.append(table.column(0).combine_chunks())
        table = table.remove_column(0)
    return pa.Table.from_arrays(columns, schema=schema)


@dataclass(frozen=True)
class Stacked:
    """Two tables of the same columns, one after the other, without a copy of either: rows are taken by position in the
    whole."""

    stored: pa.Table
    new: pa.Table

    @property
    def num_rows(self) -> int:
        """Rows of both."""
        return int(self.stored.num_rows + self.new.num_rows)

    def take(self, positions: Positions) -> pa.Table:
        """The rows at those positions, in that order."""
        from_stored = positions < self.stored.num_rows
        if from_stored.all():
            return self.stored.take(pa.array(positions))
        if not from_stored.any():
            return self.new.take(pa.array(positions - self.stored.num_rows))
        parts = [
            self.stored.take(pa.array(positions[from_stored])),
            self.new.take(pa.array(positions[~from_stored] - self.stored.num_rows)),
        ]
        place = np.empty(len(positions), dtype=np.int64)
        place[np.concatenate([np.flatnonzero(from_stored), np.flatnonzero(~from_stored)])] = np.arange(len(positions))
        return pa.concat_tables(parts).combine_chunks().take(pa.array(place))

    def select(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows."""
        return pa.concat_tables([self.stored.select(list(columns)), self.new.select(list(columns))])


@dataclass(frozen=True)
class Merge:
    """The outcome of `merge`: counts of the new rows, and positions of rows in `rows`.

    `order` are the sorted rows of the file to be; None when the file stays as it is.
    `losers` are the rows that lost their place, each beside its one of `winners`.
    """

    inserted: int
    updated: int
    unchanged: int
    rows: Stacked
    order: Positions | None
    losers: Positions
    winners: Positions


@lru_cache(maxsize=64)
def revisions_of(dataset: Dataset) -> Dataset:
    """The dataset that holds the superseded rows of `dataset`: the same columns, and when and by which request they
    were superseded."""
    superseded = (
        Column("superseded_at", INSTANT, "`collected_at` of the row that took the place", "UTC"),
        Column("superseded_by", pa.int64(), "`request_id` of the row that took the place"),
    )
    return replace(
        dataset,
        name=f"revisions/{dataset.name}",
        description=f"Superseded rows of {dataset.name}: nothing that was collected is overwritten without a trace.",
        columns=(*dataset.columns, *superseded),
        key=(*dataset.key, "collected_at", "request_id"),
        order=(*dataset.order, "superseded_at"),
    )


def later_answer_wins(stored: pa.Table, new: pa.Table) -> Mask:
    """The rule of all values: an answer gives way to a later one, whichever arrives first; of the same instant, the new
    one wins."""
    return _mask(pc.greater_equal(new["collected_at"], stored["collected_at"]))


def merge(dataset: Dataset, stored: pa.Table, new: pa.Table, wins: Wins = later_answer_wins) -> Merge:
    """Merge `new` (valid, keys unique) into `stored` (a file's rows, keys unique).

    A new row that equals the stored one in all value columns is unchanged: the stored row stays, with its provenance.
    Otherwise `wins` decides which of the two stays; the other is superseded. A superseded new row counts as unchanged.
    """
    mine, theirs = matches(stored, new, dataset.key)
    changed = ~equal_rows(stored, mine, new, theirs, dataset.value_columns)
    old, fresh = mine[changed], theirs[changed]
    winning = wins(stored.take(pa.array(old)), new.take(pa.array(fresh)))
    replaced, replacing = old[winning], fresh[winning]
    refused = fresh[~winning]
    stays = np.ones(stored.num_rows, dtype=bool)
    stays[replaced] = False
    enters = np.ones(new.num_rows, dtype=bool)
    enters[theirs] = False
    inserted = int(enters.sum())
    enters[replacing] = True
    rows = Stacked(stored, new)
    base = stored.num_rows
    order = None
    if enters.any():
        positions = np.concatenate([np.flatnonzero(stays), base + np.flatnonzero(enters)])
        order = positions[sort_positions(rows.select(dataset.order).take(pa.array(positions)), dataset.order)]
    losers, winners = np.concatenate([replaced, base + refused]), np.concatenate([base + replacing, old[~winning]])
    return Merge(inserted, len(replacing), new.num_rows - inserted - len(replacing), rows, order, losers, winners)


def superseded_rows(dataset: Dataset, merged: Merge) -> pa.Table:
    """The rows that lost their place, in the columns of `revisions_of(dataset)`."""
    slices = range(0, len(merged.losers), SLICE_ROWS)
    losers = contiguous(
        pa.concat_tables([merged.rows.take(merged.losers[begin : begin + SLICE_ROWS]) for begin in slices])
    )
    winners = merged.rows.select(["collected_at", "request_id"]).take(pa.array(merged.winners))
    return pa.Table.from_arrays([*losers.columns, *winners.columns], schema=revisions_of(dataset).schema)


def withdrawn_rows(dataset: Dataset, rows: pa.Table, at: datetime) -> pa.Table:
    """Rows that leave without another in their place, in the columns of `revisions_of(dataset)`: superseded `at` that
    instant, by no request (0)."""
    rows = contiguous(rows)
    instants = pa.repeat(pa.scalar(at, INSTANT), rows.num_rows)
    nobody = pa.repeat(pa.scalar(0, pa.int64()), rows.num_rows)
    return pa.Table.from_arrays([*rows.columns, instants, nobody], schema=revisions_of(dataset).schema)


def add_revisions(dataset: Dataset, stored: pa.Table, superseded: pa.Table) -> Merge:
    """Add superseded rows to the `stored` revisions of `dataset`. Rows that are there already (a replay after a kill)
    are not doubled."""
    revisions = revisions_of(dataset)
    mine, theirs = matches(stored, superseded, revisions.key)
    fresh = np.ones(superseded.num_rows, dtype=bool)
    fresh[theirs[equal_rows(stored, mine, superseded, theirs, dataset.value_columns)]] = False
    rows, none = Stacked(stored, superseded), np.empty(0, dtype=np.int64)
    order = None
    if fresh.any():
        positions = np.concatenate([np.arange(stored.num_rows), stored.num_rows + np.flatnonzero(fresh)])
        order = positions[sort_positions(rows.select(revisions.order).take(pa.array(positions)), revisions.order)]
    inserted = int(fresh.sum())
    return Merge(inserted, 0, superseded.num_rows - inserted, rows, order, none, none)


def matches(left: pa.Table, right: pa.Table, key: Sequence[str]) -> tuple[Positions, Positions]:
    """Positions of the pairs of rows with the same key, ordered by the left one. Keys hold no null."""
    if not left.num_rows or not right.num_rows:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    names = list(key)
    left_keys = left.select(names).append_column("__left", pa.array(np.arange(left.num_rows)))
    right_keys = right.select(names).append_column("__right", pa.array(np.arange(right.num_rows)))
    pairs = left_keys.join(right_keys, names, join_type="inner")
    mine, theirs = pairs["__left"].to_numpy(), pairs["__right"].to_numpy()
    order = np.argsort(mine, kind="stable")
    return mine[order], theirs[order]


def equal_rows(left: pa.Table, mine: Positions, right: pa.Table, theirs: Positions, columns: Sequence[str]) -> Mask:
    """Which pairs of rows are equal in all those columns; null equals null. One column is taken at a time: pairs can be
    many."""
    equal = np.ones(len(mine), dtype=bool)
    for name in columns:
        a, b = left[name].take(pa.array(mine)), right[name].take(pa.array(theirs))
        equal &= _mask(pc.fill_null(pc.equal(a, b), False)) | _mask(pc.and_(pc.is_null(a), pc.is_null(b)))
    return equal


def sort_positions(table: pa.Table, order: Sequence[str]) -> Positions:
    """Positions that sort the rows by those columns (text in byte order, null last), stable."""
    return np.argsort(combined_codes(table, order), kind="stable")


def combined_codes(table: pa.Table, columns: Sequence[str]) -> Positions:
    """One integer a row that orders rows as those columns do; equal integers are equal values.

    Sorting integers that are two sorted runs (a file and its new rows) is far cheaper than sorting rows by several
    columns.
    """
    code = np.zeros(table.num_rows, dtype=np.int64)
    size = 1
    for name in columns:
        rank, count = _ranks(table[name])
        if size * count > _LARGEST_CODE:
            code = np.unique(code, return_inverse=True)[1].astype(np.int64)
            size = int(code.max(initial=0)) + 1
        code = code * count + rank
        size *= count
    return code


def _ranks(column: pa.ChunkedArray) -> tuple[Positions, int]:
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    positions = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(positions), dtype=np.int64)
    rank[positions] = np.arange(len(positions))
    return rank[encoded.indices.to_numpy()], max(1, len(positions))


def _mask(values: pa.ChunkedArray | pa.Array) -> Mask:
    return np.asarray(
        values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy(), dtype=bool
    )
