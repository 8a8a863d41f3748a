"""Clean-up of Dagster's history: what goes, when, and what never does.

| what | may go |
| --- | --- |
| log of a run's steps (`resources.run_logs`) and what the run printed | `history_log_days` after its end |
| the same of a failed run | `history_failed_log_days` after its end |
| events in the log of all runs that repeat the table of checks (`REPEATED`) | after `history_log_days` |
| runs, materializations, check results, states and cursors of schedules and sensors | never |

So the status of every partition, the latest materialization and the check results are the same before and after, and a
row of the lake still leads to its run. Only the page of an old run shows no steps. Skipped ticks go by Dagster's own
retention (`dagster.yaml`), runs of the hourly check by `automation.history`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
import sqlalchemy as sa
from dagster import DagsterRunStatus, RunsFilter

from trading_assets.plain import Plain
from trading_assets.resources.abandoned import ENDED
from trading_assets.resources.history_folder import history_folder
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.run_logs import EVENTS, FileLogs, RunLogs, bytes_below, logs_of
from trading_assets.settings import Settings, system_clock

REPEATED = ("ASSET_CHECK_EVALUATION", "ASSET_CHECK_EVALUATION_PLANNED")
"""Event types in the log of all runs that say again what the table of checks says."""


@dataclass(frozen=True)
class HistoryCleanup(Plain):
    """What was deleted (with `dry_run`: would be): logs of `runs`, `events` of all runs; bytes of Dagster's folder and
    tables before and after (with `dry_run`, and on a server: as estimated from the sizes of the files and events)."""

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

    On a PostgreSQL server deleted rows leave space that later ones use: the bytes after are those before without them.
    Raises `ValueError` where `dagster.yaml` names a storage of its own.
    """
    at, folder = now or system_clock(), history_folder(settings)
    if settings.dagster_database_url is None and not (folder / "history").is_dir():
        return HistoryCleanup(dry_run, (), 0, 0, 0)  # nothing was ever run: a look at it makes no history
    with dagster_instance(settings) as instance:
        logs = logs_of(instance.event_log_storage, folder)
        if logs is None:
            raise ValueError(
                f"Dagster's history is not in {folder}, as its dagster.yaml says: clean it up with the means of the"
                " database that holds it."
            )
        printed = folder / "compute_logs"
        before = logs.size() + bytes_below(printed)
        ended = list(_ended_runs(instance, settings, at))
        sizes = logs.sizes(ended)
        runs = [run_id for run_id in ended if run_id in sizes or (printed / run_id).exists()]
        freed = sum(sizes.values()) + sum(bytes_below(printed / run_id) for run_id in runs)
        events, event_bytes = _repeated(logs, at - timedelta(days=settings.history_log_days))
        if not dry_run:
            for run_id in runs:
                logs.forget(run_id)
                instance.compute_log_manager.delete_logs(prefix=[run_id])
            if events:
                logs.delete_events(events)
                logs.shrink()
        shrunk = not dry_run and isinstance(logs, FileLogs)
        after = logs.size() + bytes_below(printed) if shrunk else before - freed - event_bytes
    return HistoryCleanup(dry_run, tuple(runs), len(events), before, after)


def _ended_runs(instance: dg.DagsterInstance, settings: Settings, at: datetime) -> Iterator[str]:
    """The runs that ended long enough ago."""
    days = {DagsterRunStatus.FAILURE: settings.history_failed_log_days}
    youngest = at - timedelta(days=min(settings.history_log_days, settings.history_failed_log_days))
    for record in instance.get_run_records(RunsFilter(statuses=ENDED, updated_before=youngest)):
        run = record.dagster_run
        ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else _utc(record.update_timestamp)
        if ended < at - timedelta(days=days.get(run.status, settings.history_log_days)):
            yield run.run_id


def _utc(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _repeated(logs: RunLogs, before: datetime) -> tuple[list[int], int]:
    """The ids of the repeated events of all runs that are older, and their bytes. The newest event of all stays:
    Dagster counts on from its id."""
    newest = sa.select(sa.func.max(EVENTS.id)).scalar_subquery()
    wanted = sa.select(EVENTS.id, sa.func.length(EVENTS.event)).where(
        EVENTS.dagster_event_type.in_(REPEATED),
        EVENTS.timestamp < before.astimezone(UTC).replace(tzinfo=None),
        EVENTS.id < newest,
    )
    with logs.storage.index_connection() as connection:
        rows = connection.execute(wanted).all()
    return [row[0] for row in rows], sum(row[1] for row in rows)
