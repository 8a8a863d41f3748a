"""Processes that collect, each the child of one parent that has imported the platform once. Run as a module.

    python -m trading_assets_tests.endurance.worker

reads one JSON order a line and answers each with one JSON line:

    {"do": "start", "task": {...}}          -> {"pid": N}         a child begins the task
    {"do": "wait", "pid": N, "seconds": S}  -> {"signal": N|null, "code": N|null}   its end; it is killed after S seconds

Not a test. A child costs a fork in place of the seconds that importing Dagster takes; it shares nothing else with its
siblings: the parent has no thread, no connection and no open file of a lake.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from trading_assets.jobs.orchestrator import DataPipelineOrchestrator
from trading_assets.settings import Settings
from trading_assets_tests.endurance.instants import Instants

POLL = 0.002
"""Seconds between two looks at a child that is waited for."""


def collect(task: dict[str, Any]) -> None:
    """Set symbols up as a user's command would, and write the operation's record to `task["report"]`."""
    settings = Settings(**task["settings"])
    instants = Instants(settings.data_dir, task.get("kill_at"), Path(task["note"]))
    operation = DataPipelineOrchestrator(settings=settings).setup(task["symbols"], task["lookback_days"], task["options"])
    report = {**operation.as_dict(), "instants": instants.count}
    Path(task["report"]).write_text(json.dumps(report), "utf-8")


def start(task: dict[str, Any]) -> int:
    """Fork a child that does the task; its process id. Its output goes to `task["output"]`."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        output = os.open(task["output"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.close(0)
        collect(task)
        code = 0
    except BaseException:  # noqa: BLE001  (the child's last words: it must not go on as its parent)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int, seconds: float) -> dict[str, int | None]:
    """How the child ended; it is killed when it has not after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            signalled = os.WIFSIGNALED(status)
            return {"signal": os.WTERMSIG(status) if signalled else None, "code": None if signalled else os.WEXITSTATUS(status)}
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(POLL)


def main() -> None:
    """Serve orders until the input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        answer = {"pid": start(order["task"])} if order["do"] == "start" else wait(order["pid"], order["seconds"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
