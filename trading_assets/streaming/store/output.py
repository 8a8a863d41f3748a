"""The open segments of a writer: one a dataset, begun anew for each session and when it is full or due."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from trading_assets.repositories.live.merging import make_period_file
from trading_assets.repositories.live.segments import message
from trading_assets.repositories.live_schema import LIVE_QUOTES
from trading_assets.repositories.schemas import Dataset
from trading_assets.streaming.store.segment_file import SegmentFile

_STAMP = "%Y%m%dT%H%M%S%f"


class Output:
    """Not safe between threads: the writer guards it. `last_name` is that of the latest segment so far."""

    def __init__(self, data_dir: Path, seal_rows: int, last_name: str) -> None:
        self._data_dir = data_dir
        self._seal_rows = seal_rows
        self._run = os.urandom(4).hex()
        self._stamp = _stamp(last_name)
        self.open: dict[str, SegmentFile] = {}
        self.finished: list[SegmentFile] = []
        self.quotes_until = (last_name, 0)
        """Name of the segment with the newest quotes, and the byte after them."""

    def append(self, dataset: Dataset, batch: pa.RecordBatch) -> None:
        """Write a batch of one session. Raises `OSError`; nothing of the batch is written then."""
        session = str(batch.column("session")[0])
        segment = self.open.get(dataset.name)
        if segment is not None and (segment.place.session != session or segment.rows >= self._seal_rows):
            self.finished.append(self.open.pop(dataset.name))
            segment = None
        if segment is None:
            make_period_file(self._data_dir, dataset, date.fromisoformat(session))
            segment = self.open[dataset.name] = SegmentFile(self._data_dir, dataset, session, self._next_name())
        segment.append(message(dataset, batch), batch.num_rows)
        if dataset is LIVE_QUOTES:
            self.quotes_until = (segment.place.name, segment.end)

    def rotate(self) -> None:
        """Append to none of the present segments any more."""
        self.finished += self.open.values()
        self.open.clear()

    def _next_name(self) -> str:
        # Later than all before it, also where the system's clock was set back.
        self._stamp = max(datetime.now(UTC), self._stamp + timedelta(microseconds=1))
        return f"{self._stamp:{_STAMP}}-{self._run}"


def _stamp(name: str) -> datetime:
    try:
        return datetime.strptime(name.partition("-")[0], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
