"""The simulator's own clock: live, pinned to an instant that tests move by hand, or running at a speed of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SimulatorClock:
    """What time it is in the simulated market. Thread-safe; all instants are aware and returned in UTC.

    Without an instant the clock is live (the machine's). With one it stands still until `set` or `advance`; after `run`
    so many market seconds pass in each real one. Limits, latencies and the duration of faults do not use it: a client
    paces itself by real time.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._pinned = None if now is None else _utc(now)
        self._speed = 0.0
        self._started = 0.0
        self._listeners: list[Callable[[], None]] = []
        self._moves = 0

    @property
    def moves(self) -> int:
        """How often the clock was moved by hand: who remembers it can tell whether `now` was since changed."""
        with self._lock:
            return self._moves

    @property
    def is_live(self) -> bool:
        """Whether it is the machine's clock."""
        with self._lock:
            return self._pinned is None

    @property
    def speed(self) -> float:
        """Market seconds that pass in a real one: 1 for a live clock, 0 for one that stands still."""
        with self._lock:
            return 1.0 if self._pinned is None else self._speed

    def now(self) -> datetime:
        """The present instant, UTC."""
        with self._lock:
            return self._now()

    def _now(self) -> datetime:
        if self._pinned is None:
            return datetime.now(UTC)
        if not self._speed:
            return self._pinned
        return self._pinned + timedelta(seconds=(time.monotonic() - self._started) * self._speed)

    def set(self, now: datetime | None) -> None:
        """Pin the clock to an instant, or let it run with the machine's clock (None)."""
        with self._lock:
            self._pinned = None if now is None else _utc(now)
            self._speed = 0.0
        self._moved()

    def run(self, speed: float = 1.0) -> None:
        """From the present instant on, let `speed` market seconds pass in each real one.

        Raises `ValueError` on a live clock and for a speed that is not positive.
        """
        if not 0 < speed < float("inf"):
            raise ValueError(f"A clock runs at a positive speed, not {speed!r}; pin() stops it.")
        with self._lock:
            if self._pinned is None:
                raise ValueError("A live clock has no speed of its own: give the instant at which it starts.")
            self._pinned = self._now()
            self._speed, self._started = float(speed), time.monotonic()
        self._moved()

    def pin(self) -> None:
        """Stop the clock at the present instant."""
        with self._lock:
            self._pinned, self._speed = self._now(), 0.0
        self._moved()

    def advance(self, step: timedelta | float) -> None:
        """Move a clock that is not live forward by a duration (a number means seconds); a running one goes on from
        there. Raises `ValueError` on a live clock."""
        delta = step if isinstance(step, timedelta) else timedelta(seconds=step)
        with self._lock:
            if self._pinned is None:
                raise ValueError("A live clock cannot be advanced: pin it with set() first.")
            self._pinned += delta
        self._moved()

    def _moved(self) -> None:
        with self._lock:
            self._moves += 1
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every `set`, `advance`, `run` and `pin`, in the thread that moved the clock."""
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
