"""The settings of the maintenance: who gets its reports, what is archived where, what may be deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from trading_assets.arguments import dataset


class MaintenanceSettings(BaseSettings):
    """The part of `Settings` about the maintenance."""

    maintenance_channels: tuple[str, ...] = Field(
        default=(),
        description="Channels of `alert_channels` that receive the maintenance reports; none: all of them.",
    )
    maintenance_deletes: bool = Field(
        default=False,
        description=(
            "Whether the scheduled monthly maintenance deletes old run logs; without, it only says what would be"
            " deleted."
        ),
    )
    history_log_days: int = Field(
        default=90,
        ge=7,
        le=3660,
        description="The step log and output of a run that did not fail may go when it ended longer ago (days).",
    )
    history_failed_log_days: int = Field(
        default=365, ge=7, le=3660, description="The same of a run that failed (days)."
    )
    file_periods: dict[str, Literal["year", "month", "day"]] = Field(
        default_factory=dict,
        examples=[{"option_bars": "year"}],
        description=(
            "How much one file of a dataset holds, where it is not the dataset's own period; the next monthly"
            " maintenance repartitions its files. JSON in the environment."
        ),
    )
    archive_months: int = Field(
        default=12,
        ge=1,
        le=1200,
        description="The monthly maintenance archives periods that ended more than this many months ago.",
    )
    archives: tuple[Path, ...] = Field(
        default=(),
        description=(
            "Folders with archive packages of this lake. Periods that are archived in them may leave the lake, and are"
            " read from there; the first one receives new packages."
        ),
    )

    @field_validator("file_periods")
    @classmethod
    def _are_datasets(cls, value: dict[str, str]) -> dict[str, str]:
        return {dataset(name, "file_periods"): period for name, period in value.items()}

    @field_validator("archives")
    @classmethod
    def _are_folders(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(folder.expanduser().absolute() for folder in value)
