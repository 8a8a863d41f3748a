"""A state database on a server that does not answer for a moment: it is started again, or the network is gone."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import sqlalchemy as sa

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

OUTAGE_SECONDS = 60.0
"""Seconds within which what a server did not do is begun again, from the beginning of the first failed attempt. With
the time to connect and the age of a heartbeat less than `owners.OWNER_TIMEOUT`: whoever goes on was not taken for dead
meanwhile."""

REPEAT_SECONDS = 0.5
"""Seconds between two attempts."""

INTERRUPTED_SECONDS = 5.0
"""Seconds for which attempts go on when their run is interrupted."""

_OUTAGES = {"25006", "53300", "57P01", "57P02", "57P03", "57P05"}
"""Codes of PostgreSQL beside those of connections (08): a replica that is not promoted yet, too many connections, the
server shuts down or starts. Not: a full disk, a lock that is not given, a statement that takes too long."""


def is_outage(error: BaseException) -> bool:
    """Whether a server did not answer, where it may in a moment. A file has no outages: the disk that is full now is
    full in a moment, and SQLite itself waits for locks."""
    if isinstance(error, sa.exc.TimeoutError):  # all connections of this process wait for the server
        return True
    if not isinstance(error, sa.exc.DBAPIError) or isinstance(error.orig, sqlite3.Error):
        return False
    code: str | None = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlstate", None)
    if error.connection_invalidated or code is None:  # none: there was no connection
        return error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return code.startswith("08") or code in _OUTAGES


class OutageRetry:
    """Repeats functions while the server does not answer: each for `OUTAGE_SECONDS` at most, and all together for as
    long from the first failure on, until something succeeds. Thread-safe.

    The functions must be safe to repeat: where the answer to a commit is lost, it has happened. `on_outage` is called
    when one begins, in the thread that found it.
    """

    def __init__(self) -> None:
        self.on_outage: Callable[[], None] = lambda: None
        self._since: float | None = None
        self._interrupted_at: float | None = None

    def begin(self) -> None:
        """A run begins: earlier failures and interrupts do not count."""
        self._since = self._interrupted_at = None

    def interrupt(self) -> None:
        """The run was interrupted: attempts end after `INTERRUPTED_SECONDS`."""
        if self._interrupted_at is None:
            self._interrupted_at = time.monotonic()

    def __call__(self, function: Callable[[], T]) -> T:
        """What the function returns. Raises what it raises."""
        mine: float | None = None
        while True:
            began = time.monotonic()
            try:
                value = function()
            except sa.exc.SQLAlchemyError as error:
                if not is_outage(error):
                    raise
                mine = began if mine is None else mine
                since = self._since  # another thread may set it back meanwhile
                if since is None:
                    self._since = since = began
                    why = str(error).partition("\n")[0]
                    logger.warning("The state database does not answer (%s): repeated for a minute.", why)
                    self.on_outage()
                if time.monotonic() + REPEAT_SECONDS > self._last(min(mine, since)):
                    raise
                time.sleep(REPEAT_SECONDS)
            else:
                self._since = None
                return value

    def _last(self, since: float) -> float:
        """The instant after which no attempt begins."""
        last, interrupted_at = since + OUTAGE_SECONDS, self._interrupted_at
        return last if interrupted_at is None else min(last, interrupted_at + INTERRUPTED_SECONDS)


class DatabaseThreads(ThreadPoolExecutor):
    """Threads that wait for the state database in place of an event loop, also through an outage."""

    def __init__(self, threads: int, name: str, retry: OutageRetry) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._retry = retry

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function that is safe to repeat, in a thread."""
        return super().submit(self._retry, partial(fn, *args, **kwargs))
