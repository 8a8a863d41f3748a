"""When a refused question may be requested again: the one place that decides it.

A refusal is no permission, no contract, or an error. One answer alone forms no lasting belief: it can be of the moment
(a server that restarts, a text that was not understood, a subscription on its way). So the first refusal of an
instrument is asked again in the next session, and only the same refusal in a later session is believed for
`retry_days`. A refusal whose code nobody knows, or that is about the request and not about the contract
(`codes.says_nothing`), is never believed: it is asked again in every session. An option is requested again on the last
day it trades at the latest: a refusal never outlives the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta

from trading_assets.broker.codes import says_nothing
from trading_assets.planning.selection import parse_day
from trading_assets.repositories.schemas import Condition
from trading_assets.sessions import NEW_YORK, SessionCalendar

LAST_DAY_RETRY = timedelta(hours=1)
"""On the last day of an option a refusal is requested again after this time: the broker keeps its history until
midnight New York."""

InstrumentKey = tuple[str, str, int]
"""Bar size (empty for snapshots), symbol, and option contract id (0: the underlying)."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The broker's last word on an instrument, where that was a refusal. Instants are UTC."""

    condition: str
    broker_code: int | None
    asked_at: datetime
    retry_after: datetime | None


@dataclass(frozen=True)
class Retries:
    """Decides retry instants. `refused` holds the last word on each instrument before the answers at hand; others have
    none."""

    calendar: SessionCalendar
    retry_days: int = 30
    refused: Mapping[InstrumentKey, Refusal] = field(default_factory=dict)

    def after(
        self, key: InstrumentKey, condition: Condition, code: int | None, instant: datetime, *, last_trade: str = ""
    ) -> datetime:
        """The first instant (UTC) at which the question refused at `instant` may be requested again.

        `last_trade` is an option's last trading day (`YYYYMMDD...`), empty for anything else.
        """
        believed = instant + timedelta(days=self.retry_days)
        at = believed if self._confirmed(key, condition, code, instant) else min(believed, self._next_session(instant))
        if last_trade:
            last_day = datetime.combine(parse_day(last_trade[:8]), time(), NEW_YORK).astimezone(UTC)
            if at > last_day:
                at = max(last_day, instant + min(LAST_DAY_RETRY, timedelta(days=self.retry_days)))
            if at >= last_day + timedelta(days=1):
                at = instant
        return at

    def _confirmed(self, key: InstrumentKey, condition: Condition, code: int | None, instant: datetime) -> bool:
        """Whether an earlier session brought the same refusal. One repeated within a session (by a person) keeps what
        was believed before."""
        earlier = self.refused.get(key)
        if code is not None and says_nothing(code):
            return False
        if earlier is None or (earlier.condition, earlier.broker_code) != (str(condition), code):
            return False
        if self.calendar.current(earlier.asked_at) < self.calendar.current(instant):
            return True
        return earlier.retry_after is not None and earlier.retry_after > self._next_session(earlier.asked_at)

    def _next_session(self, instant: datetime) -> datetime:
        return self.calendar.opens_at(self.calendar.following(self.calendar.current(instant)))
