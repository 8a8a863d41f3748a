"""Two machines run `trading-assets up` on one lake in an object store; a run is killed, then everything on the machine
whose daemon works: the other one goes on, and nothing that was answered is asked for again."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus, RunRecord, RunsFilter
from dagster._core.scheduler.instigation import InstigatorStatus

from trading_assets.resources.abandoned import PROCESS_TAG
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.endurance.collect import LOOKBACK_DAYS, SELECTION, by_the_steps
from trading_assets_tests.endurance.conftest import NOW, settings_of
from trading_assets_tests.endurance.lakes import answered_on_server, asked, contents, difference, unfinished
from trading_assets_tests.endurance.reaper import Reaper
from trading_assets_tests.observing import arrived, eventually
from trading_assets_tests.other_machines import COMMAND, OtherMachine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PATIENCE = 400.0
"""Seconds to wait for what the platform does by itself."""

WITHIN = 180.0
"""Seconds after which a run of a dead machine is at work on another one."""

BETWEEN_LOOKS = 0.5

LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""


class Up:
    """`trading-assets up` on a machine of its own."""

    def __init__(self, folder: Path, settings: Settings, disk: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        up = ("up", "--port", str(self.port))
        self.machine = OtherMachine(folder, settings, *up, program=COMMAND, name=folder.name, disk=disk)

    def ask(self, query: str, **variables: Any) -> Any:
        """What its web server answers to GraphQL."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"http://127.0.0.1:{self.port}/graphql"
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=300) as answer:
            return json.load(answer)["data"]

    def serves(self) -> bool:
        """Whether it has loaded the definitions."""
        assert self.machine.process.poll() is None, self.machine.said()
        with suppress(OSError):
            return bool(self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }"))
        return False

    def launch(self, symbol: str) -> str:
        """Set a symbol up, as a user of the UI does; the run's id."""
        job = {
            "jobName": "setup_symbol",
            "repositoryName": "__repository__",
            "repositoryLocationName": "trading_assets",
        }
        ops = {"contracts": {"symbols": [symbol]}, "equity_bars": {"lookback_days": LOOKBACK_DAYS}, **SELECTION}
        params = {
            "selector": job,
            "runConfigData": json.dumps({"ops": {name: {"config": given} for name, given in ops.items()}}),
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": f"{NOW:%Y-%m-%d}"}]},
        }
        launched = self.ask(LAUNCH, params=params)["launchRun"]
        assert "run" in launched, launched
        return str(launched["run"]["runId"])


@pytest.fixture(scope="module")
def market() -> GeneratedMarket:
    return GeneratedMarket()


@pytest.fixture
def reaper() -> Reaper:
    return Reaper()


@pytest.fixture
def strict(market: GeneratedMarket, reaper: Reaper) -> Iterator[Simulator]:
    """A simulator that enforces every limit and, when the test asks for it, kills."""
    with Simulator(market, now=NOW, faults=reaper) as running:
        yield running
        assert not running.counters.internal_errors


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[[str, Settings, Path], Up]]:
    """Starts machines, whose disks bear one name, and waits until they serve; they die with the test."""
    with ExitStack() as stack:

        def start(name: str, settings: Settings, disk: Path) -> Up:
            up = Up(tmp_path / name, settings, disk)
            stack.callback(up.machine.kill)
            eventually(up.serves, PATIENCE, BETWEEN_LOOKS)
            return up

        yield start


@contextmanager
def records(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Dagster's records, which both machines share."""
    with dagster_instance(settings, captures=False) as instance:
        yield instance


def run_of(settings: Settings, run_id: str) -> RunRecord:
    with records(settings) as instance:
        (found,) = instance.get_run_records(RunsFilter(run_ids=[run_id]))
        return found


def works_on(settings: Settings, run_id: str) -> int:
    """The process that works on the run, by its id there, as soon as it says so."""
    mark = eventually(lambda: run_of(settings, run_id).dagster_run.tags.get(PROCESS_TAG), PATIENCE, BETWEEN_LOOKS)
    return int(mark.split()[-2])


def repeated(settings: Settings, run_id: str, status: DagsterRunStatus) -> RunRecord:
    """The run that took the place of one, once it has that status."""

    def look() -> RunRecord | None:
        with records(settings) as instance:
            found = instance.get_run_records(RunsFilter(statuses=[status]))
        return next((record for record in found if record.dagster_run.parent_run_id == run_id), None)

    return eventually(look, PATIENCE, BETWEEN_LOOKS)  # type: ignore[return-value]


def switch_automation_off(settings: Settings) -> None:
    """Only what the test launches runs; alerts, which end the runs of the dead, stay on."""

    def states() -> list[Any]:
        with records(settings) as instance:
            found = instance.all_instigator_state()
            return (
                found if {"alerts", "gaps", "new_symbols", "daily_bars"} <= {s.instigator_name for s in found} else []
            )

    for state in eventually(states, PATIENCE, BETWEEN_LOOKS):
        if state.instigator_name != "alerts":
            with records(settings) as instance:
                instance.update_instigator_state(state.with_status(InstigatorStatus.STOPPED))


def places_taken(settings: Settings) -> int:
    with records(settings) as instance:
        return instance.event_log_storage.get_concurrency_info("ib").active_slot_count


def check_nothing_was_asked_again(settings: Settings, strict: Simulator, known: set[Any], log_before: int) -> None:
    log = strict.counters.log[log_before:]
    again = asked(log)
    assert not set(again) & known, "it was asked again though the answer was in the journal"
    assert set(again.values()) == {1}, log
    assert strict.counters.violations == []
    assert unfinished(settings) == 0
    eventually(lambda: places_taken(settings) == 0, PATIENCE, BETWEEN_LOOKS)


def test_runs_of_a_machine_that_dies_go_on_on_the_other(
    strict: Simulator,
    market: GeneratedMarket,
    reaper: Reaper,
    serving: Callable[[str, Settings, Path], Up],
    store_url: str,
    postgresql: str,
    tmp_path: Path,
) -> None:
    with Simulator(market, now=NOW, limits=False) as simulator:
        alone = settings_of(tmp_path / "alone", simulator)
        assert by_the_steps(alone, ["AAPL", "MSFT"])["success"]
    shared = {"lake": store_url, "database_url": postgresql, "dagster_database_url": postgresql}
    disk = tmp_path / "disk"
    settings = settings_of(disk / "data", strict, **shared, enforce_pacing=True)
    here = settings_of(tmp_path / "here", strict, **shared)

    one = serving("one", settings, disk)
    switch_automation_off(here)
    other = serving("other", settings, disk)
    eventually(lambda: "The daemon of one works" in other.machine.said(), PATIENCE)

    # A run's process is killed: the same machine repeats the run.
    reaper.arm(8)
    killed = other.launch("AAPL")
    reaper.victim(one.machine.pid_here(works_on(here, killed)))
    eventually(lambda: reaper.struck, PATIENCE)
    began, known, log_before = time.monotonic(), answered_on_server(here), arrived(strict)
    repeated(here, killed, DagsterRunStatus.SUCCESS)
    print(f"the run was repeated {time.monotonic() - began:.0f} s after its process was killed")
    assert time.monotonic() - began < WITHIN
    check_nothing_was_asked_again(here, strict, known, log_before)

    # The machine whose daemon works dies: the other machine repeats the run.
    reaper.arm(8)
    lost = one.launch("MSFT")
    works_on(here, lost)
    reaper.victim(one.machine.process.pid)
    eventually(lambda: reaper.struck, PATIENCE)
    one.machine.kill()
    began, known, log_before = time.monotonic(), answered_on_server(here), arrived(strict)
    again = repeated(here, lost, DagsterRunStatus.STARTED)
    print(f"the run was on the other machine {time.monotonic() - began:.0f} s after the first one died")
    assert time.monotonic() - began < WITHIN
    eventually(lambda: run_of(here, again.dagster_run.run_id).dagster_run.is_success, PATIENCE, BETWEEN_LOOKS)
    check_nothing_was_asked_again(here, strict, known, log_before)
    assert "The daemon works on this machine now: that of one has stopped." in other.machine.said()
    assert run_of(here, lost).dagster_run.status is DagsterRunStatus.FAILURE

    assert difference(here.data_dir, contents(alone.data_dir)) == []
