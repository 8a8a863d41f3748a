"""Runs as Kubernetes jobs, each started once. Needs the extra `k8s`.

A `dagster.yaml` may name this class itself, with the configuration of Dagster's `K8sRunLauncher`
(`deploy/helm/values.yaml` does).
"""

from __future__ import annotations

import logging

from dagster import DagsterRun
from dagster_k8s import K8sRunLauncher

from trading_assets.resources.database_errors import database_errors
from trading_assets.resources.launcher import StartedOnce

_log = logging.getLogger(__name__)


class KubernetesLauncher(StartedOnce, K8sRunLauncher):
    """Dagster's own launcher of Kubernetes jobs. A job is named after its run: without the claim a second daemon would
    fail a run whose job the first has made."""

    start_timeout = 600
    """Seconds a job may take to begin: a node may have to be started, and the image to be fetched."""

    def _report_run_worker_created(self, run: DagsterRun) -> None:
        """As Dagster's. The job is made: that this cannot be recorded must not end the run as failed."""
        try:
            super()._report_run_worker_created(run)
        except database_errors() as error:
            _log.warning("The job of run %s is made, which could not be recorded: %s", run.run_id, error)
