"""What leaves the recorder: updates, bars and gaps on their way to the writer, in order.

Handed over once a turn of the event loop. A writer that cannot keep up gets the newest state of each contract only
(gap `overload`); what it could not write it says (gap `not_recorded`).
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime

from trading_assets.streaming.store.losses import Lost
from trading_assets.streaming.store.writer import LiveWriter
from trading_assets.streaming.updates import BarUpdate, Gap, GapReason, QuoteUpdate

MOST_WAITING = 200_000
"""Rows that may wait for being written: some 40 s of a very busy market."""


class Outlet:
    """The way to the writer. `most_waiting` rows may wait there before updates are dropped."""

    def __init__(self, writer: LiveWriter, *, most_waiting: int = MOST_WAITING) -> None:
        self._writer = writer
        self._most = most_waiting
        self._loop = asyncio.get_running_loop()
        self._handing = False
        self._quotes: list[QuoteUpdate] = []
        self._bars: list[BarUpdate] = []
        self._gaps: list[Gap] = []
        self._overloaded: dict[str, Gap] = {}
        self._newest: dict[str, QuoteUpdate] = {}
        self._unwritten: dict[str, Gap] = {}
        """Gaps of streams whose last updates could not be written; each ends with the last of them so far."""
        self._handed: deque[tuple[int, float]] = deque([(0, 0.0)])
        """How many rows were handed over until when (loop time), for those that are not written yet."""
        self.is_overloaded = False
        self.dropped = 0
        """Updates that were left out because too many waited."""
        self.gaps: Counter[str] = Counter()
        """Gaps that the way to the writer made, by stream."""
        self.seq = writer.next_seq - 1
        """Of the update made last."""

    @property
    def trouble(self) -> str:
        """Why what comes is not recorded whole; empty while it is."""
        if self.is_overloaded:
            return f"More than {self._most:,} updates wait for being written: only the newest of each contract is kept."
        return self._writer.fault or ""

    def lag(self) -> float:
        """For how many seconds the oldest row that is not written yet has waited."""
        written = self._handed[-1][0] - self._writer.backlog
        while len(self._handed) > 1 and self._handed[0][0] <= written:
            self._handed.popleft()
        count, at = self._handed[0]
        return round(self._loop.time() - at, 6) if count > written else 0.0

    def quote(self, update: QuoteUpdate) -> None:
        """Pass an update on."""
        self._quotes.append(update)
        if not self._handing:
            self._hand_over_soon()

    def bar(self, bar: BarUpdate) -> None:
        """Pass a bar on."""
        self._bars.append(bar)
        self._hand_over_soon()

    def gap(self, gap: Gap) -> None:
        """Pass a gap on: once when it begins, once more when it has ended."""
        self._gaps.append(gap)
        self._hand_over_soon()

    def look(self) -> None:
        """See what became of what was handed over; called about once a second."""
        for lost in self._writer.take_lost():
            gap = self._unwritten.get(lost.stream_id)
            if gap is None:
                gap = self._begun(lost, lost.began, GapReason.NOT_RECORDED, lost.text)
                self.gap(gap)
            self._unwritten[lost.stream_id] = gap._replace(ended=lost.ended)
        if self._writer.fault is None and self._unwritten:
            for gap in self._unwritten.values():
                self.gap(gap)
            self._unwritten = {}
        if self.is_overloaded:
            self._hand_over()

    def close(self) -> None:
        """Hand over what is left."""
        self.look()
        self._hand_over()

    def _hand_over_soon(self) -> None:
        if not self._handing:
            self._handing = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        self._handing = False
        quotes, self._quotes = self._quotes, []
        bars, self._bars = self._bars, []
        # once updates are dropped, half of what waits has to be written first
        self.is_overloaded = self._writer.backlog > (self._most // 2 if self.is_overloaded else self._most)
        if self.is_overloaded:
            self._drop(quotes, bars)
            quotes, bars = [], []
        elif self._overloaded:
            quotes = [*self._newest_states(), *quotes]
        gaps, self._gaps = self._gaps, []
        if quotes or bars or gaps:
            self._writer.append(quotes, bars, gaps)
            self._handed.append((self._handed[-1][0] + len(quotes) + len(bars) + len(gaps), self._loop.time()))

    def _drop(self, quotes: Iterable[QuoteUpdate], bars: Iterable[BarUpdate]) -> None:
        for update in quotes:
            self._newest[update.stream_id] = update
            self._note_dropped(update)
        for bar in bars:
            self._note_dropped(bar)

    def _note_dropped(self, row: QuoteUpdate | BarUpdate) -> None:
        self.dropped += 1
        gap = self._overloaded.get(row.stream_id)
        if gap is None:
            gap = self._begun(row, row.received_at, GapReason.OVERLOAD, self.trouble)
            self._gaps.append(gap)
        self._overloaded[row.stream_id] = gap._replace(ended=row.received_at)

    def _begun(self, row: QuoteUpdate | BarUpdate | Lost, began: datetime, reason: GapReason, text: str) -> Gap:
        """A gap of the stream of a row, which is counted."""
        self.gaps[row.stream_id] += 1
        return Gap(row.session, row.con_id, row.symbol, row.stream_id, began, None, reason, None, text)

    def _newest_states(self) -> list[QuoteUpdate]:
        """The newest state of each contract; its gap ends with what was dropped last."""
        self._gaps += self._overloaded.values()
        newest = sorted(self._newest.values(), key=lambda update: update.seq)
        self._newest, self._overloaded = {}, {}
        return newest
