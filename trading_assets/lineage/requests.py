"""The journal as lineage reads it: requests by id, by run and by kind. Reads the table `requests`, writes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from trading_assets.broker.quarantine import Entry, Quarantine
from trading_assets.lineage.records import RequestRecord
from trading_assets.settings import Settings
from trading_assets.state import read_transaction, reading_engine
from trading_assets.state.pin import pinned, place
from trading_assets.state.records import instant
from trading_assets.state.tables import quarantine
from trading_assets.state.tables import requests as t

_IN_CHUNK = 500
"""Ids in one IN list: under SQLite's oldest limit of 999 variables."""

_COLUMNS = [column for column in t.c if column.name != "response"]


class RequestLog:
    """The journal of the settings' state database. One that is not there is not made: `missing` says so then."""

    def __init__(self, settings: Settings) -> None:
        self.missing = ""
        self._engine: sa.Engine | None = None
        url = settings.state_url
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).is_file():
            self.missing = (
                f"The state database {parsed.database} is not there, and with it the journal of requests: put it back"
                " from a backup."
            )
            return
        self._engine = reading_engine(url)
        self._quarantine = Quarantine(url)
        row = pinned(self._engine)
        self._lost_up_to = int(row.ids_above) if row is not None else 0

    def requests(self, ids: Iterable[int]) -> dict[int, RequestRecord]:
        """Requests by id; ids without a record are absent."""
        found: dict[int, RequestRecord] = {}
        for chunk in _chunks(sorted({number for number in ids if number > 0})):
            found |= {one.id: one for one in self._select(sa.select(*_COLUMNS).where(t.c.id.in_(chunk)))}
        return found

    def of_run(self, run_id: str) -> list[RequestRecord]:
        """The requests that a run sent or was about to send, by id."""
        return self._select(sa.select(*_COLUMNS).where(t.c.run_id == run_id).order_by(t.c.id))

    def by_keys(self, keys: Iterable[str]) -> list[RequestRecord]:
        """The answered requests with one of these keys, oldest first."""
        query = sa.select(*_COLUMNS).where(t.c.key.in_(list(keys)), t.c.outcome == "complete")
        return self._select(query.order_by(t.c.id))

    def counts(self, kinds: Iterable[str]) -> dict[str, int]:
        """Requests of each kind."""
        if self._engine is None:
            return dict.fromkeys(kinds, 0)
        with read_transaction(self._engine) as connection:
            if connection.dialect.name != "sqlite":
                counted = connection.execute(sa.select(t.c.kind, sa.func.count()).group_by(t.c.kind)).all()
                return {kind: dict(map(tuple, counted)).get(kind, 0) for kind in kinds}
            # A key begins with its kind: this counts in the index of keys, and reads no row.
            return {
                kind: int(
                    connection.execute(
                        sa.select(sa.func.count()).where(t.c.key >= f"{kind}|", t.c.key < f"{kind}}}")
                    ).scalar_one()
                )
                for kind in kinds
            }

    def quarantined(self, ids: Iterable[int]) -> dict[int, Entry]:
        """The quarantine's entries of these requests, open and closed, by request."""
        if self._engine is None:
            return {}
        entries = []
        with read_transaction(self._engine) as connection:
            for chunk in _chunks(sorted(set(ids))):
                entries += list(
                    connection.execute(sa.select(quarantine.c.id).where(quarantine.c.request_id.in_(chunk))).scalars()
                )
        found = [self._quarantine.entry(number) for number in entries]
        return {entry.request_id: entry for entry in found}

    def why_gone(self, request_id: int) -> str:
        """A sentence about a request that rows name and of which there is no record, or only one of another request
        with its number."""
        if self.missing:
            return f"Request {request_id} is not known. {self.missing}"
        assert self._engine is not None
        if request_id <= self._lost_up_to:
            return (
                f"The record of request {request_id} is gone: it stood in an earlier state database, which was lost."
                " Put that one back from a backup to see it."
            )
        return (
            f"The state database {place(self._engine)} has no record of that request {request_id}. Where rows name it,"
            " the database is older than these, or of another lake: put the right one back from a backup to see it."
        )

    def _select(self, query: sa.Select[Any]) -> list[RequestRecord]:
        if self._engine is None:
            return []
        with read_transaction(self._engine) as connection:
            return [_record(row) for row in connection.execute(query)]


def _record(row: sa.Row[Any]) -> RequestRecord:
    asked = json.loads(row.record)
    instrument = asked["instrument"]
    session = date.fromisoformat(row.session)
    return RequestRecord(
        id=row.id,
        kind=row.kind,
        key=row.key,
        dataset=row.dataset,
        symbol=row.symbol,
        con_id=row.con_id,
        contract=instrument["local_symbol"] if instrument["sec_type"] == "OPT" else "",
        last_trade=instrument["last_trade"],
        bar_size=asked.get("bar_size", ""),
        first_session=date.fromisoformat(asked["first_session"]) if asked.get("first_session") else session,
        session=session,
        state=row.state,
        outcome=row.outcome or "",
        code=row.code,
        text=row.text or "",
        attempts=row.attempt,
        claimed_at=datetime.fromtimestamp(row.claimed_at, UTC),
        sent_at=instant(row.sent_at),
        finished_at=instant(row.finished_at),
        duration=row.duration,
        rows=row.rows,
        answer_bytes=row.answer_bytes,
        applied_at=instant(row.applied_at),
        run_id=row.run_id,
    )


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    return (ids[begin : begin + _IN_CHUNK] for begin in range(0, len(ids), _IN_CHUNK))
