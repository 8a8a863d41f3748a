"""The text that Prometheus reads, in time whatever the sources do.

Each source is read in a thread of its own, at most one at a time. A scrape waits for them up to `WAIT_SECONDS`: a state
database that is locked, or a server that does not answer, makes its own metrics absent and `source_up` 0, and no other.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry, Metric

from trading_assets.errors import TradingAssetsError
from trading_assets.monitoring.prometheus import families as f
from trading_assets.monitoring.prometheus.lake_metrics import LakeMetrics
from trading_assets.monitoring.prometheus.state_metrics import JournalMetrics, StateMetrics
from trading_assets.settings import Settings

WAIT_SECONDS = 5.0
"""Prometheus gives a scrape ten seconds by default."""

LAKE_SECONDS = 120.0
"""How long what was read of the lake counts: to judge 500 symbols takes three seconds of processor time."""

KEPT_SECONDS = 900.0
"""How long the last values of the lake are shown while it is read anew."""

FAILURES = (
    sa.exc.SQLAlchemyError,
    sqlite3.Error,
    duckdb.Error,
    pa.ArrowException,
    OSError,
    ValueError,
    TradingAssetsError,
)
"""What makes a source unavailable. Anything else is a defect: its traceback is in the log of `up`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a source. `at` is by the monotonic clock, `error` says why it could not be read."""

    metrics: tuple[Metric, ...]
    at: float
    seconds: float
    error: str = ""


class Source:
    """Some metrics that are read together. A reading counts for `fresh` seconds; while a later one goes on the former
    is shown until it is `kept` seconds old."""

    def __init__(self, name: str, read: Callable[[], Sequence[Metric]], fresh: float = 0.0, kept: float = 0.0) -> None:
        self.name = name
        self._read = read
        self._fresh, self._kept = fresh, kept
        self._last: Reading | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Read it, unless that goes on or was done just now."""
        with self._lock:
            if (self._thread is not None and self._thread.is_alive()) or self._recent(self._fresh) is not None:
                return
            self._thread = threading.Thread(target=self._work, name=f"metrics of {self.name}", daemon=True)
            self._thread.start()

    def reading(self, deadline: float) -> Reading:
        """What was read, waited for until the deadline (monotonic)."""
        thread = self._thread
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                late = Reading((), time.monotonic(), 0.0, f"It has not answered for {WAIT_SECONDS:.0f} s.")
                return self._recent(self._kept) or late
        return self._last or Reading((), time.monotonic(), 0.0, "It has not been read yet.")

    def _recent(self, seconds: float) -> Reading | None:
        last = self._last
        return last if last is not None and not last.error and time.monotonic() - last.at < seconds else None

    def _work(self) -> None:
        began = time.monotonic()
        metrics: tuple[Metric, ...] = ()
        error = "It could not be read: see the log."
        try:
            metrics, error = tuple(self._read()), ""
        except FAILURES as failure:
            error = f"{type(failure).__name__}: {str(failure).partition(chr(10))[0]}"
        finally:
            now = time.monotonic()
            self._last = Reading(metrics, now, now - began, error)


class Exposition:
    """The metrics of the platform of `settings`, and those of `more` sources."""

    def __init__(self, settings: Settings, more: Sequence[Source] = (), *, wait: float = WAIT_SECONDS) -> None:
        self._wait = wait
        self._sources = [
            Source("state", StateMetrics(settings).read),
            Source("journal", JournalMetrics(settings).read),
            Source("lake", LakeMetrics(settings).read, LAKE_SECONDS, KEPT_SECONDS),
            *more,
        ]

    def text(self) -> tuple[bool, bytes]:
        """Whether any source could be read, and the text; what is wrong with the others is said in comments."""
        deadline = time.monotonic() + self._wait
        for source in self._sources:
            source.begin()
        found = {source.name: source.reading(deadline) for source in self._sources}
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collected(found))
        said = "".join(f"# {name}: {reading.error}\n" for name, reading in found.items() if reading.error)
        return any(not reading.error for reading in found.values()), said.encode() + generate_latest(registry)


class _Collected:
    """Readings as what a registry collects."""

    def __init__(self, readings: dict[str, Reading]) -> None:
        self._readings = readings

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now, named = time.monotonic(), self._readings.items()
        yield f.SOURCE_UP.of(((name,), not reading.error) for name, reading in named)
        yield f.SOURCE_AGE.of(((name,), now - reading.at) for name, reading in named if not reading.error)
        yield f.SOURCE_READ.of(((name,), reading.seconds) for name, reading in named if not reading.error)
        for _, reading in named:
            yield from reading.metrics
