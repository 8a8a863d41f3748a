"""A crew: processes that collect into lakes, started and awaited from a test. Not a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trading_assets.settings import Settings
from trading_assets_tests.endurance.collect import by_the_steps, through_dagster
from trading_assets_tests.killing import forks
from trading_assets_tests.killing.forks import Child, ForkServer


@dataclass(frozen=True)
class End:
    """How a process ended: the signal that killed it or its exit code, its report, what it wrote, at which instant it
    was killed, and how many instants it had."""

    signal: int | None
    code: int | None
    report: dict[str, Any] | None
    output: str
    note: str
    instants: int = 0

    @property
    def success(self) -> bool:
        """Whether the operation ended with everything wanted in the lake."""
        return self.report is not None and bool(self.report["success"])

    @property
    def words(self) -> str:
        """What a failing test should show."""
        told = {} if self.report is None else {name: self.report[name] for name in ("success", "errors", "problems")}
        return f"signal {self.signal}, code {self.code}, {told}\n{self.note}\n{self.output[-4000:]}"


class Crew:
    """Starts the processes by a server of forks."""

    def __init__(self, server: ForkServer) -> None:
        self._forks = server

    def start(
        self, settings: Settings, symbols: Sequence[str], *, dagster: bool = True, kill_at: int | None = None
    ) -> Child:
        """Let a new process set the symbols up, through Dagster or by the steps below the assets.

        With `kill_at` it stands still at that instant (see `killing.instants`) until `wait` kills it.
        """
        work = through_dagster if dagster else by_the_steps
        how: dict[str, Any] = {"watched": (settings.data_dir,), "statements": True, "stop_at": kill_at, "or_near": True}
        return self._forks.start(work, settings, list(symbols), **how)

    def wait(self, child: Child) -> End:
        """The end of a process that is to end by itself."""
        return _end(child.wait())

    def run(
        self, settings: Settings, symbols: Sequence[str], *, dagster: bool = True, kill_at: int | None = None
    ) -> End:
        """Start a process and wait for its end; with `kill_at` it is killed at that instant."""
        child = self.start(settings, symbols, dagster=dagster, kill_at=kill_at)
        return _end(child.kill() if kill_at is not None and child.stopped() is not None else child.wait())


def _end(end: forks.End) -> End:
    return End(end.signal, end.code, end.result, end.output, end.at, end.instants)
