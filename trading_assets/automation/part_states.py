"""What became of the parts of a distribution: Dagster's newest run of each says so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

import dagster as dg
from dagster import DagsterRunStatus, RunRecord, RunsFilter

from trading_assets.automation.run_dedup import KEY_TAG, was_never_submitted, will_be_retried
from trading_assets.distribution import DISTRIBUTION_TAG, Distribution, Part, part_key
from trading_assets.resources.dagster_private import AUTO_RETRY_RUN_ID_TAG


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
    """A part with its state. `run` is its newest run, None without one; `attempts` counts all its runs, those too that
    were ended because nobody would have started them."""

    part: Part
    state: PartState
    run: RunRecord | None = None
    attempts: int = 0

    @property
    def run_id(self) -> str:
        """Dagster's id of the newest run, empty without one."""
        return "" if self.run is None else self.run.dagster_run.run_id


def part_states(instance: dg.DagsterInstance, distribution: Distribution) -> list[PartRuns]:
    """The parts in their order, each with its state."""
    by_key: dict[str, list[RunRecord]] = {}
    for record in instance.get_run_records(RunsFilter(tags={DISTRIBUTION_TAG: distribution.name})):  # the newest first
        by_key.setdefault(record.dagster_run.tags.get(KEY_TAG, ""), []).append(record)
    found = []
    for part in distribution.parts:
        runs = by_key.get(part_key(distribution, part), [])
        newest = next((run for run in runs if not was_never_submitted(run)), None)
        found.append(PartRuns(part, _state(newest), newest, len(runs)))
    return found


def counts_by_state(parts: list[PartRuns]) -> dict[str, int]:
    """Parts by state; each state is named."""
    counts = Counter(part.state for part in parts)
    return {str(state): counts[state] for state in PartState}


def _state(run: RunRecord | None) -> PartState:
    if run is None:
        return PartState.MISSING
    tried_again = will_be_retried(run) and AUTO_RETRY_RUN_ID_TAG not in run.dagster_run.tags
    return PartState.QUEUED if tried_again else _STATES.get(run.dagster_run.status, PartState.RUNNING)
