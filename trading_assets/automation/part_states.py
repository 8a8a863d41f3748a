"""What became of the parts of a distribution: Dagster's newest run of each says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import dagster as dg
from dagster import DagsterRunStatus, RunRecord, RunsFilter

from trading_assets.automation.run_dedup import KEY_TAG, was_never_submitted, will_be_retried
from trading_assets.distribution import DISTRIBUTION_TAG, Distribution, Distributions, Part, part_key
from trading_assets.resources.dagster_private import AUTO_RETRY_RUN_ID_TAG, RUN_KEY_TAG
from trading_assets.resources.run_workers import QUEUE_TAG, worker_of


class PartState(StrEnum):
    """How far a part is. A run that Dagster tries again is not failed yet."""

    MISSING = "missing"
    """It has no run yet."""
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """Its run failed or was cancelled."""


_STATES = {
    DagsterRunStatus.NOT_STARTED: PartState.QUEUED,
    DagsterRunStatus.QUEUED: PartState.QUEUED,
    DagsterRunStatus.SUCCESS: PartState.DONE,
    DagsterRunStatus.FAILURE: PartState.FAILED,
    DagsterRunStatus.CANCELED: PartState.FAILED,
}

FINISHED = (PartState.DONE, PartState.FAILED)


@dataclass(frozen=True, slots=True)
class PartRuns:
    """A part with its state. `run` is its newest run, None without one; `attempts` is the number of the next one: no
    run of the part had it, those included that were ended because nobody would have started them."""

    part: Part
    state: PartState
    run: RunRecord | None = None
    attempts: int = 0

    @property
    def run_id(self) -> str:
        """Dagster's id of the newest run, empty without one."""
        return "" if self.run is None else self.run.dagster_run.run_id

    @property
    def is_not_in_the_queue_yet(self) -> bool:
        """Whether the daemon has recorded its run, and may fail or die before it is in the queue."""
        return self.run is not None and self.run.dagster_run.status is DagsterRunStatus.NOT_STARTED


def part_states(instance: dg.DagsterInstance, distribution: Distribution) -> list[PartRuns]:
    """The parts in their order, each with its state."""
    by_key: dict[str, list[RunRecord]] = {}
    for record in instance.get_run_records(RunsFilter(tags={DISTRIBUTION_TAG: distribution.name})):  # the newest first
        by_key.setdefault(record.dagster_run.tags.get(KEY_TAG, ""), []).append(record)
    found = []
    for part in distribution.parts:
        runs = by_key.get(part_key(distribution, part), [])
        newest = next((run for run in runs if not was_never_submitted(run)), None)
        found.append(PartRuns(part, _state(newest), newest, _next_number(runs)))
    return found


def record(instance: dg.DagsterInstance, records: Distributions, distribution: Distribution) -> bool:
    """Record a distribution, so that its parts are submitted; False when it is there already: nothing is changed then.
    A validation, or work with `refresh`, all of whose parts have ended is done anew."""
    if records.add(distribution):
        return True
    known = records.get(distribution.name)
    parts = part_states(instance, known)
    if known.submitting or not known.is_made_anew or any(part.state not in FINISHED for part in parts):
        return False
    records.repeat(known.name, [part.run_id for part in parts])
    return True


def _next_number(runs: list[RunRecord]) -> int:
    """The number of the next run, by the keys of those that are there: some may have been deleted, and Dagster does
    not start the same key twice."""
    keys = [run.dagster_run.tags.get(RUN_KEY_TAG, "") for run in runs]
    numbers = [int(number) for number in (key.rpartition("#")[2] for key in keys) if number.isdecimal()]
    return max(len(runs), *(number + 1 for number in numbers)) if numbers else len(runs)


def waits(part: PartRuns) -> bool:
    """Whether the run of a part waits: in Dagster's queue, or in that of the workers."""
    if part.run is None:
        return False
    run = part.run.dagster_run
    of_workers = run.status is DagsterRunStatus.STARTING and run.tags.get(QUEUE_TAG) == run.run_id
    return part.state is PartState.QUEUED or (of_workers and worker_of(run) is None)


def counts_by_state(parts: list[PartRuns]) -> dict[str, int]:
    """Parts by state; each state is named."""
    counts = Counter(part.state for part in parts)
    return {str(state): counts[state] for state in PartState}


def _state(run: RunRecord | None) -> PartState:
    if run is None:
        return PartState.MISSING
    tried_again = will_be_retried(run) and AUTO_RETRY_RUN_ID_TAG not in run.dagster_run.tags
    return PartState.QUEUED if tried_again else _STATES.get(run.dagster_run.status, PartState.RUNNING)
