"""All that is recorded of a session, wherever it stands: in its period file, in parts or in segments.

Rows move from segments to parts to the period file. A reader looks in the same order, and takes what is in a later
place from there: so it misses nothing that moves meanwhile, and sees nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trading_assets.repositories.files import check_file, dataset_files, read_file
from trading_assets.repositories.listed_files import while_listed
from trading_assets.repositories.live.keys import last_of_each, sorted_rows
from trading_assets.repositories.live.merging import names_in, period_file
from trading_assets.repositories.live.places import Place, live_sessions, parts, segments
from trading_assets.repositories.live.segments import conformed, read_segment
from trading_assets.repositories.schemas import Dataset

READ_ATTEMPTS = 20
"""Parts are removed when their session is merged, which is seldom: so often in a row it does not happen."""


def live_table(data_dir: Path | str, dataset: Dataset, session: date) -> pa.Table:
    """The rows of a live dataset of one session that were recorded so far, in its columns and order.

    Of rows with the same key the last one (of a gap: its end). All rows are in memory: a day has millions of quotes.
    Raises `UnreadableFile`.
    """
    root = Path(data_dir)
    table = while_listed(lambda: pa.concat_tables(_tables(root, dataset, session)), READ_ATTEMPTS)
    return pa.concat_tables(last_of_each(dataset, [sorted_rows(dataset, table)]))


def recorded_sessions(data_dir: Path | str, dataset: Dataset) -> list[date]:
    """The sessions of which there are rows, in order."""
    root = Path(data_dir)
    merged = (date.fromisoformat(path.stem) for path in dataset_files(root, dataset))
    return sorted({*live_sessions(root, dataset), *merged})


def rows_of(dataset: Dataset, places: Iterable[Place]) -> list[tuple[Place, pa.Table]]:
    """The rows in those segments; of one that was sealed since they were listed, none."""
    found = []
    for place in places:
        try:
            batches, _ = read_segment(dataset, place.segment)
        except FileNotFoundError:
            continue
        found.append((place, pa.Table.from_batches(batches, dataset.schema.remove_metadata())))
    return found


def _tables(root: Path, dataset: Dataset, session: date) -> list[pa.Table]:
    schema = dataset.schema.remove_metadata()
    open_segments = rows_of(dataset, segments(root, dataset, session))
    sealed = {place.name: place for place in parts(root, dataset, session)}
    file, merged = _period_file(root, dataset, session)
    return [
        file,
        *(read_file(place.part, dataset).cast(schema) for name, place in sealed.items() if name not in merged),
        *(rows for place, rows in open_segments if place.name not in sealed and place.name not in merged),
    ]


def _period_file(root: Path, dataset: Dataset, session: date) -> tuple[pa.Table, frozenset[str]]:
    """The rows of the period file and the parts that are in it: of one version of the file."""
    path = root / period_file(dataset, session)
    if not path.exists():
        return dataset.schema.remove_metadata().empty_table(), frozenset()
    check_file(path, dataset)
    with path.open("rb") as source:
        file = pq.ParquetFile(source, page_checksum_verification=True)
        columns = [name for name in dataset.schema.names if name in file.schema_arrow.names]
        batches = file.read(columns=columns).replace_schema_metadata(None).combine_chunks().to_batches()
        table = pa.Table.from_batches(
            [conformed(dataset, batch) for batch in batches], dataset.schema.remove_metadata()
        )
        return table, names_in(file.schema_arrow)
