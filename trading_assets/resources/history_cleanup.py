"""Clean-up of Dagster's history: what goes, when, and what never does.

| what | may go |
| --- | --- |
| log of a run's steps (`history/runs/<run>.db`) and what the run printed | `history_log_days` after its end |
| the same of a failed run | `history_failed_log_days` after its end |
| events in the log of all runs that repeat the table of checks (`REPEATED`) | after `history_log_days` |
| runs, materializations, check results, states and cursors of schedules and sensors | never |

So the status of every partition, the latest materialization and the check results are the same before and after, and a
row of the lake still leads to its run. Only the page of an old run shows no steps. Skipped ticks go by Dagster's own
retention (`dagster.yaml`), runs of the hourly check by `automation.history`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from dagster import DagsterRunStatus, RunsFilter

from trading_assets.plain import Plain
from trading_assets.resources.abandoned import ENDED
from trading_assets.resources.dagster_private import (
    INDEX_SHARD_NAME,
    SqlEventLogStorageTable,
)
from trading_assets.resources.history_folder import history_folder
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.storage import BUSY_TIMEOUT, CompactEventLogStorage
from trading_assets.settings import Settings, system_clock

REPEATED = ("ASSET_CHECK_EVALUATION", "ASSET_CHECK_EVALUATION_PLANNED")
"""Event types in the log of all runs that say again what the table of checks says."""


@dataclass(frozen=True)
class HistoryCleanup(Plain):
    """What was deleted (with `dry_run`: would be): logs of `runs`, `events` of all runs; bytes of Dagster's folder
    before and after (with `dry_run`: as estimated from the sizes of the files and events)."""

    dry_run: bool
    runs: tuple[str, ...]
    events: int
    bytes_before: int
    bytes_after: int

    def sentence(self) -> str:
        """What was done, in words."""
        if not self.runs and not self.events:
            return f"Dagster's history ({self.bytes_before / 1e6:.1f} MB) has nothing old enough: nothing to do."
        return (
            f"{'Would delete' if self.dry_run else 'Deleted'} the step logs of {len(self.runs)} runs and"
            f" {self.events} repeated events: {self.bytes_before / 1e6:.1f} MB before,"
            f" {self.bytes_after / 1e6:.1f} MB after. Materializations, check results and cursors stay."
        )


def clean_history(settings: Settings, *, dry_run: bool = True, now: datetime | None = None) -> HistoryCleanup:
    """Delete what is old enough at `now` (default: the machine's clock, by which Dagster records). Killed at any
    instant, it is simply done again.

    Raises `ValueError` where Dagster keeps its history elsewhere than in SQLite files of the data folder.
    """
    at, folder = now or system_clock(), history_folder(settings)
    if not (folder / "history").is_dir():
        return HistoryCleanup(dry_run, (), 0, 0, 0)  # nothing was ever run: a look at it makes no history
    with dagster_instance(settings) as instance:
        storage = instance.event_log_storage
        if not isinstance(storage, CompactEventLogStorage):
            raise ValueError(
                f"Dagster's history is not in {folder}: clean it up with the means of the database that holds it."
            )
        before, runs = bytes_below(folder), list(_old_runs(instance, storage, settings, at))
        files = [path for run_id in runs for path in _files(storage, folder, run_id)]
        events, event_bytes = _repeated(storage, at - timedelta(days=settings.history_log_days))
        if dry_run:
            after = before - sum(map(bytes_below, files)) - event_bytes
            return HistoryCleanup(True, tuple(runs), len(events), before, after)
        for run_id in runs:
            storage.forget_run_log(run_id)
            shutil.rmtree(folder / "compute_logs" / run_id, ignore_errors=True)
        if events:
            _delete_events(storage, events)
    return HistoryCleanup(False, tuple(runs), len(events), before, bytes_below(folder))


def _old_runs(
    instance: dg.DagsterInstance, storage: CompactEventLogStorage, settings: Settings, at: datetime
) -> Iterator[str]:
    """The runs that ended long enough ago and have a log or output on disk."""
    days = {DagsterRunStatus.FAILURE: settings.history_failed_log_days}
    youngest = at - timedelta(days=min(settings.history_log_days, settings.history_failed_log_days))
    for record in instance.get_run_records(RunsFilter(statuses=ENDED, updated_before=youngest)):
        run = record.dagster_run
        ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else _utc(record.update_timestamp)
        old = ended < at - timedelta(days=days.get(run.status, settings.history_log_days))
        if old and any(path.exists() for path in _files(storage, history_folder(settings), run.run_id)):
            yield run.run_id


def _files(storage: CompactEventLogStorage, folder: Path, run_id: str) -> list[Path]:
    return [*storage.run_log_files(run_id), folder / "compute_logs" / run_id]


def _utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _repeated(storage: CompactEventLogStorage, before: datetime) -> tuple[list[int], int]:
    """The ids of the repeated events of all runs that are older, and their bytes. The newest event of all stays:
    Dagster counts on from its id."""
    table = SqlEventLogStorageTable.c
    newest = sa.select(sa.func.max(table.id)).scalar_subquery()
    wanted = sa.select(table.id, sa.func.length(table.event)).where(
        table.dagster_event_type.in_(REPEATED),
        table.timestamp < before.astimezone(UTC).replace(tzinfo=None),
        table.id < newest,
    )
    with storage.index_connection() as connection:
        rows = connection.execute(wanted).all()
    return [row[0] for row in rows], sum(row[1] for row in rows)


def _delete_events(storage: CompactEventLogStorage, ids: list[int]) -> None:
    with storage.index_connection() as connection:
        for begin in range(0, len(ids), 500):
            connection.execute(
                SqlEventLogStorageTable.delete().where(SqlEventLogStorageTable.c.id.in_(ids[begin : begin + 500]))
            )
    # The file keeps its size otherwise. Readers go on meanwhile, writers wait.
    file = storage.path_for_shard(INDEX_SHARD_NAME)
    with closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT)) as connection:
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")


def bytes_below(place: Path) -> int:
    """Bytes of a file, or of all files below a folder; 0 where there is neither. One that goes meanwhile does not
    count."""
    if place.is_dir():
        return sum(bytes_below(Path(parent, name)) for parent, _, names in os.walk(place) for name in names)
    try:
        return place.stat().st_size
    except OSError:
        return 0
