"""Processes that collect, each the child of one parent that has imported the platform once. Run as a module.

    python -m trading_assets_tests.endurance.worker

reads one JSON order a line and answers each with one JSON line:

    {"do": "start", "task": {...}}          -> {"pid": N}         a child begins the task
    {"do": "wait", "pid": N, "seconds": S}  -> {"signal": N|null, "code": N|null}   its end; killed after S
    {"do": "learn", "modules": [...]}       -> {}                 imports for all children to come

Not a test. A child costs a fork in place of the seconds that importing Dagster takes; it shares nothing else with its
siblings: the parent has no thread, no connection and no open file of a lake.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets_tests.endurance.collect import by_the_steps, through_dagster
from trading_assets_tests.endurance.instants import Instants

POLL = 0.002
"""Seconds between two looks at a child that is waited for."""


def collect(task: dict[str, Any]) -> None:
    """Set symbols up, through Dagster as a user's command would or by the steps alone, and write what it came to to
    `task["report"]`."""
    settings = Settings(**task["settings"])
    instants = Instants(settings.data_dir, task["kill_at"], Path(task["note"]))
    work = through_dagster if task["dagster"] else by_the_steps
    report = work(settings, task["symbols"])
    Path(task["report"]).write_text(
        json.dumps({**report, "instants": instants.count, "modules": sorted(sys.modules)}), "utf-8"
    )


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
    except BaseException:
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
            return {
                "signal": os.WTERMSIG(status) if signalled else None,
                "code": None if signalled else os.WEXITSTATUS(status),
            }
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(POLL)


def learn(modules: list[str]) -> None:
    """Import what children import while they work, so that the next ones need not."""
    for name in modules:
        with suppress(ImportError):
            importlib.import_module(name)
    calendar()


def main() -> None:
    """Serve orders until the input ends."""
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, int | None] = {}
        if order["do"] == "start":
            answer = {"pid": start(order["task"])}
        elif order["do"] == "wait":
            answer = wait(order["pid"], order["seconds"])
        else:
            learn(order["modules"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
