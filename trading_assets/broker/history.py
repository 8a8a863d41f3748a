"""What the journal says of the past: the words of a request, listings that were empty, what is in flight. Reading, and
one renaming."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from trading_assets.broker.journal import Journal
from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.requests import ContractDetailsRequest, Request, from_record
from trading_assets.instrument import Instrument
from trading_assets.state import database_now, read_transaction, write_transaction
from trading_assets.state.owners import live_owners
from trading_assets.state.tables import requests as t

_IN_CHUNK = 500
"""Values in one IN list: under SQLite's oldest limit of 999 variables."""

_NOTHING = [OutcomeKind.NO_CONTRACT.value, OutcomeKind.EMPTY.value]


def words_of(journal: Journal, request_ids: Collection[int]) -> dict[int, Instrument]:
    """The instruments that requests were made for, by journal row; a row that is not there (a lost state database) is
    left out."""
    found: dict[int, Instrument] = {}
    ids = sorted(request_ids)
    with read_transaction(journal.engine) as connection:
        for begin in range(0, len(ids), _IN_CHUNK):
            rows = connection.execute(sa.select(t.c.id, t.c.record).where(t.c.id.in_(ids[begin : begin + _IN_CHUNK])))
            found |= {row.id: from_record(json.loads(row.record)).instrument for row in rows}
    return found


def answered_with_nothing(journal: Journal, asked: Sequence[Request]) -> list[Request]:
    """Those of the questions to which the broker's last answer was that there is no such contract, or none listed."""
    last: dict[str, str] = {}
    keys = [request.key for request in asked]
    with read_transaction(journal.engine) as connection:
        for begin in range(0, len(keys), _IN_CHUNK):
            within = t.c.key.in_(keys[begin : begin + _IN_CHUNK]), t.c.state == "done"
            last |= {
                row.key: row.outcome
                for row in connection.execute(sa.select(t.c.key, t.c.outcome).where(*within).order_by(t.c.id))
            }
    return [request for request in asked if last.get(request.key) in _NOTHING]


def last_details(journal: Journal, symbols: Collection[str]) -> dict[str, int]:
    """The journal row of the last answer about the contract details of each symbol; without one a symbol is left out.
    Details of a contract by its id are no answer about a symbol."""
    query = sa.select(t.c.symbol, sa.func.max(t.c.id).label("id")).where(
        t.c.kind == ContractDetailsRequest.kind, t.c.state == "done", t.c.key.contains("/")
    )
    with read_transaction(journal.engine) as connection:
        rows = connection.execute(query.where(t.c.symbol.in_(list(symbols))).group_by(t.c.symbol)).all()
    return {row.symbol: row.id for row in rows}


def in_flight(journal: Journal, symbols: Collection[str]) -> int:
    """Requests for these symbols that another owner, alive now, has not ended yet."""
    with read_transaction(journal.engine) as connection:
        owners = live_owners(connection) - {journal.owner.name}
        rows = connection.execute(sa.select(t.c.owner).where(t.c.state != "done", t.c.symbol.in_(list(symbols)))).all()
    return sum(row.owner in owners for row in rows)


def relabel_answers(journal: Journal, symbol: str, new_symbol: str) -> None:
    """Give the answers for `symbol` that are not in the lake yet another symbol: they are of the company whose series
    moves there.

    Contract details are let go instead: they identify the company, and are requested again.
    """
    waiting = (t.c.state == "done") & t.c.applied_at.is_(None) & (t.c.symbol == symbol)
    with write_transaction(journal.engine) as connection:
        details = waiting & (t.c.kind == ContractDetailsRequest.kind)
        connection.execute(t.update().where(details).values(applied_at=database_now(connection), response=None))
        for row in connection.execute(sa.select(t.c.id, t.c.record).where(waiting)).all():
            record = json.loads(row.record)
            record["instrument"]["symbol"] = new_symbol
            values = {"symbol": new_symbol, "record": json.dumps(record, separators=(",", ":"))}
            connection.execute(t.update().where(t.c.id == row.id).values(**values))
