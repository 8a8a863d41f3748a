"""Merging new rows into old ones by key: what is inserted, updated, unchanged and superseded. Pure, on Arrow tables.

What does not belong here: files (`repositories.files`), validation, the order of the steps (`repositories.store`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.repositories.schemas import INSTANT, Column, Dataset

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

Wins = Callable[[pa.Table, pa.Table], Mask]
"""Given the stored rows and, beside each, the new row of the same key, says which new rows take the place of the stored."""

_LARGEST_CODE = 2**62


@dataclass(frozen=True)
class Merge:
    """The outcome of `merge`.

    `rows` are all rows of the file to be and `order` their sorted positions (None: already sorted); both None when the file stays.
    `superseded` are rows that lost their place, in the columns of `revisions_of(dataset)`.
    """

    inserted: int
    updated: int
    unchanged: int
    superseded: pa.Table
    rows: pa.Table | None = None
    order: Positions | None = None


@lru_cache(maxsize=64)
def revisions_of(dataset: Dataset) -> Dataset:
    """The dataset that holds the superseded rows of `dataset`: the same columns, and when and by which request they were superseded."""
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
    """The rule of all values: an answer gives way to a later one, whichever arrives first; of the same instant, the new one wins."""
    return _mask(pc.greater_equal(new["collected_at"], stored["collected_at"]))


def merge(dataset: Dataset, stored: pa.Table | None, new: pa.Table, wins: Wins = later_answer_wins) -> Merge:
    """Merge `new` (valid, keys unique) into `stored` (a file's rows, sorted; None: no file yet).

    A new row that equals the stored one in all value columns is unchanged: the stored row stays, with its provenance.
    Otherwise `wins` decides which of the two stays; the other is superseded. A superseded new row counts as unchanged.
    """
    none = revisions_of(dataset).schema.empty_table()
    if stored is None:
        return Merge(new.num_rows, 0, 0, none, new, sort_positions(new, dataset.order))
    mine, theirs = matches(stored, new, dataset.key)
    old_rows, new_rows = stored.take(pa.array(mine)), new.take(pa.array(theirs))
    changed = ~equal_rows(old_rows, new_rows, dataset.value_columns)
    winning = changed & wins(old_rows, new_rows)
    losing = changed & ~winning
    known = np.zeros(new.num_rows, dtype=bool)
    known[theirs] = True
    known[theirs[winning]] = False
    inserted, updated = new.num_rows - len(theirs), int(winning.sum())
    superseded = pa.concat_tables(
        [
            _superseded(dataset, old_rows.filter(pa.array(winning)), new_rows.filter(pa.array(winning))),
            _superseded(dataset, new_rows.filter(pa.array(losing)), old_rows.filter(pa.array(losing))),
        ]
    )
    unchanged = new.num_rows - inserted - updated
    if not inserted and not updated:
        return Merge(0, 0, unchanged, superseded)
    stays = np.ones(stored.num_rows, dtype=bool)
    stays[mine[winning]] = False
    kept = stored.filter(pa.array(stays)) if updated else stored
    rows = pa.concat_tables([kept, new.filter(pa.array(~known))]).combine_chunks()
    return Merge(inserted, updated, unchanged, superseded, rows, sort_positions(rows, dataset.order))


def add_revisions(dataset: Dataset, stored: pa.Table | None, superseded: pa.Table) -> Merge:
    """Add superseded rows to the revisions of `dataset`. Rows that are there already (a replay after a kill) are not doubled."""
    revisions = revisions_of(dataset)
    if stored is None:
        return Merge(superseded.num_rows, 0, 0, superseded.slice(0, 0), superseded, sort_positions(superseded, revisions.order))
    theirs, mine = matches(stored, superseded, revisions.key)
    same = equal_rows(stored.take(pa.array(theirs)), superseded.take(pa.array(mine)), dataset.value_columns)
    fresh = np.ones(superseded.num_rows, dtype=bool)
    fresh[mine[same]] = False
    if not fresh.any():
        return Merge(0, 0, superseded.num_rows, superseded.slice(0, 0))
    rows = pa.concat_tables([stored, superseded.filter(pa.array(fresh))]).combine_chunks()
    inserted = int(fresh.sum())
    return Merge(inserted, 0, superseded.num_rows - inserted, superseded.slice(0, 0), rows, sort_positions(rows, revisions.order))


def matches(left: pa.Table, right: pa.Table, key: Sequence[str]) -> tuple[Positions, Positions]:
    """Positions of the pairs of rows with the same key, ordered by the left one. Keys hold no null."""
    names = list(key)
    left_keys = left.select(names).append_column("__left", pa.array(np.arange(left.num_rows)))
    right_keys = right.select(names).append_column("__right", pa.array(np.arange(right.num_rows)))
    pairs = left_keys.join(right_keys, names, join_type="inner")
    mine, theirs = pairs["__left"].to_numpy(), pairs["__right"].to_numpy()
    order = np.argsort(mine, kind="stable")
    return mine[order], theirs[order]


def equal_rows(left: pa.Table, right: pa.Table, columns: Sequence[str]) -> Mask:
    """Which rows are equal in all those columns; null equals null."""
    equal = np.ones(left.num_rows, dtype=bool)
    for name in columns:
        a, b = left[name], right[name]
        equal &= _mask(pc.fill_null(pc.equal(a, b), False)) | _mask(pc.and_(pc.is_null(a), pc.is_null(b)))
    return equal


def sort_positions(table: pa.Table, order: Sequence[str]) -> Positions | None:
    """Positions that sort the rows by those columns (text in byte order, null last), stable; None when they are sorted already."""
    code = combined_codes(table, order)
    if np.all(code[1:] >= code[:-1]):
        return None
    return np.argsort(code, kind="stable")


def combined_codes(table: pa.Table, columns: Sequence[str]) -> Positions:
    """One integer a row that orders rows as those columns do; equal integers are equal values.

    Sorting integers that are two sorted runs (a file and its new rows) is far cheaper than sorting rows by several columns.
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


def _superseded(dataset: Dataset, losers: pa.Table, winners: pa.Table) -> pa.Table:
    schema = revisions_of(dataset).schema
    columns = [losers[column.name] for column in dataset.columns]
    return pa.Table.from_arrays([*columns, winners["collected_at"], winners["request_id"]], schema=schema)


def _mask(values: pa.ChunkedArray | pa.Array) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False) if isinstance(values, pa.Array) else values.to_numpy(), dtype=bool)
