"""The process that records: one a lake, by lease in the state database. It never imports Dagster.

`python -m trading_assets.streaming.process [--universe] [--log-to-file]`. Clients start it (`launch`) when they want
streams and none runs; it ends when nobody has wanted anything for a while, on SIGTERM and on SIGINT. With `--universe`,
as `up --live` starts it, it also wants the active symbols, waits for the lease where a client's recorder has it, and
goes on until it is stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType

import sqlalchemy as sa

from trading_assets.errors import LakeBusy, TradingAssetsError
from trading_assets.permissions import PRIVATE_UMASK, private_folder
from trading_assets.sessions import Clock
from trading_assets.settings import Settings
from trading_assets.simulator.embedded import EmbeddedSimulator
from trading_assets.streaming.health import StreamHealth, Subscription
from trading_assets.streaming.launch import TO_FILE, file_handler
from trading_assets.streaming.recorder import Recorder
from trading_assets.streaming.registry import LiveRegistry
from trading_assets.streaming.replay_clock import ReplayClock
from trading_assets.streaming.reporting import reporting
from trading_assets.streaming.store import LiveWriter
from trading_assets.universe import Universe

logger = logging.getLogger("trading_assets.streaming.process")  # run as a program, its own name is another

LINGER_SECONDS = 10.0
"""How long nobody must have wanted anything before a recorder ends by itself: a script that is run again finds the
connection made."""

HANGS_SECONDS = 60.0
"""A recorder that has not said for so long how its streams are hangs: its process ends itself, and is started anew."""

HANGING = 70
"""The exit code then."""

LEASE_SECONDS = 1.0
"""Between two attempts to get the lease with `--universe`."""

WRITER_SECONDS = 15.0
"""How long the writer's lock is waited for: sealing what a recorder left takes seconds."""


class RecorderProcess:
    """What is around the `Recorder`: the lease, who wants what, the health, and when it ends."""

    def __init__(self, settings: Settings, *, universe: bool = False) -> None:
        self._settings = settings
        self._universe = universe
        self._registry = LiveRegistry(settings.state_url)
        self._asked, self._over = threading.Event(), threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted_at = self._spoke_at = time.monotonic()
        self._speaking = False
        self._last: Sequence[Subscription] = ()
        self._seen_at = 0.0

    def run(self) -> int:
        """Record until the end; the exit code."""
        reason = ""
        with ExitStack() as around:  # left after the lease is given back: the last report says why it was
            try:
                if not self._lease():
                    return 0
                settings, clock = around.enter_context(broker_of(self._settings))
                around.enter_context(reporting(settings))
                self._record(settings, clock)
            except TradingAssetsError as error:
                reason = error.as_stored
                logger.error("%s", reason)
            except Exception as error:
                reason = f"The recorder failed unexpectedly: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
                logger.critical("%s", reason, exc_info=True)
                raise
            finally:
                self._registry.release(reason)
                self._registry.close()
        return int(bool(reason))

    def end(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Ask for the end; from any thread, and from a signal handler."""
        self._asked.set()
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._stop.set)

    def _lease(self) -> bool:
        """Take the lease. Without `--universe` the recorder that has it serves everybody, and this one is not
        needed."""
        while not self._asked.is_set():
            if self._universe:
                self._want_universe()
            if self._registry.take():
                return True
            if not self._universe:
                logger.info("Another recorder of this lake is running: this one ends.")
                return False
            self._asked.wait(LEASE_SECONDS)
        return False

    def _record(self, settings: Settings, clock: Clock) -> None:
        writer = self._writer(settings, clock)
        logger.info("The recorder of %s has started.", settings.data_dir)
        watch = threading.Thread(target=self._watch, name="recorder-watch", daemon=True)
        watch.start()
        try:
            recorder = Recorder(settings, writer, wanted=self._wanted, publish=self._publish, clock=clock)
            with asyncio.Runner() as runner:
                runner.run(self._until_asked(recorder))
        finally:
            writer.close()
            self._over.set()
            watch.join()

    def _writer(self, settings: Settings, clock: Clock) -> LiveWriter:
        """The writer, once nobody else writes: a run of Dagster may be sealing what a killed recorder left."""
        end = time.monotonic() + WRITER_SECONDS
        while True:
            try:
                return LiveWriter(settings.data_dir, clock=clock)
            except LakeBusy:
                if time.monotonic() > end or self._asked.wait(LEASE_SECONDS):
                    raise

    async def _until_asked(self, recorder: Recorder) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        if self._asked.is_set():
            self._stop.set()
        await recorder.run(self._stop)

    def _wanted(self) -> Sequence[Subscription]:
        """What everybody wants; called in a worker thread."""
        self._seen_at = self._registry.looked_at  # the recorder has acted on what was wanted then
        try:
            if self._universe:
                self._want_universe()
            wanted = self._registry.wanted()
        except sa.exc.SQLAlchemyError:
            logger.warning("The state database could not be asked who wants what: nothing changes.", exc_info=True)
            return self._last
        self._last, now = wanted, time.monotonic()
        if wanted or self._universe:
            self._wanted_at = now
        elif now - self._wanted_at > LINGER_SECONDS:
            logger.info("Nobody has wanted a stream for %.0f seconds: the recorder ends.", LINGER_SECONDS)
            self.end()
        return wanted

    def _want_universe(self) -> None:
        active = Universe(self._settings.state_url).active()
        self._registry.want(Subscription(symbol, self._settings.live_options) for symbol in active)

    def _publish(self, streams: Sequence[StreamHealth]) -> None:
        """Say how the streams are; called in a worker thread."""
        self._speaking = True
        try:
            if not self._registry.publish(streams, self._seen_at):
                logger.error("Another process has taken the lease of this lake: this recorder ends.")
                self.end()
        except sa.exc.SQLAlchemyError:
            logger.warning("The state database could not be told how the streams are.", exc_info=True)
        finally:
            self._speaking, self._spoke_at = False, time.monotonic()

    def _watch(self) -> None:
        """End the process when its event loop hangs, also while it ends: a recorder that is there and records nothing
        is worse than none."""
        while self._speaking or time.monotonic() - self._spoke_at < HANGS_SECONDS:
            if self._over.wait(1.0):
                return
        logger.critical("The recorder has not said for %.0f seconds how its streams are.", HANGS_SECONDS)
        os._exit(HANGING)


@contextmanager
def broker_of(settings: Settings) -> Iterator[tuple[Settings, Clock]]:
    """Settings with a broker to connect to, and the market's clock: with the simulated broker and no port those of a
    simulator in this process."""
    if settings.endpoint is not None:
        yield settings, settings.clock if settings.now is None else ReplayClock(settings.now)
        return
    symbols = [entry.symbol for entry in Universe(settings.state_url).entries(active_only=False)]
    simulator = EmbeddedSimulator(settings, running=True, symbols=symbols)
    port = simulator.start()
    try:
        yield settings.model_copy(update={"ib_port": port}), simulator.clock
    finally:
        simulator.stop()


def main(arguments: Sequence[str]) -> int:
    """Run the recorder's process."""
    os.umask(PRIVATE_UMASK)
    settings = Settings()
    handler = file_handler(settings.data_dir) if TO_FILE in arguments else logging.StreamHandler()
    logging.basicConfig(
        level=logging.WARNING, format="%(asctime)s %(process)d %(levelname)s %(message)s", handlers=[handler]
    )
    logging.getLogger("trading_assets").setLevel(logging.INFO)
    private_folder(settings.data_dir)
    process = RecorderProcess(settings, universe="--universe" in arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, process.end)
    return process.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
