"""Runs whose process died: they are ended, and their places in Dagster's pool given back, when the next run begins.

Dagster's own run monitoring does this for runs that its daemon launched. Runs of the command line and of scripts have
no daemon to look after them: without this, two killed ones would hold the two places of the pool `ib` for ever, and
every later run would wait for them without a word.

A process of this host is looked up. Of one on another machine, and of a run that has left a process which lives on, the
heartbeat of the run's owner in the state database tells (`resources.run_owners`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

import dagster as dg
import sqlalchemy as sa
from dagster import DagsterRun, DagsterRunStatus, RunsFilter

from trading_assets.errors import TradingAssetsError
from trading_assets.resources.run_owners import owner_of
from trading_assets.settings import Settings
from trading_assets.state import read_state
from trading_assets.state.owners import live_owners
from trading_assets.state.pin import pinned_lake
from trading_assets.state.processes import has_ended, process_birth, this_host

PROCESS_TAG = "trading_assets/process"
"""Says which process works on a run: host, process id and start, so that a reused id is not mistaken for it."""

ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]

_UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]

_NOT_BEGUN = (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING)

_SENTENCE = (
    "The process of this run died before it ended{how}. What the broker had answered is in the journal; the next run"
    " takes it from there."
)


def process_mark() -> str:
    """The value of `PROCESS_TAG` for this process."""
    return f"{this_host()} {os.getpid()} {process_birth(os.getpid()) or ''}"


def end_abandoned_runs(instance: dg.DagsterInstance, settings: Settings) -> list[str]:
    """Mark unfinished runs that nobody works on any more as failed and free what they held; their ids."""
    unfinished = instance.get_runs(RunsFilter(statuses=_UNFINISHED))
    gone = _gone(unfinished, settings)
    dead = [
        run
        for run in unfinished
        if run.run_id in gone or (_process_has_ended(run) and not _is_inherited(instance, run))
    ]
    for run in dead:
        end_lost_run(instance, run)
    return [run.run_id for run in dead]


def end_lost_run(instance: dg.DagsterInstance, run: DagsterRun, how: str = "") -> None:
    """Mark a run that nobody works on any more as failed and free what it held; `how` says where and by what its
    process died."""
    instance.report_run_failed(run, _SENTENCE.format(how=f" ({how})" if how else ""))
    if instance.event_log_storage.supports_global_concurrency_limits:
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _gone(unfinished: Sequence[DagsterRun], settings: Settings) -> set[str]:
    """The runs whose owner is dead in the state database of these settings. A database that cannot be read says
    nothing; the run that needs it reports that. Nor is anything known of a run that has begun and opened no archive."""
    owned = {
        run.run_id: owner
        for run in unfinished
        if (owner := owner_of(run)) is not None and (owner.beats or run.status in _NOT_BEGUN)
    }
    if owned:
        with suppress(TradingAssetsError, sa.exc.SQLAlchemyError), read_state(settings.state_url) as connection:
            lake, alive = pinned_lake(connection), live_owners(connection)
            return {run for run, owner in owned.items() if owner.lake_id == lake and owner.name not in alive}
    return set()


def _process_has_ended(run: DagsterRun) -> bool:
    mark = run.tags.get(PROCESS_TAG)
    if mark is None:
        return False
    host, pid, birth = mark.rsplit(" ", 2)
    return has_ended(host, int(pid), birth) is True


def _is_inherited(instance: dg.DagsterInstance, run: DagsterRun) -> bool:
    """Whether the mark is that of the run which this one repeats: Dagster copies the tags, and its own process has not
    begun yet."""
    parent = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id is not None else None
    return parent is not None and parent.tags.get(PROCESS_TAG) == run.tags[PROCESS_TAG]
