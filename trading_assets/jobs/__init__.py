"""The guide's operations for scripts, notebooks and the command line: they run the platform's Dagster jobs in this
process."""

from trading_assets.jobs.backfill_contracts_us_rt import backfill_us_equity_contracts, refresh_contract_descriptions
from trading_assets.jobs.contracts_snapshot import refresh_option_chain
from trading_assets.jobs.data_validation import (
    DataIntegrityError,
    DataValidation,
    PrerequisiteError,
    get_all_active_symbols,
    validate_all_data,
)
from trading_assets.jobs.distribution import (
    DistributionStatus,
    PartStatus,
    distribute_work,
    distribution_status,
    distributions,
    repeat_parts,
    stop_distribution,
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
from trading_assets.jobs.missing_windows import calculate_missing_windows
from trading_assets.jobs.option_backfill import run_option_backfill
from trading_assets.jobs.orchestrator import REFRESH, DataPipelineOrchestrator, JobResult, JobType
from trading_assets.jobs.temporary_files import cleanup_temp_files

__all__ = [
    "REFRESH",
    "ArchiveReport",
    "DataIntegrityError",
    "DataPipelineOrchestrator",
    "DataValidation",
    "DistributionStatus",
    "JobResult",
    "JobType",
    "MaintenanceReport",
    "PartStatus",
    "PrerequisiteError",
    "archive_old_data",
    "backfill_us_equity_contracts",
    "calculate_missing_windows",
    "cleanup_old_lineage_data",
    "cleanup_temp_files",
    "distribute_work",
    "distribution_status",
    "distributions",
    "generate_performance_report",
    "get_all_active_symbols",
    "monthly_maintenance",
    "mount_archives",
    "optimize_parquet_files",
    "refresh_contract_descriptions",
    "refresh_option_chain",
    "repeat_parts",
    "restore_archive",
    "run_option_backfill",
    "send_maintenance_report",
    "stop_distribution",
    "update_system_metrics",
    "validate_all_data",
    "verify_archive",
    "weekly_maintenance",
]
