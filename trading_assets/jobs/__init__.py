"""The guide's operations for scripts, notebooks and the command line: they run the platform's Dagster jobs in this
process."""

from trading_assets.jobs.data_validation import (
    DataIntegrityError,
    DataValidation,
    PrerequisiteError,
    get_all_active_symbols,
    validate_all_data,
)
from trading_assets.jobs.orchestrator import REFRESH, DataPipelineOrchestrator, JobResult, JobType

__all__ = [
    "REFRESH",
    "DataIntegrityError",
    "DataPipelineOrchestrator",
    "DataValidation",
    "JobResult",
    "JobType",
    "PrerequisiteError",
    "get_all_active_symbols",
    "validate_all_data",
]
