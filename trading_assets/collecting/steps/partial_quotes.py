"""Quotes that came without a value they should hold: requested again while their session lasts, but not at every run.

A far option may never get greeks. So the run after the first asks for such a quote again; from then on it is asked for
only while the market is open, and only when its last quote is older than `settings.requote_after_minutes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.requests import QuoteRequest
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import PARTIAL
from trading_assets.collecting.report import CollectionReport, Problem, ProblemKind
from trading_assets.planning.chains import plan_quotes
from trading_assets.repositories.schemas import OPTION_CHAINS
from trading_assets.state import read_transaction
from trading_assets.state.tables import requests as journal

AT_ONCE = 2
"""Quotes of one contract and session that follow one another without a wait while they stay partial."""

SETTLED_QUOTES = pa.array([OutcomeKind.COMPLETE.value, OutcomeKind.EMPTY.value])
"""Values of `quote_outcome` that are not requested again in their session."""

_MARKET_VALUES = ("bid", "ask", "last", "volume", "open_interest", "implied_volatility")
"""What a quote can hold of the market; a broker without any data of a session answers quotes with none of them."""

_IN_CHUNK = 500
"""Keys in one IN list: under SQLite's oldest limit of 999 variables."""


def waiting(archive: Archive, chain: pa.Table, session: date) -> pa.Table:
    """The rows of a chain with a partial quote of `session` that is not to be requested again now. Counted in the
    journal."""
    rows = chain.filter(
        pc.and_(pc.equal(chain["session"], pa.scalar(session)), pc.equal(chain["quote_outcome"], PARTIAL))
    )
    if archive.now < archive.calendar.closes_at(session):
        since = archive.now - timedelta(minutes=archive.settings.requote_after_minutes)
        rows = rows.filter(pc.greater(rows["quoted_at"], pa.scalar(since, rows["quoted_at"].type)))
    con_ids = {
        request.key: request.instrument.con_id for request in plan_quotes(rows, rows["con_id"].to_pylist(), session)
    }
    enough = sorted(con_ids[key] for key, count in _answered(archive, list(con_ids)).items() if count >= AT_ONCE)
    return rows.filter(pc.is_in(rows["con_id"], pa.array(enough, pa.int64())))


def quotes_left(archive: Archive, chain: pa.Table, session: date) -> list[QuoteRequest]:
    """The quotes that a chain of `session` still lacks and that may be asked for now."""
    chosen = chain.filter(chain["selected"])
    settled = chosen.filter(pc.is_in(chosen["quote_outcome"], SETTLED_QUOTES))["con_id"].to_pylist()
    bad = {con_id for _, con_id in archive.examiner.waiting_quotes(chosen["symbol"].unique().to_pylist(), session)}
    return plan_quotes(
        chain,
        chosen["con_id"].to_pylist(),
        session,
        {*settled, *bad, *waiting(archive, chosen, session)["con_id"].to_pylist()},
    )


def report_partial(
    archive: Archive, chain: pa.Table, symbol: str, session: date, lacking: str, report: CollectionReport
) -> datetime | None:
    """Report that quotes of a chain lack values; the instant at which they may be requested again, None: by the next
    run."""
    left = pc.sum(pc.equal(chain["quote_outcome"], PARTIAL)).as_py() - waiting(archive, chain, session).num_rows
    at = None if left else _next_request_at(archive, session)
    again = "They are requested again by the next run of this session."
    if at is not None:
        again = f"They were requested again, and the broker gave no more; the next time is {at:%Y-%m-%d %H:%M} UTC."
    report.problems.append(Problem(ProblemKind.PARTIAL, symbol, "quotes", f"{lacking} {again}", outcome=PARTIAL))
    return at


def holds_no_market_data(quotes: pa.Table) -> bool:
    """Whether no row holds anything of the market: no price, no volume, no open interest, no greeks."""
    return all(quotes[name].null_count == quotes.num_rows for name in _MARKET_VALUES)


def quoted_before(archive: Archive, symbols: Iterable[str], session: date, instant: datetime | None) -> set[str]:
    """Symbols whose newest quote of the session was taken before `instant`; none when it is None."""
    if instant is None:
        return set()
    columns = ["symbol", "quoted_at"]
    rows = archive.view(OPTION_CHAINS).table(
        sessions=[session], symbols=sorted(symbols), columns=columns, where="quoted_at is not null"
    )
    newest = rows.group_by("symbol").aggregate([("quoted_at", "max")])
    return {
        symbol
        for symbol, at in zip(newest["symbol"].to_pylist(), newest["quoted_at_max"].to_pylist(), strict=True)
        if at < instant
    }


def _next_request_at(archive: Archive, session: date) -> datetime:
    """The first instant (UTC) at which quotes that are `waiting` now may be requested again, in this session or the
    next."""
    soon = archive.now + timedelta(minutes=archive.settings.requote_after_minutes)
    closes = archive.calendar.closes_at(session)
    return soon if soon < closes else archive.calendar.opens_at(archive.calendar.following(session))


def _answered(archive: Archive, keys: list[str]) -> dict[str, int]:
    """How often each question was answered."""
    counts: dict[str, int] = {}
    if not keys:
        return counts
    with read_transaction(archive.journal.engine) as connection:
        for begin in range(0, len(keys), _IN_CHUNK):
            asked = (
                sa.select(journal.c.key, sa.func.count().label("times"))
                .where(
                    journal.c.key.in_(keys[begin : begin + _IN_CHUNK]), journal.c.outcome == OutcomeKind.COMPLETE.value
                )
                .group_by(journal.c.key)
            )
            counts |= {row.key: row.times for row in connection.execute(asked)}
    return counts
