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
from trading_assets.jobs.missing_windows import calculate_missing_windows
from trading_assets.jobs.option_backfill import run_option_backfill
from trading_assets.jobs.orchestrator import REFRESH, DataPipelineOrchestrator, JobResult, JobType
from trading_assets.jobs.temporary_files import cleanup_temp_files

__all__ = [
    "REFRESH",
    "DataIntegrityError",
    "DataPipelineOrchestrator",
    "DataValidation",
    "JobResult",
    "JobType",
    "PrerequisiteError",
    "backfill_us_equity_contracts",
    "calculate_missing_windows",
    "cleanup_temp_files",
    "get_all_active_symbols",
    "refresh_contract_descriptions",
    "refresh_option_chain",
    "run_option_backfill",
    "validate_all_data",
]
