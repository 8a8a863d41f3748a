"""Instants of a working process: every step it takes on its files and databases, counted, and the power to die at one
of them.

Not a test. A kill from outside comes whenever the machine gets to it; a kill by count comes at the same step each time,
and the counts of an undisturbed run say how many there are.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa

FILE_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir"})


class Instants:
    """Counts, from now on, the steps of this process on `folder` and on every database; dies by SIGKILL just before the
    `last`-th.

    Steps are: a file below the folder is opened (locks, temporary files, synced files), moved or removed; a statement
    is executed or a transaction committed (the journal's and Dagster's alike). What the last step was is written to
    `note`.
    """

    def __init__(self, folder: Path, last: int | None, note: Path) -> None:
        self.count = 0
        self._folder = str(folder)
        self._last = last
        self._note = str(note)
        self._lock = threading.Lock()
        sys.addaudithook(self._on_audit)
        sa.event.listen(sa.engine.Engine, "commit", self._on_commit)
        sa.event.listen(sa.engine.Engine, "before_cursor_execute", self._on_statement)

    def _on_audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS and str(arguments[0]).startswith(self._folder):
            self._step(f"{event} {str(arguments[0]).removeprefix(self._folder)}")

    def _on_commit(self, connection: sa.Connection) -> None:
        self._step(f"commit in {_database(connection)}")

    def _on_statement(self, connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        self._step(f"{' '.join(statement.split()[:3])} in {_database(connection)}")

    def _step(self, words: str) -> None:
        with self._lock:
            self.count += 1
            if self.count != self._last:
                return
            descriptor = os.open(self._note, os.O_CREAT | os.O_WRONLY)
            os.write(descriptor, words.encode())
            os.kill(os.getpid(), signal.SIGKILL)


def _database(connection: sa.Connection) -> str:
    return Path(connection.engine.url.database or "").name
