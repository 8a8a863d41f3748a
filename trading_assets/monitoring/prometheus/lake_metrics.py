"""Metrics of the lake: coverage of the last sessions, the newest rows, bytes, and the disk.

The newest session and the newest row of a dataset are read from the footers of its files, each once for a version of
the file: a scan of a year of option bars would take seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from prometheus_client.core import Metric

from trading_assets.monitoring.metrics import WHOLE
from trading_assets.monitoring.prometheus import families as f
from trading_assets.monitoring.status import RECENT_SESSIONS
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import DATASETS, Dataset
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe

_NEWEST = ("session", "collected_at")
"""Columns of which the largest value is looked for."""

_Stamp = tuple[int, int, int]


class LakeMetrics:
    """Reads them, again and again; footers are remembered. Raises as the repositories do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._footers: dict[Path, tuple[_Stamp, dict[str, Any]]] = {}

    def read(self) -> list[Metric]:
        """The metrics now. Those of a lake or a folder that is not there yet have no samples."""
        now = self._settings.clock()
        return [f.CLOCK.value(now.timestamp()), *self._coverage(now), *self._files(), *self._disk()]

    def _coverage(self, now: datetime) -> list[Metric]:
        xnys, symbols = calendar(), Universe(self._settings.state_url).active()
        first = xnys.previous(xnys.current(now), RECENT_SESSIONS - 1)
        counts: dict[tuple[str, str], int] = {}
        for row in Lake.of(self._settings, now).count_conditions(symbols, first=first).to_pylist():
            key = row["dataset"], row["condition"]
            counts[key] = counts.get(key, 0) + row["sessions"]
        wanted: dict[str, int] = {}
        whole: dict[str, int] = {}
        for (dataset, condition), sessions in sorted(counts.items()):
            wanted[dataset] = wanted.get(dataset, 0) + sessions
            whole[dataset] = whole.get(dataset, 0) + (sessions if condition in WHOLE else 0)
        return [
            f.COVERAGE.of(sorted(counts.items())),
            f.COMPLETE.of(((dataset,), whole[dataset] / sessions) for dataset, sessions in wanted.items()),
            f.MISSING.of(((dataset,), sessions - whole[dataset]) for dataset, sessions in wanted.items()),
        ]

    def _files(self) -> list[Metric]:
        sizes: dict[str, int] = {}
        newest: dict[str, dict[str, Any]] = {}
        seen: dict[Path, tuple[_Stamp, dict[str, Any]]] = {}
        for name, dataset in DATASETS.items():
            for path in dataset_files(self._settings.data_dir, dataset):
                with suppress(FileNotFoundError):  # merged or moved meanwhile: the next reading sees the other one
                    found = path.stat()
                    stamp = found.st_ino, found.st_mtime_ns, found.st_size
                    seen[path] = self._footers.get(path, ((0, 0, 0), {}))
                    if seen[path][0] != stamp:
                        seen[path] = stamp, _largest(path, dataset)
                    sizes[name] = sizes.get(name, 0) + found.st_size
                    newest[name] = _later([newest.get(name, {}), seen[path][1]])
        self._footers = seen
        opens = calendar().opens_at
        return [
            f.BYTES.of(((name,), size) for name, size in sizes.items()),
            f.NEWEST_SESSION.of(
                ((name,), opens(one["session"]).timestamp()) for name, one in newest.items() if "session" in one
            ),
            f.NEWEST_ROW.of(
                ((name,), one["collected_at"].timestamp()) for name, one in newest.items() if "collected_at" in one
            ),
        ]

    def _disk(self) -> list[Metric]:
        if not self._settings.data_dir.is_dir():
            return []
        disk = shutil.disk_usage(self._settings.data_dir)
        return [f.DISK_FREE.value(disk.free), f.DISK_SIZE.value(disk.total)]


def _largest(path: Path, dataset: Dataset) -> dict[str, Any]:
    """The largest values of the columns by the statistics of the file. A file that is damaged has none: `status` and
    the doctor name it."""
    try:
        footer = pq.read_metadata(path)
    except pa.ArrowInvalid:
        return {}
    columns = {name: footer.schema.to_arrow_schema().get_field_index(name) for name in _NEWEST}
    groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
    return _later(
        {name: statistics.max}
        for group in groups
        for name, column in columns.items()
        if column >= 0
        and (statistics := group.column(column).statistics) is not None
        and statistics.has_min_max
        and isinstance(statistics.max, date)
    )


def _later(values: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The largest of each name."""
    found: dict[str, Any] = {}
    for one in values:
        for name, value in one.items():
            found[name] = max(found.get(name, value), value)
    return found
