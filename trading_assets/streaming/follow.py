"""Following the store: one thread of a client reads what is new and hands it to whoever wants it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from trading_assets.errors import LakeError
from trading_assets.streaming.callbacks import Waiting
from trading_assets.streaming.store.tail import LiveTail
from trading_assets.streaming.updates import QuoteUpdate

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.02
"""Between two looks for new updates: the recorder writes as often."""

BUSY_SECONDS = 0.005
"""The same while updates come: with the recorder's own time this is all that they wait."""

CALM_SECONDS = 1.0
"""Updates count as coming for so long after the last one."""

AGAIN_SECONDS = 1.0
"""After a look that failed."""


class Follower:
    """Hands the updates of `tail` that are `wanted` to its sinks, from the first sink on until `close`."""

    def __init__(self, tail: Callable[[], LiveTail], wanted: Callable[[QuoteUpdate], bool]) -> None:
        self._open_tail = tail
        self._wanted = wanted
        self._sinks: list[Waiting] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, sink: Waiting) -> None:
        """Hand updates to this one too, from now on."""
        with self._lock:
            self._sinks.append(sink)
            if self._thread is None:
                tail = self._open_tail()  # here and not in the thread: what comes from now on is not missed
                self._thread = threading.Thread(target=self._follow, args=(tail,), name="streaming-tail", daemon=True)
                self._thread.start()

    def remove(self, sink: Waiting) -> None:
        """Hand it nothing any more."""
        with self._lock:
            if sink in self._sinks:
                self._sinks.remove(sink)

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _follow(self, tail: LiveTail) -> None:
        came = -CALM_SECONDS
        try:
            while not self._closed.wait(BUSY_SECONDS if time.monotonic() - came < CALM_SECONDS else LOOK_SECONDS):
                if updates := self._new(tail):
                    came = time.monotonic()
                    self._hand_on(updates)
        finally:
            tail.close()

    def _new(self, tail: LiveTail) -> list[QuoteUpdate]:
        try:
            return [update for update in tail.poll() if self._wanted(update)]
        except (OSError, LakeError):
            logger.warning("New live updates could not be read; they are read again.", exc_info=True)
            self._closed.wait(AGAIN_SECONDS)
            return []

    def _hand_on(self, updates: Sequence[QuoteUpdate]) -> None:
        with self._lock:
            sinks = list(self._sinks)
        for sink in sinks:
            sink.put(updates)
