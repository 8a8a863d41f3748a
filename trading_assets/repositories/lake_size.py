"""How large a lake is, by the footers of its files."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.repositories.catalog import SMALL_LAKE, lake_bytes, lake_files


def lake_rows(data_dir: Path | str) -> int:
    """The rows of the lake's files that can be read, by their footers; of a lake larger than `SMALL_LAKE` the largest
    number."""
    root = Path(data_dir).expanduser().absolute()
    if lake_bytes(root) > SMALL_LAKE:
        return sys.maxsize
    found = 0
    for _, path in lake_files(root):
        with suppress(OSError, pa.ArrowException):  # whoever reads it says what is wrong
            found += pq.read_metadata(path).num_rows
    return found
