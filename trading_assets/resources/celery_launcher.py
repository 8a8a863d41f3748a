"""Runs that workers execute (`trading-assets worker`), on any number of machines: they wait in a queue of Celery's.

Not dagster-celery's launcher, which executes a run inside of Celery's pool: see docs/decisions.md, "Workers".
"""

from __future__ import annotations

import logging
from typing import cast

import sqlalchemy as sa
from dagster import DagsterRun

from trading_assets.errors import ServiceFailed
from trading_assets.resources.dagster_private import (
    CheckRunHealthResult,
    LaunchRunContext,
    ResumeRunContext,
    RunLauncher,
    WorkerStatus,
)
from trading_assets.resources.database_errors import database_errors
from trading_assets.resources.launcher import StartedOnce
from trading_assets.resources.run_queue import RunQueue
from trading_assets.resources.run_workers import QUEUE_TAG, is_worked_on, live_workers, worker_of
from trading_assets.settings import Settings

_log = logging.getLogger(__name__)


class _QueueLauncher(RunLauncher):
    """Puts runs into the queue. What becomes of them, their worker says in the state database."""

    start_timeout = 86_400
    """Seconds a run may wait for a worker that has a place. A lost message is sent again by the workers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queue = RunQueue(settings)
        super().__init__()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Put the run into the queue. When Redis or a database does not answer the run waits all the same, and a worker
        sends it when they do: an error here would have Dagster end the run as failed."""
        run = context.dagster_run
        unavailable: tuple[type[Exception], ...] = (ServiceFailed, *database_errors())
        try:
            self._send(run, 0)
        except unavailable as error:
            self._say(run, f"The run waits; it is put into the queue when that is possible and a worker runs. {error}")

    @property
    def supports_resume_run(self) -> bool:
        """Yes: by any worker."""
        return True

    def resume_run(self, context: ResumeRunContext) -> None:
        """Let a worker go on with a run whose process is lost. Raises `ServiceFailed` when Redis does not answer, and
        what Dagster raises when its history does not."""
        self._send(context.dagster_run, context.resume_attempt_number or 1)

    def terminate(self, run_id: str) -> bool:
        """Ask the worker of a run, wherever it is, to interrupt it: it looks every two seconds. Whether there was
        something to interrupt."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Yes: by heartbeats in the state database."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether somebody is heard of who works on the run. One that no worker has taken is not judged: it was started
        another way."""
        if is_worked_on(self._settings, run) is False:
            return CheckRunHealthResult(WorkerStatus.FAILED, f"{worker_of(run)} and its process are not heard of.")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _send(self, run: DagsterRun, attempt: int) -> None:
        self._instance.add_run_tags(run.run_id, {QUEUE_TAG: run.run_id})
        self._queue.send(run.run_id, attempt)
        waits = "The run waits for a worker."
        try:
            if not live_workers(self._settings):
                waits = "The run waits, and no worker is running: start trading-assets worker on a machine."
        except sa.exc.SQLAlchemyError as error:  # it is in the queue all the same
            _log.warning("Whether a worker is running could not be looked at: %s", error)
        self._say(run, waits)

    def _say(self, run: DagsterRun, sentence: str) -> None:
        try:
            self._instance.report_engine_event(sentence, run, cls=cast(type, self.__class__))
        except database_errors() as error:
            _log.warning("Of run %s could not be recorded: %s (%s)", run.run_id, sentence, error)


class CeleryLauncher(StartedOnce, _QueueLauncher):
    """The launcher of `TRADING_ASSETS_LAUNCHER=celery`: each run is in the queue once, or twice where the state
    database did not answer. One worker takes it."""

    repeatable = True
