"""Starting a queued run: once, whoever takes it from the queue.

Dagster supports one daemon. Where two run by mistake, both may take the same run from the queue in the same moment and
start a process for it each; the second process finds the run started, fails it while the first works on it, and a
repetition follows.
"""

from __future__ import annotations

import logging

from dagster import DefaultRunLauncher

from trading_assets.monitoring.run_claims import claim, release
from trading_assets.resources import run_owners
from trading_assets.resources.dagster_private import LaunchRunContext
from trading_assets.settings import Settings

_log = logging.getLogger(__name__)


class LaunchOnce(DefaultRunLauncher):
    """Dagster's launcher of run processes, which starts a process for a run only when no other daemon does so
    (`dagster.yaml`)."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process, unless another daemon has claimed it. Raises what Dagster's launcher raises."""
        run_id, settings = context.dagster_run.run_id, Settings()
        state_url, key = settings.state_url, f"launch {run_id}"
        if not claim(state_url, key):
            _log.warning(
                "Run %s is being started by another daemon. Two daemons work on one archive: stop one of them.", run_id
            )
            return
        try:
            if self.has_instance:  # a machine that dies now leaves a run that another one can tell is lost
                self._instance.add_run_tags(run_id, run_owners.start(settings, run_id))
            super().launch_run(context)
        except BaseException:
            release(state_url, key)  # it may be queued again
            raise
