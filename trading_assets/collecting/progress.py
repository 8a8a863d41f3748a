"""How long work reports its progress and its result: a listener that the command line draws and the UI does
without.

`listening(listener)` makes a listener hear every archive opened inside the block, in this thread: the command line runs
Dagster jobs in its own process and cannot hand the listener through them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from trading_assets.collecting.report import CollectionReport


class Progress(Protocol):
    """Told of every stage of a collection. Calls may come from several threads."""

    def begin(self, stage: str, total: int) -> None:
        """A stage of `total` requests begins; `stage` is a few words such as `option_bars`."""

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        """So many of the stage's requests are answered, so many were sent or taken from the journal."""

    def finish(self, report: CollectionReport) -> None:
        """A dataset's collection is in the lake."""


class Silent:
    """A listener that says nothing."""

    def begin(self, stage: str, total: int) -> None:
        """Nothing."""

    def advance(self, done: int, total: int, sent: int, reused: int) -> None:
        """Nothing."""

    def finish(self, report: CollectionReport) -> None:
        """Nothing."""


_SILENT = Silent()
_listener: ContextVar[Progress | None] = ContextVar("trading_assets_progress", default=None)


def listener() -> Progress:
    """Who listens in this context."""
    return _listener.get() or _SILENT


@contextmanager
def listening(progress: Progress) -> Iterator[None]:
    """Within the block, `progress` hears what archives of this context do."""
    token = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(token)
