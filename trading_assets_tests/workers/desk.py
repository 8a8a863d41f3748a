"""Two daemons, workers on machines of their own, and what they did with the runs. Not a test."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster import DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import InProcessWorkspaceLoadTarget

from trading_assets.resources.instance import dagster_home, dagster_instance, instance_reference
from trading_assets.resources.run_workers import worker_of
from trading_assets.settings import Settings
from trading_assets_tests.jobs.launching import LAUNCH, _ask
from trading_assets_tests.observing import eventually
from trading_assets_tests.other_machines import COMMAND, PATIENCE, ROOT, OtherMachine

MODULE, LOCATION = "trading_assets_tests.workers.located", "located"

_STARTED = re.compile(r"Started process for run \(pid: \d+\)\.")


class Machine:
    """A worker on a machine with a boot and process numbers of its own."""

    def __init__(self, folder: Path, name: str, settings: Settings, *options: str) -> None:
        self.name = name
        self._machine = OtherMachine(folder / name, settings, "worker", *options, program=COMMAND, name=name)
        eventually(lambda: self._alive() and "takes runs from the queue" in self.log, PATIENCE)

    @property
    def log(self) -> str:
        """What the worker printed."""
        return self._machine.said()

    @property
    def began(self) -> list[str]:
        """The ids of the runs that it began, in order."""
        return re.findall(r"Run (\S+) \(\w+\) begins", self.log)

    def stop(self) -> None:
        """End the worker as an operator does: by SIGTERM."""
        os.kill(self._machine.pid_here(1), signal.SIGTERM)
        self._machine.end()

    def kill(self) -> None:
        """End the machine at once: every process of it dies."""
        self._machine.kill()

    def _alive(self) -> bool:
        assert self._machine.process.poll() is None, self.log
        return True


class Desk:
    """The lake's runs. `settings` are those of every process."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        self.environment = settings.child_environment() | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
        self.until = folder / "until"
        self._processes: list[subprocess.Popen[bytes]] = []
        self.machines: list[Machine] = []

    def start_daemon(self) -> None:
        """A daemon, which takes runs from Dagster's queue."""
        workspace = self.folder / "workspace.yaml"
        workspace.write_text(
            json.dumps({"load_from": [{"python_module": {"module_name": MODULE, "location_name": LOCATION}}]})
        )
        command = [sys.executable, "-m", "dagster._daemon", "run", "--workspace", str(workspace)]
        command += ["--instance-ref", instance_reference(self.settings)]
        home = dagster_home(self.settings)
        with (self.folder / "daemon.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    command,
                    env=self.environment,
                    cwd=home,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def start_machine(self, name: str, *options: str) -> Machine:
        """A machine with a worker."""
        self.machines.append(Machine(self.folder, name, self.settings, *options))
        return self.machines[-1]

    def start_worker_here(self) -> subprocess.Popen[bytes]:
        """A worker on this machine, beside the daemon."""
        log = self.folder / "here.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*COMMAND, "worker", "--runs", "1"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        self.wait(lambda: "takes runs from the queue" in log.read_text(), "the worker takes runs")
        return process

    def end(self) -> None:
        """Kill everything."""
        for machine in self.machines:
            machine.kill()
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's records."""
        with dagster_instance(self.settings) as instance:
            yield instance

    def queue(self, count: int = 1, until: Path | None = None) -> list[str]:
        """Put runs into Dagster's queue as the UI does; their ids. Each works until there is a file."""
        selector = {"pipelineName": "working", "repositoryName": "__repository__", "repositoryLocationName": LOCATION}
        config = {"ops": {"work": {"config": {"until": str(until or self.until)}}}}
        params = {"selector": selector, "mode": "default", "runConfigData": json.dumps(config)}
        origin = InProcessCodeLocationOrigin(
            LoadableTargetOrigin(executable_path=sys.executable, module_name=MODULE), location_name=LOCATION
        )
        with (
            self.instance() as instance,
            WorkspaceProcessContext(instance, InProcessWorkspaceLoadTarget(origin)) as workspace,
        ):
            server = workspace.create_request_context()
            launched = [_ask(server, LAUNCH, {"params": params})["launchPipelineExecution"] for _ in range(count)]
        return [str(one["run"]["runId"]) for one in launched]

    def run(self, run_id: str) -> DagsterRun:
        """A run as it is recorded."""
        with self.instance() as instance:
            found = instance.get_run_by_id(run_id)
        assert found is not None
        return found

    def runs(self) -> list[DagsterRun]:
        """All runs, oldest first."""
        with self.instance() as instance:
            return list(reversed(instance.get_runs(RunsFilter())))

    def begun(self, run_id: str) -> None:
        """Wait until the step of a run works."""
        self.wait(lambda: self.until.with_name(f"began {run_id}").exists(), f"run {run_id} begins")

    def ended(self, run_id: str, status: DagsterRunStatus = DagsterRunStatus.SUCCESS) -> DagsterRun:
        """Wait for the end of a run, which is to be that one."""
        self.wait(lambda: self.run(run_id).is_finished, f"run {run_id} ends")
        run = self.run(run_id)
        assert run.status is status, self.words(f"run {run_id} ended as {run.status}")
        return run

    def repetition(self, run_id: str) -> str:
        """Wait for the run with which Dagster repeats a failed one; its id."""

        def look() -> list[str]:
            return [run.run_id for run in self.runs() if run.parent_run_id == run_id]

        (found,) = self.wait(look, f"run {run_id} is repeated")
        return str(found)

    def kill_process_of(self, run_id: str) -> None:
        """`kill -9` of the process of a run, on whichever machine it is."""
        (pid,) = [pid for pid, command in processes() if run_id in command and "execute_run" in command]
        os.kill(pid, signal.SIGKILL)

    def processes_of(self, run_id: str) -> int:
        """How often a process for a run was started."""
        with self.instance() as instance:
            return sum(bool(_STARTED.match(event.message or "")) for event in instance.all_logs(run_id))

    def machine_of(self, run_id: str) -> str:
        """The name of the machine whose worker took a run."""
        worker = worker_of(self.run(run_id))
        (name,) = [machine.name for machine in self.machines if worker and worker.startswith(f"worker-{machine.name}-")]
        return name

    def wait(self, look: Any, what: str) -> Any:
        """Wait for something; tells the logs when it never comes."""
        try:
            return eventually(look, PATIENCE, 0.2)
        except AssertionError as error:
            raise AssertionError(self.words(f"never: {what}")) from error

    def words(self, what: str) -> str:
        """What a failing test should show."""
        with self.instance() as instance:
            told = {
                run.run_id: [
                    run.status.value,
                    dict(run.tags),
                    [event.message for event in instance.all_logs(run.run_id)][-8:],
                ]
                for run in instance.get_runs()
            }
        logs = {
            path: path.read_text("utf-8", "replace")[-3000:]
            for path in [*self.folder.glob("*.log"), *self.folder.glob("*/errors")]
        }
        return f"{what}\n{json.dumps(told, indent=1)}\n" + "\n".join(
            f"== {name}\n{text}" for name, text in logs.items()
        )


def processes() -> list[tuple[int, str]]:
    """The processes of this machine, which sees those of the others as well: id and command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        found.append((int(place.name), command.replace(b"\0", b" ").decode(errors="replace")))
    return found
