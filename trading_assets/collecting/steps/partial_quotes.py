"""Quotes that came without a value they should hold: asked for again while their session lasts, but not without end.

A far option may never get greeks. How often one was asked for is counted in the journal.
"""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.state import read_transaction
from trading_assets.broker.tables import requests as journal
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import PARTIAL
from trading_assets.planning.chains import plan_quotes

MOST = 3
"""Quotes asked for of one contract in one session while they stay partial: the first, and two more in later runs."""

_IN_CHUNK = 500
"""Keys in one IN list: under SQLite's oldest limit of 999 variables."""


def exhausted(archive: Archive, chain: pa.Table, session: date) -> pa.Table:
    """The rows of a chain whose quote of `session` is partial and was asked for `MOST` times: what they lack does not come."""
    rows = chain.filter(pc.and_(pc.equal(chain["session"], pa.scalar(session)), pc.equal(chain["quote_outcome"], PARTIAL)))
    keys = {request.key: request.instrument.con_id for request in plan_quotes(rows, rows["con_id"].to_pylist(), session)}
    answered = _answered(archive, list(keys)) if keys else {}
    ended = sorted(keys[key] for key, count in answered.items() if count >= MOST)
    return rows.filter(pc.is_in(rows["con_id"], pa.array(ended, pa.int64())))


def _answered(archive: Archive, keys: list[str]) -> dict[str, int]:
    """How often each question was answered."""
    counts: dict[str, int] = {}
    with read_transaction(archive.journal.engine) as connection:
        for begin in range(0, len(keys), _IN_CHUNK):
            asked = (
                sa.select(journal.c.key, sa.func.count().label("times"))
                .where(journal.c.key.in_(keys[begin : begin + _IN_CHUNK]), journal.c.outcome == OutcomeKind.COMPLETE.value)
                .group_by(journal.c.key)
            )
            counts |= {row.key: row.times for row in connection.execute(asked)}
    return counts
