"""A world of its own: a simulated TWS, a Dagster daemon in processes of its own, and one clock for all of them that the
test moves.

Not a test. The daemon, its code server and its runs are the real programs; their clock is set by
`clock/sitecustomize.py`. The platform is used as an operator uses it: by the command, by Dagster's own records, by
queries.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import pandas as pd
from dagster import DagsterRunStatus, RunRecord, RunsFilter
from dagster._core.scheduler.instigation import InstigatorStatus

from trading_assets.automation.run_dedup import KEY_TAG, UNFINISHED
from trading_assets.repositories import query
from trading_assets.resources.instance import dagster_home
from trading_assets.sessions import NEW_YORK
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets_tests.observing import eventually

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds to wait for something that the daemon does by itself; it looks every few seconds, and a run takes some
seconds to start."""

BETWEEN_LOOKS = 0.5
"""Seconds between two looks: each opens Dagster's records."""

TICK_SECONDS = 25.0
"""Seconds after a jump of the clock within which all schedules and sensors have had their turn."""

_OFFSET = struct.Struct("=q")
_CLOCK = Path(__file__).parent / "clock"
WORKSPACE = Path(__file__).resolve().parents[2] / "workspace.yaml"


def at_new_york(text: str) -> datetime:
    """An instant of New York."""
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@dataclass
class World:
    """The data folder, the simulator and the daemon, at one moment. `changes` are settings of the operator."""

    folder: Path
    simulator: Simulator
    port: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    offset: timedelta = timedelta(0)

    @property
    def now(self) -> datetime:
        """The world's instant, UTC."""
        return datetime.now(UTC) + self.offset

    @property
    def settings(self) -> Settings:
        """The settings of the operator, at this instant."""
        return Settings(data_dir=self.folder / "lake", now=self.now, ib_port=self.port, **self.changes)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every process of this world."""
        given = {name: value for name, value in self.settings.environment().items() if name != "TRADING_ASSETS_NOW"}
        path = os.pathsep.join(filter(None, [str(_CLOCK), os.environ.get("PYTHONPATH", "")]))
        # The tests' own process is not moved: what it starts must not warn about Dagster's beta features on every line.
        return {
            **os.environ,
            **given,
            "TEST_CLOCK": str(self.clock_file),
            "PYTHONPATH": path,
            "PYTHONWARNINGS": "ignore",
        }

    @property
    def clock_file(self) -> Path:
        """The file that holds the offset of the clock."""
        return self.folder / "clock"

    def move(self, new_york: str) -> None:
        """Let the clock stand at an instant of New York; from there it runs on. It never goes back."""
        instant = at_new_york(new_york)
        assert instant > self.now or not self.clock_file.exists(), "the clock never goes back"
        self.offset = instant - datetime.now(UTC)
        with open(self.clock_file, "r+b" if self.clock_file.exists() else "wb") as file:
            file.write(_OFFSET.pack(self.offset // timedelta(microseconds=1) * 1000))
        self.simulator.clock.set(instant)

    def pass_time(self, minutes: float) -> None:
        """Let some minutes pass at once."""
        self.move(f"{(self.now + timedelta(minutes=minutes)).astimezone(NEW_YORK):%Y-%m-%dT%H:%M:%S}")

    def start(self) -> subprocess.Popen[bytes]:
        """Start a daemon, which starts its code server."""
        home = dagster_home(self.settings)
        with open(self.folder / "daemon.log", "ab") as log:
            daemon = subprocess.Popen(
                [sys.executable, "-m", "dagster._daemon", "run", "-w", str(WORKSPACE)],
                env={**self.environment, "DAGSTER_HOME": str(home)}, cwd=home, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.daemons.append(daemon)
        return daemon

    def kill(self) -> None:
        """`kill -9` of every daemon, its code server and every run."""
        for daemon in self.daemons:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
        self.daemons.clear()

    def stop(self, daemon: subprocess.Popen[bytes]) -> None:
        """End one daemon as an operator does."""
        os.killpg(daemon.pid, signal.SIGTERM)
        daemon.wait(PATIENCE)
        self.daemons.remove(daemon)

    def command(self, *arguments: str) -> Any:
        """One command of the operator; its document where it was asked for one (`--json`), else its words."""
        command = [sys.executable, "-m", "trading_assets.cli", *arguments]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's records."""
        with dg.DagsterInstance.from_config(str(self.settings.data_dir / "dagster")) as instance:
            yield instance

    def runs(self, key: str = "", job: str | None = None) -> list[RunRecord]:
        """Runs whose reason begins with `key`, oldest first."""
        with self.instance() as instance:
            records = instance.get_run_records(RunsFilter(job_name=job))
        return [r for r in reversed(records) if r.dagster_run.tags.get(KEY_TAG, "").startswith(key)]

    def switch(self, schedule: str, on: bool) -> None:
        """Switch a schedule off or on, as an operator does in the UI."""
        with self.instance() as instance:
            (state,) = [state for state in instance.all_instigator_state() if state.instigator_name == schedule]
            instance.update_instigator_state(
                state.with_status(InstigatorStatus.RUNNING if on else InstigatorStatus.STOPPED)
            )

    def unfinished(self) -> list[str]:
        """Jobs of the runs that are queued or running."""
        with self.instance() as instance:
            return [record.dagster_run.job_name for record in instance.get_run_records(RunsFilter(statuses=UNFINISHED))]

    def ended(self, key: str, count: int = 1) -> list[RunRecord]:
        """Wait until `count` runs of a reason have ended, and all others too; their records."""
        done = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}

        def look() -> list[RunRecord]:
            found = self.runs(key)
            return (
                found
                if len(found) >= count and all(r.dagster_run.status in done for r in found) and not self.unfinished()
                else []
            )

        return self.until(look, f"{count} run(s) of {key!r}", impatient=True)

    def skipped(self, name: str, words: str) -> str:
        """Wait for a tick of a schedule or sensor at or after now that was skipped for a reason with these words; the
        reason."""
        since = self.now.timestamp() - 300

        def look() -> str:
            with self.instance() as instance:
                states = [state for state in instance.all_instigator_state() if state.instigator_name == name]
                for state in states:
                    for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=20):
                        if tick.timestamp >= since and words in (tick.skip_reason or ""):
                            return tick.skip_reason or ""
            return ""

        return self.until(look, f"a tick of {name} skipped for {words!r}", impatient=True)

    def until(self, look: Callable[[], T], what: str, *, impatient: bool = False) -> T:
        """Wait until something is there; tells the end of the daemon's log when it never is.

        `impatient`: while no run is at work, the five minutes to the next tick of the schedules pass at once.
        """
        idle_since = time.monotonic()

        def alive_and_there() -> T:
            nonlocal idle_since
            assert all(daemon.poll() is None for daemon in self.daemons), "a daemon has ended"
            found = look()
            if impatient and not found:
                if self.unfinished():
                    idle_since = time.monotonic()
                elif time.monotonic() - idle_since > TICK_SECONDS:
                    self.pass_time(5)
                    idle_since = time.monotonic()
            return found

        began = time.monotonic()
        try:
            there = eventually(alive_and_there, PATIENCE, BETWEEN_LOOKS)
            print(
                f"{self.now.astimezone(NEW_YORK):%Y-%m-%d %H:%M}  after {time.monotonic() - began:5.1f} s  {what}",
                flush=True,
            )
            return there
        except AssertionError as error:
            tail = (self.folder / "daemon.log").read_text(errors="replace")[-4000:]
            raise AssertionError(
                f"{what} never came; runs:"
                f" {[(r.dagster_run.tags.get(KEY_TAG), r.dagster_run.status) for r in self.runs()]}\n{tail}"
            ) from error

    def places_taken(self) -> int:
        """Places of the pool `ib` that runs hold."""
        with self.instance() as instance:
            return instance.event_log_storage.get_concurrency_info("ib").active_slot_count

    def journal(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer of the state database to a query."""
        with closing(sqlite3.connect(self.settings.data_dir / "state.db")) as connection:
            return connection.execute(sql).fetchall()

    def rows(self, sql: str) -> pd.DataFrame:
        """The answer of the lake to a query."""
        return query(self.settings.data_dir, sql).to_pandas()


@contextmanager
def world(folder: Path, simulator: Simulator, start: str, **changes: Any) -> Iterator[World]:
    """A world that begins at an instant of New York; ends with everything stopped."""
    found = World(folder, simulator, simulator.port, changes)
    found.move(start)
    try:
        yield found
    finally:
        found.kill()
        shutil.rmtree(found.settings.data_dir / "dagster", ignore_errors=True)
