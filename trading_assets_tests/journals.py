"""Marks in a journal as a run of the broker would leave them, for tests that need no broker."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from trading_assets.broker import payloads
from trading_assets.broker.journal import Finish, Journal
from trading_assets.broker.journal_rows import count_rows
from trading_assets.broker.outcomes import Outcome
from trading_assets.state import read_transaction
from trading_assets.state.tables import requests


def mark_sent(journal: Journal, request_ids: Iterable[int]) -> None:
    """Mark rows as sent now, for the first time."""
    now = datetime.now(UTC).timestamp()
    journal.record([(row, 1, now) for row in request_ids], [])


def mark_done(journal: Journal, request_id: int, outcome: Outcome, payload: Any = None) -> None:
    """Record the end of a request now."""
    with read_transaction(journal.engine) as connection:
        row = connection.execute(
            sa.select(requests.c.attempt, requests.c.sent_at).where(requests.c.id == request_id)
        ).one()
    packed = None if payload is None else payloads.pack(payload)
    now = datetime.now(UTC).timestamp()
    journal.record([], [Finish(request_id, outcome, packed, count_rows(payload), row.attempt, row.sent_at, now)])
