"""One Dagster job, run in this process on the instance of the data folder, with its reports.

The run, its events and its partitions are the same that the UI shows: the command line is no second way around Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import dagster as dg

from trading_assets.collecting.progress import Progress, Silent, listening
from trading_assets.collecting.report import CollectionReport
from trading_assets.jobs.surroundings import undisturbed
from trading_assets.plain import Plain
from trading_assets.remedies import worded
from trading_assets.resources.abandoned import PROCESS_TAG, end_abandoned_runs, process_mark
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.run_config import range_tags
from trading_assets.settings import Settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Dagster's own lines stay out of the command line's output; they are kept with the run."""


@dataclass
class RunReport(Plain):
    """What one run did. `error` is the sentence of the step that failed, empty when none did."""

    job: str
    run_id: str
    success: bool
    error: str = ""
    failed_step: str = ""
    retryable: bool = False
    reports: list[CollectionReport] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the run succeeded and nothing wanted is missing."""
        return self.success and all(report.complete for report in self.reports)


class _Collector(Silent):
    """Keeps the reports of a run and passes everything on."""

    def __init__(self, outer: Progress) -> None:
        self.outer = outer
        self.reports: list[CollectionReport] = []

    def begin(self, stage: str, total: int) -> None:
        self.outer.begin(stage, total)

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        self.outer.advance(done, total, sent, reused)

    def waiting(self, why: str, until: datetime | None) -> None:
        tell = getattr(self.outer, "waiting", None)  # a listener of a user's own may be without
        if tell is not None:
            tell(why, until)

    def finish(self, report: CollectionReport) -> None:
        self.reports.append(report)
        self.outer.finish(report)


def run_job(
    settings: Settings,
    job: str,
    sessions: Sequence[date],
    config: Mapping[str, Mapping[str, Any]],
    *,
    progress: Progress | None = None,
    steps: Sequence[str] | None = None,
) -> RunReport:
    """Run `job` on the partitions of `sessions` (one, the first and last of a range, or none of a job without) with
    `config` by asset name.

    `steps` restricts the run to some of the job's assets. The report names failures; nothing is raised for them.
    """
    where: dict[str, Any] = {"tags": {PROCESS_TAG: process_mark()}}
    if len(sessions) == 1:
        where["partition_key"] = sessions[0].isoformat()
    elif sessions:
        where["tags"] |= range_tags(min(sessions), max(sessions))
    run_config = {**QUIET, "ops": {name: {"config": dict(values)} for name, values in config.items()}}
    collector = _Collector(progress or Silent())
    with undisturbed(), dagster_instance(settings, captures=False) as instance, listening(collector):
        end_abandoned_runs(instance, settings)
        result = _definition(settings, job, steps).execute_in_process(
            instance=instance,
            run_config=run_config,
            raise_on_error=False,
            **where,
        )
    report = RunReport(job, result.run_id, result.success, reports=collector.reports)
    if not result.success:
        _explain(report, result)
    return report


def _definition(settings: Settings, job: str, steps: Sequence[str] | None) -> dg.JobDefinition:
    """The job, or those steps of it, with the resources of the settings."""
    # late: what Dagster says of the definitions while they are made is not for the caller
    from trading_assets.automation.jobs import own_checks
    from trading_assets.definitions import build_defs

    given = settings.model_dump(exclude={"data_dir_setting", "selection"}, exclude_none=True, mode="json")
    definitions = build_defs(**given, selection=settings.selection, data_dir=str(settings.data_dir))
    found = definitions.resolve_job_def(job)
    if not steps:
        return found
    return found.get_subset(
        asset_selection={dg.AssetKey(name) for name in steps}, asset_check_selection=set(own_checks(steps))
    )


def _explain(report: RunReport, result: dg.ExecuteInProcessResult) -> None:
    """Take the sentence of the first failed step: what the step itself said, else its error. Of a run that failed
    before its first step, that of the run."""
    failures = [event for event in result.all_events if event.is_step_failure]
    if not failures:
        ended = [event.job_failure_data.error for event in result.all_events if event.is_job_failure]
        report.error = worded(_cause(ended[-1])) if ended and ended[-1] is not None else "The run failed."
        return
    data = failures[0].step_failure_data
    report.failed_step = failures[0].step_key or ""
    failure = data.user_failure_data
    if failure is not None and failure.description:
        report.error = worded(failure.description)
        retryable = failure.metadata.get("retryable")
        report.retryable = retryable is not None and bool(retryable.value)
    elif data.error is not None:
        if data.error.cls_name == "DagsterExecutionInterruptedError":
            raise KeyboardInterrupt
        report.error = worded(_cause(data.error))


def _cause(error: Any) -> str:
    """What a failure (`dg.Failure`) says, else the first cause in its own words. `error` is Dagster's record of it."""
    while error.cause is not None and error.cls_name != dg.Failure.__name__:
        error = error.cause
    said: str = error.message.strip()
    return said.partition(": ")[2] if error.cls_name == dg.Failure.__name__ else said
