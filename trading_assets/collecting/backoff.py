"""Backoff of requests that failed for the moment: each failure doubles the time before the platform sends them again by
itself.

A request that times out every time must not be sent once an hour for ever, nor take the place of others in the budget.
What comes with a new session, and what a user starts, is sent at once. How often and when a request failed is read from
the journal, so the backoff is measured by its clock (the wall's), also where the market's is pinned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, Condition
from trading_assets.sessions import NEW_YORK
from trading_assets.settings import Settings
from trading_assets.state import database_now, read_state
from trading_assets.state.tables import requests

FIRST_BACKOFF = timedelta(hours=1)
"""After the first failure of a question."""

LONGEST_BACKOFF = timedelta(hours=24)
"""However often it failed: a day later the broker, or the line to it, may be another."""

_PASSING = [kind.value for kind in OutcomeKind if kind.retryable]

_IN_CHUNK = 500
"""Ids in one IN list: under SQLite's oldest limit of 999 variables."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Sessions that the platform does not request by itself now.

    Of underlyings by symbol and bar size, of contracts (`con_id`, session) one by one (bars of `OPTION_BAR_SIZE`).
    `until` (UTC, wall clock) is the first instant at which one of them may be requested again; None: nothing is in
    backoff. `failures` is how often the requests without an answer failed, in backoff or not: it changes whenever one
    fails again.
    """

    underlyings: Mapping[tuple[str, str], frozenset[date]] = field(default_factory=dict)
    contracts: Sequence[tuple[int, date]] = ()
    until: datetime | None = None
    failures: int = 0


NO_BACKOFF = Backoff()
"""Nothing is in backoff."""


def backoff_of(settings: Settings, symbols: Collection[str]) -> Backoff:
    """The bars of `symbols` whose last request failed so lately that it is not sent again by itself yet.

    Of what is available today only, the bars of contracts on their expiry date, the backoff is an hour, however often
    it failed.
    """
    sql = """
        select dataset, bar_size, symbol, con_id, session, request_id from coverage
        where condition in ($pending, $error) and request_id > 0 and retry_after is null
          and (dataset = $equity or dataset = $option and bar_size = $size)
          and symbol in (select unnest($symbols::varchar[]))"""
    values = {
        "pending": str(Condition.PENDING),
        "error": str(Condition.ERROR),
        "equity": EQUITY_BARS.name,
        "option": OPTION_BARS.name,
        "size": OPTION_BAR_SIZE,
        "symbols": list(symbols),
    }
    rows = query(settings.data_dir, sql, values).to_pylist()
    failed, now = _failures(settings, {row["request_id"] for row in rows})
    last_day = _expiring(settings, {row["con_id"] for row in rows if row["con_id"] and row["request_id"] in failed})
    underlyings: dict[tuple[str, str], set[date]] = defaultdict(set)
    contracts: list[tuple[int, date]] = []
    ends: set[datetime] = set()
    for row in rows:
        if row["request_id"] not in failed:
            continue
        times, last = failed[row["request_id"]]
        end = last + (FIRST_BACKOFF if row["con_id"] in last_day else backoff_after(times))
        if end <= now:
            continue
        ends.add(end)
        if row["dataset"] == EQUITY_BARS.name:
            underlyings[row["symbol"], row["bar_size"]].add(row["session"])
        else:
            contracts.append((row["con_id"], row["session"]))
    by_symbol = {key: frozenset(sessions) for key, sessions in underlyings.items()}
    return Backoff(by_symbol, contracts, min(ends, default=None), sum(times for times, _ in failed.values()))


def backoff_after(failures: int) -> timedelta:
    """The backoff after so many failures: one hour, two, four, ... at most a day."""
    return min(LONGEST_BACKOFF, FIRST_BACKOFF * 2 ** min(max(0, failures - 1), 16))


def _expiring(settings: Settings, con_ids: Collection[int]) -> set[int]:
    """Those of the contracts whose expiry date has come."""
    if not con_ids:
        return set()
    sql = (
        "select con_id from option_chains where con_id in (select unnest($con_ids::bigint[])) group by con_id having"
        " max(expiry) <= $today"
    )
    today = settings.clock().astimezone(NEW_YORK).date()
    return set(query(settings.data_dir, sql, {"con_ids": sorted(con_ids), "today": today})["con_id"].to_pylist())


def _failures(settings: Settings, request_ids: Collection[int]) -> tuple[dict[int, tuple[int, datetime]], datetime]:
    """How often the question of each journalled request failed for the moment, and when last (UTC), by request id; and
    the journal's now."""
    ids = sorted(request_ids)
    again = requests.alias()
    found: dict[int, tuple[int, datetime]] = {}
    with read_state(settings.state_url) as connection:
        for begin in range(0, len(ids), _IN_CHUNK):
            asked = (
                sa.select(
                    requests.c.id, sa.func.count().label("failures"), sa.func.max(again.c.finished_at).label("last")
                )
                .join(again, again.c.key == requests.c.key)
                .where(requests.c.id.in_(ids[begin : begin + _IN_CHUNK]), again.c.outcome.in_(_PASSING))
                .group_by(requests.c.id)
            )
            found |= {
                row.id: (row.failures, datetime.fromtimestamp(row.last, UTC)) for row in connection.execute(asked)
            }
        return found, datetime.fromtimestamp(database_now(connection), UTC)
