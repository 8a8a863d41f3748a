"""Runs as jobs of Kubernetes, and the values for Dagster's chart. There is no cluster here: what would be sent to one
is looked at."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.launcher.base import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClassData

from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.workers.known import enter, known_run

pytestmark = pytest.mark.slow

VALUES = REPOSITORY / "deploy" / "helm" / "values.yaml"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that would be made in a cluster."""
    import dagster_k8s  # late: the client of Kubernetes takes a second in each process that collects tests
    from dagster_k8s.client import DagsterKubernetesClient

    found: list[Any] = []
    monkeypatch.setattr(dagster_k8s.launcher, "load_kubernetes_config", lambda **_: None)
    monkeypatch.setattr(
        DagsterKubernetesClient, "create_namespaced_job_with_retries", lambda self, body, namespace: found.append(body)
    )
    return found


def in_cluster(folder: Path, server: str, config: dict[str, Any]) -> Settings:
    """The settings of a platform whose runs are jobs of a cluster."""
    return Settings(
        launcher="kubernetes",
        kubernetes=config,
        data_dir=folder,
        database_url=server,
        dagster_database_url=server,
    )


def test_a_run_goes_to_kubernetes_once_with_its_image_and_secrets(
    jobs: list[Any], tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {
        "service_account_name": "archive",
        "instance_config_map": "archive-instance",
        "job_image": "archive:1",
        "env_secrets": ["archive-secrets"],
        "job_namespace": "archive",
    }
    settings = in_cluster(tmp_path, postgresql, config)
    enter(monkeypatch, settings)
    with dagster_instance(settings) as instance:
        run = known_run(instance)
        assert instance.run_monitoring_start_timeout_seconds == 600
    for _ in range(2):  # two daemons
        with dagster_instance(settings) as instance:
            instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    (job,) = jobs
    (container,) = job.spec.template.spec.containers
    assert container.image == "archive:1" and run.run_id in container.args[-1]
    assert [source.secret_ref.name for source in container.env_from if source.secret_ref] == ["archive-secrets"]


def test_a_wrong_configuration_is_said(
    jobs: list[Any], tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = in_cluster(tmp_path, postgresql, {"job_image": 1})
    enter(monkeypatch, settings)
    with dagster_instance(settings) as instance, pytest.raises(dg.DagsterInvalidConfigError, match="job_image"):
        _ = instance.run_launcher


def test_the_launcher_of_the_values_loads_as_dagster_loads_it(jobs: list[Any]) -> None:
    from trading_assets.resources.kubernetes_launcher import KubernetesLauncher

    values = yaml.safe_load(VALUES.read_text("utf-8"))
    custom = values["runLauncher"]["config"]["customRunLauncher"]
    launcher = ConfigurableClassData(custom["module"], custom["class"], yaml.safe_dump(custom["config"])).rehydrate(
        as_type=RunLauncher
    )
    assert isinstance(launcher, KubernetesLauncher) and launcher.supports_check_run_worker_health
    assert launcher.job_image == custom["config"]["job_image"] and launcher.run_k8s_config["job_spec_config"]
    assert values["dagsterDaemon"]["runMonitoring"]["startTimeoutSeconds"] == KubernetesLauncher.start_timeout
    given = yaml.safe_dump({**custom["config"], "no_such_key": 1})
    with pytest.raises(dg.DagsterInvalidConfigError, match="no_such_key"):
        ConfigurableClassData(custom["module"], custom["class"], given).rehydrate(as_type=RunLauncher)


def test_the_values_are_what_the_chart_of_dagster_reads() -> None:
    """The chart checks them against its own schema. Helm is no package of this system, and its chart is on the
    internet: without them this is left out, in CI, too."""
    if shutil.which("helm") is None:
        pytest.skip("Helm is not installed: the values were not rendered")
    command = ["helm", "template", "trading-assets", "dagster", "--repo", "https://dagster-io.github.io/helm"]
    rendered = subprocess.run(
        [*command, "--version", "1.13.27", "--values", str(VALUES)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "looks like" in rendered.stderr or "dial tcp" in rendered.stderr:
        pytest.skip(f"the chart cannot be fetched: {rendered.stderr.strip()}")
    assert rendered.returncode == 0, rendered.stderr
    kinds = [document for document in yaml.safe_load_all(rendered.stdout) if document]
    (instance,) = [one for one in kinds if one["metadata"]["name"] == "trading-assets-instance"]
    assert yaml.safe_load(instance["data"]["dagster.yaml"])["run_launcher"]["class"] == "KubernetesLauncher"
