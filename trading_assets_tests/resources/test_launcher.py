"""A queued run gets one process, however many daemons take it from the queue."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import dagster as dg
import pytest
from dagster import DefaultRunLauncher
from dagster._core.launcher.base import LaunchRunContext
from dagster._core.utils import make_new_run_id

from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.launcher import LaunchOnce
from trading_assets.settings import Settings

DAEMONS = 4


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that Dagster's own launcher was told to start a process for; no process is started."""
    found: list[str] = []
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    monkeypatch.setattr(
        DefaultRunLauncher, "launch_run", lambda self, context: found.append(context.dagster_run.run_id)
    )
    return found


def context() -> Any:
    return LaunchRunContext(dg.DagsterRun(job_name="snapshot", run_id=make_new_run_id()), workspace=None)


def test_daemons_at_the_same_moment_start_one_process(started: list[str]) -> None:
    barrier, run = Barrier(DAEMONS), context()

    def launch() -> None:
        barrier.wait()
        LaunchOnce().launch_run(run)

    with ThreadPoolExecutor(DAEMONS) as pool:
        for done in [pool.submit(launch) for _ in range(DAEMONS)]:
            done.result()
    assert started == [run.dagster_run.run_id]
    LaunchOnce().launch_run(another := context())
    assert started == [run.dagster_run.run_id, another.dagster_run.run_id]


def test_a_run_that_could_not_be_started_may_be_started_again(
    started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: DefaultRunLauncher, context: LaunchRunContext) -> None:
        raise dg.DagsterInvariantViolationError("no code server")

    run = context()
    with monkeypatch.context() as patched:
        patched.setattr(DefaultRunLauncher, "launch_run", fails)
        with pytest.raises(dg.DagsterInvariantViolationError):
            LaunchOnce().launch_run(run)
    LaunchOnce().launch_run(run)
    assert started == [run.dagster_run.run_id]


def test_the_instance_of_a_data_folder_starts_runs_once(tmp_path: Path) -> None:
    with dagster_instance(Settings(**{"data_dir": tmp_path})) as instance:
        assert isinstance(instance.run_launcher, LaunchOnce)
