"""Runs whose process died: they are ended, and their places in Dagster's pool given back, when the next run begins.

Dagster's own run monitoring does this for runs that its daemon launched. Runs of the command line and of scripts have
no daemon to look after them: without this, two killed ones would hold the two places of the pool `ib` for ever, and
every later run would wait for them without a word.
"""

from __future__ import annotations

import os

import dagster as dg
from dagster import DagsterRun, DagsterRunStatus, RunsFilter

from trading_assets.state.owners import process_birth, this_host

PROCESS_TAG = "trading_assets/process"
"""Says which process works on a run: host, process id and the process's birth, so that a reused id is told apart."""

_UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

_SENTENCE = (
    "The process of this run died before it ended. What the broker had answered is in the journal; the next run takes"
    " it from there."
)


def process_mark() -> str:
    """The value of `PROCESS_TAG` for this process."""
    return f"{this_host()} {os.getpid()} {process_birth(os.getpid()) or ''}"


def end_abandoned_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark unfinished runs of dead processes of this host as failed and free what they held; their ids."""
    dead = [
        run
        for run in instance.get_runs(RunsFilter(statuses=_UNFINISHED))
        if _is_dead(run) and not _is_inherited(instance, run)
    ]
    for run in dead:
        instance.report_run_failed(run, _SENTENCE)
        if instance.event_log_storage.supports_global_concurrency_limits:
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return [run.run_id for run in dead]


def _is_dead(run: DagsterRun) -> bool:
    mark = run.tags.get(PROCESS_TAG)
    if mark is None:
        return False
    host, pid, birth = mark.rsplit(" ", 2)
    return host == this_host() and process_birth(int(pid)) not in (birth, "")


def _is_inherited(instance: dg.DagsterInstance, run: DagsterRun) -> bool:
    """Whether the mark is that of the run which this one repeats: Dagster copies the tags, and its own process has not
    begun yet."""
    parent = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id is not None else None
    return parent is not None and parent.tags.get(PROCESS_TAG) == run.tags[PROCESS_TAG]
