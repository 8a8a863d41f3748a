"""Quotes that came without a value they should hold: asked for again while their session lasts, but not at every run.

A far option may never get greeks. So the run after the first asks for such a quote again; from then on it is asked for only
while the market is open, and only when its last quote is older than `settings.requote_after_minutes`.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.requests import QuoteRequest
from trading_assets.broker.state import read_transaction
from trading_assets.broker.tables import requests as journal
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import PARTIAL
from trading_assets.planning.chains import plan_quotes

AT_ONCE = 2
"""Quotes of one contract and session that follow one another without a wait while they stay partial."""

SETTLED_QUOTES = pa.array([OutcomeKind.COMPLETE.value, OutcomeKind.EMPTY.value])
"""Values of `quote_outcome` that are not asked for again in their session."""

_IN_CHUNK = 500
"""Keys in one IN list: under SQLite's oldest limit of 999 variables."""


def waiting(archive: Archive, chain: pa.Table, session: date) -> pa.Table:
    """The rows of a chain with a partial quote of `session` that is not to be asked for again now. Counted in the journal."""
    rows = chain.filter(pc.and_(pc.equal(chain["session"], pa.scalar(session)), pc.equal(chain["quote_outcome"], PARTIAL)))
    if archive.now < archive.calendar.closes_at(session):
        since = archive.now - timedelta(minutes=archive.settings.requote_after_minutes)
        rows = rows.filter(pc.greater(rows["quoted_at"], pa.scalar(since, rows["quoted_at"].type)))
    con_ids = {request.key: request.instrument.con_id for request in plan_quotes(rows, rows["con_id"].to_pylist(), session)}
    enough = sorted(con_ids[key] for key, count in _answered(archive, list(con_ids)).items() if count >= AT_ONCE)
    return rows.filter(pc.is_in(rows["con_id"], pa.array(enough, pa.int64())))


def asked_again_at(archive: Archive, session: date) -> datetime:
    """The first instant (UTC) at which quotes that are `waiting` now may be asked for again, in this session or the next."""
    soon = archive.now + timedelta(minutes=archive.settings.requote_after_minutes)
    closes = archive.calendar.closes_at(session)
    return soon if soon < closes else archive.calendar.opens_at(archive.calendar.following(session))


def quotes_left(archive: Archive, chain: pa.Table, session: date) -> list[QuoteRequest]:
    """The quotes that a chain of `session` still lacks and that may be asked for now."""
    chosen = chain.filter(chain["selected"])
    settled = chosen.filter(pc.is_in(chosen["quote_outcome"], SETTLED_QUOTES))["con_id"].to_pylist()
    return plan_quotes(chain, chosen["con_id"].to_pylist(), session, {*settled, *waiting(archive, chosen, session)["con_id"].to_pylist()})


def _answered(archive: Archive, keys: list[str]) -> dict[str, int]:
    """How often each question was answered."""
    counts: dict[str, int] = {}
    if not keys:
        return counts
    with read_transaction(archive.journal.engine) as connection:
        for begin in range(0, len(keys), _IN_CHUNK):
            asked = (
                sa.select(journal.c.key, sa.func.count().label("times"))
                .where(journal.c.key.in_(keys[begin : begin + _IN_CHUNK]), journal.c.outcome == OutcomeKind.COMPLETE.value)
                .group_by(journal.c.key)
            )
            counts |= {row.key: row.times for row in connection.execute(asked)}
    return counts
