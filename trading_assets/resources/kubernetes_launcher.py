"""Runs as Kubernetes jobs, each started once. Needs the extra `k8s`.

A `dagster.yaml` may name this class itself, with the configuration of Dagster's `K8sRunLauncher`
(`deploy/helm/values.yaml` does).
"""

from __future__ import annotations

from dagster_k8s import K8sRunLauncher

from trading_assets.resources.launcher import StartedOnce


class KubernetesLauncher(StartedOnce, K8sRunLauncher):
    """Dagster's own launcher of Kubernetes jobs. A job is named after its run: without the claim a second daemon would
    fail a run whose job the first has made."""

    start_timeout = 600
    """Seconds a job may take to begin: a node may have to be started, and the image to be fetched."""
