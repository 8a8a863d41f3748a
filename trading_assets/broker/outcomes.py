"""What a request ended in. Never a bare empty list: empty, missing and failed are three different things."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from trading_assets.broker.requests import Request


class OutcomeKind(StrEnum):
    """The ways a request can end."""

    COMPLETE = "complete"
    """The broker answered with data."""
    EMPTY = "empty"
    """The broker answered that there is no data for what was asked."""
    NOT_PERMITTED = "not_permitted"
    """The account lacks the market-data subscription or permission."""
    NO_CONTRACT = "no_contract"
    """The broker knows no such contract, or the words fit several."""
    EXPIRED = "expired"
    """The contract has expired; the broker keeps no history of it."""
    PACING = "pacing"
    """A limit of the broker was exceeded; the request may be sent again later."""
    TIMEOUT = "timeout"
    """No answer within the request's own timeout."""
    DISCONNECTED = "disconnected"
    """The connection broke before the answer. The one outcome that speaks of all requests."""
    UNAVAILABLE = "unavailable"
    """The broker could not answer this request now, for a cause that passes: a competing session, its nightly reset, a
    duplicate id."""
    CANCELLED = "cancelled"
    """Withdrawn by us before the answer."""
    REJECTED = "rejected"
    """The broker refused the request as it stands, with a code and a text."""
    UNREADABLE = "unreadable"
    """A message of the answer could not be read: the broker has answered, but what is not known. Never a statement that
    there is no data."""
    QUARANTINED = "quarantined"
    """The broker answered with data of which nothing can be stored. Never what a request ends in: found when the answer
    is examined."""

    @property
    def answers(self) -> bool:
        """Whether the broker has answered the question: asking again now would bring the same."""
        return self in _ANSWERS

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later without a change by the user."""
        return self in _RETRYABLE


_ANSWERS = frozenset(
    {
        OutcomeKind.COMPLETE,
        OutcomeKind.EMPTY,
        OutcomeKind.NOT_PERMITTED,
        OutcomeKind.NO_CONTRACT,
        OutcomeKind.EXPIRED,
        OutcomeKind.REJECTED,
    }
)
_RETRYABLE = frozenset(
    {
        OutcomeKind.PACING,
        OutcomeKind.TIMEOUT,
        OutcomeKind.DISCONNECTED,
        OutcomeKind.UNAVAILABLE,
        OutcomeKind.CANCELLED,
        OutcomeKind.UNREADABLE,
    }
)


HELD = "held for review"
"""Where the fault of an answer is that may be right and waits for the user (`broker.unit_decisions`): its field is the
quantity, its value ends with the unit that the answer seems to be in."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: the kind, and the broker's code and text where there are any. `broker.codes.remedy_of` says
    what to do about it.

    `retry_after` (an instant) is when to ask again, where that is known better than by kind and code.
    """

    kind: OutcomeKind
    code: int | None = None
    text: str = ""
    retry_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing of an answer that cannot be stored: which column, where in the answer, the value as text, and what is
    wrong with it.

    `session` is the session it belongs to, None where that is not known.
    """

    field: str
    where: str
    value: str
    reason: str
    session: date | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.field} {self.value} {self.reason}"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What of an answer cannot be stored. `sessions` lack something because of it; `failures` counts the bad answers to
    this question in a row.

    `reason` is a sentence that names the first faults; `retry_after` (an instant, UTC) is when the question is due
    again.
    """

    faults: tuple[Fault, ...]
    sessions: frozenset[date]
    reason: str
    failures: int
    retry_after: datetime

    @property
    def held(self) -> Fault | None:
        """What the user has to decide about; None for an answer that is bad."""
        return next((fault for fault in self.faults if fault.where == HELD), None)


@dataclass(frozen=True, slots=True)
class Result:
    """A finished request.

    `payload` is the neutral form of the answer (JSON-able, see `broker.payloads`), None without an answer with data.
    `request_id` is its row in the journal; `finished_at` (UTC) is when the answer came, by the wall clock as the broker
    gives it and by the market's clock (pinned in a replay) once it is examined; `reused` says that the answer was taken
    from the journal instead of being requested again. `quarantined` says what of the answer cannot be stored; the
    payload is then what is left of it (None: nothing, and the outcome is QUARANTINED).
    """

    request: Request
    outcome: Outcome
    payload: Any
    request_id: int
    finished_at: datetime
    reused: bool = False
    quarantined: Quarantined | None = None
