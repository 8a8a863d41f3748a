"""What leaves the recorder: updates, bars and gaps on their way to the writer, in order.

Handed over once a turn of the event loop. A writer that cannot keep up gets the newest state of each contract only
(`overload`); one that cannot write at all gets it when it can again (`not_recorded`). Both are gaps of each stream
whose updates were dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from trading_assets.streaming.updates import BarUpdate, Gap, GapReason, QuoteUpdate

MOST_WAITING = 200_000
"""Rows that may wait for being written: some 40 s of a very busy market."""


class Writer(Protocol):
    """The store as the recorder sees it."""

    @property
    def backlog(self) -> int:
        """Rows that were appended and are not written yet."""

    @property
    def failure(self) -> str:
        """Why the writer cannot write now, as a sentence; empty while it can."""

    def append(self, quotes: Sequence[QuoteUpdate], bars: Sequence[BarUpdate], gaps: Sequence[Gap]) -> None:
        """Take rows; returns at once."""


class Outlet:
    """The way to the writer. `most_waiting` rows may wait there before updates are dropped."""

    def __init__(self, writer: Writer, *, most_waiting: int = MOST_WAITING) -> None:
        self._writer = writer
        self._most = most_waiting
        self._loop = asyncio.get_running_loop()
        self._handing = False
        self._quotes: list[QuoteUpdate] = []
        self._bars: list[BarUpdate] = []
        self._gaps: list[Gap] = []
        self._dropping: GapReason | None = None
        self._newest: dict[str, QuoteUpdate] = {}
        self._open: dict[str, Gap] = {}
        self.dropped = 0
        """Updates that were left out because the writer could not take them."""
        self.seq = time.time_ns() // 1000
        """Of the update made last. It begins above those of every earlier recorder, and rises by one."""

    @property
    def trouble(self) -> str:
        """Why updates are dropped now; empty while they are recorded."""
        if self._dropping is None:
            return ""
        return self._writer.failure or f"More than {self._most:,} rows wait for being written."

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

    def look(self, now: datetime) -> None:
        """See whether the writer takes rows again, also when nothing comes."""
        if self._dropping is not None:
            self._hand_over(now)

    def close(self) -> None:
        """Hand over what is left."""
        self._hand_over(None)

    def _hand_over_soon(self) -> None:
        if not self._handing:
            self._handing = True
            self._loop.call_soon(self._hand_over, None)

    def _hand_over(self, now: datetime | None) -> None:
        self._handing = False
        self._judge()
        quotes, bars, gaps = self._quotes, self._bars, self._gaps
        if self._dropping is not None:
            self._drop(quotes, bars)
            quotes, bars = [], []
        elif self._open:
            quotes, gaps = self._resumed(quotes, gaps, now)
        self._quotes, self._bars, self._gaps = [], [], []
        if quotes or bars or gaps:
            self._writer.append(quotes, bars, gaps)

    def _judge(self) -> None:
        """Whether updates must be dropped now. Once they are, half of the backlog has to be written first."""
        if self._writer.failure:
            self._dropping = GapReason.NOT_RECORDED
        elif self._writer.backlog > (self._most if self._dropping is None else self._most // 2):
            self._dropping = self._dropping or GapReason.OVERLOAD
        else:
            self._dropping = None

    def _drop(self, quotes: Sequence[QuoteUpdate], bars: Sequence[BarUpdate]) -> None:
        for update in quotes:
            self._newest[update.stream_id] = update
            if update.stream_id not in self._open:
                self._begin(update, update.received_at)
        for bar in bars:
            if bar.stream_id not in self._open:
                self._begin(bar, bar.received_at)
        self.dropped += len(quotes) + len(bars)

    def _begin(self, row: QuoteUpdate | BarUpdate, began: datetime) -> None:
        assert self._dropping is not None
        gap = Gap(row.session, row.con_id, row.symbol, row.stream_id, began, None, self._dropping, None, self.trouble)
        self._open[row.stream_id] = gap
        self._gaps.append(gap)

    def _resumed(
        self, quotes: Sequence[QuoteUpdate], gaps: Sequence[Gap], now: datetime | None
    ) -> tuple[list[QuoteUpdate], list[Gap]]:
        """The newest state of each contract before what comes now, and the ends of the gaps."""
        newest = sorted(self._newest.values(), key=lambda update: update.seq)
        last = max((update.received_at for update in [*newest, *quotes[:1]]), default=now)
        ended = [gap._replace(ended=now or last or gap.began) for gap in self._open.values()]
        self._newest, self._open = {}, {}
        return [*newest, *quotes], [*gaps, *ended]
