"""Two machines, a lake in an object store, state and Dagster's history on a PostgreSQL server: the UI of each shows the
runs of both, and what they print."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from trading_assets_tests.object_store.conftest import server, store_url
from trading_assets_tests.observing import eventually
from trading_assets_tests.serving.test_up import COMMAND, NOW, PATIENCE, free_port, processes

__all__ = ["server", "store_url"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("up")]

SECRET = "hunter2"

RUNS = "{ runsOrError { ... on Runs { results { runId jobName status } } } }"

LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""

CAPTURED = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
    ... on LogsCapturedEvent { fileKey } } } } }"""

PRINTED = "query($key: [String!]!) { capturedLogs(logKey: $key) { stdout stderr } }"

Machine = Callable[[str], dict[str, str]]


@pytest.fixture
def machine(history: str, store_url: str, tmp_path: Path) -> Machine:
    """The environment of a machine: a data folder of its own, and what all share."""
    shared = sa.make_url(history).set(password=SECRET).render_as_string(hide_password=False)
    others = {name: value for name, value in os.environ.items() if not name.startswith("TRADING_ASSETS_")}

    def made(name: str) -> dict[str, str]:
        return {
            **others,
            "TRADING_ASSETS_DATA_DIR": str(tmp_path / name),
            "TRADING_ASSETS_LAKE": store_url,
            "TRADING_ASSETS_DATABASE_URL": shared,
            "TRADING_ASSETS_DAGSTER_DATABASE_URL": shared,
            "TRADING_ASSETS_NOW": NOW,
        }

    return made


@pytest.fixture
def port(machine: Machine, tmp_path: Path) -> Iterator[int]:
    """That of `up` on the machine `there`."""
    chosen = free_port()
    with open(tmp_path / "up.log", "wb") as log:
        command = [*COMMAND, "up", "--port", str(chosen)]
        up = subprocess.Popen(command, env=machine("there"), cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
    yield chosen
    up.terminate()
    up.wait(PATIENCE)
    assert SECRET not in (tmp_path / "up.log").read_text()


def ask(port: int, query: str, **variables: Any) -> dict[str, Any]:
    asked = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", asked, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        found: dict[str, Any] = json.load(answer)["data"]
    return found


def runs(port: int) -> dict[str, str]:
    """The status of each run by job, as the UI shows it."""
    try:
        return {run["jobName"]: run["status"] for run in ask(port, RUNS)["runsOrError"]["results"]}
    except OSError:
        return {}


def test_each_machine_shows_the_runs_of_both(machine: Machine, port: int, history: str, tmp_path: Path) -> None:
    small = ("--lookback-days", "3", "--strikes", "1", "--max-days-to-expiry", "8")
    subprocess.run([*COMMAND, "setup", "AAPL", *small], env=machine("here"), cwd=tmp_path, check=True, timeout=PATIENCE)
    eventually(lambda: runs(port).get("setup_symbol") == "SUCCESS", PATIENCE)
    eventually(lambda: ticks(history) > 0, PATIENCE)
    assert not [line for line in processes(tmp_path / "there").values() if SECRET in line]

    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "trading_assets",
        "pipelineName": "quality_check",
    }
    launched = ask(port, LAUNCH, params={"selector": selector, "mode": "default"})["launchPipelineExecution"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    run_id = launched["run"]["runId"]
    eventually(lambda: runs(port).get("quality_check") == "SUCCESS", PATIENCE)
    events = ask(port, CAPTURED, id=run_id)["logsForRun"]["events"]
    (key,) = {event["fileKey"] for event in events if event}
    eventually(lambda: ask(port, PRINTED, key=[run_id, "compute_logs", key])["capturedLogs"]["stderr"], PATIENCE)
    with sa.create_engine(history).connect() as connection:
        printed = sa.text("select count(*) from dagster.trading_assets_run_output where log_key like :of_run")
        assert connection.execute(printed, {"of_run": f"{run_id}/%"}).scalar_one() >= 2

    status = subprocess.run(
        [*COMMAND, "status", "--no-probe", "--json"],
        env=machine("here"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert json.loads(status.stdout)["daemon"] is not None, "that of the other machine"
    kept = [file for name in ("here", "there") for file in (tmp_path / name / "dagster").rglob("*") if file.is_file()]
    assert not [file for file in kept if SECRET.encode() in file.read_bytes() or file.suffix == ".db"]


def ticks(history: str) -> int:
    with sa.create_engine(history).connect() as connection:
        return int(connection.execute(sa.text("select count(*) from dagster.job_ticks")).scalar_one())
