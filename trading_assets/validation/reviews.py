"""Bars held for review: pending until accepted (the bar is real) or rejected (it is withdrawn and requested again).

A verdict is about one value: a bar that is restated, or that the broker gives again after it was rejected, is held
anew. What does not belong here: which bars are held (the rules with `reviewed`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from trading_assets.arguments import session as checked_session
from trading_assets.arguments import stored_symbol
from trading_assets.arguments.days import Day
from trading_assets.errors import NoReview
from trading_assets.repositories.schemas import COVERAGE, EQUITY_BARS, Condition
from trading_assets.settings import Settings
from trading_assets.state import metadata
from trading_assets.state.records import StateRecords

reviews_table = sa.Table(
    "reviews",
    metadata,
    sa.Column("rule", sa.Text, primary_key=True),
    sa.Column("symbol", sa.Text, primary_key=True),
    sa.Column("session", sa.Text, primary_key=True),
    sa.Column("bar_size", sa.Text, primary_key=True),
    sa.Column("close", sa.Float(53), nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("example", sa.Text, nullable=False),
    sa.Column("held_at", sa.Text, nullable=False),
    sa.Column("decided_at", sa.Text, nullable=True),
)


class Verdict(StrEnum):
    """What was decided about a held bar."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Review:
    """One held bar: its close (dollars) is the value the verdict is about; `example` shows the case; instants are
    UTC."""

    rule: str
    symbol: str
    session: date
    bar_size: str
    close: float
    verdict: Verdict
    example: dict[str, Any]
    held_at: datetime
    decided_at: datetime | None = None


class Reviews(StateRecords):
    """The held bars of a data folder."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.state_url)
        self._settings = settings

    def held(self, verdict: Verdict | None = Verdict.PENDING) -> list[Review]:
        """The held bars with that verdict (None: all), by symbol and session."""
        query = sa.select(reviews_table).order_by(reviews_table.c.symbol, reviews_table.c.session, reviews_table.c.rule)
        if verdict is not None:
            query = query.where(reviews_table.c.verdict == str(verdict))
        return [_review(row) for row in self._rows(query)]

    def accepted(self) -> list[tuple[str, str, date, str, float]]:
        """Rule, symbol, session, bar size and close of the accepted bars."""
        return [(r.rule, r.symbol, r.session, r.bar_size, r.close) for r in self.held(Verdict.ACCEPTED)]

    def hold(self, rule: str, rows: Iterable[Mapping[str, Any]], *, now: datetime) -> int:
        """Hold bars (symbol, session, bar_size, close, and what shows the case); those already pending stay. Returns
        how many are new."""
        new = 0
        with self._writing() as connection:
            for row in rows:
                key = _key(rule, row["symbol"], row["session"], row["bar_size"])
                known = connection.execute(sa.select(reviews_table).where(*_at(key))).first()
                if known is not None and known.verdict == Verdict.PENDING and known.close == row["close"]:
                    continue
                connection.execute(sa.delete(reviews_table).where(*_at(key)))
                example = json.dumps({k: v for k, v in row.items() if k not in key}, default=str)
                values = {
                    **key,
                    "close": row["close"],
                    "verdict": str(Verdict.PENDING),
                    "example": example,
                    "held_at": now.isoformat(),
                }
                connection.execute(reviews_table.insert().values(**values))
                new += 1
        return new

    def accept(self, symbol: str, session: Day) -> list[Review]:
        """The held bars of the symbol and session are real: their rules pass from now on. Raises `NoReview`."""
        return self._decide(self._pending(stored_symbol(symbol), checked_session(session)), Verdict.ACCEPTED)

    def reject(self, symbol: str, session: Day) -> list[Review]:
        """The held bars are wrong: they move to the revisions, and the next update asks for the session again.

        In this order, so that killed at any instant nothing is lost: the row is in the revisions before it leaves its
        file; coverage that still calls a session complete whose bar is gone is not believed; the verdict is said last,
        and rejecting again does the rest. Raises `NoReview`.
        """
        symbol, session = stored_symbol(symbol), checked_session(session)
        held = self._pending(symbol, session)
        import pyarrow.dataset as pads

        from trading_assets.repositories import CoverageRepository, ParquetStore

        store, now = ParquetStore(self._settings.data_dir), self._settings.clock()
        for review in held:
            bar = (
                (pads.field("symbol") == symbol)
                & (pads.field("session") == pa.scalar(session))
                & (pads.field("bar_size") == review.bar_size)
            )
            store.withdraw(EQUITY_BARS, where=bar, at=now, variants=[review.bar_size], first=session, last=session)
            reason = (
                f"The bar (close {review.close:g}) was rejected in review ({review.rule}); it is in the revisions and"
                " is requested again."
            )
            CoverageRepository(store).reopen(_reopened(review, reason, now))
        return self._decide(held, Verdict.REJECTED)

    def _pending(self, symbol: str, session: date) -> list[Review]:
        held = [review for review in self.held() if review.symbol == symbol and review.session == session]
        if not held:
            raise NoReview(
                f"No bar of {symbol} in session {session} is held for review. See trading-assets review list."
            )
        return held

    def _decide(self, held: list[Review], verdict: Verdict) -> list[Review]:
        now = self._settings.clock().isoformat()
        with self._writing() as connection:
            for review in held:
                key = _key(review.rule, review.symbol, review.session, review.bar_size)
                connection.execute(reviews_table.update().where(*_at(key)).values(verdict=str(verdict), decided_at=now))
        return [
            review
            for review in self.held(verdict)
            if (review.symbol, review.session) in {(r.symbol, r.session) for r in held}
        ]


def _reopened(review: Review, reason: str, now: datetime) -> pa.Table:
    row = {
        "dataset": EQUITY_BARS.name,
        "bar_size": review.bar_size,
        "symbol": review.symbol,
        "con_id": 0,
        "session": review.session,
        "condition": str(Condition.ERROR),
        "reason": reason,
        "broker_code": None,
        "retry_after": now,
        "collected_at": now,
        "request_id": 0,
    }
    return pa.Table.from_pylist([row], schema=COVERAGE.schema)


def _key(rule: str, symbol: str, session: date, bar_size: str) -> dict[str, str]:
    return {"rule": rule, "symbol": symbol, "session": session.isoformat(), "bar_size": bar_size}


def _at(key: Mapping[str, str]) -> list[sa.ColumnElement[bool]]:
    return [reviews_table.c[name] == value for name, value in key.items()]


def _review(row: Any) -> Review:
    values = {
        **row._mapping,
        "session": date.fromisoformat(row.session),
        "verdict": Verdict(row.verdict),
        "example": json.loads(row.example),
        "held_at": datetime.fromisoformat(row.held_at),
        "decided_at": datetime.fromisoformat(row.decided_at) if row.decided_at else None,
    }
    return Review(**values)


__all__ = ["NoReview", "Review", "Reviews", "Verdict"]
