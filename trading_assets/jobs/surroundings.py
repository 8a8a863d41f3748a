"""What a run leaves as it found it: warnings filters, the level of Dagster's logger and the handler of SIGTERM.

Notices of libraries are not shown meanwhile.

Warnings filters and log levels are the process's and not the thread's: the first of several runs at once changes them,
the last one sets them back.
"""

from __future__ import annotations

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

LIBRARIES = (
    r"(alembic|apprise|dagster|dagster_shared|duckdb|eventkit|exchange_calendars|ib_async|ib_insync|matplotlib|numpy|pandas"
    r"|numba|pyarrow|pydantic|sqlalchemy)(\.|$)"
)
"""Modules whose own warnings are not for the caller: they are about how libraries use each other."""

NOTICES = "(Parameter `backfill_policy` of|Specifying a partitions_def on an AssetCheckSpec)"
"""How the notices begin that Dagster gives of our definitions: about parts that the platform uses knowingly."""

_lock = threading.Lock()
_running = 0
_set_back = ExitStack()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Within the block Dagster may run; afterwards the process is as before."""
    with _sigterm_kept():
        _enter()
        try:
            yield
        finally:
            _leave()


def _enter() -> None:
    global _running
    with _lock:
        _running += 1
        if _running == 1:
            _set_back.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=LIBRARIES)
            warnings.filterwarnings("ignore", message=NOTICES)
            dagster_logger = logging.getLogger("dagster")
            _set_back.callback(dagster_logger.setLevel, dagster_logger.level)  # each run sets it to DEBUG


def _leave() -> None:
    global _running
    with _lock:
        _running -= 1
        if not _running:
            _set_back.close()


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Dagster gives SIGTERM the handler of SIGINT, for good. Only the main thread can set it back, and only there
    Dagster does so."""
    found = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # None: a handler that was not installed from Python, which cannot be set either
        if threading.current_thread() is threading.main_thread() and found is not None:
            signal.signal(signal.SIGTERM, found)
