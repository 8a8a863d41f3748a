"""Instants of a working process: every step it takes on its files and databases, counted, and a stop at one of them.

Not a test. A kill that comes whenever the machine gets to it hits another step each time; a stop by count comes at the
same step, and the count of an undisturbed operation says how many there are.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

INSTANTS = 10
"""Kills of each operation."""

NEAR = 0.9
"""The part of the steps before an instant that counts as near it: the number of steps of an operation depends a little
on what works beside it (a lock that was waited for, a database that was opened once more)."""

FILE_EVENTS = frozenset(
    {
        "open",
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.symlink",
        "os.link",
        "shutil.rmtree",
        "sqlite3.connect",
    }
)


def spread(steps: int, count: int = INSTANTS) -> list[int]:
    """That many different instants among `steps`, the first and the last among them."""
    assert steps > count, f"{steps} steps have no {count} instants between which anything happens"
    return [1 + i * (steps - 1) // (count - 1) for i in range(count)]


class Instants:
    """Counts, from now on, the steps of this process below `watched` and, with `statements`, on every database; calls
    `stop` with the step in words just before the `last`-th. No thread takes a further step then.

    Steps are: a file is opened (locks, temporary files, synced files), linked, moved or removed, a folder is made or
    removed, a SQLite database is opened; with `statements` SQLAlchemy executes a statement or commits a transaction
    (the journal's and Dagster's alike).
    """

    def __init__(
        self, watched: Sequence[Path], last: int | None, stop: Callable[[str], None], *, statements: bool
    ) -> None:
        self.count = 0
        self._watched = tuple(map(str, watched))
        self._last, self._stop = last, stop
        self._lock = threading.Lock()
        sys.addaudithook(self._on_audit)
        if statements:
            sa.event.listen(sa.engine.Engine, "commit", self._on_commit)
            sa.event.listen(sa.engine.Engine, "before_cursor_execute", self._on_statement)

    def end(self) -> None:
        """Nothing follows: stop when the instant was not reached, though nearly all steps before it were taken."""
        if self._last and NEAR * self._last <= self.count < self._last:
            self._stop(f"its end, {self.count} steps in place of {self._last}")

    def _on_audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in FILE_EVENTS:
            names = (str(given).removeprefix("file://") for given in arguments[:2])
            below = (name.removeprefix(folder) for name in names for folder in self._watched if name.startswith(folder))
            if (name := next(below, None)) is not None:
                self._step(f"{event} {name}")

    def _on_commit(self, connection: sa.Connection) -> None:
        self._step(f"commit in {_database(connection)}")

    def _on_statement(self, connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        self._step(f"{' '.join(statement.split()[:3])} in {_database(connection)}")

    def _step(self, words: str) -> None:
        with self._lock:
            self.count += 1
            if self.count == self._last:
                self._stop(words)


def _database(connection: sa.Connection) -> str:
    return Path(connection.engine.url.database or "").name
