"""The guide's operations for scripts, notebooks and the command line: they run the platform's Dagster jobs in this process."""

from trading_assets.jobs.orchestrator import DataPipelineOrchestrator, JobResult, JobType

__all__ = ["DataPipelineOrchestrator", "JobResult", "JobType"]
