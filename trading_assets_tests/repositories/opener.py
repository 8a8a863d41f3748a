"""Processes that open lakes of the older layout, for the tests of its migration. Run as a module:

| python -m trading_assets_tests.repositories.opener | |
| --- | --- |
| killed | reads `EVENT DIR` lines; a fork opens the lake, kills itself at that file event: `killed` or `ended EVENTS` |
| count DIR | waits for a line, then says how many rows each dataset has |
| nobody DIR | says it as the user `nobody`, who may not write there; started by root |
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from trading_assets.repositories.catalog import query
from trading_assets.repositories.layout import settle
from trading_assets.repositories.schemas import DATASETS

NOBODY = 65534


def rows(folder: Path) -> dict[str, int]:
    """Rows of each view."""
    return {name: int(query(folder, f"select count(*) as n from {name}")["n"][0].as_py()) for name in DATASETS}


def killed() -> None:
    """Fork a process for each line of standard input."""
    for line in sys.stdin:
        event, folder = line.rstrip("\n").split(" ", 1)
        if not (child := os.fork()):
            _open_until(Path(folder), int(event))
        status = os.waitpid(child, 0)[1]
        sys.stdout.write("killed\n" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}\n")
        sys.stdout.flush()


def _open_until(folder: Path, last: int) -> None:
    events = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        """Die just before the `last`-th opening, renaming or removing of a file of the lake."""
        nonlocal events
        if event in ("open", "os.rename", "os.remove", "os.rmdir") and str(arguments[0]).startswith(str(folder)):
            events += 1
            if events == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    settle(folder)
    os._exit(min(events, 255))


if __name__ == "__main__":
    if sys.argv[1] == "killed":
        killed()
    else:
        if sys.argv[1] == "nobody":
            rows(Path(sys.argv[2], "not", "there"))  # imports what is imported late: nobody may not read root's Python
            os.setuid(NOBODY)
        else:
            sys.stdin.readline()
        sys.stdout.write(json.dumps(rows(Path(sys.argv[2]))) + "\n")
