"""Gaps that recorders before this one left open: each ends when an update of its stream comes again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from trading_assets.streaming.days import Days
from trading_assets.streaming.updates import BarUpdate, Gap, QuoteUpdate, of_any_recorder


class Inherited:
    """Those gaps, by contract and kind of stream."""

    def __init__(self, gaps: Iterable[Gap]) -> None:
        self._days = Days()
        self._gaps: dict[tuple[int, str], list[Gap]] = {}
        for gap in gaps:
            self._gaps.setdefault((gap.con_id, of_any_recorder(gap.stream_id)), []).append(gap)

    def ended_by(self, updates: Sequence[QuoteUpdate | BarUpdate]) -> list[Gap]:
        """The gaps that end with these updates: those of quotes with a quote, those of bars with a bar."""
        if not self._gaps:
            return []
        return [
            part
            for update in updates
            for gap in self._gaps.pop((update.con_id, of_any_recorder(update.stream_id)), ())
            for part in _until(gap, update, self._days.begins(update.received_at))
        ]


def _until(gap: Gap, update: QuoteUpdate | BarUpdate, midnight: datetime) -> list[Gap]:
    """The gap, ended by an update of the day that began at `midnight`: of a later session, it is one of both."""
    if gap.session == update.session or midnight <= gap.began:
        return [gap._replace(ended=max(gap.began, update.received_at))]
    today = gap._replace(session=update.session, began=midnight, ended=update.received_at)
    return [gap._replace(ended=midnight), today]
