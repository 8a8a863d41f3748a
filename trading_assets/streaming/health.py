"""How streams are: one record a stream."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class StreamState(StrEnum):
    """The state of a stream."""

    LIVE = "live"
    DELAYED = "delayed"
    FROZEN = "frozen"
    WAITING = "waiting"
    STALLED = "stalled"
    DOWN = "down"
    COMPETING = "competing"
    SHED = "shed"
    REFUSED = "refused"
    NOT_PERMITTED = "not_permitted"


SETTLED = frozenset(StreamState) - {StreamState.WAITING}
"""States that say that the broker has answered, or will not."""


@dataclass(frozen=True, slots=True)
class StreamHealth:
    """The health of one stream. `kind` is `quote` or `bar`; `rate` updates a second over the last minute; `lag` for how
    many seconds the oldest update of the recorder that is not written yet has waited; `stalls` how often nothing came
    for too long since it was seen last; `code` and `text` are the broker's, or say why in our words; `unrecorded` why
    what comes is not recorded whole, where it is not."""

    stream_id: str
    con_id: int
    symbol: str
    contract: str
    kind: str
    state: StreamState
    since: datetime
    last_update: datetime | None = None
    updates: int = 0
    rate: float = 0.0
    lag: float | None = None
    gaps: int = 0
    resubscriptions: int = 0
    stalls: int = 0
    code: int | None = None
    text: str = ""
    unrecorded: str = ""

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record."""
        instants = {
            name: value.isoformat() if value else None
            for name, value in (("since", self.since), ("last_update", self.last_update))
        }
        return {**asdict(self), "state": str(self.state), **instants}


@dataclass(frozen=True, slots=True)
class Subscription:
    """What somebody wants streamed: a symbol's underlying, and that many of its options."""

    symbol: str
    options: int = 0
