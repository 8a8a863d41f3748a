"""What the journal's requests add up to: counted once, and then only what is new.

A year of a large universe is millions of rows, and a scrape comes every few seconds. Rows that are settled (ended, and
without an answer that is still to be stored) never change again: they are added up once, in steps of `STEP` ids, and
remembered by this process. Rows that are open, and those of the last `YOUNG_SECONDS`, which another transaction may be
about to commit, are looked at each time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from trading_assets.state import database_now, read_state
from trading_assets.state.tables import requests

STEP = 100_000
"""Ids in one transaction: some tenths of a second."""

YOUNG_SECONDS = 60.0
"""Longer than any transaction of the journal lasts."""

_CHUNK = 500
"""Ids in one list of a statement."""

_SETTLED = (requests.c.state == "done") & (requests.c.applied_at.is_not(None) | requests.c.response.is_(None))


@dataclass(frozen=True, slots=True)
class Totals:
    """Of requests of one kind and outcome: `ended`, times `sent`, seconds `answering` and `waiting` as the metrics of
    these names. Open requests count in `sent` only."""

    ended: int = 0
    sent: int = 0
    answering: float = 0.0
    waiting: float = 0.0

    def plus(self, other: Totals) -> Totals:
        """The sum."""
        return Totals(
            self.ended + other.ended,
            self.sent + other.sent,
            self.answering + other.answering,
            self.waiting + other.waiting,
        )


Key = tuple[str, str]
"""Kind and outcome; the outcome of an open request is empty."""


class JournalTotals:
    """The totals of one state database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._settled: dict[Key, Totals] = {}
        self._pending: set[int] = set()
        self._upto = 0

    def read(self) -> dict[Key, Totals]:
        """The totals now, by kind and outcome. Raises as `read_state`."""
        while self._step():
            pass
        with read_state(self._url) as connection:
            found = dict(self._settled)
            _add(found, connection, requests.c.id > self._upto)
            for ids in _chunks(self._pending):
                _add(found, connection, requests.c.id.in_(ids))
        return found

    def _step(self) -> bool:
        """Take up the next ids; whether there may be more."""
        with read_state(self._url) as connection:
            old = requests.c.claimed_at < database_now(connection) - YOUNG_SECONDS
            newest = connection.execute(sa.select(sa.func.max(requests.c.id))).scalar() or 0
            first, last = min(self._upto, newest), min(self._upto + STEP, newest)
            young = connection.execute(
                sa.select(sa.func.min(requests.c.id)).where(requests.c.id > first, requests.c.id <= last, ~old)
            ).scalar()
            last = last if young is None else young - 1
            taken = (requests.c.id > first) & (requests.c.id <= last)
            settled, pending = dict(self._settled), set(self._pending)
            _add(settled, connection, taken & _SETTLED)
            pending |= set(connection.execute(sa.select(requests.c.id).where(taken, ~_SETTLED)).scalars())
            for ids in _chunks(self._pending):
                _add(settled, connection, requests.c.id.in_(ids) & _SETTLED)
                there = connection.execute(sa.select(requests.c.id).where(requests.c.id.in_(ids), ~_SETTLED)).scalars()
                pending -= set(ids) - set(there)
        self._settled, self._pending, self._upto = settled, pending, max(first, last)
        return young is None and last < newest


def _add(found: dict[Key, Totals], connection: sa.Connection, where: sa.ColumnElement[bool]) -> None:
    """Add the rows to the totals."""
    done = requests.c.state == "done"
    query = (
        sa.select(
            requests.c.kind,
            sa.case((done, requests.c.outcome), else_=""),
            sa.func.sum(sa.case((done, 1), else_=0)),
            sa.func.sum(requests.c.attempt),
            sa.func.sum(sa.case((done, requests.c.duration), else_=0.0)),
            sa.func.sum(sa.case((done, requests.c.sent_at - requests.c.claimed_at), else_=0.0)),
        )
        .where(where)
        .group_by(sa.literal_column("1"), sa.literal_column("2"))
    )
    for kind, outcome, ended, sent, answering, waiting in connection.execute(query):
        more = Totals(int(ended), int(sent), answering or 0.0, max(0.0, waiting or 0.0))
        found[kind, outcome or ""] = found.get((kind, outcome or ""), Totals()).plus(more)


def by_kind(totals: dict[Key, Totals]) -> dict[str, Totals]:
    """The totals of each kind, of all outcomes and of open requests."""
    found: dict[str, Totals] = {}
    for (kind, _), one in totals.items():
        found[kind] = found.get(kind, Totals()).plus(one)
    return found


def _chunks(ids: Iterable[int]) -> Iterable[list[int]]:
    listed = sorted(ids)
    return (listed[start : start + _CHUNK] for start in range(0, len(listed), _CHUNK))
