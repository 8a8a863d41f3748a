"""The files in `deploy/` agree with the platform: names of settings and commands, loopback only, no secret in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from trading_assets.cli.app import app
from trading_assets.cli.root import GROUPS
from trading_assets.monitoring.prometheus.families import FAMILIES, PREFIX
from trading_assets.resources.instance import dagster_yaml
from trading_assets.resources.switches import LOCATION
from trading_assets.serving.supervisor import MODULE
from trading_assets.setting_names import unknown_variables
from trading_assets.settings import DATA_DIR, Settings
from trading_assets_tests.conftest import REPOSITORY
from trading_assets_tests.leaving_out import leave_out

DEPLOY = REPOSITORY / "deploy"
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]
UNITS = sorted((DEPLOY / "systemd").iterdir())


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_settings_are_settings(path: Path) -> None:
    named = re.findall(r"TRADING_ASSETS_\w+", path.read_text("utf-8"))
    assert unknown_variables(named, [DATA_DIR, *(f"TRADING_ASSETS_{name}" for name in Settings.model_fields)]) == []


def test_what_compose_names_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert {name for name, service in services.items() if "profiles" not in service} == {
        "gateway",
        "database",
        "platform",
    }
    assert {name: service["profiles"] for name, service in services.items() if "profiles" in service} == {
        "redis": ["workers"],
        "worker": ["workers"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }
    assert {service["restart"] for service in services.values()} == {"unless-stopped"}
    assert {name for service in services.values() for name in service.get("depends_on", ())} <= set(services)
    used = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    files = {name for name in used if name.startswith("./")}
    assert used - files == set(compose["volumes"])
    assert len(files) == 4
    assert [name for name in files if not (DEPLOY / name).is_file()] == []
    assert (REPOSITORY / services["platform"]["build"]["dockerfile"]).is_file()


def test_only_this_machine_reaches_the_ui_and_nobody_the_gateway(compose: dict[str, Any]) -> None:
    ports = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert ports == {
        "gateway": [],
        "database": [],
        "redis": [],
        "worker": [],
        "platform": ["127.0.0.1:3000:3000"],
        "prometheus": [],
        "grafana": ["127.0.0.1:3001:3000"],
    }


def test_prometheus_reaches_the_metrics_of_the_platform(compose: dict[str, Any]) -> None:
    read = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    ((target,),) = [config["targets"] for job in read["scrape_configs"] for config in job["static_configs"]]
    host, port = target.split(":")
    platform = compose["services"][host]
    assert platform["command"][:2] == ["trading-assets", "up"]
    assert [published.rpartition(":")[2] for published in platform["ports"]] == [port]
    assert platform["command"][-2:] == ["--allowed-host", host], "the guard refuses other names"
    options = {word[2:].replace("-", "_") for word in platform["command"] if word.startswith("--")}
    up = next(entry for entry in app.registered_commands if entry.callback.__name__ == "up")
    assert options <= set(up.callback.__annotations__)
    assert Settings.model_fields["metrics"].default is False
    source = yaml.safe_load((DEPLOY / "grafana" / "datasource.yaml").read_text("utf-8"))["datasources"][0]
    assert source["type"] == source["url"].removeprefix("http://").partition(":")[0] == "prometheus"


def test_the_dashboard_asks_for_every_metric_and_for_no_other() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
    labels = {PREFIX + family.name: set(family.labels) for family in FAMILIES}
    asked: set[str] = set()
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            names = re.findall(r"trading_assets_\w+", target["expr"])
            asked.update(names)
            known = set().union(*(labels.get(name, set()) for name in names))
            grouped = re.findall(r"(?:by|on) \(([^)]*)\)", target["expr"])
            shown = re.findall(r"{{(\w+)}}", target["legendFormat"])
            assert {word for text in grouped for word in text.split(", ")} | set(shown) <= known, target
            assert panel["datasource"] == target["datasource"]
    assert asked == set(labels)
    places = [tuple(panel["gridPos"][name] for name in "xyw") for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) and all(x + width <= 24 for x, _, width in places)


def test_the_documentation_names_every_metric() -> None:
    text = (REPOSITORY / "docs" / "operations.md").read_text("utf-8")
    told = set(re.findall(r"`(trading_assets_\w+)`", text))
    assert told == {PREFIX + family.name for family in FAMILIES}


def test_every_variable_of_compose_is_in_its_example() -> None:
    used = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text("utf-8")))
    example = (DEPLOY / ".env.example").read_text("utf-8")
    assert used == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert re.findall(r"^\w*(?:PASSWORD|USER)\w*=(.+)$", example, re.MULTILINE) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_commands_are_commands(path: Path) -> None:
    text = path.read_text("utf-8")
    known = {name for names in GROUPS.values() for name in names}
    assert set(re.findall(r"bin/trading-assets (\S+)", text)) <= known
    for arguments in re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE):
        assert json.loads(arguments)[:2] == ["trading-assets", "up"]
        options = set(re.findall(r'"(--[\w-]+)"', arguments))
        up = next(entry for entry in app.registered_commands if entry.callback.__name__ == "up")
        assert {option[2:].replace("-", "_") for option in options} <= set(up.callback.__annotations__)


def test_the_units_are_what_systemd_reads(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        leave_out("systemd-analyze is not installed")
    for unit in UNITS:
        text = unit.read_text("utf-8").replace("/opt/trading-assets/bin/trading-assets", "/bin/true")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / unit.name) for unit in UNITS)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


# --- workers and Kubernetes -------------------------------------------------------------------------------------------


def test_a_worker_has_the_settings_and_the_lake_of_the_platform(compose: dict[str, Any]) -> None:
    platform, worker = compose["services"]["platform"], compose["services"]["worker"]
    assert [worker[name] for name in ("environment", "volumes", "build")] == [
        platform[name] for name in ("environment", "volumes", "build")
    ]
    assert worker["command"] == ["trading-assets", "worker"] and worker["command"][1] in GROUPS["Begin"]
    broker = worker["environment"]["TRADING_ASSETS_CELERY_BROKER"].replace("${REDIS_PASSWORD:-}", "secret")
    url = "postgresql+psycopg2://archive:secret@database/trading_assets"
    given = Settings(launcher="celery", celery_broker=broker, database_url=url, dagster_database_url=url)
    assert given.celery_broker == "redis://:secret@redis:6379/0" and "redis" in compose["services"]
    assert "EXTRAS=postgres,pictures,s3,celery" in (DEPLOY / "Dockerfile").read_text("utf-8")


def test_the_image_executes_the_arguments_of_a_container_as_its_command(values: dict[str, Any]) -> None:
    """Dagster gives a job of Kubernetes `args` and no command, and its chart does the same for the code server."""
    assert "ENTRYPOINT" not in re.findall(r"^[A-Z]+", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    (code,) = values["dagster-user-deployments"]["deployments"]
    assert code["codeServerArgs"][0].startswith("--"), "options only: the chart begins with dagster code-server start"


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "helm" / "values.yaml").read_text("utf-8"))


def test_the_values_for_helm_agree_with_one_another_and_name_no_secret(values: dict[str, Any]) -> None:
    launcher = values["runLauncher"]["config"]["customRunLauncher"]["config"]
    (code,) = values["dagster-user-deployments"]["deployments"]
    image = code["image"]
    assert launcher["job_image"] == f"{image['repository']}:{image['tag']}"
    assert values["dagsterWebserver"]["image"] == values["dagsterDaemon"]["image"] == image
    names = {values["global"]["serviceAccountName"], values["serviceAccount"]["name"], launcher["service_account_name"]}
    assert names == {values["global"]["fullnameOverride"]}
    assert launcher["instance_config_map"] == f"{values['global']['fullnameOverride']}-instance", (
        "as the chart names it"
    )
    assert launcher["postgres_password_secret"] == values["global"]["postgresqlSecretName"]
    secrets = {
        one["name"]
        for part in (code, values["dagsterWebserver"], values["dagsterDaemon"])
        for one in part["envSecrets"]
    }
    assert secrets == set(launcher["env_secrets"])
    (server,) = values["dagsterWebserver"]["workspace"]["servers"]
    assert (server["host"], server["port"]) == (code["name"], code["port"])
    assert code["codeServerArgs"][1::2] == ["trading_assets.definitions", server["name"]] == [MODULE, LOCATION]
    ours = yaml.safe_load(dagster_yaml())["concurrency"]
    assert values["concurrency"]["pools"]["defaultLimit"] == ours["pools"]["default_limit"]
    limited, at_home = values["concurrency"]["runs"]["tagConcurrencyLimits"], ours["runs"]["tag_concurrency_limits"]
    assert [(one["key"], one.get("value")) for one in limited] == [(one["key"], one.get("value")) for one in at_home]


def test_dagster_takes_the_limits_of_the_values_for_helm(values: dict[str, Any], tmp_path: Path) -> None:
    coordinator, concurrency = values["dagsterDaemon"]["runCoordinator"], values["concurrency"]
    queue = coordinator.get("config", {}).get("queuedRunCoordinator", {})
    rendered = {  # as the chart renders them
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": coordinator["type"],
            "config": _snake_case(queue),
        },
        "concurrency": _snake_case({name: part for name, part in concurrency.items() if name != "enabled"}),
    }
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(rendered), "utf-8")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        limits = instance.get_concurrency_config()
    assert concurrency["enabled"] and limits.pool_config.default_pool_limit == 2
    given = limits.run_queue_config.tag_concurrency_limits if limits.run_queue_config else None
    assert given == concurrency["runs"]["tagConcurrencyLimits"]


def _snake_case(config: dict[str, Any]) -> dict[str, Any]:
    """Values of the chart with Dagster's names; those below a list are not the chart's."""
    return {
        re.sub(r"(?<=[a-z])[A-Z]", lambda found: f"_{found.group().lower()}", name): (
            _snake_case(part) if isinstance(part, dict) else part
        )
        for name, part in config.items()
    }
