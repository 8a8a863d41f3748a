"""One step of the pipeline for one symbol: the way of the guide's operations that are about a single step.

Each runs one of the platform's jobs, restricted to that step where nothing else is wanted. What the results look like
is said by `JobResult`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from trading_assets.arguments import one_symbol
from trading_assets.collecting.progress import Progress
from trading_assets.jobs.orchestrator import JobResult, JobType, Operation
from trading_assets.jobs.runner import run_job
from trading_assets.monitoring.agenda import COMPUTED
from trading_assets.settings import Settings


def run_step(
    settings: Settings,
    job: str,
    kind: JobType,
    symbol: str,
    sessions: Sequence[date],
    config: Mapping[str, Any],
    *,
    steps: Collection[JobType] | None = None,
    progress: Progress | None = None,
) -> JobResult:
    """Run `steps` of `job` (default: `kind` alone) for one symbol; how `kind` ended. What follows from quotes and
    bars is computed with them.

    `config` is run config of the asset `kind`. Raises `InvalidRequest` for what cannot be a symbol.
    """
    name, names = one_symbol(symbol), [str(step) for step in steps or [kind]]
    given: dict[str, dict[str, Any]] = {step: {"symbols": [name]} for step in names}
    given[str(kind)] |= config
    computed = COMPUTED if kind in (JobType.OPTION_CHAINS, JobType.OPTION_BARS) else ()
    run = run_job(settings, job, sessions, given, steps=[*names, *computed], progress=progress)
    return next(result for result in Operation([run]).job_results(name) if result.job_type is kind)
