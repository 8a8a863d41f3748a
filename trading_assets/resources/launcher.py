"""What starts a queued run: once, whoever takes it from Dagster's queue, and by the settings.

Dagster supports one daemon. Where two run by mistake, both may take the same run from the queue in the same moment and
start a process for it each; the second process finds the run started, fails it while the first works on it, and a
repetition follows.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

import yaml
from dagster import DefaultRunLauncher
from pydantic import ValidationError

from trading_assets.errors import ExtraMissing
from trading_assets.monitoring.run_claims import claim, release
from trading_assets.resources import run_owners
from trading_assets.resources.dagster_private import ConfigurableClassData, LaunchRunContext, RunLauncher
from trading_assets.settings import LauncherKind, Settings, wrong_value

_log = logging.getLogger(__name__)


class StartedOnce(RunLauncher):
    """What each launcher of ours begins with: a run is started only when no other daemon does so."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run, unless another daemon has claimed it. Raises what the launcher raises."""
        run_id = context.dagster_run.run_id
        state_url, key = Settings().state_url, f"launch {run_id}"
        if not claim(state_url, key):
            _log.warning(
                "Run %s is being started by another daemon. Two daemons work on one archive: stop one of them.", run_id
            )
            return
        try:
            super().launch_run(context)  # type: ignore[safe-super]  # that of the launcher beside it
        except BaseException:
            release(state_url, key)  # it may be queued again
            raise


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
