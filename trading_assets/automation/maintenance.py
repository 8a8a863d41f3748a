"""The jobs `weekly_maintenance` and `monthly_maintenance`. What they do is in `jobs.maintenance`."""

from importlib import import_module
from typing import Any

import dagster as dg
from pydantic import Field

from trading_assets.automation.jobs import RETRIES
from trading_assets.monitoring.hours import MONTHLY_MAINTENANCE, WEEKLY_MAINTENANCE
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.failures import raise_as_dagster_failure


class WeeklyConfig(dg.Config):
    """Run config of `weekly_maintenance`."""

    dry_run: bool = Field(default=False, description="Change, request and send nothing; say what would be done.")


class MonthlyConfig(WeeklyConfig):
    """Run config of `monthly_maintenance`."""

    delete: bool | None = Field(
        default=None, description="Delete old run logs. null: as the setting maintenance_deletes says."
    )


@dg.op
def maintain_week(context: dg.OpExecutionContext, config: WeeklyConfig, archive: ArchiveResource) -> None:
    """Run the steps of the weekly maintenance; the run fails at its end where one of them failed."""
    with raise_as_dagster_failure(context):
        report = _functions().weekly_maintenance(settings=archive.settings(), dry_run=config.dry_run)
    _finish(context, report.success, report.title(), {step.name: step.sentence for step in report.steps})


@dg.op
def maintain_month(context: dg.OpExecutionContext, config: MonthlyConfig, archive: ArchiveResource) -> None:
    """Run the steps of the monthly maintenance; the run fails at its end where one of them failed."""
    with raise_as_dagster_failure(context):
        report = _functions().monthly_maintenance(
            settings=archive.settings(), dry_run=config.dry_run, delete=config.delete
        )
    _finish(context, report.success, report.title(), {step.name: step.sentence for step in report.steps})


def _functions() -> Any:
    """The functions of `jobs.maintenance`. They run jobs of the definitions, which this module is part of: known when
    it runs, not when it is imported."""
    return import_module("trading_assets.jobs.maintenance")


def _finish(context: dg.OpExecutionContext, success: bool, title: str, sentences: dict[str, str]) -> None:
    for name, sentence in sentences.items():
        context.log.info(f"{name}: {sentence}")
    if not success:
        raise dg.Failure(f"{title}. The other steps were done.", metadata=sentences, allow_retries=False)
    context.add_output_metadata(sentences)


@dg.job(
    name=WEEKLY_MAINTENANCE,
    description=(
        "Verify contract descriptions, remove temporary files of dead writers, validate the lake, store the metrics,"
        " send the report. One request a symbol."
    ),
    tags=RETRIES,
)
def weekly_maintenance() -> None:
    """The weekly maintenance."""
    maintain_week()


@dg.job(
    name=MONTHLY_MAINTENANCE,
    description=(
        "Archive old periods, tidy the storage layout, clean up the history, measure the performance, send the report."
        " Sends nothing to a broker; nothing is deleted without the setting maintenance_deletes or the config delete."
    ),
    tags=RETRIES,
)
def monthly_maintenance() -> None:
    """The monthly maintenance."""
    maintain_month()


MAINTENANCE_JOBS = (weekly_maintenance, monthly_maintenance)
