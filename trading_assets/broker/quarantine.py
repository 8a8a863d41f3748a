"""The quarantine: answers of the broker that cannot be stored, kept with the reason until a later answer takes their
place.

    bad answer --> open --good answer to the same question--> closed
                    |
                    +--bad answer to it again--> closed, and a new entry with one failure more
                    +--discard--> gone

Here belongs the table `quarantine` alone. What makes an answer bad is in `collecting.examine`; what a session lacks
stands in coverage.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from trading_assets.broker import payloads
from trading_assets.broker.outcomes import HELD, Fault, Result
from trading_assets.broker.requests import BarsRequest, QuoteRequest, Request
from trading_assets.errors import InvalidRequest
from trading_assets.sessions import calendar, session_date
from trading_assets.state import read_state
from trading_assets.state.records import StateRecords, instant
from trading_assets.state.tables import quarantine as t
from trading_assets.state.tables import requests as journal

KEPT_FAULTS = 50
"""Faults of one answer that are written down one by one; all of them are counted."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One quarantined answer. Instants are UTC, by the platform's clock; `sessions` are those it still leaves lacking.

    `state`: `open`; `closed` by the answer `closed_by` (None: with its series); `expired` when the broker cannot be
    asked any more.
    """

    id: int
    request_id: int
    question: str
    kind: str
    dataset: str
    symbol: str
    con_id: int
    contract: str
    last_trade: str
    bar_size: str
    sessions: tuple[date, ...]
    reason: str
    faults: tuple[Fault, ...]
    fault_count: int
    failures: int
    quarantined_at: datetime
    retry_after: datetime
    last_day: date | None
    closed_at: datetime | None
    closed_by: int | None

    @property
    def fields(self) -> list[str]:
        """The columns that hold what cannot be stored."""
        return sorted({fault.field for fault in self.faults})

    @property
    def held(self) -> Fault | None:
        """What the user has to decide about; None for an answer that is bad."""
        return next((fault for fault in self.faults if fault.where == HELD), None)

    def state(self, now: datetime) -> str:
        """What is true of it at an instant."""
        if self.closed_at is not None:
            return "closed"
        return "expired" if self.last_day is not None and session_date(now) > self.last_day else "open"

    def as_dict(self, now: datetime) -> dict[str, Any]:
        """Plain values, dates and instants as such."""
        values = {name: getattr(self, name) for name in self.__slots__}
        faults = [{name: getattr(fault, name) for name in Fault.__slots__} for fault in self.faults]
        return {**values, "sessions": list(self.sessions), "faults": faults, "state": self.state(now)}


class Quarantine(StateRecords):
    """The quarantine of a state database (a SQLAlchemy URL). Safe for use from several processes."""

    def entries(self, *, symbols: Iterable[str] | None = None, closed: bool = False) -> list[Entry]:
        """Entries by id; with `closed` also those that a later answer has closed."""
        query = sa.select(*_COLUMNS).order_by(t.c.id)
        if not closed:
            query = query.where(t.c.closed_at.is_(None))
        if symbols is not None:
            query = query.where(t.c.symbol.in_(sorted(symbols)))
        return [_entry(row) for row in self._rows(query)]

    def entry(self, entry_id: int) -> Entry:
        """One entry, open or closed. Raises `ValueError` when there is none of that id."""
        with read_state(self._url) as connection:
            row = connection.execute(sa.select(*_COLUMNS).where(t.c.id == entry_id)).one_or_none()
        if row is None:
            raise InvalidRequest(
                f"There is no quarantined answer {entry_id}: see `trading-assets quarantine list --all`."
            )
        return _entry(row)

    def answer(self, entry_id: int) -> Any:
        """The raw answer (see `broker.payloads`), None where it is damaged or there was none."""
        self.entry(entry_id)
        with read_state(self._url) as connection:
            response = connection.execute(sa.select(t.c.response).where(t.c.id == entry_id)).scalar_one()
        try:
            return None if response is None else payloads.unpack(response)
        except payloads.DamagedPayload:
            return None

    def settle(self, results: Sequence[Result], now: datetime) -> None:
        """Keep the bad answers among the results and close the entries that the results answer, in one transaction.

        To be called before the journal lets the responses go. Repeating it changes nothing.
        """
        with self._writing() as connection:
            by_question: dict[str, list[Entry]] = defaultdict(list)
            for row in connection.execute(sa.select(*_COLUMNS).where(t.c.closed_at.is_(None))):
                by_question[row.question].append(_entry(row))
            for result in sorted({r.request_id: r for r in results}.values(), key=lambda result: result.request_id):
                same = by_question.get(question(result.request), [])
                for entry in [entry for entry in same if entry.request_id < result.request_id]:
                    same.remove(entry)
                    same += _answered(connection, entry, result, now)
                if result.quarantined is not None:
                    by_question[question(result.request)] += _kept(connection, result, now)

    def make_due(self, entry_id: int, now: datetime) -> Entry:
        """The question of an open entry may be requested again from now on. Raises `ValueError` for an entry that is
        not open."""
        entry = self.entry(entry_id)
        if (state := entry.state(now)) != "open":
            over = (
                "a later answer has taken its place"
                if entry.closed_by
                else f"the series of {entry.symbol} that it belongs to is closed"
            )
            why = over if state == "closed" else f"the broker cannot be asked for it after {entry.last_day}"
            raise ValueError(f"The quarantined answer {entry_id} cannot be requested again: {why}.")
        with self._writing() as connection:
            connection.execute(t.update().where(t.c.id == entry_id).values(retry_after=now.timestamp()))
        return replace(entry, retry_after=now)

    def rename(self, symbol: str, new_symbol: str) -> None:
        """The open entries of a symbol belong to a series that goes on under another symbol."""
        with self._writing() as connection:
            mine = t.c.symbol == symbol, t.c.closed_at.is_(None)
            for row in connection.execute(sa.select(t.c.id, t.c.question, t.c.last_trade).where(*mine)).all():
                kind, asked, *rest = row.question.split("|")
                asked = _of_symbol(new_symbol, row.last_trade) if asked == _of_symbol(symbol, row.last_trade) else asked
                connection.execute(
                    t.update()
                    .where(t.c.id == row.id)
                    .values(symbol=new_symbol, question="|".join((kind, asked, *rest)))
                )

    def close_series(self, symbol: str, now: datetime) -> None:
        """The series of a symbol is closed: nobody asks for what its open entries lack any more."""
        with self._writing() as connection:
            connection.execute(
                t.update().where(t.c.symbol == symbol, t.c.closed_at.is_(None)).values(closed_at=now.timestamp())
            )

    def discard(self, entry_id: int) -> Entry:
        """Delete an entry with its answer; what is missing stays missing. Raises `ValueError` when there is none of
        that id."""
        entry = self.entry(entry_id)
        with self._writing() as connection:
            connection.execute(t.delete().where(t.c.id == entry_id))
        return entry


def question(request: Request) -> str:
    """What a request asks, whatever the span: a later answer to the same question takes the place of an earlier one.

    Of an option it is asked by contract id, of anything else by symbol: with another exchange or contract of the series
    it is the same question.
    """
    instrument = request.instrument
    of_option = instrument.sec_type == "OPT" and instrument.con_id
    parts = [
        type(request).kind,
        f"{instrument.con_id}" if of_option else _of_symbol(instrument.symbol, instrument.last_trade),
    ]
    if isinstance(request, BarsRequest):
        parts += [request.bar_size, request.what_to_show, "rth" if request.use_rth else "all"]
    return "|".join(parts)


def _of_symbol(symbol: str, last_trade: str) -> str:
    return "/".join(filter(None, (symbol, last_trade)))


_COLUMNS = [column for column in t.c if column.name != "response"]


def _answered(connection: sa.Connection, entry: Entry, result: Result, now: datetime) -> list[Entry]:
    """Close an open entry, or take the sessions off it that the result has answered since; the entry while it is
    open."""
    if result.quarantined is None and not result.outcome.kind.answers:
        return [entry]
    left: tuple[date, ...] = ()
    if isinstance(result.request, BarsRequest):
        first, last = result.request.first_session, result.request.session
        left = tuple(session for session in entry.sessions if not first <= session <= last)
    if left:
        connection.execute(t.update().where(t.c.id == entry.id).values(sessions=_dates(left)))
        return [replace(entry, sessions=left)]
    connection.execute(
        t.update().where(t.c.id == entry.id).values(closed_at=now.timestamp(), closed_by=result.request_id)
    )
    return []


def _kept(connection: sa.Connection, result: Result, now: datetime) -> list[Entry]:
    """The entry of a bad answer, made unless it is there."""
    mine = sa.select(*_COLUMNS).where(t.c.request_id == result.request_id)
    if connection.execute(mine).one_or_none() is None:
        connection.execute(t.insert().values(**_values(result, now), response=_response(result.request_id)))
    row = connection.execute(mine).one()
    return [_entry(row)] if row.closed_at is None else []


def _values(result: Result, now: datetime) -> dict[str, Any]:
    request, bad = result.request, result.quarantined
    assert bad is not None, "only bad answers are kept"
    faults = [
        {**{name: getattr(f, name) for name in Fault.__slots__}, "session": f.session and f.session.isoformat()}
        for f in bad.faults
    ]
    return {
        "request_id": result.request_id,
        "question": question(request),
        "kind": type(request).kind,
        "dataset": request.dataset,
        "symbol": request.symbol,
        "con_id": request.instrument.con_id,
        "contract": request.instrument.local_symbol if request.instrument.sec_type == "OPT" else "",
        "last_trade": request.instrument.last_trade[:8],
        "bar_size": request.bar_size if isinstance(request, BarsRequest) else "",
        "sessions": _dates(bad.sessions),
        "reason": bad.reason,
        "faults": json.dumps(faults[:KEPT_FAULTS]),
        "fault_count": len(faults),
        "failures": bad.failures,
        "quarantined_at": now.timestamp(),
        "retry_after": bad.retry_after.timestamp(),
        "last_day": _last_day(request),
    }


def _response(request_id: int) -> sa.ScalarSelect[Any]:
    return sa.select(journal.c.response).where(journal.c.id == request_id).scalar_subquery()


def _last_day(request: Request) -> str | None:
    """The last day on which the broker can be asked. Options are forgotten after their expiry, at most a day after the
    last trading day.

    A quote belongs to its session: it can be requested until the next one begins.
    """
    if isinstance(request, QuoteRequest):
        return (calendar().following(request.session) - timedelta(days=1)).isoformat()
    if request.instrument.sec_type != "OPT":
        return None
    text = request.instrument.last_trade
    try:
        return (date(int(text[:4]), int(text[4:6]), int(text[6:8])) + timedelta(days=1)).isoformat()
    except ValueError:
        return None


def _dates(days: Iterable[date]) -> str:
    return json.dumps([day.isoformat() for day in sorted(days)])


def _entry(row: sa.Row[Any]) -> Entry:
    values = dict(row._mapping)
    faults = [
        Fault(**{**fault, "session": fault["session"] and date.fromisoformat(fault["session"])})
        for fault in json.loads(values["faults"])
    ]
    return Entry(
        **{
            **values,
            "sessions": tuple(date.fromisoformat(day) for day in json.loads(values["sessions"])),
            "faults": tuple(faults),
            "last_day": date.fromisoformat(values["last_day"]) if values["last_day"] else None,
            **{name: instant(values[name]) for name in ("quarantined_at", "retry_after", "closed_at")},
        }
    )
