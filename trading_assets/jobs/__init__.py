"""The guide's operations for scripts, notebooks and the command line: they run the platform's Dagster jobs in this
process."""

from trading_assets.jobs.data_validation import (
    DataIntegrityError,
    DataValidation,
    PrerequisiteError,
    get_all_active_symbols,
    validate_all_data,
)
from trading_assets.jobs.maintenance import (
    ArchiveReport,
    MaintenanceReport,
    archive_old_data,
    cleanup_old_lineage_data,
    generate_performance_report,
    monthly_maintenance,
    optimize_parquet_files,
    send_maintenance_report,
    update_system_metrics,
    weekly_maintenance,
)
from trading_assets.jobs.orchestrator import REFRESH, DataPipelineOrchestrator, JobResult, JobType

__all__ = [
    "REFRESH",
    "ArchiveReport",
    "DataIntegrityError",
    "DataPipelineOrchestrator",
    "DataValidation",
    "JobResult",
    "JobType",
    "MaintenanceReport",
    "PrerequisiteError",
    "archive_old_data",
    "cleanup_old_lineage_data",
    "generate_performance_report",
    "get_all_active_symbols",
    "monthly_maintenance",
    "optimize_parquet_files",
    "send_maintenance_report",
    "update_system_metrics",
    "validate_all_data",
    "weekly_maintenance",
]
