"""Heavy work split into runs that workers share: recorded here, submitted by Dagster's daemon, and how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from trading_assets.arguments.days import Day
from trading_assets.arguments.symbols import Symbols
from trading_assets.distribution import Distribution, Distributions, Work, part_options, plan_distribution
from trading_assets.jobs.given import settings_of_lake
from trading_assets.jobs.surroundings import undisturbed
from trading_assets.plain import Plain
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.automation.part_states import PartRuns


@dataclass(frozen=True)
class PartStatus(Plain):
    """One part: its symbols (none: what concerns the lake as a whole) and sessions (None: no bound), its `state`
    (missing: not submitted yet, queued, running, done, failed) and newest run (Dagster's id, empty without one)."""

    number: int
    state: str
    symbols: tuple[str, ...]
    first: date | None
    last: date | None
    run_id: str = ""


@dataclass(frozen=True)
class DistributionStatus(Plain):
    """How far a distribution is. `counts`: parts by state. `submitting`: whether parts are still to be submitted, which
    the daemon (`trading-assets up`) does. `created_at` is UTC."""

    name: str
    work: str
    created_at: datetime
    submitting: bool
    counts: dict[str, int]
    parts: list[PartStatus] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether the run of every part succeeded."""
        return self.counts["done"] == sum(self.counts.values())


def distribute_work(
    work: str,
    symbols: Symbols = None,
    first: Day | None = None,
    last: Day | None = None,
    base_path: Path | str | None = None,
    *,
    symbols_per_part: int | None = None,
    sessions_per_part: int | None = None,
    bar_sizes: Sequence[str] | None = None,
    refresh: bool = False,
    settings: Settings | None = None,
) -> DistributionStatus:
    """Split `work` (greeks, validation or backfill) over `symbols` and the sessions `first` to `last` into parts, and
    record them for the daemon to submit as runs. How far they are; nothing is waited for.

    `symbols`: None means the active ones, of a validation the whole lake. `last`: None means the last closed session,
    of a validation no bound, as `first`. `symbols_per_part`, `sessions_per_part`: the most of a part
    (`distribution.plan` has the defaults); a validation is split by symbols alone. `bar_sizes` are those of a
    backfill's equity bars; with `refresh` greeks are computed again, and bars requested again. The same call again
    changes nothing; a validation, or work with `refresh`, all of whose parts have ended is done anew. Raises
    `InvalidRequest`, `NotALake`.
    """
    from trading_assets.automation.part_states import record

    chosen, kind = settings_of_lake(base_path, settings), Work.of(work)
    distribution = plan_distribution(
        chosen,
        kind,
        symbols,
        first,
        last,
        symbols_per_part=symbols_per_part,
        sessions_per_part=sessions_per_part,
        options=part_options(kind, bar_sizes, refresh),
    )
    with undisturbed(), dagster_instance(chosen) as instance:
        record(instance, Distributions(chosen.state_url), distribution)
    return distribution_status(distribution.name, settings=chosen)


def distribution_status(
    name: str, base_path: Path | str | None = None, *, settings: Settings | None = None
) -> DistributionStatus:
    """How far the distribution of that name is, part by part. Raises `InvalidRequest`, `NotALake`."""
    chosen = settings_of_lake(base_path, settings)
    distribution = Distributions(chosen.state_url).get(name)
    (parts,) = _parts(chosen, distribution)
    return _status(distribution, parts)


def distributions(base_path: Path | str | None = None, *, settings: Settings | None = None) -> list[DistributionStatus]:
    """All distributions, the oldest first, without their parts. Raises `NotALake`."""
    chosen = settings_of_lake(base_path, settings)
    found = Distributions(chosen.state_url).all()
    states = zip(found, _parts(chosen, *found), strict=True)
    return [_status(distribution, parts, listed=False) for distribution, parts in states]


def repeat_parts(
    name: str, base_path: Path | str | None = None, *, everything: bool = False, settings: Settings | None = None
) -> int:
    """Have the failed parts of a distribution submitted again, with `everything` also those that are done; how many
    are submitted, those included that `stop_distribution` held back.

    Parts in the queue and running ones are left alone. Raises `InvalidRequest`, `NotALake`.
    """
    from trading_assets.automation.part_states import FINISHED, PartState

    chosen = settings_of_lake(base_path, settings)
    records = Distributions(chosen.state_url)
    states = FINISHED if everything else (PartState.FAILED,)
    (parts,) = _parts(chosen, records.get(name))
    runs = [part.run_id for part in parts if part.state in states]
    records.repeat(name, runs)
    return len(runs) + sum(part.state is PartState.MISSING for part in parts)


def stop_distribution(name: str, base_path: Path | str | None = None, *, settings: Settings | None = None) -> int:
    """Submit no further part of a distribution, and take those out of the queue that wait in it; how many. Running
    parts go on. A part that the daemon is submitting at this moment, or announced to try again, comes nevertheless:
    call it again to take it out. `repeat_parts` resumes. Raises `InvalidRequest`, `NotALake`."""
    from trading_assets.automation.part_states import waits

    chosen = settings_of_lake(base_path, settings)
    records = Distributions(chosen.state_url)
    distribution = records.get(name)
    records.stop(name)
    (parts,) = _parts(chosen, distribution)
    waiting = [part.run_id for part in parts if waits(part)]
    with undisturbed(), dagster_instance(chosen) as instance:
        return sum(instance.run_coordinator.cancel_run(run_id) for run_id in waiting)


def _parts(settings: Settings, *found: Distribution) -> list[list[PartRuns]]:
    """The parts of each distribution with their states."""
    from trading_assets.automation.part_states import part_states

    if not found:
        return []
    with undisturbed(), dagster_instance(settings) as instance:
        return [part_states(instance, distribution) for distribution in found]


def _status(distribution: Distribution, parts: list[PartRuns], *, listed: bool = True) -> DistributionStatus:
    from trading_assets.automation.part_states import counts_by_state

    rows = [
        PartStatus(part.part.number, str(part.state), part.part.symbols, part.part.first, part.part.last, part.run_id)
        for part in parts
    ]
    return DistributionStatus(
        distribution.name,
        str(distribution.work),
        distribution.created_at,
        distribution.submitting,
        counts_by_state(parts),
        rows if listed else [],
    )
