"""The monthly maintenance: archive of old periods, storage layout, history clean-up, performance report."""

from __future__ import annotations

from pathlib import Path

from trading_assets.archive_packages.removal import mount
from trading_assets.jobs.given import settings_of_lake
from trading_assets.jobs.maintenance.archives import archive_old_data
from trading_assets.jobs.maintenance.performance import PerformanceReport, generate_performance_report
from trading_assets.jobs.maintenance.steps import MaintenanceReport, Outcome, run_steps
from trading_assets.jobs.maintenance.storage import optimize_parquet_files
from trading_assets.jobs.maintenance.weekly import reported
from trading_assets.resources.history_cleanup import HistoryCleanup, clean_history
from trading_assets.settings import Settings


def monthly_maintenance(
    base_path: Path | str | None = None,
    *,
    dry_run: bool = False,
    delete: bool | None = None,
    settings: Settings | None = None,
) -> MaintenanceReport:
    """Archive old periods (where `Settings.archives` names a folder), tidy the storage layout, clean up the history,
    measure the performance, and send the report to the channels.

    Old run logs are deleted with `delete=True` only (None: `Settings.maintenance_deletes`); without, the report says
    what would go. With `dry_run` nothing is changed or sent. A failed step is in the report and stops no other. Raises
    `NotALake` for a path that cannot be a data folder.
    """
    chosen = settings_of_lake(base_path, settings)
    deletes = not dry_run and (chosen.maintenance_deletes if delete is None else delete)
    begun = chosen.clock()
    steps = run_steps(
        [
            ("archive", lambda: _archive(chosen, dry_run)),
            ("storage", lambda: _storage(chosen, dry_run)),
            ("history", lambda: _history(chosen, deletes)),
            ("performance", lambda: _performance(chosen)),
        ]
    )
    return reported(MaintenanceReport("monthly", begun, dry_run, steps), chosen)


def cleanup_old_lineage_data(
    base_path: Path | str | None = None, *, dry_run: bool = True, settings: Settings | None = None
) -> HistoryCleanup:
    """Delete logs of old runs from Dagster's history (`resources.history_cleanup` says which); with `dry_run`, the
    default, say what would go. Materializations, check results and cursors always stay. Raises `NotALake`,
    `ValueError` for a history that is not in the data folder."""
    return clean_history(settings_of_lake(base_path, settings), dry_run=dry_run)


def _archive(settings: Settings, dry_run: bool) -> Outcome:
    if not settings.archives:
        return "TRADING_ASSETS_ARCHIVES names no folder for archive packages: nothing to do.", {}
    mounted = [] if dry_run else mount(settings.data_dir, settings.archives)
    report = archive_old_data(settings.archive_months, dry_run=dry_run, settings=settings)
    return report.sentence(), {**report.as_dict(), "mounted": mounted}


def _storage(settings: Settings, dry_run: bool) -> Outcome:
    report = optimize_parquet_files(settings=settings, dry_run=dry_run)
    return report.sentence(), report.as_dict()


def _history(settings: Settings, deletes: bool) -> Outcome:
    found = clean_history(settings, dry_run=not deletes)
    return found.sentence(), found.as_dict()


def _performance(settings: Settings) -> Outcome:
    found: PerformanceReport = generate_performance_report(settings=settings)
    return found.sentence(), found.as_dict()
