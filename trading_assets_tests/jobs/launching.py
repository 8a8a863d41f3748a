"""The media in which a user starts an operation on one data folder: the Dagster UI, the commands, Python, and what
starts by itself. And what an operation leaves there, for comparison.

Not a test. The settings are in the environment, as a user's are.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import graphene
import pytest
import sqlalchemy as sa
import yaml
from click.testing import CliRunner
from dagster._cli import create_dagster_cli
from dagster._cli.utils import get_possibly_temporary_instance_for_cli
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

from trading_assets.cli.app import run
from trading_assets.repositories import query
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import DATASETS
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.instance import dagster_home, dagster_instance, dagster_yaml
from trading_assets.state import connect_state
from trading_assets.state.tables import requests
from trading_assets.universe import Universe
from trading_assets_tests.coroutines import run_coroutine
from trading_assets_tests.scenarios.desk import Desk

OPENED = """
query($job: PipelineSelector!) {
  runConfigSchemaOrError(selector: $job, mode: "default") {
    ... on RunConfigSchema { rootDefaultYaml }
    ... on Error { message }
  }
}
"""
"""What the launchpad opens with."""

LAUNCH = """
mutation($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
  }
}
"""

_OWN_LAUNCHER = "module: trading_assets.resources.launcher\n  class: LaunchOnce"
_IN_THIS_PROCESS = "module: dagster._core.launcher.sync_in_memory_run_launcher\n  class: SyncInMemoryRunLauncher"
"""A process of its own takes four seconds to begin."""

Ops = Mapping[str, Mapping[str, Any]]


class Media:
    """A data folder and the ways to work on it, from `project`, a folder with the project's `dagster.yaml`. With `home`
    DAGSTER_HOME is the folder's; without, it is not set."""

    def __init__(self, desk: Desk, project: Path, patch: pytest.MonkeyPatch) -> None:
        self.desk, self.project, self.patch, self.home = desk, project, patch, False
        project.mkdir(exist_ok=True)
        (project / "dagster.yaml").write_text(_in_this_process(dagster_yaml()), "utf-8")

    def enter(self, now: str, settings: Mapping[str, Any] | None = None, *, home: bool | None = None) -> Media:
        """The environment and the working folder of a user who comes to the archive at an instant; with the settings
        and the DAGSTER_HOME of before where none are given."""
        self.desk.move(now)
        self.desk.changes = self.desk.changes if settings is None else dict(settings)
        self.home = self.home if home is None else home
        for name in [name for name in os.environ if name.startswith(("TRADING_ASSETS_", "DAGSTER_HOME"))]:
            self.patch.delenv(name)
        for name, value in self.desk.settings.environment().items():
            self.patch.setenv(name, value)
        if self.home:
            self.patch.setenv("DAGSTER_HOME", str(dagster_home(self.desk.settings)))
        self.patch.chdir(self.project)
        return self

    def command(self, *words: str) -> tuple[int, Any]:
        """`trading-assets WORDS --json` in this process: exit code and document."""
        printed = StringIO()
        with redirect_stdout(printed):
            code = run([*words, "--json"])
        return code, json.loads(printed.getvalue())

    def ui(
        self,
        job: str,
        ops: Ops | None = None,
        *,
        partitions: Sequence[str] = (),
        assets: Sequence[str] | None = None,
        checks: Sequence[tuple[str, str]] | None = None,
    ) -> str:
        """Open the launchpad of a job, choose all or some of its assets and checks, write `ops` into its config, choose
        no partition, one, or the ends of a range, and launch; the run's id."""
        selector: dict[str, Any] = {
            "pipelineName": job,
            "repositoryName": "__repository__",
            "repositoryLocationName": "trading_assets",
        }
        if assets is not None:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        if checks is not None:
            selector["assetCheckSelection"] = [{"assetKey": {"path": [name]}, "name": check} for name, check in checks]
        if self.home:
            file = dagster_home(self.desk.settings) / "dagster.yaml"
            file.write_text(_in_this_process(file.read_text("utf-8")), "utf-8")
        with (
            get_possibly_temporary_instance_for_cli() as instance,
            WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(_ORIGIN)) as workspace,
        ):
            server = workspace.create_request_context()
            shown = _ask(server, OPENED, {"job": selector})["runConfigSchemaOrError"]
            assert "rootDefaultYaml" in shown, shown
            params = {
                "selector": selector,
                "mode": "default",
                "runConfigData": json.dumps(_written(yaml.safe_load(shown["rootDefaultYaml"]), ops or {})),
                "executionMetadata": {"tags": _tags(partitions)},
            }
            launched = _ask(server, LAUNCH, {"params": params})["launchPipelineExecution"]
            assert launched["__typename"] == "LaunchRunSuccess", launched
            run_id = str(launched["run"]["runId"])
            instance.launch_run(run_id, server)  # as the daemon does with a queued run
            assert instance.get_run_by_id(run_id).is_success  # type: ignore[union-attr]
        return run_id

    def by_itself(self, decision: Callable[[Any], Any], job: str, **chosen: Any) -> None:
        """What a sensor asks for at this instant, launched as the daemon does."""
        with (
            dagster_instance(self.desk.settings) as instance,
            dg.build_sensor_context(instance, resources={"archive": ArchiveResource()}) as context,
        ):
            request = decision(context)
        assert isinstance(request, dg.RunRequest), request
        ops = {name: op["config"] for name, op in request.run_config["ops"].items()}
        self.ui(job, ops, partitions=_ends(request), **chosen)

    def dagster(self, *words: str) -> None:
        """Dagster's own command, which works on the definitions of the project."""
        done = CliRunner().invoke(create_dagster_cli(), [*words, "-m", "trading_assets.definitions"])
        assert done.exit_code == 0, done.output

    def left(self) -> dict[str, Any]:
        """What the operations left: the requests that were sent with their outcomes, the materialized partitions, the
        rows of every dataset and of its revisions, and the universe."""
        engine = connect_state(self.desk.settings.state_url)
        sent = sa.select(requests.c.key, requests.c.outcome, requests.c.attempt, requests.c.rows)
        with engine.connect() as connection:
            asked = sorted(tuple(row) for row in connection.execute(sent))
        with dagster_instance(self.desk.settings) as instance:
            pairs = {
                (name, partition)
                for name in DATASETS
                for partition in instance.event_log_storage.get_materialized_partitions(dg.AssetKey(name))
            }
        views = [(name, dataset.schema.names) for name, dataset in DATASETS.items()]
        views += [(f"revisions_{name}", revisions_of(dataset).schema.names) for name, dataset in DATASETS.items()]
        rows = {
            view: query(self.desk.folder, f"select {_values(names)} from {view} order by all").to_pylist()
            for view, names in views
        }
        return {"requests": asked, "pairs": pairs, "universe": Universe(self.desk.settings.state_url).active(), **rows}

    def verdicts(self, run_id: str) -> dict[tuple[str, str], tuple[bool, int]]:
        """What the checks of a run say, by dataset and rule: whether it holds, and how many rows violate it."""
        with dagster_instance(self.desk.settings) as instance:
            records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
        found = [record.event_log_entry.asset_check_evaluation for record in records]
        return {
            (one.asset_key.path[-1], one.check_name): (one.passed, int(one.metadata["failed"].value))  # type: ignore[arg-type]
            for one in found
            if one is not None
        }


_ORIGIN = InProcessCodeLocationOrigin(
    LoadableTargetOrigin(executable_path=sys.executable, module_name="trading_assets.definitions"),
    location_name="trading_assets",
)


@cache
def _schema() -> graphene.Schema:
    from dagster_graphql.schema import create_schema

    return create_schema()


def _ask(server: Any, text: str, variables: Mapping[str, Any]) -> Any:
    answer = run_coroutine(_schema().execute_async(text, context_value=server, variable_values=variables))
    assert not answer.errors, answer.errors
    return answer.data


def _in_this_process(text: str) -> str:
    assert _OWN_LAUNCHER in text or _IN_THIS_PROCESS in text
    return text.replace(_OWN_LAUNCHER, _IN_THIS_PROCESS)


def _written(opened: Any, ops: Ops) -> dict[str, Any]:
    """The config that the launchpad opened with, and what is typed over it."""
    shown = (opened or {}).get("ops", {})
    return {"ops": {name: {"config": {**shown.get(name, {}).get("config", {}), **ops.get(name, {})}} for name in shown}}


def _tags(partitions: Sequence[str]) -> list[dict[str, str]]:
    names = ["dagster/partition"] if len(partitions) == 1 else [RANGE_START, RANGE_END]
    return [{"key": name, "value": value} for name, value in zip(names, partitions, strict=False)]


PROVENANCE = ("collected_at", "request_id", "superseded_at", "superseded_by")
"""When a row came and from which request: the two columns that differ, and the same of what took a revision's place."""

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def _ends(request: dg.RunRequest) -> list[str]:
    if request.partition_key is not None:
        return [request.partition_key]
    return [request.tags[RANGE_START], request.tags[RANGE_END]]


def _values(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names if name not in PROVENANCE)
