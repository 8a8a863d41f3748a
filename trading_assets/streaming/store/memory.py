"""What a writer remembers of the rows it wrote: the content of its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from trading_assets.repositories.live.checkpoint import Checkpoint, Stream
from trading_assets.streaming.store import rows
from trading_assets.streaming.updates import BarUpdate, Gap, GapReason, QuoteUpdate

KEPT = timedelta(days=7)
"""How much older than the newest quote of all a contract's newest quote may be before it is forgotten."""

_GapKey = tuple[date, int, str, datetime]


class Memory:
    """The newest quote of each contract, the streams with rows, and the gaps without an end."""

    def __init__(self, found: Checkpoint) -> None:
        self.newest = {update.con_id: update for update in rows.quotes(found.quotes)}
        self.streams = dict(found.streams)
        self.open_gaps: dict[_GapKey, Gap] = {}
        self.last_at = found.last_at
        self.last_seq = found.last_seq
        self.note_gaps([Gap(*gap)._replace(reason=GapReason(gap[6])) for gap in found.open_gaps])

    def note_quotes(self, updates: Sequence[QuoteUpdate]) -> None:
        """Remember rows that were written."""
        for update in updates:
            self.newest[update.con_id] = update
            self._note_stream(update)
        newest = updates[-1]
        self.last_seq = max(self.last_seq, newest.seq)
        self._came(newest.received_at)

    def note_bars(self, updates: Sequence[BarUpdate]) -> None:
        """Remember rows that were written."""
        for update in updates:
            self._note_stream(update)
        self._came(updates[-1].received_at)

    def note_gaps(self, gaps: Sequence[Gap]) -> None:
        """Remember which gaps are open."""
        for gap in gaps:
            key = (gap.session, gap.con_id, gap.stream_id, gap.began)
            if gap.ended is None:
                self.open_gaps[key] = gap
            else:
                self.open_gaps.pop(key, None)
            self._came(gap.ended or gap.began)

    def _note_stream(self, update: QuoteUpdate | BarUpdate) -> None:
        known = self.streams.get(update.stream_id)
        if known is None or known.session != update.session:
            self.streams[update.stream_id] = Stream(update.session, update.con_id, update.symbol)

    def _came(self, at: datetime) -> None:
        if self.last_at is None or at > self.last_at:
            self.last_at = at

    def checkpoint(self, name: str, offset: int, *, recording: bool) -> Checkpoint:
        """The memory as it is now, up to that byte of that segment."""
        newest = list(self.newest.values())
        if newest:
            oldest = max(update.received_at for update in newest) - KEPT
            newest = [update for update in newest if update.received_at >= oldest]
            self.newest = {update.con_id: update for update in newest}
        gaps = tuple((*gap[:6], str(gap.reason), *gap[7:]) for gap in self.open_gaps.values())
        return Checkpoint(
            rows.quote_table(newest),
            name,
            offset,
            recording=recording,
            last_at=self.last_at,
            last_seq=self.last_seq,
            streams=dict(self.streams),
            open_gaps=gaps,
        )
