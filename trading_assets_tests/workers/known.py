"""Runs that are recorded, and the environment of a process that launches them. Not a test."""

from __future__ import annotations

import os

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.utils import make_new_run_id

from trading_assets.settings import Settings


def enter(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """The environment of a process of these settings."""
    for name in [name for name in os.environ if name.startswith("TRADING_ASSETS_")]:
        monkeypatch.delenv(name)
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)


def known_run(instance: dg.DagsterInstance, status: DagsterRunStatus = DagsterRunStatus.STARTING) -> dg.DagsterRun:
    """A run in that state, of a job of the definitions."""
    origin = JobPythonOrigin("daily_bars", RepositoryPythonOrigin("python", ModuleCodePointer("archive", "defs")))
    return instance.add_run(
        dg.DagsterRun(job_name="daily_bars", run_id=make_new_run_id(), status=status, job_code_origin=origin)
    )
