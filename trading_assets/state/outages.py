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
"""Seconds for which what a server did not do is repeated. Less than `owners.OWNER_TIMEOUT`: whoever has waited so long
and goes on was not taken for dead meanwhile."""

REPEAT_SECONDS = 0.5
"""Seconds between two attempts."""


def is_outage(error: BaseException) -> bool:
    """Whether a server did not answer, where it may in a moment. A file has no outages: the disk that is full now is
    full in a moment, and SQLite itself waits for locks."""
    if not isinstance(error, sa.exc.DBAPIError) or isinstance(error.orig, sqlite3.Error):
        return False
    return error.connection_invalidated or isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


class OutageRetry:
    """Repeats functions while the server does not answer, for `OUTAGE_SECONDS` from the first failure on. After that
    each failure is raised at once, until something succeeds. Thread-safe.

    The functions must be safe to repeat: where the answer to a commit is lost, it has happened. `on_outage` is called
    when one begins, in the thread that found it.
    """

    def __init__(self) -> None:
        self.on_outage: Callable[[], None] = lambda: None
        self._since: float | None = None

    def __call__(self, function: Callable[[], T]) -> T:
        """What the function returns. Raises what it raises."""
        while True:
            try:
                value = function()
            except sa.exc.DBAPIError as error:
                if not is_outage(error):
                    raise
                now = time.monotonic()
                if self._since is None:
                    self._since = now
                    why = str(error).partition("\n")[0]
                    logger.warning("The state database does not answer (%s): repeated for a minute.", why)
                    self.on_outage()
                elif now - self._since > OUTAGE_SECONDS:
                    raise
                time.sleep(REPEAT_SECONDS)
            else:
                self._since = None
                return value


class DatabaseThreads(ThreadPoolExecutor):
    """Threads that wait for the state database in place of an event loop, also through an outage."""

    def __init__(self, threads: int, name: str, retry: OutageRetry) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self._retry = retry

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call a function that is safe to repeat, in a thread."""
        return super().submit(self._retry, partial(fn, *args, **kwargs))
