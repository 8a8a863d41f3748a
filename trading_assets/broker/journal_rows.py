"""Requests, their ends and their results as rows of the table `requests`, and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from trading_assets.broker import payloads
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import Request

if TYPE_CHECKING:
    from trading_assets.broker.journal import Finish


def count_rows(payload: Any) -> int:
    """Rows of a payload: bars, contracts or parameter sets; 1 for a single record, 0 for none."""
    if payload is None:
        return 0
    for name in ("bars", "contracts", "parameters"):
        if isinstance(payload, dict) and isinstance(payload.get(name), list):
            return len(payload[name])
    return 1


def request_values(request: Request) -> dict[str, Any]:
    """What the row of a request has of the request itself, by column."""
    return {
        "key": request.key,
        "kind": type(request).kind,
        "dataset": request.dataset,
        "symbol": request.symbol,
        "con_id": request.instrument.con_id,
        "session": request.session.isoformat(),
        "record": json.dumps(request.as_record(), separators=(",", ":")),
        "pacing_class": request.pacing.value,
        "weight": request.weight,
        "contract_tick_key": request.contract_tick_key,
    }


def end_values(end: Finish) -> dict[str, Any]:
    """The parameters of the statement that marks a row as done."""
    return {
        "row": end.request_id,
        "outcome": end.outcome.kind.value,
        "code": end.outcome.code,
        "text": end.outcome.text,
        "rows": end.rows,
        "response": end.packed,
        "answer_bytes": None if end.packed is None else payloads.size(end.packed),
        "attempt": end.attempt,
        "sent_at": end.sent_at,
        "finished_at": end.finished_at,
        "duration": None if end.sent_at is None else end.finished_at - end.sent_at,
    }


def result_of(row: sa.Row[Any], request: Request) -> Result:
    """The result that a row keeps. A response that is damaged makes it a quarantined one."""
    outcome, payload = Outcome(OutcomeKind(row.outcome), row.code, row.text or ""), None
    try:
        payload = None if row.response is None else payloads.unpack(row.response)
    except payloads.DamagedPayload as error:  # one row must not keep all others from being read
        outcome = Outcome(OutcomeKind.QUARANTINED, None, f"{error}")
    return Result(request, outcome, payload, row.id, datetime.fromtimestamp(row.finished_at, UTC), reused=True)
