"""Backups and restores in processes of their own that die at a chosen step. Run as a module:

    python -m trading_assets_tests.backup.worker

reads one JSON order a line, `{"do": "backup", "restore" or "mend", "settings": {...}, "path": P, "watch": [P, ...],
"kill_at": N or null}`, forks a process that does it and kills itself just before the N-th opening, renaming, removing
or making of a file under the watched folders, and answers `{"signal": S or null, "code": C, "events": N}`. Not a test.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from trading_assets.backup import backup, restore
from trading_assets.doctor import mend
from trading_assets.settings import Settings

EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "sqlite3.connect"})


class Counter:
    """Counts the steps of this process on files under the folders; dies before the `last`-th."""

    def __init__(self, folders: list[str], last: int | None) -> None:
        self.count, self._folders, self._last = 0, tuple(folders), last
        sys.addaudithook(self._on_audit)

    def _on_audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and any(folder in str(arguments[0]) for folder in self._folders):
            self.count += 1
            if self.count == self._last:
                os.kill(os.getpid(), signal.SIGKILL)


def work(order: dict[str, Any]) -> int:
    """Do it; the steps it took."""
    settings = Settings(**order["settings"])
    counter = Counter(order["watch"], order["kill_at"])
    if order["do"] == "backup":
        backup(order["path"], settings)
    elif order["do"] == "restore":
        restore(order["path"], settings)
    else:
        mend(settings, backup=order["path"])
    return counter.count


def in_a_fork(order: dict[str, Any]) -> dict[str, Any]:
    """Its end."""
    if order["do"] == "mend":
        import trading_assets.definitions  # noqa: F401 - once, and not in each fork
    reading, writing = os.pipe()
    if not (child := os.fork()):
        code = 1
        try:
            os.write(writing, str(work(order)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as told:
        events = told.read()
    status = os.waitpid(child, 0)[1]
    signalled = os.WIFSIGNALED(status)
    return {
        "signal": os.WTERMSIG(status) if signalled else None,
        "code": None if signalled else os.WEXITSTATUS(status),
        "events": int(events or 0),
    }


def main() -> None:
    """One order after the other."""
    for line in sys.stdin:
        sys.stdout.write(json.dumps(in_a_fork(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
