"""`LiveWriter`: what a recorder hands its updates to.

`append` only takes them. One thread writes them into segments a few milliseconds later, where other processes see them;
another one syncs once a second, and seals segments into Parquet parts. Neither waits for the other, nor the recorder
for them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa

from trading_assets.errors import TradingAssetsError
from trading_assets.repositories.live.checkpoint import write_checkpoint
from trading_assets.repositories.live.places import FOLDER, SEAL_WANTED, Place
from trading_assets.repositories.live.sealing import seal
from trading_assets.repositories.live.writer_lock import WriterLock
from trading_assets.repositories.live_schema import LIVE_BARS, LIVE_GAPS, LIVE_QUOTES
from trading_assets.repositories.schemas import Dataset
from trading_assets.repositories.storage import refuse_object_store
from trading_assets.settings import system_clock
from trading_assets.streaming.store import rows
from trading_assets.streaming.store.inherited import Inherited
from trading_assets.streaming.store.losses import Losses, Lost
from trading_assets.streaming.store.output import Output
from trading_assets.streaming.store.recovery import recover
from trading_assets.streaming.updates import BarUpdate, Gap, QuoteUpdate

WRITE_SECONDS = 0.02
"""How long updates are gathered before they are written: each write costs as much as some 100 rows."""

SYNC_SECONDS = 1.0
CHECKPOINT_SECONDS = 10.0
SEAL_SECONDS = 300.0

SEAL_ROWS = 100_000
"""Rows after which a segment is sealed before it is due: sealing holds them in memory, some 25 MB and twice that while
it sorts them."""

_LOG = logging.getLogger(__name__)


class LiveWriter:
    """Writes the live data of one lake; one a lake at a time (`LakeBusy`).

    Making it recovers what a recorder that died left behind (`recovered`; its gaps are written). `append` may be called
    from any thread, and never blocks for the disk. `next_seq` is the number from which a recorder counts its updates.

    While rows cannot be written, `fault` is a sentence that says why; updates that were lost are counted a stream and
    given once by `take_lost`. Gaps are never dropped: they are kept until they can be written.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        clock: Callable[[], datetime] = system_clock,
        seal_seconds: float = SEAL_SECONDS,
        seal_rows: int = SEAL_ROWS,
    ) -> None:
        self.data_dir = Path(data_dir)
        refuse_object_store(self.data_dir, "Recording live data")
        self._faults: dict[str, str] = {}
        self._clock = clock
        self._seal_seconds = seal_seconds
        self._quotes: list[QuoteUpdate] = []
        self._bars: list[BarUpdate] = []
        self._gaps: list[Gap] = []
        self._appending = threading.Lock()
        self._writing = threading.Lock()
        self._keeping = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._losses = Losses()
        self._sealed_at = self._checkpoint_at = monotonic()
        self._ended_segments: list[tuple[Dataset, Place]] = []
        self._to_seal: list[tuple[Dataset, Place]] = []
        self._lock = WriterLock(self.data_dir)
        try:
            self._memory, self.recovered, last_name = recover(self.data_dir)
            self._output = Output(self.data_dir, seal_rows, last_name)
            self._inherited = Inherited([*self.recovered.open_gaps, *self.recovered.gaps])
            self.next_seq = self._memory.last_seq + 1
            self.append(gaps=self.recovered.gaps)
            self.flush()
            self._checkpoint(recording=True)
        except BaseException:
            self._lock.release()
            raise
        self._sealer = ThreadPoolExecutor(1, "live-sealer")
        self._threads = [
            threading.Thread(target=self._write_on, name="live-writer", daemon=True),
            threading.Thread(target=self._keep_on, name="live-keeper", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def append(
        self, quotes: Sequence[QuoteUpdate] = (), bars: Sequence[BarUpdate] = (), gaps: Sequence[Gap] = ()
    ) -> None:
        """Take updates to be written."""
        with self._appending:
            self._quotes += quotes
            self._bars += bars
            self._gaps += gaps
        self._wake.set()

    @property
    def fault(self) -> str | None:
        """Why something cannot be written now; None when all can."""
        return next(iter(self._faults.values()), None)

    @property
    def backlog(self) -> int:
        """Updates that were taken and are not yet written."""
        return len(self._quotes) + len(self._bars) + len(self._gaps)

    def take_lost(self) -> list[Lost]:
        """The updates that could not be written since the last call."""
        return self._losses.take()

    def flush(self) -> None:
        """Write and sync everything taken so far. What cannot be written is in `fault`."""
        self._guarded(self._write)
        with self._keeping:
            self._sync()

    def seal(self) -> None:
        """Seal everything taken so far into parts. What cannot be is in `fault`, and sealed at the next call."""
        self._guarded(self._write)
        with self._keeping:
            self._rotate(recording=True)
        self._sealer.submit(self._seal).result()

    def close(self) -> None:
        """Write, sync and seal everything, and let the lake go. The recorder ended as it should: no gap follows."""
        self._stop.set()
        self._wake.set()
        for thread in self._threads:
            thread.join()
        self._guarded(self._write)
        with self._keeping:
            self._rotate(recording=False)
        self._sealer.submit(self._seal).result()
        self._sealer.shutdown()
        self._lock.release()

    def _write_on(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(WRITE_SECONDS)
            self._wake.clear()
            self._guarded(self._write)

    def _keep_on(self) -> None:
        while not self._stop.wait(SYNC_SECONDS):
            self._guarded(self._keep)

    def _keep(self) -> None:
        now = monotonic()
        with self._keeping:
            if now - self._sealed_at >= self._seal_seconds or self._output.finished or self._seal_wanted():
                self._rotate(recording=True)
                self._sealer.submit(self._guarded, self._seal)
                self._sealed_at = self._checkpoint_at = now
            else:
                self._sync()
            if now - self._checkpoint_at >= CHECKPOINT_SECONDS:
                self._checkpoint(recording=True)
                self._checkpoint_at = now

    def _guarded(self, work: Callable[[], None]) -> None:
        """Do the work of a thread. An error that nobody foresaw is named as a fault, and does not end the thread: a
        recorder that silently stops to write would be worse than one that fails."""
        try:
            work()
        except Exception as error:
            _LOG.exception("Live data: %s failed", work.__name__.strip("_"))
            self._faults[work.__name__] = f"Live data cannot be written: {_named(error)}."
        else:
            self._faults.pop(work.__name__, None)

    def _seal_wanted(self) -> bool:
        """Whether another process wants the segments sealed (`finishing`), once."""
        try:
            (self.data_dir / FOLDER / SEAL_WANTED).unlink()
        except OSError:
            return False
        return True

    def _write(self) -> None:
        with self._writing:
            with self._appending:
                quotes, self._quotes = self._quotes, []
                bars, self._bars = self._bars, []
                gaps, self._gaps = self._gaps, []
            try:
                came: list[QuoteUpdate | BarUpdate] = [*quotes, *bars]
                self._write_each(LIVE_QUOTES, quotes, rows.quote_batch, self._memory.note_quotes)
                self._write_each(LIVE_BARS, bars, rows.bar_batch, self._memory.note_bars)
                now = self._clock()
                gaps += self._inherited.ended_by(came)
                self._write_each(LIVE_GAPS, gaps, lambda some: rows.gap_batch(some, now), self._memory.note_gaps)
            except Exception as error:
                self._lose([*quotes, *bars], gaps, f"Live data cannot be written: {_named(error)}.")
                raise

    def _lose(self, updates: Sequence[Any], gaps: Sequence[Any], text: str) -> None:
        """Nobody foresaw this error: the updates in hand are lost, and the gaps are kept for the next time."""
        self._losses.add((one for one in updates if isinstance(one, QuoteUpdate | BarUpdate)), text)
        with self._appending:
            self._gaps[:0] = [one for one in gaps if isinstance(one, Gap)]

    def _write_each(
        self,
        dataset: Dataset,
        given: list[Any],
        batch: Callable[[Sequence[Any]], pa.RecordBatch],
        note: Callable[[Sequence[Any]], None],
    ) -> None:
        """Write updates session by session, and remember them. What is dealt with is taken out of `given`."""
        while given:
            session = given[0].session
            some = [*takewhile(lambda one: one.session == session, given)]  # noqa: B023 (used up here)
            try:
                self._output.append(dataset, batch(some))
            except (OSError, TradingAssetsError) as error:
                del given[: len(some)]
                self._not_written(dataset, some, f"Live data cannot be written: {_why(error)}.")
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
                del given[: len(some)]
                self._write_one_by_one(dataset, some, batch, note, error)
            else:
                del given[: len(some)]
                self._faults.pop(dataset.name, None)
                note(some)

    def _write_one_by_one(
        self,
        dataset: Dataset,
        some: Sequence[Any],
        batch: Callable[[Sequence[Any]], pa.RecordBatch],
        note: Callable[[Sequence[Any]], None],
        error: Exception,
    ) -> None:
        """Among updates there is one that is no row: the others are written."""
        if len(some) > 1:
            for one in some:
                self._write_each(dataset, [one], batch, note)
            return
        _LOG.error("An update is no row of %s and was left out: %r (%s)", dataset.name, some[0], error)
        if dataset is not LIVE_GAPS:
            self._losses.add(some, f"The update is no row of {dataset.name}: {error}.")

    def _not_written(self, dataset: Dataset, some: Sequence[Any], text: str) -> None:
        self._faults[dataset.name] = text
        if dataset is LIVE_GAPS:
            with self._appending:
                self._gaps[:0] = some
        else:
            self._losses.add(some, text)

    def _sync(self) -> None:
        self._faults.pop("sync", None)
        for segment in [*self._output.finished, *self._output.open.values()]:
            try:
                segment.sync()
            except OSError as error:
                self._faults["sync"] = f"Live data cannot be made durable: {_why(error)}."

    def _rotate(self, *, recording: bool) -> None:
        """End the present segments. They may be sealed once a checkpoint counts their rows."""
        with self._writing:
            self._output.rotate()
            finished, self._output.finished = self._output.finished, []
        for segment in finished:
            self._ended_segments.append((segment.dataset, segment.place))
            try:
                segment.finish()
            except OSError as error:
                self._faults["sync"] = f"Live data cannot be made durable: {_why(error)}."
        if self._checkpoint(recording=recording):
            self._to_seal += self._ended_segments
            self._ended_segments = []

    def _checkpoint(self, *, recording: bool) -> bool:
        with self._writing:
            found = self._memory.checkpoint(*self._output.quotes_until, recording=recording)
        try:
            write_checkpoint(self.data_dir, found)
        except OSError as error:
            self._faults["checkpoint"] = f"The checkpoint of live data cannot be written: {_why(error)}."
            return False
        self._faults.pop("checkpoint", None)
        return True

    def _seal(self) -> None:
        """Seal what may be; what cannot be is left for the next time. Called by the sealer's thread alone."""
        with self._keeping:
            places, self._to_seal = self._to_seal, []
        self._faults.pop("seal", None)
        for dataset, place in places:
            try:
                seal(self.data_dir, dataset, place)
            except (OSError, TradingAssetsError) as error:
                self._faults["seal"] = f"Live data cannot be sealed: {_why(error)}."
                with self._keeping:
                    self._to_seal.append((dataset, place))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {_why(error)}"


def _why(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".")
