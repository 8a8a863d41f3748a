"""Rows of the same key: a gap is written when it begins and again when it ends, and a bar may come twice.

Of such rows the last one counts: of a gap its end, else the one that was written last.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.repositories.merge import contiguous, sort_positions
from trading_assets.repositories.schemas import Dataset

_HAS_ENDED = "__has_ended"


def later(dataset: Dataset) -> list[str]:
    """How rows of the same key are sorted, as terms of SQL; the last one counts."""
    ends = ['"ended" NULLS FIRST'] if "ended" in dataset.schema.names else []
    return [*ends, '"collected_at"']


def latest_first(dataset: Dataset) -> list[str]:
    """The same the other way round; the first one counts."""
    ends = ['"ended" DESC NULLS LAST'] if "ended" in dataset.schema.names else []
    return [*ends, '"collected_at" DESC']


def sorted_rows(dataset: Dataset, table: pa.Table) -> pa.Table:
    """The rows in the dataset's order, those of the same key as `later` says."""
    table = contiguous(table)
    names, keys = [*dataset.order], table
    if "ended" in table.column_names:
        names.append(_HAS_ENDED)
        keys = table.append_column(_HAS_ENDED, pc.is_valid(table["ended"]).cast(pa.int8()))
    return table.take(pa.array(sort_positions(keys, [*names, "collected_at"])))


def last_of_each(dataset: Dataset, batches: Iterable[pa.RecordBatch | pa.Table]) -> Iterator[pa.Table]:
    """Sorted rows without those that have the same key as the row after them."""
    schema = dataset.schema.remove_metadata()
    held = schema.empty_table()
    for batch in batches:
        given = batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch])
        rows = contiguous(pa.concat_tables([held, given.cast(schema)]))
        if not rows.num_rows:
            continue
        differs = np.zeros(rows.num_rows - 1, dtype=bool)
        for name in dataset.key:
            column = rows[name].chunk(0)
            differs |= pc.not_equal(column[:-1], column[1:]).to_numpy(zero_copy_only=False)
        yield rows[:-1].filter(pa.array(differs))
        held = rows[-1:]
    yield held
