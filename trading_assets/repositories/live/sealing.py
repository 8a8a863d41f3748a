"""Sealing: a segment without a writer becomes the Parquet part of the same name.

The part is made durable before the segment is removed. Killed in between, both are there: readers take the part, and
the next sealing removes the segment.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from trading_assets.repositories.files import locked, remove_leftovers, sync, write_file
from trading_assets.repositories.live.places import SEALING_LOCK, Place
from trading_assets.repositories.live.segments import read_segment, with_columns_of
from trading_assets.repositories.merge import contiguous, sort_positions
from trading_assets.repositories.schemas import Dataset


def seal(data_dir: Path, dataset: Dataset, place: Place) -> int:
    """Seal one segment to which nobody writes any more; the rows in it. Nothing where another process has done so.

    A torn end is left out: it never was a row. Columns that the segment has besides the dataset's stay. Raises
    `OSError` (the segment stays), `LakeBusy`.
    """
    with locked(data_dir, SEALING_LOCK):
        try:
            kind = with_columns_of(dataset, place.segment)
            batches, _ = read_segment(kind, place.segment)
        except FileNotFoundError:
            return 0
        remove_leftovers(place.part)
        rows = contiguous(pa.Table.from_batches(batches, kind.schema.remove_metadata()))
        if rows.num_rows and not place.part.exists():
            write_file(place.part, kind, rows, sort_positions(rows, kind.order))
        with suppress(FileNotFoundError):  # the part is merged by now, and both were removed
            place.segment.unlink()
            sync(place.segment.parent)
        return int(rows.num_rows)
