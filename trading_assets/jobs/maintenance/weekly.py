"""The weekly maintenance: contract descriptions, temporary files, validation, metrics, report."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from trading_assets.jobs.data_validation import get_all_active_symbols, validate_all_data
from trading_assets.jobs.given import settings_of_lake
from trading_assets.jobs.maintenance.messages import send_maintenance_report
from trading_assets.jobs.maintenance.steps import MaintenanceReport, Outcome, StepFailed, run_steps
from trading_assets.jobs.orchestrator import Operation
from trading_assets.jobs.runner import run_job
from trading_assets.monitoring.quality import DataQualityMonitor
from trading_assets.monitoring.report import write_report
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.contracts import newest_contract
from trading_assets.repositories.store import UpsertCounts
from trading_assets.repositories.temporary_files import orphaned_temporary_files, remove_temporary_files
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

NAMED = 5
"""Symbols and files that a sentence names before it counts the rest."""


def weekly_maintenance(
    base_path: Path | str | None = None, *, dry_run: bool = False, settings: Settings | None = None
) -> MaintenanceReport:
    """Refresh the contract descriptions of all active symbols (one request each, none where they were verified in this
    session), remove temporary files of dead writers, validate the lake, store the quality metrics, and send the report
    to the channels.

    With `dry_run` nothing is requested, removed, stored or sent. A failed step is in the report and stops no other.
    Raises `NotALake` for a path that cannot be a data folder.
    """
    chosen = settings_of_lake(base_path, settings)
    begun = chosen.clock()
    steps = run_steps(
        [
            ("contract_descriptions", lambda: _contracts(chosen, dry_run)),
            ("temporary_files", lambda: _temporary_files(chosen, dry_run)),
            ("validation", lambda: _validation(chosen)),
            ("metrics", lambda: _metrics(chosen, dry_run)),
        ]
    )
    report = MaintenanceReport("weekly", begun, dry_run, steps)
    return reported(report, chosen)


def reported(report: MaintenanceReport, settings: Settings) -> MaintenanceReport:
    """The report with the step that writes the archive's report and sends this one. A dry run does neither."""

    def sending() -> Outcome:
        if report.dry_run:
            return "A dry run sends no report.", {}
        written = write_report(settings)
        taken = send_maintenance_report(report, settings=settings)
        return f"Written to {written}; sent to {', '.join(taken)}.", {"channels": taken, "file": str(written)}

    steps = (*report.steps, *run_steps([("report", sending)]))
    return MaintenanceReport(report.kind, report.started_at, report.dry_run, steps)


def update_system_metrics(base_path: Path | str | None = None, *, settings: Settings | None = None) -> UpsertCounts:
    """Measure the archive's quality now and store the measures in `quality_metrics`; what was stored."""
    monitor = DataQualityMonitor(settings_of_lake(base_path, settings))
    return monitor.log_quality_metrics(monitor.generate_quality_report())


def _contracts(settings: Settings, dry_run: bool) -> Outcome:
    symbols = get_all_active_symbols(settings=settings)
    if not symbols:
        return "There is no active symbol.", {}
    if dry_run:
        return f"Would verify the contract details of {len(symbols)} symbols: {_named(symbols)}.", {"symbols": symbols}
    current = calendar().current(settings.clock())
    due = [symbol for symbol in symbols if not _verified_since(settings, symbol, calendar().opens_at(current))]
    if not due:
        return f"The contract details of {len(symbols)} symbols were verified in this session: nothing to do.", {}
    # One run for all symbols: `refresh_contract_descriptions` is the same for a single one.
    config = {"contracts": {"symbols": due, "refresh": True}}
    operation = Operation([run_job(settings, "snapshot", [current], config, steps=["contracts"])])
    results = [operation.job_results(symbol)[0] for symbol in due]
    sent = sum(result.requests_sent for result in results)
    failed = {result.symbol: result.error_message for result in results if not result.success}
    figures = {"symbols": len(symbols), "requests_sent": sent, "failed": failed}
    if failed:
        first = next(iter(failed))
        raise StepFailed(
            f"The contract details of {_named(list(failed))} were not verified, those of {len(symbols) - len(failed)}"
            f" symbols were. {first}: {failed[first]}",
            figures,
        )
    return f"The contract details of {len(symbols)} symbols are verified; {sent} requests were sent.", figures


def _verified_since(settings: Settings, symbol: str, instant: datetime) -> bool:
    newest = newest_contract(ParquetStore(settings.data_dir), symbol)
    return newest is not None and bool(newest["verified_at"] >= instant)


def _temporary_files(settings: Settings, dry_run: bool) -> Outcome:
    names = (orphaned_temporary_files if dry_run else remove_temporary_files)(settings.data_dir)
    if not names:
        return "There is no temporary file of a dead writer: nothing to do.", {"files": []}
    return f"{'Would remove' if dry_run else 'Removed'} {len(names)} temporary files of dead writers.", {"files": names}


def _validation(settings: Settings) -> Outcome:
    found = validate_all_data(settings=settings)
    failures = {str(failure["symbol"]): str(failure["error"]) for failure in found["failures"]}
    figures = {"valid": found["integrity_ok"], "failures": failures}
    if failures:
        first = next(iter(failures))
        raise StepFailed(
            f"{len(failures)} of {len(failures) + len(found['integrity_ok'])} symbols failed: {_named(list(failures))}."
            f" {failures[first]}",
            figures,
        )
    return f"{len(found['integrity_ok'])} symbols are valid.", figures


def _metrics(settings: Settings, dry_run: bool) -> Outcome:
    if dry_run:
        return "Would measure the archive and store the measures in quality_metrics.", {}
    counts = update_system_metrics(settings=settings)
    return f"{counts.rows} measures were stored in quality_metrics.", {"rows": counts.rows}


def _named(symbols: list[str]) -> str:
    shown = ", ".join(symbols[:NAMED])
    return shown if len(symbols) <= NAMED else f"{shown} and {len(symbols) - NAMED} more"
