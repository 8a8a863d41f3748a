"""What could not be written, a stream."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from trading_assets.streaming.updates import BarUpdate, QuoteUpdate


@dataclass(frozen=True, slots=True)
class Lost:
    """Updates of a stream that came from `began` to `ended` (UTC) and could not be written, how many and why."""

    session: date
    con_id: int
    symbol: str
    stream_id: str
    began: datetime
    ended: datetime
    updates: int
    text: str


class Losses:
    """Collects them until they are taken; from any thread. Taking them never waits for the disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[tuple[date, str], Lost] = {}

    def add(self, updates: Iterable[QuoteUpdate | BarUpdate], text: str) -> None:
        """Count updates as lost."""
        with self._lock:
            for update in updates:
                key = (update.session, update.stream_id)
                known = self._found.get(key)
                self._found[key] = Lost(
                    update.session,
                    update.con_id,
                    update.symbol,
                    update.stream_id,
                    known.began if known else update.received_at,
                    update.received_at,
                    known.updates + 1 if known else 1,
                    text,
                )

    def take(self) -> list[Lost]:
        """All since the last call."""
        with self._lock:
            found, self._found = list(self._found.values()), {}
        return found
