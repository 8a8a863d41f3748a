"""From the agenda to Dagster: one run for one reason, whatever ticks twice, restarts or runs twice.

A run carries the key of its reason as a tag. It is not asked for again while such a run exists, nor while runs are
unfinished that work on the same things. In between (decided, not yet recorded) a short claim in the state database stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster import DagsterRunStatus, RunRecord, RunsFilter

from trading_assets.monitoring.agenda import Ask, Wait
from trading_assets.monitoring.asked import CLAIM_SECONDS, claim
from trading_assets.resources.abandoned import end_abandoned_runs
from trading_assets.settings import Settings, system_clock

KEY_TAG = "trading_assets/key"
"""The reason a run was started for, e.g. `daily_bars 2015-12-24`."""

WHY_TAG = "trading_assets/why"
"""The same as a sentence."""

ASSET_JOB = "__ASSET_JOB"
"""Dagster's name for what is materialized in the UI without a job."""

RIVALS = {
    "snapshot": ("snapshot", "setup_symbol", "daily_update", ASSET_JOB),
    "backfill_bars": ("snapshot", "backfill_bars", "setup_symbol", "daily_update", ASSET_JOB),
    "setup_symbol": ("setup_symbol", ASSET_JOB),
    "quality_check": ("quality_check",),
}
"""Jobs that work on the same things or before them (bars want the session's chain): while one is unfinished, the other is not started by itself."""

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

Context = dg.ScheduleEvaluationContext | dg.SensorEvaluationContext


def request_of(context: Context, settings: Settings, found: Ask | Wait) -> dg.RunRequest | dg.SkipReason:
    """The run that the agenda asks for, or why none is started now.

    A trial evaluation (the UI's "test", a context made in a test) decides the same and leaves no claim behind.
    """
    if isinstance(found, Wait):
        return dg.SkipReason(found.reason)
    instance = context.instance
    end_abandoned_runs(instance)
    _end_never_submitted(instance)
    earlier = instance.get_run_records(RunsFilter(tags={KEY_TAG: found.key}))
    alive = [record for record in earlier if not _was_never_submitted(record)]
    if alive:
        return dg.SkipReason(f"{found.why} Run {_short(alive[0])} was started for it and is {_word(alive[0].dagster_run.status)}.")
    busy = _unfinished(instance, RIVALS[found.job])
    if busy:
        return dg.SkipReason(f"{found.why} It waits for run {_short(busy[0])} of {busy[0].dagster_run.job_name}, which is not finished.")
    if context.log_key is not None and not claim(settings.state_url, found.key):
        return dg.SkipReason(f"{found.why} Its run was asked for a moment ago by another tick.")
    return run_request(found, attempt=len(earlier))


def run_request(ask: Ask, attempt: int = 0) -> dg.RunRequest:
    """Dagster's request for the run; `attempt` counts earlier ones that died before they were submitted."""
    tags = {KEY_TAG: ask.key, WHY_TAG: ask.why}
    partition = None
    if ask.first is not None and ask.first == ask.last:
        partition = ask.first.isoformat()
    elif ask.first is not None and ask.last is not None:
        tags |= {"dagster/asset_partition_range_start": ask.first.isoformat(), "dagster/asset_partition_range_end": ask.last.isoformat()}
    return dg.RunRequest(
        run_key=f"{ask.key}#{attempt}" if attempt else ask.key,
        job_name=ask.job,
        partition_key=partition,
        run_config={"ops": {name: {"config": dict(config)} for name, config in ask.config.items()}},
        tags=tags,
    )


def _unfinished(instance: dg.DagsterInstance, jobs: Sequence[str]) -> list[RunRecord]:
    return [record for record in instance.get_run_records(RunsFilter(statuses=UNFINISHED)) if record.dagster_run.job_name in jobs]


_NEVER_SUBMITTED = "trading_assets/never_submitted"


def _end_never_submitted(instance: dg.DagsterInstance) -> None:
    """End runs that the daemon recorded and died before it could queue them: nobody else would ever take them up."""
    now = system_clock()
    for record in instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.NOT_STARTED])):
        run = record.dagster_run
        if KEY_TAG in run.tags and (now - record.create_timestamp).total_seconds() > CLAIM_SECONDS:
            instance.add_run_tags(run.run_id, {_NEVER_SUBMITTED: "true", "dagster/max_retries": "0"})
            instance.report_run_failed(run, "The daemon died before it queued this run. Another one is started in its place.")


def _was_never_submitted(record: RunRecord) -> bool:
    return _NEVER_SUBMITTED in record.dagster_run.tags


def _short(record: RunRecord) -> str:
    return record.dagster_run.run_id[:8]


def _word(status: DagsterRunStatus) -> str:
    return status.value.lower().replace("_", " ")
