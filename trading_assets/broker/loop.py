"""An event loop in a thread of its own, for a client that serves synchronous callers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Work(Future[T]):
    """The end of a coroutine on a loop of another thread.

    Unlike the future of `asyncio.run_coroutine_threadsafe`, one that is cancelled ends when the coroutine has: what
    that does last, it has done.
    """

    def __init__(self, work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._on = loop
        self._task: asyncio.Task[T] | None = None
        loop.call_soon_threadsafe(self._begin, work)

    def cancel(self) -> bool:
        """Ask the coroutine to end; False when it has. Wait for the result to know that it has."""
        if self.done():
            return False
        with suppress(RuntimeError):  # the loop is closed: everything on it has ended
            self._on.call_soon_threadsafe(self._cancel_task)
        return True

    def _begin(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = self._on.create_task(work)
        self._task.add_done_callback(self._end)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task[T]) -> None:
        if task.cancelled():
            super().cancel()
            self.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            self.set_exception(error)
        else:
            self.set_result(task.result())


class LoopThread:
    """Starts on first use. The loop is the thread's own, as the client library wants it (it asks for "the current
    loop")."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def started(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None

    def submit(self, work: Coroutine[Any, Any, T]) -> Work[T]:
        """Run a coroutine on the loop; its end."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="broker", daemon=True)
                self._thread.start()
            return Work(work, self._loop)

    def stop(self) -> None:
        """Cancel what still runs, stop the loop and wait for the thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            rest = asyncio.all_tasks(loop)
            for task in rest:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        finally:
            asyncio.set_event_loop(None)
            loop.close()
