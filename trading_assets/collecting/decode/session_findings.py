"""What is found out about a session, and the row of `coverage` that says it: for bars and snapshots alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.collecting.decode.retries import InstrumentKey, Retries
from trading_assets.repositories.schemas import Condition

_CONDITIONS = {
    OutcomeKind.NOT_PERMITTED: Condition.NOT_PERMITTED,
    OutcomeKind.NO_CONTRACT: Condition.NO_CONTRACT,
    OutcomeKind.REJECTED: Condition.ERROR,
    OutcomeKind.UNREADABLE: Condition.ERROR,
    OutcomeKind.QUARANTINED: Condition.ERROR,
    OutcomeKind.EXPIRED: Condition.EXPIRED_LOST,
}

LOST = "The contract expired before its bars were collected; the broker keeps no history of expired options."
"""The reason of `expired_lost`."""


@dataclass(frozen=True, slots=True)
class SessionFinding:
    """A condition with its reason, and the instant after which to ask again."""

    condition: Condition
    reason: str
    retry_after: datetime | None = None


class SessionFindings:
    """Distinct findings, each with a small number: half a million sessions share a handful of them."""

    def __init__(self) -> None:
        self.all: list[SessionFinding] = []
        self._numbers: dict[SessionFinding, int] = {}

    def number(self, finding: SessionFinding) -> int:
        """The number of a finding, the same for equal ones."""
        if finding not in self._numbers:
            self._numbers[finding] = len(self.all)
            self.all.append(finding)
        return self._numbers[finding]


def failure(
    outcome: Outcome, instant: datetime, retries: Retries, key: InstrumentKey, last_trade: str = ""
) -> SessionFinding:
    """What a failed request says of its session. `key` and `last_trade` are those of its contract."""
    condition = _CONDITIONS.get(outcome.kind, Condition.PENDING)
    if condition is Condition.EXPIRED_LOST:
        return SessionFinding(condition, LOST)
    if outcome.retry_after is not None:
        return SessionFinding(condition, _sentence(outcome), outcome.retry_after)
    retry = (
        None if outcome.kind.retryable else retries.after(key, condition, outcome.code, instant, last_trade=last_trade)
    )
    return SessionFinding(condition, _sentence(outcome), retry)


def _sentence(outcome: Outcome) -> str:
    return outcome.text or f"The request ended as {str(outcome.kind).replace('_', ' ')}."


def coverage_row(
    dataset: str,
    bar_size: str,
    symbol: str,
    con_id: int,
    session: date,
    finding: SessionFinding,
    now: datetime,
    code: int | None = None,
    request_id: int = 0,
) -> dict[str, object]:
    """A row of `coverage`. `con_id` is 0 for underlyings, `request_id` 0 where no request was made."""
    return {
        "dataset": dataset,
        "bar_size": bar_size,
        "symbol": symbol,
        "con_id": con_id,
        "session": session,
        "condition": str(finding.condition),
        "reason": finding.reason,
        "broker_code": code,
        "retry_after": finding.retry_after,
        "collected_at": now.astimezone(UTC),
        "request_id": request_id,
    }
