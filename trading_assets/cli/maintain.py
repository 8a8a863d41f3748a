"""The command `maintain`: the weekly and the monthly maintenance, also run by their schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trading_assets.cli.output import as_json, say
from trading_assets.cli.values import Json
from trading_assets.settings import Settings

if TYPE_CHECKING:
    from trading_assets.jobs.maintenance import MaintenanceReport

DryRun = Annotated[bool, typer.Option("--dry-run", help="Change, request and send nothing; say what would be done.")]

maintain_app = typer.Typer(
    help="Maintenance: each step says what it did; one that fails stops no other.", no_args_is_help=True
)


@maintain_app.command("weekly")
def weekly(dry_run: DryRun = False, as_document: Json = False) -> int:
    """Verify contract descriptions, remove temporary files of dead writers, validate, store metrics, send the
    report."""
    from trading_assets.jobs.maintenance import weekly_maintenance

    return _show(weekly_maintenance(settings=Settings(), dry_run=dry_run), as_document)


@maintain_app.command("monthly")
def monthly(
    dry_run: DryRun = False,
    delete: Annotated[
        bool | None,
        typer.Option("--delete/--no-delete", help="Delete old run logs; default: the setting maintenance_deletes."),
    ] = None,
    as_document: Json = False,
) -> int:
    """Archive old periods, tidy the storage layout, clean up the history, measure the performance, send the report."""
    from trading_assets.jobs.maintenance import monthly_maintenance

    return _show(monthly_maintenance(settings=Settings(), dry_run=dry_run, delete=delete), as_document)


def _show(report: MaintenanceReport, as_document: bool) -> int:
    if as_document:
        as_json(report.as_dict())
    else:
        say(report.title())
        say(report.text())
    return 0 if report.success else 1
