"""Reading a very large file piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.repositories.files import read_file
from trading_assets.repositories.schemas import Dataset

PIECE_GROUPS = 64
"""Row groups that are read at once of a file that may be very large: a million rows."""


def pieces_of(file: pq.ParquetFile) -> Iterator[pa.Table]:
    """All rows of an open file, some row groups at a time, in the columns that it has. At least one table."""
    for begin in range(0, max(1, file.num_row_groups), PIECE_GROUPS):
        yield file.read_row_groups(list(range(begin, min(begin + PIECE_GROUPS, file.num_row_groups))))


def read_pieces(path: Path, dataset: Dataset) -> Iterator[pa.Table]:
    """All rows of a file that does not change, some row groups at a time: a day of live quotes has millions of rows.

    At least one table. Raises as `read_file`.
    """
    groups = pq.read_metadata(path).num_row_groups
    for begin in range(0, max(1, groups), PIECE_GROUPS):
        piece = range(begin, min(begin + PIECE_GROUPS, groups))
        yield read_file(path, dataset, groups=None if groups <= PIECE_GROUPS else piece)
