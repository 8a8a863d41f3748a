"""The guide's maintenance: weekly and monthly, and each of their steps."""

from trading_assets.jobs.maintenance.archives import (
    ArchiveReport,
    archive_old_data,
    mount_archives,
    restore_archive,
    verify_archive,
)
from trading_assets.jobs.maintenance.messages import send_maintenance_report
from trading_assets.jobs.maintenance.monthly import cleanup_old_lineage_data, monthly_maintenance
from trading_assets.jobs.maintenance.performance import PerformanceReport, generate_performance_report
from trading_assets.jobs.maintenance.steps import MaintenanceReport, StepResult
from trading_assets.jobs.maintenance.storage import optimize_parquet_files
from trading_assets.jobs.maintenance.weekly import update_system_metrics, weekly_maintenance

__all__ = [
    "ArchiveReport",
    "MaintenanceReport",
    "PerformanceReport",
    "StepResult",
    "archive_old_data",
    "cleanup_old_lineage_data",
    "generate_performance_report",
    "monthly_maintenance",
    "mount_archives",
    "optimize_parquet_files",
    "restore_archive",
    "send_maintenance_report",
    "update_system_metrics",
    "verify_archive",
    "weekly_maintenance",
]
