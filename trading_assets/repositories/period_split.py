"""Which file each row belongs into."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.repositories.files import variant_folder
from trading_assets.repositories.schemas import Dataset, Period


def period_split(dataset: Dataset, period: Period, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """The rows of each file, with the file's path relative to the dataset's folder, in order of path."""
    sessions = pc.dictionary_encode(table["session"].combine_chunks())
    names = pa.array([period.of(session) for session in sessions.dictionary.to_pylist()], pa.string())
    paths = pc.take(names, sessions.indices)
    if dataset.variant is not None:
        variants = pc.dictionary_encode(table[dataset.variant].combine_chunks())
        folders = pa.array([variant_folder(value) for value in variants.dictionary.to_pylist()], pa.string())
        paths = pc.binary_join_element_wise(pc.take(folders, variants.indices), paths, "/")
    distinct = sorted(pc.unique(paths).to_pylist())
    for name in distinct:
        yield f"{name}.parquet", table if len(distinct) == 1 else table.filter(pc.equal(paths, name))
