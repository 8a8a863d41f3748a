"""What starts a queued run: once, whoever takes it from Dagster's queue, and by the settings.

Dagster supports one daemon. Where two run by mistake, both may take the same run from the queue in the same moment and
start a process for it each; the second process finds the run started, fails it while the first works on it, and a
repetition follows.

An error of a launcher would have Dagster end the run as failed. Where a database does not answer, the run waits.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any, cast

import sqlalchemy as sa
import yaml
from dagster import DagsterEvent, DagsterEventType, DagsterRun, DagsterRunStatus, DefaultRunLauncher
from pydantic import ValidationError

from trading_assets.errors import ExtraMissing
from trading_assets.monitoring.run_claims import claim, release
from trading_assets.resources import run_owners
from trading_assets.resources.dagster_private import ConfigurableClassData, LaunchRunContext, RunLauncher
from trading_assets.resources.database_errors import database_errors
from trading_assets.settings import LauncherKind, Settings, wrong_value
from trading_assets.state import outages

_log = logging.getLogger(__name__)


class StartedOnce(RunLauncher):
    """What each launcher of ours begins with: a run is started only when no other daemon does so.

    The launcher beside it raises errors of a database only while nothing has been started.
    """

    repeatable = False
    """Whether a run that is launched twice is started once all the same: then it needs no claim."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run, unless another daemon has claimed it. While a database does not answer, wait for a minute, and
        then put the run back into Dagster's queue. Raises what the launcher raises for other reasons."""
        run = context.dagster_run
        state_url, key = Settings().state_url, f"launch {run.run_id}"
        try:
            claimed = self._claim(state_url, key, run)
        except sa.exc.SQLAlchemyError as error:
            self._put_back(run, error)
            return
        if not claimed:
            _log.warning(_ANOTHER, run.run_id)
            return
        try:
            super().launch_run(context)  # type: ignore[safe-super]  # that of the launcher beside it
        except BaseException as error:
            _release(state_url, key)  # it may be queued again
            if not isinstance(error, database_errors()):
                raise
            self._put_back(run, error)

    def _claim(self, state_url: str, key: str, run: DagsterRun) -> bool:
        claimant, attempts = uuid.uuid4().hex, 0

        def attempt() -> bool:
            nonlocal attempts
            attempts += 1
            return claim(state_url, key, claimant)

        if self.repeatable:
            try:
                return attempt()
            except sa.exc.SQLAlchemyError as error:
                _log.warning("Run %s is launched without a claim: %s", run.run_id, error)
                return True
        claimed = outages.OutageRetry()(attempt)
        # what another daemon claimed and started before an outage has begun; a user may have cancelled the run
        return claimed and (attempts == 1 or not self.has_instance or self._waits(run) is not None)

    def _waits(self, run: DagsterRun) -> DagsterRun | None:
        now = self._instance.get_run_by_id(run.run_id)
        return now if now is not None and now.status is DagsterRunStatus.STARTING else None

    def _put_back(self, run: DagsterRun, error: Exception) -> None:
        """Let Dagster's daemon take the run from its queue again. Raises the error where the run came from no queue,
        and one of Dagster's history where that does not answer for a minute."""
        until = time.monotonic() + outages.OUTAGE_SECONDS
        found = False
        while self.has_instance:
            try:
                found = self._queue_again(run, str(error).partition("\n")[0])
                break
            except database_errors():
                if time.monotonic() > until:
                    raise
            time.sleep(outages.REPEAT_SECONDS)
        if not found:
            raise error

    def _queue_again(self, run: DagsterRun, why: str) -> bool:
        """Safe to repeat. Whether the run came from the queue."""
        events = self._instance.all_logs(run.run_id, of_type={_ENQUEUED, _TAKEN})
        kinds = [event.dagster_event.event_type for event in events if event.dagster_event is not None]
        if _ENQUEUED not in kinds:
            return False
        if kinds[::-1].index(_ENQUEUED) > 1:  # it may have started the run
            _log.warning(_ANOTHER, run.run_id)
        elif (now := self._waits(run)) is not None:
            said = f"The run is not started yet and goes back into the queue: a database does not answer. ({why})"
            self._instance.report_engine_event(said, now)
            self._instance.report_dagster_event(DagsterEvent.job_enqueue(now), run_id=run.run_id)
        return True


_ANOTHER = "Run %s is being started by another daemon. Two daemons work on one archive: stop one of them."

_ENQUEUED, _TAKEN = DagsterEventType.RUN_ENQUEUED, DagsterEventType.RUN_STARTING


def _release(state_url: str, key: str) -> None:
    try:
        release(state_url, key)
    except sa.exc.SQLAlchemyError as error:  # the claim ends by itself
        _log.warning("The claim %s could not be given back: %s", key, error)


class _ProcessLauncher(DefaultRunLauncher):
    """Dagster's own launcher of run processes."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process. Raises what Dagster's launcher raises."""
        if self.has_instance:  # a machine that dies now leaves a run that another one can tell is lost
            run_id = context.dagster_run.run_id
            self._instance.add_run_tags(run_id, run_owners.start(Settings(), run_id))
        super().launch_run(context)


class LaunchOnce(StartedOnce, _ProcessLauncher):
    """The launcher of `dagster.yaml`: Dagster's own of run processes, or the one that the settings name."""

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> RunLauncher:
        """The launcher of the settings. Raises `ValueError` for wrong ones, `ExtraMissing` where the package is absent
        that it needs, and Dagster's error for a wrong configuration of Kubernetes."""
        try:
            settings = Settings()
        except ValidationError as error:
            raise ValueError(wrong_value(error)) from error
        if settings.launcher is LauncherKind.CELERY:
            from trading_assets.resources.celery_launcher import CeleryLauncher  # late: Celery is an extra

            return CeleryLauncher(settings)
        if settings.launcher is LauncherKind.KUBERNETES:
            return kubernetes_launcher(settings)
        return super().from_config_value(inst_data, config_value)


def kubernetes_launcher(settings: Settings) -> RunLauncher:
    """Dagster's launcher of Kubernetes jobs, configured by the setting `kubernetes`. Raises as `LaunchOnce`."""
    module = "trading_assets.resources.kubernetes_launcher"
    try:
        import dagster_k8s  # noqa: F401
    except ModuleNotFoundError as error:
        raise ExtraMissing("TRADING_ASSETS_LAUNCHER=kubernetes", "dagster-k8s", "k8s") from error
    given = yaml.safe_dump(settings.kubernetes)
    return cast(RunLauncher, ConfigurableClassData(module, "KubernetesLauncher", given).rehydrate())
