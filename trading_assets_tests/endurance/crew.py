"""A crew: processes that collect into lakes, started and awaited from a test. Not a test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from trading_assets.settings import Settings

ROOT = Path(__file__).parents[2]

PATIENCE = 90.0
"""Seconds after which a process that should have ended long ago counts as hanging; an undisturbed one takes two or
three."""


@dataclass(frozen=True)
class End:
    """How a process ended: the signal that killed it or its exit code, its report, and what it wrote."""

    signal: int | None
    code: int | None
    report: dict[str, Any] | None
    output: str
    note: str

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
    """The parent of the processes. `scratch` is a folder for their reports, outside of any lake."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._tasks: dict[int, dict[str, Any]] = {}
        self._numbers = 0
        command = [sys.executable, "-m", "trading_assets_tests.endurance.worker"]
        self._parent = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid in list(self._tasks):
            self.wait(pid, 0)
        self._parent.kill()
        self._parent.communicate()

    def start(
        self, settings: Settings, symbols: Sequence[str], *, dagster: bool = True, kill_at: int | None = None
    ) -> int:
        """Let a new process set the symbols up, through Dagster or by the steps below the assets; its process id.

        With `kill_at` it dies at that instant (see `instants`).
        """
        self._numbers += 1
        place = self._scratch / f"{self._numbers:03d}"
        task = {
            "settings": {
                **settings.model_dump(mode="json", exclude_none=True, exclude={"data_dir_setting"}),
                "data_dir": str(settings.data_dir),
            },
            "symbols": list(symbols),
            "dagster": dagster,
            "kill_at": kill_at,
            **{name: str(place.with_suffix(f".{name}")) for name in ("report", "output", "note")},
        }
        pid = int(self._ask({"do": "start", "task": task})["pid"])
        self._tasks[pid] = task
        return pid

    def wait(self, pid: int, seconds: float = PATIENCE) -> End:
        """The end of a process."""
        ended = self._ask({"do": "wait", "pid": pid, "seconds": seconds})
        task = self._tasks.pop(pid)
        report, output, note = (Path(task[name]) for name in ("report", "output", "note"))
        return End(
            ended["signal"],
            ended["code"],
            json.loads(report.read_text("utf-8")) if report.exists() else None,
            output.read_text("utf-8") if output.exists() else "",
            note.read_text("utf-8") if note.exists() else "",
        )

    def run(self, settings: Settings, symbols: Sequence[str], **arguments: Any) -> End:
        """Start a process and wait for its end."""
        return self.wait(self.start(settings, symbols, **arguments))

    def learn(self, end: End) -> None:
        """Spare the processes to come the imports that this one had to do."""
        assert end.report
        self._ask({"do": "learn", "modules": end.report["modules"]})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        line = self._parent.stdout.readline()
        assert line, "the parent of the working processes has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer
