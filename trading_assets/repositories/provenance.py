"""Which requests brought the rows of a lake: what a state database must agree with.

Only Parquet footers and single columns are read; `lake.json` is not needed.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trading_assets.repositories.files import check_file, dataset_files, read_file
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, DATASETS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS

_IDS = ("request_id", "superseded_by")


def largest_request(data_dir: Path) -> int:
    """The largest request id in the rows of the lake and of its revisions; 0 where there is none. Raises
    `UnreadableFile`."""
    largest = 0
    for dataset in DATASETS.values():
        for kind in (dataset, revisions_of(dataset)):
            for path in dataset_files(data_dir, kind):
                check_file(path, kind)
                largest = max(largest, _largest(path))
    return largest


def _largest(path: Path) -> int:
    """From the statistics of the row groups; a file of another program may have none, then the columns are read."""
    with path.open("rb") as source:
        file = pq.ParquetFile(source)
        names = [name for name in _IDS if name in file.schema_arrow.names]
        places = [
            index for index in range(file.metadata.num_columns) if file.metadata.schema.column(index).path in names
        ]
        groups = [file.metadata.row_group(group) for group in range(file.metadata.num_row_groups)]
        statistics = [group.column(place).statistics for group in groups for place in places]
        if all(found is not None and found.has_min_max for found in statistics):
            return max((int(found.max) for found in statistics), default=0)
        table = file.read(columns=names)
    return max((pc.max(table[name]).as_py() or 0 for name in names), default=0)


def requests_in_lake(data_dir: Path) -> pa.Table:
    """The requests that rows name: columns `dataset` (of coverage: that of the condition), `symbol`, `request_id`
    (above 0), each once.

    Raises `UnreadableFile`.
    """
    empty = pa.table(
        {
            "dataset": pa.array([], pa.string()),
            "symbol": pa.array([], pa.string()),
            "request_id": pa.array([], pa.int64()),
        }
    )
    parts = [empty]
    for dataset in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS, COVERAGE):
        named = ["dataset"] if dataset is COVERAGE else []
        for path in dataset_files(data_dir, dataset):
            rows = read_file(path, dataset, ["symbol", "request_id", *named], pc.field("request_id") > 0)
            if not named:
                rows = rows.append_column("dataset", pa.repeat(dataset.name, rows.num_rows))
            parts.append(rows.select(empty.column_names).cast(empty.schema).group_by(empty.column_names).aggregate([]))
    return pa.concat_tables(parts).group_by(empty.column_names).aggregate([])
