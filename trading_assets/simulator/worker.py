"""The one thread that asks the market, so that the event loop keeps reading its sockets.

Like an executor with one thread, but it wakes the loop once for all answers that are ready instead of once for each:
between two threads of one interpreter every wake-up costs more than a small answer itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

_Job = tuple["asyncio.Future[Any]", Callable[[], Any]]


class MarketWorker:
    """Runs functions one after another in a thread of its own. Use it as a context manager inside a running event
    loop."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="simulated-market", daemon=True)

    def __enter__(self) -> MarketWorker:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)
        self._thread.join()

    def submit(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """The future result of `function`; what it raises, the future raises. A cancelled one is not run."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put((future, function))
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, function = job
            if future.cancelled():
                continue
            result, failure = None, None
            try:
                result = function()
            except Exception as error:  # handed to whoever awaits the future
                failure = error
            self._hand_over(future, result, failure)

    def _hand_over(self, future: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
        with self._lock:
            self._done.append((future, result, failure))
            wake, self._woken = not self._woken, True
        if wake and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        with self._lock:
            ready, self._done = self._done, deque()
            self._woken = False
        for future, result, failure in ready:
            if future.cancelled():
                continue
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)
