"""From the agenda to Dagster: one run for one reason, whatever ticks twice, restarts or runs twice.

A run carries the key of its reason as a tag. It is not requested again while such a run exists, nor while runs are
unfinished that work on the same things. In between (decided, not yet recorded) a short claim in the state database
stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster import DagsterRunStatus, RunRecord, RunsFilter

from trading_assets.automation.jobs import own_checks
from trading_assets.distribution import DISTRIBUTION_TAG, WORK_TAG, Work
from trading_assets.monitoring.agenda import WantedRun
from trading_assets.monitoring.run_claims import CLAIM_SECONDS, claim
from trading_assets.monitoring.skips import Skip
from trading_assets.resources.abandoned import end_abandoned_runs
from trading_assets.resources.dagster_private import AUTO_RETRY_RUN_ID_TAG, RETRY_NUMBER_TAG, WILL_RETRY_TAG
from trading_assets.resources.run_config import ASSET_JOB, range_tags
from trading_assets.settings import Settings, system_clock

KEY_TAG = "trading_assets/key"
"""The reason a run was started for, e.g. `daily_bars 2015-12-24`."""

WHY_TAG = "trading_assets/why"
"""The same as a sentence."""

RIVALS = {
    "snapshot": ("snapshot", "setup_symbol", "daily_update", ASSET_JOB),
    "backfill_bars": ("snapshot", "backfill_bars", "setup_symbol", "daily_update", ASSET_JOB),
    "setup_symbol": ("setup_symbol", ASSET_JOB),
    "quality_check": ("quality_check",),
    "positions": ("positions",),
    "live_merge": ("live_merge", ASSET_JOB),
    "weekly_maintenance": ("weekly_maintenance", "monthly_maintenance"),
    "monthly_maintenance": ("weekly_maintenance", "monthly_maintenance"),
}
"""Jobs that work on the same things or before them (bars want the session's chain): while one is unfinished, the other
is not started by itself."""

UNFINISHED = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

RETRY_SECONDS = 120.0
"""How long a try that Dagster announced may take to come: its daemon looks for failed runs every few seconds."""

Context = dg.ScheduleEvaluationContext | dg.SensorEvaluationContext


def request_of(context: Context, settings: Settings, found: WantedRun | Skip) -> dg.RunRequest | dg.SkipReason:
    """The run that the agenda asks for, or why none is started now.

    A trial evaluation (the UI's "test", a context made in a test) decides the same and leaves no claim behind.
    """
    if isinstance(found, Skip):
        return dg.SkipReason(found.reason)
    instance = context.instance
    end_abandoned_runs(instance, settings)
    end_never_submitted(instance)
    earlier = instance.get_run_records(RunsFilter(tags={KEY_TAG: found.key}))
    alive = [record for record in earlier if not was_never_submitted(record)]
    if alive and not _may_try_again(alive, found.tries):
        return dg.SkipReason(
            f"{found.why} Run {_short(alive[0])} was started for it and is {_word(alive[0].dagster_run.status)}."
        )
    busy = _unfinished(instance, found)
    if busy:
        return dg.SkipReason(
            f"{found.why} It waits for run {_short(busy[0])} of {busy[0].dagster_run.job_name}, which is not finished."
        )
    if context.log_key is not None and not claim(settings.state_url, found.key):
        return dg.SkipReason(f"{found.why} Its run was asked for a moment ago by another tick.")
    return run_request(found, attempt=len(earlier))


def run_request(ask: WantedRun, attempt: int = 0) -> dg.RunRequest:
    """Dagster's request for the run; `attempt` counts the earlier ones of the same key."""
    tags = {KEY_TAG: ask.key, WHY_TAG: ask.why, **ask.tags}
    partition = None
    if ask.first is not None and ask.first == ask.last:
        partition = ask.first.isoformat()
    elif ask.first is not None and ask.last is not None:
        tags |= range_tags(ask.first, ask.last)
    return dg.RunRequest(
        run_key=f"{ask.key}#{attempt}" if attempt else ask.key,
        job_name=ask.job,
        partition_key=partition,
        run_config={"ops": {name: {"config": dict(config)} for name, config in ask.config.items()}},
        tags=tags,
        asset_selection=[dg.AssetKey(name) for name in ask.assets] or None,
        asset_check_keys=own_checks(ask.assets) or None,
    )


def will_be_retried(record: RunRecord) -> bool:
    """Whether Dagster has still to start a failed run's next try: the failure is not the last word.

    It announces a try also for runs that it cannot start, those of the command line: one that does not come is not
    waited for.
    """
    tags = record.dagster_run.tags
    if tags.get(WILL_RETRY_TAG) != "true" or AUTO_RETRY_RUN_ID_TAG in tags:
        return False
    return (system_clock() - record.update_timestamp).total_seconds() < RETRY_SECONDS


def _may_try_again(earlier: Sequence[RunRecord], tries: int) -> bool:
    """Whether a reason deserves another run: the latest (they come first) failed for good, and the tries, Dagster's own
    apart, are not used up."""
    failed = earlier[0].dagster_run.status is DagsterRunStatus.FAILURE and not will_be_retried(earlier[0])
    return failed and sum(RETRY_NUMBER_TAG not in record.dagster_run.tags for record in earlier) < tries


def _unfinished(instance: dg.DagsterInstance, found: WantedRun) -> list[RunRecord]:
    """The unfinished runs that the wanted one waits for. The parts of distributed work are in the queue for days, and
    the runs of the day go before them: only one that `yields` waits for a part that has begun."""
    jobs = (found.job,) if found.urgent else RIVALS[found.job]
    return [
        record
        for record in instance.get_run_records(RunsFilter(statuses=UNFINISHED))
        if record.dagster_run.job_name in jobs
        and (DISTRIBUTION_TAG not in record.dagster_run.tags or (found.yields and _backfills(record.dagster_run)))
    ]


def _backfills(run: dg.DagsterRun) -> bool:
    """Whether a part of a backfill has begun."""
    waits = run.status in (DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED)
    return run.tags.get(WORK_TAG) == Work.BACKFILL and not waits


NEVER_SUBMITTED = "trading_assets/never_submitted"
"""Marks a run that was ended because nobody would have started it: another one takes its place, so it is no failure to
tell of."""


def end_never_submitted(instance: dg.DagsterInstance) -> None:
    """End runs that the daemon recorded and died before it could queue them: nobody else would ever take them up."""
    now = system_clock()
    for record in instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.NOT_STARTED])):
        run = record.dagster_run
        if (
            KEY_TAG in run.tags
            and RETRY_NUMBER_TAG not in run.tags
            and (now - record.create_timestamp).total_seconds() > CLAIM_SECONDS
        ):
            instance.add_run_tags(run.run_id, {NEVER_SUBMITTED: "true", "dagster/max_retries": "0"})
            instance.report_run_failed(
                run, "The daemon died before it queued this run. Another one is started in its place."
            )


def was_never_submitted(record: RunRecord) -> bool:
    """Whether the run was ended because nobody would have started it."""
    return NEVER_SUBMITTED in record.dagster_run.tags


def _short(record: RunRecord) -> str:
    return record.dagster_run.run_id[:8]


def _word(status: DagsterRunStatus) -> str:
    return status.value.lower().replace("_", " ")
