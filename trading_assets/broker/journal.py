"""The journal: the durable record of every request, its outcome, and the response until it is in the lake.

Life of a row:

    claimed --sent--> sent --finish--> done, response kept --applied--> done, response dropped
       ^                |
       +-- taken over --+   when the owner is dead, or released by its owner

What is promised:
- One owner at a time works on a question (`key`). Others wait for its answer.
- A response is committed before anybody sees it; `kill -9` at any instant loses none that was committed.
- A question whose answer is here and not yet in the lake, or came after the asker's plan was made, is not requested
  again.
- A row that was sent is never deleted: rows of the lake name it (`trading_assets.lineage`). Only a claim that was given
  up before it was sent leaves no trace.

Here belongs the table `requests` alone. Pacing is in `broker.pacing`, leases in `state.owners`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from trading_assets.broker.journal_rows import end_values, request_values, result_of
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import Request, from_record
from trading_assets.state import connect_state, database_now, read_transaction, reading_engine, write_transaction
from trading_assets.state.engine import clock_ahead
from trading_assets.state.outages import OutageRetry
from trading_assets.state.owners import Owner, live_owners
from trading_assets.state.pin import largest_id
from trading_assets.state.tables import requests as t

P = ParamSpec("P")
R = TypeVar("R")

_IN_CHUNK = 500
"""Keys in one IN list: under SQLite's oldest limit of 999 variables."""

_ANSWERS = [kind.value for kind in OutcomeKind if kind.answers]

_RECOVERABLE = [*_ANSWERS, OutcomeKind.QUARANTINED.value]
"""Outcomes of rows that may hold a response. One that was found to be bad answers no question, and what is right in it
is still to be stored."""


_OPEN_ROW = t.update().where(t.c.id == sa.bindparam("row"), t.c.state != "done")
_MARK_SENT = _OPEN_ROW.values(state="sent", **{name: sa.bindparam(name) for name in ("attempt", "sent_at")})
_MARK_DONE = _OPEN_ROW.values(
    state="done",
    **{
        name: sa.bindparam(name)
        for name in (
            *("outcome", "code", "text", "rows", "response", "answer_bytes"),
            *("attempt", "sent_at", "finished_at", "duration"),
        )
    },
)


class ClaimState(StrEnum):
    """What a claim came to."""

    SEND = "send"
    """The row is ours: send it."""
    KNOWN = "known"
    """The answer is here."""
    WAIT = "wait"
    """Another owner is at it: claim again when `Journal.moved` says so."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The journal's word on one request. `result` is set for KNOWN; its payload is None when the answer is in the lake
    already.

    `attempts` is how often the row was sent before (more than 0 for one taken over).
    """

    request: Request
    state: ClaimState
    request_id: int
    attempts: int = 0
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of one request, for `Journal.record`. `packed` is `payloads.pack(payload)` or None; instants are epoch
    seconds by the clock of the state database."""

    request_id: int
    outcome: Outcome
    packed: bytes | None
    rows: int
    attempt: int
    sent_at: float | None
    finished_at: float


def _through_outage(method: Callable[Concatenate[Journal, P], R]) -> Callable[Concatenate[Journal, P], R]:
    @wraps(method)
    def repeated(journal: Journal, *args: P.args, **kwargs: P.kwargs) -> R:
        return journal.retry(partial(method, journal, *args, **kwargs))

    return repeated


class Journal:
    """The journal of one process on a shared state database. Safe for use from several threads. What is called outside
    of a broker's run waits through an outage by itself.

    `url` is a SQLAlchemy URL (see `Settings.state_url`); `owner` names this journal in rows, a unique name by default.
    With `reading` nothing is made, and nothing can be claimed.
    """

    def __init__(self, url: str, *, owner: str | None = None, reading: bool = False) -> None:
        self.engine = reading_engine(url) if reading else connect_state(url)
        self.owner = Owner(self.engine, owner, after_beat=self._release_unclaimed)
        self.retry = OutageRetry()  # for what is safe to repeat: each method of the journal is
        self._claiming = threading.Lock()
        self._worked_on: set[int] = set()  # rows that a run of this journal has claimed and not ended
        self._unsure = False  # whether rows of ours may be open that no run of ours works on

    def close(self) -> None:
        """Give back the leases of this journal. Rows stay; what it had claimed and not finished is free for others."""
        self.owner.close()

    @_through_outage
    def now(self) -> datetime:
        """The present instant by the clock of the state database, UTC; never pinned. Of two machines' clocks one is
        behind: only instants of this one tell what came before what."""
        return datetime.fromtimestamp(time.time() + clock_ahead(self.engine), UTC)

    def claim(self, requests: Sequence[Request], planned_at: datetime, *, run_id: str = "") -> list[Claim]:
        """Claim requests with distinct keys in one transaction; the claims, in order.

        An answer counts as known when it is not in the lake yet, or came or was stored there at or after `planned_at`
        (by `now`): the plan did not know it. A failure that may pass (timeout, disconnect, pacing) is never an
        answer.
        """
        if not requests:
            return []
        with self._claiming, self._doubting():
            found = self._claim(requests, planned_at, run_id)
            self._worked_on.update(claim.request_id for claim in found if claim.state is ClaimState.SEND)
        return found

    def _claim(self, requests: Sequence[Request], planned_at: datetime, run_id: str) -> list[Claim]:
        me = self.owner.ensure()
        with write_transaction(self.engine) as connection:
            rows = _relevant(connection, [request.key for request in requests], planned_at.timestamp())
            alive = live_owners(connection) if any(row.state != "done" for row in rows.values()) else set()
            now = database_now(connection)
            claims: list[Claim | None] = []
            fresh: list[Request] = []
            for request in requests:
                row = rows.get(request.key)
                claims.append(
                    None if row is None else _existing(request, row, self._is_in_hand(row.id, row.owner, alive))
                )
                if row is None:
                    fresh.append(request)
            taken = [c.request_id for c in claims if c is not None and c.state is ClaimState.SEND]
            if taken:
                connection.execute(
                    t.update().where(t.c.id.in_(taken)).values(owner=me, run_id=run_id, state="claimed", claimed_at=now)
                )
            ids = iter(_insert(connection, fresh, me, run_id, now))
            return [
                claim if claim is not None else Claim(request, ClaimState.SEND, next(ids))
                for request, claim in zip(requests, claims, strict=True)
            ]

    def _is_in_hand(self, row_id: int, owner: str, alive: set[str]) -> bool:
        """Whether somebody works on an open row. One of ours that no run of ours has, was claimed or given back while
        the database failed: nobody does."""
        return row_id in self._worked_on if owner == self.owner.name else owner in alive

    def moved(self, request_ids: Sequence[int]) -> bool:
        """Whether one of these rows, in flight elsewhere, has ended or lost its owner: time to claim again."""
        with read_transaction(self.engine) as connection:
            rows = connection.execute(
                sa.select(t.c.id, t.c.state, t.c.owner).where(t.c.id.in_(request_ids[:_IN_CHUNK]))
            ).all()
            alive = live_owners(connection)
        return len(rows) < len(request_ids[:_IN_CHUNK]) or any(
            row.state == "done" or not self._is_in_hand(row.id, row.owner, alive) for row in rows
        )

    def record(self, sent: Sequence[tuple[int, int, float]], finished: Sequence[Finish]) -> None:
        """Commit sends `(request_id, attempt, sent_at)` and ends in one durable transaction.

        An end of a row that is done already changes nothing: the first answer stands.
        """
        if not sent and not finished:
            return
        with write_transaction(self.engine, durable=bool(finished)) as connection:
            if sent:
                connection.execute(
                    _MARK_SENT, [{"row": row, "attempt": attempt, "sent_at": at} for row, attempt, at in sent]
                )
            if finished:
                connection.execute(_MARK_DONE, [end_values(f) for f in finished])
        self._worked_on.difference_update(end.request_id for end in finished)

    def release(self, request_ids: Sequence[int]) -> None:
        """Give up rows of ours that have no end: they are free for whoever wants them next; for this journal also where
        the database fails."""
        with self._claiming, self._doubting():
            try:
                self._release(request_ids)
            finally:
                self._worked_on.difference_update(request_ids)

    def _release(self, request_ids: Sequence[int]) -> None:
        with write_transaction(self.engine) as connection:
            for chunk in _chunks(request_ids):
                ours = t.c.id.in_(chunk), t.c.owner == self.owner.name
                connection.execute(t.delete().where(*ours, t.c.state == "claimed", t.c.attempt == 0))
                connection.execute(t.update().where(*ours, t.c.state != "done").values(owner=""))

    def leave(self, request_ids: Collection[int]) -> None:
        """No run of this journal works on these rows any more. Rows that were not released are released after the next
        heartbeat."""
        if not self._worked_on.isdisjoint(request_ids):
            self._unsure = True
            self._worked_on.difference_update(request_ids)

    @contextmanager
    def _doubting(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._unsure = True
            raise

    def _release_unclaimed(self) -> None:
        """Give up open rows of ours that no run of ours works on: they were claimed or given back while the database
        failed. Called after each heartbeat, which waits for no claim."""
        if not self._unsure or not self._claiming.acquire(blocking=False):
            return
        try:
            mine = sa.select(t.c.id).where(t.c.owner == self.owner.name, t.c.state != "done")
            with read_transaction(self.engine) as connection:
                rows = set(connection.execute(mine).scalars())
            self._release(sorted(rows - self._worked_on))
            self._unsure = False
        finally:
            self._claiming.release()

    @_through_outage
    def applied(self, request_ids: Sequence[int]) -> None:
        """The answers are in the lake: remember when, and drop the responses."""
        with write_transaction(self.engine) as connection:
            now = database_now(connection)
            for chunk in _chunks(request_ids):
                connection.execute(
                    t.update()
                    .where(t.c.id.in_(chunk), t.c.state == "done", t.c.applied_at.is_(None))
                    .values(applied_at=now, response=None)
                )

    @_through_outage
    def set_aside(self, request_ids: Sequence[int]) -> None:
        """These answers are bad: they answer no question any more, so that it may be requested again. Their responses
        stay until they are applied."""
        with write_transaction(self.engine) as connection:
            for chunk in _chunks(request_ids):
                connection.execute(
                    t.update()
                    .where(t.c.id.in_(chunk), t.c.state == "done")
                    .values(outcome=OutcomeKind.QUARANTINED.value)
                )

    @_through_outage
    def unapplied(self, datasets: Iterable[str], symbols: Iterable[str] | None = None) -> list[Result]:
        """Answers of these datasets (and underlyings) that are not in the lake yet, oldest first; also those that were
        set aside and not applied."""
        query = sa.select(t).where(
            t.c.state == "done",
            t.c.applied_at.is_(None),
            t.c.dataset.in_(list(datasets)),
            t.c.outcome.in_(_RECOVERABLE),
        )
        if symbols is not None:
            query = query.where(t.c.symbol.in_(list(symbols)))
        with read_transaction(self.engine) as connection:
            return [
                result_of(row, from_record(json.loads(row.record)))
                for row in connection.execute(query.order_by(t.c.finished_at, t.c.id))
            ]


def _relevant(connection: sa.Connection, keys: Sequence[str], planned_at: float) -> dict[str, sa.Row[Any]]:
    """The row that decides about each key: an open one before an answer, the latest of several answers."""
    # Stored after the plan was made, the plan did not see it, however early the answer came.
    unseen = t.c.applied_at.is_(None) | (t.c.applied_at >= planned_at) | (t.c.finished_at >= planned_at)
    answered = t.c.outcome.in_(_ANSWERS) & unseen
    found: dict[str, sa.Row[Any]] = {}
    for chunk in _chunks(keys):
        for row in connection.execute(
            sa.select(t).where(t.c.key.in_(chunk), (t.c.state != "done") | answered).order_by(t.c.id)
        ):
            if row.key not in found or found[row.key].state == "done":
                found[row.key] = row
    return found


def _existing(request: Request, row: sa.Row[Any], in_hand: bool) -> Claim:
    if row.state == "done":
        return Claim(request, ClaimState.KNOWN, row.id, row.attempt, result_of(row, request))
    return Claim(request, ClaimState.WAIT if in_hand else ClaimState.SEND, row.id, row.attempt)


def _insert(connection: sa.Connection, fresh: Sequence[Request], me: str, run_id: str, now: float) -> list[int]:
    if not fresh:
        return []
    common = {"owner": me, "run_id": run_id, "state": "claimed", "attempt": 0, "claimed_at": now}
    first = 1 + largest_id(connection)
    values = [{"id": first + i, **request_values(request), **common} for i, request in enumerate(fresh)]
    # ids by hand: the transaction excludes other writers, and executemany returns none
    connection.execute(t.insert(), values)
    return [value["id"] for value in values]


def _chunks(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[i : i + _IN_CHUNK] for i in range(0, len(items), _IN_CHUNK))
