"""What a client does as long as it wants streams: it says so in the state database, and sees that a recorder runs."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping

import sqlalchemy as sa

from trading_assets.errors import TradingAssetsError
from trading_assets.settings import Settings
from trading_assets.streaming.health import Subscription
from trading_assets.streaming.launch import launch, log_file
from trading_assets.streaming.registry import LiveRegistry

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""Between two looks whether a recorder runs: it bounds how long nothing is recorded after one was killed."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two starts of a recorder that ends at once: the first, doubled each time up to the longest."""

LIVED = 30.0
"""A recorder that ran this many seconds did not end at once: the next one is started without a pause."""


class Keeper:
    """Wants streams for this process, and starts a recorder whenever none runs. `start` is what starts one."""

    def __init__(
        self,
        settings: Settings,
        registry: LiveRegistry,
        start: Callable[[Settings], subprocess.Popen[bytes]] = launch,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._start = start
        self._wanted: dict[str, int] = {}
        self._began = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pause, self._started, self._next = FIRST_PAUSE, 0.0, 0.0

    @property
    def wanted(self) -> list[Subscription]:
        """What is wanted now."""
        with self._lock:
            return [Subscription(symbol, options) for symbol, options in self._wanted.items()]

    @property
    def closed(self) -> bool:
        """Whether `close` was called: nothing is kept any more."""
        return self._closed.is_set()

    def follows(self, symbol: str) -> bool:
        """Whether updates of a symbol concern this process: those of all symbols until it has wanted something."""
        return symbol in self._wanted or not self._began

    def add(self, options_by_symbol: Mapping[str, int]) -> None:
        """Want these too; of a symbol that is wanted already the new number of options counts."""
        with self._lock:
            self._began = True
            self._wanted.update(options_by_symbol)
            self._registry.want(Subscription(symbol, options) for symbol, options in self._wanted.items())
            if self._wanted and self._thread is None:
                self._thread = threading.Thread(target=self._keep, name="streaming-keeper", daemon=True)
                self._thread.start()

    def drop(self, symbols: Collection[str] | None) -> None:
        """Want these no more; None: nothing any more."""
        with self._lock:
            if not self._wanted:
                return
            for symbol in list(self._wanted) if symbols is None else symbols:
                self._wanted.pop(symbol, None)
            self._registry.want(Subscription(symbol, options) for symbol, options in self._wanted.items())

    def close(self) -> None:
        """Want nothing any more. A recorder that was started here ends by itself when nobody else wants anything."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._registry.close()

    def _keep(self) -> None:
        while not self._closed.is_set():
            try:
                self._look()
            except (sa.exc.SQLAlchemyError, TradingAssetsError, OSError):
                logger.warning("No recorder could be looked for or started; it is tried again.", exc_info=True)
            self._closed.wait(LOOK_SECONDS)

    def _look(self) -> None:
        with self._lock:
            wanted = [Subscription(symbol, options) for symbol, options in self._wanted.items()]
            self._registry.want(wanted)  # again: an owner whose heart stood still was taken for dead
        ended = self._process is not None and self._process.poll() is not None
        if ended:
            self._process = None
        if not wanted or self._process is not None or self._registry.state().running:
            return
        now = time.monotonic()
        if now - self._started > LIVED:
            self._pause, self._next = FIRST_PAUSE, 0.0
        if now < self._next:
            return
        logger.info(
            "No recorder runs: one is started. It writes what happens to %s.", log_file(self._settings.data_dir)
        )
        self._process = self._start(self._settings)
        self._started, self._next = now, now + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
