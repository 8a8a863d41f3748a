"""Old runs of the hourly quality check, which would be nine thousand a year: only the newest are kept.

A run holds what the UI shows of it; deleting it also takes its materializations and check results. Those of the newest
successful run are the present ones and stay. Runs that collect are never deleted: each holds the materialization of its
session.
"""

from __future__ import annotations

import dagster as dg
from dagster import DagsterRunStatus, RunsFilter

from trading_assets.monitoring.hours import QUALITY_CHECK
from trading_assets.resources.abandoned import ENDED

KEPT_CHECKS = 12
"""Runs of the quality check that are kept: half a day of an hourly check. The measures themselves are kept in
`quality_metrics`."""

DELETED_AT_ONCE = 20
"""Runs deleted at one tick at most, some 20 ms each: a tick must be short."""


def forget_old_checks(instance: dg.DagsterInstance) -> list[str]:
    """Delete finished runs of the quality check beyond the newest `KEPT_CHECKS`, and what they printed; their ids."""
    runs = list(
        instance.get_runs(RunsFilter(job_name=QUALITY_CHECK, statuses=ENDED), limit=KEPT_CHECKS + DELETED_AT_ONCE)
    )
    newest_success = next((run.run_id for run in runs if run.status is DagsterRunStatus.SUCCESS), None)
    old = [run.run_id for run in runs[KEPT_CHECKS:] if run.run_id != newest_success]
    for run_id in old:
        instance.delete_run(run_id)
        instance.compute_log_manager.delete_logs(prefix=[run_id])
    return old
