"""The settings of what executes runs: processes of this machine, workers on any machine, or jobs of a Kubernetes
cluster."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from trading_assets.history_settings import HistorySettings


class LauncherKind(StrEnum):
    """What executes the runs."""

    PROCESS = "process"
    CELERY = "celery"
    KUBERNETES = "kubernetes"


class LauncherSettings(HistorySettings):
    """The part of `Settings` about runs: what executes them, and where their history is."""

    launcher: LauncherKind = Field(
        default=LauncherKind.PROCESS,
        description=(
            "What executes runs: `process` (this machine, a process a run), `celery` (`trading-assets worker` on any"
            " number of machines; extra `celery`), or `kubernetes` (a job a run; extra `k8s`)."
        ),
    )
    celery_broker: str | None = Field(
        default=None,
        repr=False,
        description=(
            "URL of the Redis server through which runs reach the workers (`redis://`, or `rediss://` with TLS), where"
            " `launcher` is `celery`."
        ),
    )
    kubernetes: dict[str, Any] = Field(
        default_factory=dict,
        examples=[{"service_account_name": "dagster", "instance_config_map": "dagster-instance"}],
        description=(
            "Configuration of Dagster's K8sRunLauncher, where `launcher` is `kubernetes`. JSON in the environment."
        ),
    )

    @field_validator("celery_broker")
    @classmethod
    def _is_a_redis_url(cls, value: str | None) -> str | None:
        if not value:
            return None
        try:
            url = urlsplit(value)
            usable = url.scheme in ("redis", "rediss") and bool(url.hostname) and (url.port or 1) > 0
        except ValueError:
            usable = False
        if not usable:
            raise ValueError(
                "TRADING_ASSETS_CELERY_BROKER is no URL of a Redis server (it is not repeated here: it may carry a"
                " password). An example: redis://:password@host:6379/0; in a password @ is written %40, : %3A, / %2F."
            )
        return value

    @model_validator(mode="after")
    def _queue_is_known(self) -> Self:
        if self.launcher is LauncherKind.CELERY and self.celery_broker is None:
            raise ValueError(
                "TRADING_ASSETS_LAUNCHER is celery, and TRADING_ASSETS_CELERY_BROKER is not set: set it to the URL of"
                " the Redis server through which runs reach the workers, for example redis://host:6379/0."
            )
        return self


def see_that_runs_are_known_elsewhere(
    launcher: LauncherKind, database_url: str | None, history_url: str | None
) -> None:
    """Raise `ValueError` where runs are executed by other machines, and state or Dagster's history is in files of this
    one: there a run would find neither itself nor what was asked for."""
    if launcher is not LauncherKind.PROCESS and not (
        database_url and database_url.startswith("postgresql") and history_url
    ):
        raise ValueError(
            f"TRADING_ASSETS_LAUNCHER is {launcher}, and runs on other machines need their state and Dagster's history"
            " on a PostgreSQL server: set TRADING_ASSETS_DATABASE_URL and TRADING_ASSETS_DAGSTER_DATABASE_URL, on all"
            " machines alike."
        )
