"""Which worker has taken a run from the queue: once, and as all machines can tell.

A worker is an owner in the state database (`state.owners`) whose heart beats while it runs; its name is at the runs
that it took. Whether a run is lost, the run's own owner tells (`resources.run_owners`), which is there from the moment
the run is taken: a worker that lives does not keep a run alive whose process is gone.
"""

from __future__ import annotations

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus

from trading_assets.monitoring.run_claims import claim
from trading_assets.resources import run_owners
from trading_assets.resources.run_owners import owner_of
from trading_assets.settings import Settings
from trading_assets.state import connect_state, read_transaction
from trading_assets.state.owners import WORKER, live_owners

WORKER_TAG = "trading_assets/worker"
"""Says which worker has taken a run: the run's id and the worker's name. A repeated run has that of the run that it
repeats until it is taken itself."""

QUEUE_TAG = "trading_assets/queued"
"""Says that a run was put into the queue: the run's id. A repeated run has that of the run that it repeats until
then."""

_TAKEN_FROM = {
    0: (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING),
    1: (DagsterRunStatus.STARTING, DagsterRunStatus.STARTED),
}
"""The states in which a run may be begun, and in which it may be resumed."""


def worker_of(run: DagsterRun) -> str | None:
    """The name of the worker that has taken a run; None where none has."""
    run_id, _, name = run.tags.get(WORKER_TAG, "").partition(" ")
    return name if run_id == run.run_id and name else None


def live_workers(settings: Settings) -> set[str]:
    """The names of the workers whose heart beats."""
    with read_transaction(connect_state(settings.state_url)) as connection:
        return {name for name in live_owners(connection) if name.startswith(WORKER)}


def is_worked_on(settings: Settings, run: DagsterRun) -> bool | None:
    """Whether the process of a run is heard of, or may still begin; None where no worker has taken the run."""
    worker, owner = worker_of(run), owner_of(run)
    if worker is None:
        return None
    with read_transaction(connect_state(settings.state_url)) as connection:
        alive = live_owners(connection)
    if owner is None or not (owner.beats or run.status in _TAKEN_FROM[0]):
        return worker in alive  # of a run that opens no archive only its worker knows
    return owner.name in alive


def take(
    instance: DagsterInstance,
    settings: Settings,
    run_id: str,
    worker: str,
    attempt: int = 0,
    message: str | None = None,
) -> DagsterRun | None:
    """Take a run for a worker; `attempt` counts how often it was resumed. None where the run is not to be executed:
    another worker has it, or it ended or was cancelled while it waited. Safe to repeat for one `message`, whose name is
    nobody else's."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.status not in _TAKEN_FROM[min(attempt, 1)] or is_worked_on(settings, run):
        return None
    if not claim(settings.state_url, f"execute {run_id} {attempt}", message):
        return None
    instance.add_run_tags(run_id, {WORKER_TAG: f"{run_id} {worker}", **run_owners.start(settings, run_id)})
    return run
