"""The performance report: what the archive holds, what it costs on disk, and how fast it answers."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from trading_assets.jobs.given import settings_of_lake
from trading_assets.monitoring.usage import requests_used
from trading_assets.plain import Plain
from trading_assets.repositories import query
from trading_assets.repositories.files import dataset_files
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS
from trading_assets.resources.run_logs import bytes_below, history_bytes
from trading_assets.settings import Settings
from trading_assets.state import reading_engine

MEGABYTE = 1e6


@dataclass(frozen=True)
class PerformanceReport(Plain):
    """`storage` by dataset (files, rows, bytes, revisions' rows); bytes of Dagster's history, of the state database
    (None: on a server) and free on the disk; seconds that the newest session of each dataset takes to read; requests of
    the last 24 hours."""

    storage: dict[str, dict[str, int]]
    history_bytes: int
    state_bytes: int | None
    free_bytes: int
    seconds: dict[str, float]
    requests: dict[str, Any]

    def sentence(self) -> str:
        """The report in two lines of text."""
        lake, slowest = sum(each["bytes"] for each in self.storage.values()), max(self.seconds.values(), default=0.0)
        rows = sum(each["rows"] for each in self.storage.values())
        return (
            f"The lake has {rows:,} rows in {lake / MEGABYTE:,.1f} MB, Dagster's history"
            f" {self.history_bytes / MEGABYTE:,.1f} MB; {self.free_bytes / MEGABYTE:,.0f} MB are free. The slowest"
            f" newest session is read in {slowest:.2f} s. {self.requests['sent_today']} requests were sent in the last"
            " 24 hours."
        )


def generate_performance_report(
    base_path: Path | str | None = None, *, settings: Settings | None = None
) -> PerformanceReport:
    """Measure storage, reading and requests of the archive. Reads only. Raises `NotALake`."""
    chosen = settings_of_lake(base_path, settings)
    root = chosen.data_dir
    state = root / "state.db"
    return PerformanceReport(
        {name: _storage(root, name) for name in DATASETS},
        history_bytes(chosen),
        state.stat().st_size if chosen.database_url is None and state.exists() else None,
        shutil.disk_usage(root).free,
        {name: _seconds(root, name) for name in DATASETS},
        requests_used(reading_engine(chosen.state_url)),
    )


def _storage(root: Path, name: str) -> dict[str, int]:
    files = list(dataset_files(root, DATASETS[name]))
    return {
        "files": len(files),
        "rows": sum(_rows(files)),
        "bytes": sum(map(bytes_below, files)),
        "revisions": sum(_rows(dataset_files(root, revisions_of(DATASETS[name])))),
    }


def _rows(files: list[Path]) -> Iterator[int]:
    for path in files:
        yield pq.read_metadata(path).num_rows


def _seconds(root: Path, name: str) -> float:
    """Wall-clock seconds that a read of the dataset's newest session takes."""
    began = time.perf_counter()
    query(root, f'select * from "{name}" where session = (select max(session) from "{name}")')
    return round(time.perf_counter() - began, 4)
