"""The job `distribute`, which records what is to be split; the sensor `parts`, which submits the parts; and the job
that validates one.

The job records the whole distribution in one transaction, so a job that is killed has recorded all of it or nothing.
The sensor looks which parts have no run: killed at any instant, it goes on at its next look, and a part that has a run
is left alone.
"""

import dagster as dg
from pydantic import Field

from trading_assets.automation.jobs import RETRIES, backfill_bars
from trading_assets.automation.part_states import PartRuns, PartState, counts_by_state, part_states, record
from trading_assets.automation.run_dedup import end_never_submitted, run_request
from trading_assets.distribution import Distribution, Distributions, Work, part_options, part_run, plan_distribution
from trading_assets.distribution.part_runs import VALIDATE, VALIDATE_STEP
from trading_assets.monitoring.hours import PARTS
from trading_assets.monitoring.run_claims import claim
from trading_assets.resources.abandoned import end_abandoned_runs
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure
from trading_assets.settings import Settings
from trading_assets.validation import Scope, Severity, known_rules, validate

LOOK_SECONDS = 30
"""Seconds between two looks of the sensor."""

WAITING_AT_ONCE = 50
"""Most parts of a distribution in the queue: more would only make it slow to look at, and to cancel."""


class DistributeConfig(dg.Config):
    """Run config of `distribute`."""

    work: str = Field(description="greeks, validation or backfill.")
    symbols: list[str] = Field(
        default=[], description="Symbols; empty: the active ones, of a validation the whole lake."
    )
    first: str | None = Field(default=None, description="First session, YYYY-MM-DD; a validation needs none.")
    last: str | None = Field(default=None, description="Last session, YYYY-MM-DD; null: the last closed one.")
    symbols_per_part: int | None = Field(default=None, description="Most symbols of a part; null: as the work has it.")
    sessions_per_part: int | None = Field(
        default=None, description="Most sessions of a part; null: as the work has it. Not of a validation."
    )
    bar_sizes: list[str] = Field(default=[], description="Bar sizes of a backfill's equity bars; empty: the settings'.")
    refresh: bool = Field(default=False, description="Compute greeks, or request bars, again that are there.")


@dg.op
def split_work(context: dg.OpExecutionContext, config: DistributeConfig, archive: ArchiveResource) -> None:
    """Record the parts; the sensor `parts` submits their runs."""
    with raise_as_dagster_failure(context):
        settings, work = archive.settings(), Work.of(config.work)
        distribution = plan_distribution(
            settings,
            work,
            config.symbols or None,
            config.first,
            config.last,
            symbols_per_part=config.symbols_per_part,
            sessions_per_part=config.sessions_per_part,
            options=part_options(work, config.bar_sizes or None, config.refresh),
        )
        fresh = record(context.instance, Distributions(settings.state_url), distribution)
    said = "the sensor parts submits them" if fresh else "it was recorded before, and nothing is submitted twice"
    context.log.info(f"{distribution.name}: {len(distribution.parts)} parts; {said}.")
    context.add_output_metadata({"distribution": distribution.name, "parts": len(distribution.parts)})


@dg.job(
    description=(
        "Split heavy work (greeks, validation or a backfill) into runs by group of symbols and period of sessions. The"
        " sensor parts submits them, and any worker takes them from the queue. `trading-assets distribute status` says"
        " how many are done; their runs have the tag trading_assets/distribution."
    ),
    config={"ops": {"split_work": {"config": {"work": "greeks", "symbols": []}}}},
    tags=RETRIES,
)
def distribute() -> None:
    """Split heavy work into parts."""
    split_work()


class ValidateConfig(dg.Config):
    """Run config of `validate_lake`."""

    symbols: list[str] = Field(
        default=[],
        description=(
            "Symbols as rows have them, judged by the rules of sessions; empty: the rules that speak of the lake as a"
            " whole and the present instant."
        ),
    )
    first: str | None = Field(default=None, description="First session, YYYY-MM-DD; null: no bound.")
    last: str | None = Field(default=None, description="Last session, YYYY-MM-DD; null: no bound.")
    named: bool = Field(
        default=False,
        description="Judge the symbols by all rules and each as an active one, as a validation that names them does.",
    )


@dg.op(name=VALIDATE_STEP)
def validate_symbols(context: dg.OpExecutionContext, config: ValidateConfig, archive: ArchiveResource) -> None:
    """Run the rules and record the findings."""
    with raise_as_dagster_failure(context):
        symbols = tuple(config.symbols) or None
        part = symbols is not None and not config.named
        scope = Scope(symbols, config.first, config.last, part_of_lake=part)  # type: ignore[arg-type]
        rules = [rule for rule in known_rules() if config.named or rule.of_now is (symbols is None)]
        report = validate(archive.settings(), scope, rules=rules)
    for result in report.failing():
        context.log.warning(result.sentence())
    context.add_output_metadata(
        {
            "rules": len(report.results),
            "errors": len(report.failing(Severity.ERROR)),
            "failing": dg.MetadataValue.json({result.rule.name: result.failed for result in report.failing()}),
        }
    )


@dg.job(
    name=VALIDATE,
    description="The validation rules over some symbols of the lake, or those about the lake as a whole: one part.",
    tags=RETRIES,
)
def validate_lake() -> None:
    """Validate a part of the lake."""
    validate_symbols()


def parts_to_submit(context: dg.SensorEvaluationContext, settings: Settings) -> list[dg.RunRequest] | dg.SkipReason:
    """The runs of parts that have none, or whose run is to be made again; else how far each distribution is."""
    records = Distributions(settings.state_url)
    submitting = records.submitting()
    if not submitting:
        return dg.SkipReason("No distributed work has parts to submit.")
    end_abandoned_runs(context.instance, settings)
    end_never_submitted(context.instance)
    requests, progress = [], []
    for distribution in submitting:
        found = part_states(context.instance, distribution)
        counts, wanted = counts_by_state(found), [part for part in found if _wants_a_run(distribution, part)]
        if not wanted and not any(part.is_not_in_the_queue_yet for part in found):
            records.all_submitted(distribution)
        for part in wanted[: max(WAITING_AT_ONCE - counts[PartState.QUEUED], 0)]:
            request = run_request(part_run(distribution, part.part), part.attempts)
            assert request.run_key is not None
            if context.log_key is None or claim(settings.state_url, request.run_key):
                requests.append(request)
        progress.append(f"{distribution.name}: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    return requests or dg.SkipReason("; ".join(progress) + ".")


def _wants_a_run(distribution: Distribution, part: PartRuns) -> bool:
    return part.state is PartState.MISSING or part.run_id in distribution.repeated


@dg.sensor(
    name=PARTS,
    jobs=[backfill_bars, validate_lake],
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Submits the parts of distributed work (job distribute) that have no run yet, 50 at a time.",
)
def parts(context: dg.SensorEvaluationContext, archive: ArchiveResource) -> list[dg.RunRequest] | dg.SkipReason:
    """The parts that are to be submitted now."""
    return parts_to_submit(context, archive.settings())


DISTRIBUTION_JOBS = (distribute, validate_lake)
