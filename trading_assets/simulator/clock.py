"""The simulator's own clock: live, or pinned to an instant that tests move by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SimulatorClock:
    """What time it is in the simulated market. Thread-safe; all instants are aware and returned in UTC.

    Without an instant the clock is live (the machine's). With one it stands still until `set` or `advance`.
    Limits and latencies do not use it: a client paces itself by real time.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._pinned = None if now is None else _utc(now)
        self._listeners: list[Callable[[], None]] = []
        self._moves = 0

    @property
    def moves(self) -> int:
        """How often the clock was moved by hand: who remembers it can tell whether `now` was since changed."""
        with self._lock:
            return self._moves

    @property
    def is_live(self) -> bool:
        """Whether time passes by itself."""
        with self._lock:
            return self._pinned is None

    def now(self) -> datetime:
        """The present instant, UTC."""
        with self._lock:
            return self._pinned or datetime.now(UTC)

    def set(self, now: datetime | None) -> None:
        """Pin the clock to an instant, or let it run with the machine's clock (None)."""
        with self._lock:
            self._pinned = None if now is None else _utc(now)
            self._moves += 1
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def advance(self, step: timedelta | float) -> None:
        """Move a pinned clock forward by a duration (a number means seconds). Raises `ValueError` on a live clock."""
        delta = step if isinstance(step, timedelta) else timedelta(seconds=step)
        with self._lock:
            if self._pinned is None:
                raise ValueError("A live clock cannot be advanced: pin it with set() first.")
            self._pinned += delta
            self._moves += 1
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every `set` and `advance`, in the thread that moved the clock."""
        with self._lock:
            self._listeners.append(listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Stop calling `listener`."""
        with self._lock:
            self._listeners.remove(listener)


def _utc(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError(f"{now!r} has no time zone: give an instant with a zone, for example 2015-12-24T13:30-05:00.")
    return now.astimezone(UTC)
