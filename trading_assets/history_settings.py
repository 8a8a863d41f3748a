"""The settings of where Dagster's history is: in SQLite files of the data folder, or on a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings

from trading_assets.setting_names import dagster_database_url


class HistorySettings(BaseSettings):
    """The part of `Settings` about Dagster's history: runs, events, schedules, sensors and backfills."""

    dagster_database_url: str | None = Field(
        default=None,
        repr=False,
        description=(
            "URL of a PostgreSQL database for Dagster's history, `postgresql+psycopg2://user:password@host/name`; the"
            " state database may hold it too. Default: SQLite files in the data folder. Needs the extra `postgres`."
        ),
    )

    @field_validator("dagster_database_url")
    @classmethod
    def _is_of_postgresql(cls, value: str | None) -> str | None:
        return dagster_database_url(value) if value else None

    def has_history(self, place: Path) -> bool:
        """Whether Dagster works on the lake of a data folder: it has begun a history there, or keeps it on a server."""
        return self.dagster_database_url is not None or (place / "dagster" / "dagster.yaml").is_file()
