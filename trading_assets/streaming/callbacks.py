"""Who is handed each update: functions in a thread of their own, and coroutines. One that is slow or raises loses its
own updates, which are counted, and delays nobody else."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from trading_assets.plain import Plain
from trading_assets.streaming.updates import QuoteUpdate

logger = logging.getLogger(__name__)

Callback = Callable[[QuoteUpdate], Any]

WAITING_MOST = 50_000
"""Updates that wait for a callback at most; the oldest are lost then. Ten seconds at 5,000 updates a second."""


@dataclass(frozen=True, slots=True)
class CallbackCounts(Plain):
    """What became of the updates for a callback. `failed` is how often it raised, `error` what it raised last."""

    name: str
    delivered: int
    waiting: int
    lost: int
    failed: int
    error: str

    def sentence(self) -> str:
        """What is wrong with it; empty where nothing is."""
        said = []
        if self.failed:
            said.append(f"raised {self.failed} time(s), last {self.error}")
        if self.lost:
            said.append(f"was too slow and lost {self.lost} update(s)")
        return f"The callback {self.name} {' and '.join(said)}. The recording is not affected." if said else ""


class Waiting:
    """Updates that wait to be taken, in order, `WAITING_MOST` at most; `wake` is called when there are some again, and
    at the end."""

    def __init__(self, name: str, wake: Callable[[], object]) -> None:
        self._name = name
        self._wake = wake
        self._updates: deque[QuoteUpdate] = deque()
        self._lock = threading.Lock()
        self._ended = False
        self._delivered = self._lost = self._failed = 0
        self._error = ""

    def put(self, updates: Sequence[QuoteUpdate]) -> None:
        """Hand updates over, from any thread; returns at once."""
        with self._lock:
            self._updates.extend(updates)
            too_many = max(0, len(self._updates) - WAITING_MOST)
            for _ in range(too_many):
                self._updates.popleft()
            self._lost += too_many
        self._wake()

    def counts(self) -> CallbackCounts:
        """What became of the updates so far."""
        return CallbackCounts(self._name, self._delivered, len(self._updates), self._lost, self._failed, self._error)

    def close(self) -> None:
        """End it, from any thread."""
        self._ended = True
        self._wake()

    def _take(self) -> QuoteUpdate | None:
        """The oldest; None where none waits."""
        with self._lock:
            return self._updates.popleft() if self._updates else None


class CallbackThread(Waiting):
    """Calls `callback` with each update that is `put`, in order. When it is closed no call begins; one that is under
    way is not waited for: it may never end."""

    def __init__(self, callback: Callback) -> None:
        self._event = threading.Event()
        super().__init__(getattr(callback, "__qualname__", None) or repr(callback), self._event.set)
        self.callback = callback
        threading.Thread(target=self._work, name=f"on_quote-{self._name}", daemon=True).start()

    def _work(self) -> None:
        while not self._ended:
            update = self._take()
            if update is not None:
                self._call(update)
            elif self._event.wait():
                self._event.clear()

    def _call(self, update: QuoteUpdate) -> None:
        try:
            self.callback(update)
        except Exception as error:
            # A user's own code: what it raises is counted and shown in the health, and the next update comes.
            self._failed += 1
            self._error = f"{type(error).__name__}: {error}"
            if self._failed == 1:
                logger.warning(
                    "The callback %s raised; its further errors are only counted.", self._name, exc_info=True
                )
        else:
            self._delivered += 1


class AsyncUpdates(Waiting):
    """The updates for one `async for`, on the event loop that runs now. When it is closed the iteration ends once it
    has taken what waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        super().__init__("quotes()", self._set_event)

    async def __aiter__(self) -> AsyncIterator[QuoteUpdate]:
        while True:
            update = self._take()
            if update is None:
                if self._ended:
                    return
                await self._event.wait()
                self._event.clear()
            else:
                self._delivered += 1
                yield update

    def _set_event(self) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
            self._loop.call_soon_threadsafe(self._event.set)
