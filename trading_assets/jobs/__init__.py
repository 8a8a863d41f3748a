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
    mount_archives,
    optimize_parquet_files,
    restore_archive,
    send_maintenance_report,
    update_system_metrics,
    verify_archive,
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
    "mount_archives",
    "optimize_parquet_files",
    "restore_archive",
    "send_maintenance_report",
    "update_system_metrics",
    "validate_all_data",
    "verify_archive",
    "weekly_maintenance",
]
