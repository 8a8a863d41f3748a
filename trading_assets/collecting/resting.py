"""What was asked for lately and failed for the moment: it rests, each time twice as long, before it is asked for by itself again.

A question that times out every time must not be asked once an hour for ever, nor take the place of others in the budget.
Only the platform's own asking rests: schedules that come with a new session, and people, ask at once. How often and when a
question failed is read from the journal, so the rest is measured by its clock (the wall's), also where the market's is pinned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import sqlalchemy as sa

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.broker.state import connect_state, database_now, read_transaction
from trading_assets.broker.tables import requests
from trading_assets.planning.bars import OPTION_BAR_SIZE
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, Condition
from trading_assets.settings import Settings

FIRST_REST = timedelta(hours=1)
"""After the first failure of a question."""

LONGEST_REST = timedelta(hours=24)
"""However often it failed: a day later the broker, or the line to it, may be another."""

_PASSING = [kind.value for kind in OutcomeKind if kind.retryable]

_IN_CHUNK = 500
"""Ids in one IN list: under SQLite's oldest limit of 999 variables."""


@dataclass(frozen=True, slots=True)
class Resting:
    """Sessions not to be asked for by itself now.

    Of underlyings by symbol and bar size, of contracts (`con_id`, session) one by one (bars of `OPTION_BAR_SIZE`). `until` (UTC,
    wall clock) is the first instant at which one of them may be asked for again; None: nothing rests.
    """

    underlyings: Mapping[tuple[str, str], frozenset[date]] = field(default_factory=dict)
    contracts: Sequence[tuple[int, date]] = ()
    until: datetime | None = None


NOTHING = Resting()
"""Nothing rests."""


def resting(settings: Settings, symbols: Collection[str]) -> Resting:
    """The bars of `symbols` whose last question failed so lately that it is not asked again by itself yet."""
    sql = """
        select dataset, bar_size, symbol, con_id, session, request_id from coverage
        where condition = $pending and request_id > 0 and retry_after is null
          and (dataset = $equity or dataset = $option and bar_size = $size) and symbol in (select unnest($symbols::varchar[]))"""
    values = {
        "pending": str(Condition.PENDING),
        "equity": EQUITY_BARS.name,
        "option": OPTION_BARS.name,
        "size": OPTION_BAR_SIZE,
        "symbols": list(symbols),
    }
    rows = query(settings.data_dir, sql, values).to_pylist()
    ends = _ends(settings, {row["request_id"] for row in rows})
    underlyings: dict[tuple[str, str], set[date]] = defaultdict(set)
    contracts: list[tuple[int, date]] = []
    for row in rows:
        if row["request_id"] not in ends:
            continue
        if row["dataset"] == EQUITY_BARS.name:
            underlyings[row["symbol"], row["bar_size"]].add(row["session"])
        else:
            contracts.append((row["con_id"], row["session"]))
    return Resting({key: frozenset(sessions) for key, sessions in underlyings.items()}, contracts, min(ends.values(), default=None))


def rest_after(failures: int) -> timedelta:
    """How long a question rests after so many failures: one hour, two, four, ... at most a day."""
    return min(LONGEST_REST, FIRST_REST * 2 ** min(max(0, failures - 1), 16))


def _ends(settings: Settings, request_ids: Collection[int]) -> dict[int, datetime]:
    """When the rest of each journalled request's question ends (UTC), of those that rest still, by request id."""
    ids = sorted(request_ids)
    again = requests.alias()
    ends: dict[int, datetime] = {}
    with read_transaction(connect_state(settings.state_url)) as connection:
        now = datetime.fromtimestamp(database_now(connection), UTC)
        for begin in range(0, len(ids), _IN_CHUNK):
            asked = (
                sa.select(requests.c.id, sa.func.count().label("failures"), sa.func.max(again.c.finished_at).label("last"))
                .join(again, again.c.key == requests.c.key)
                .where(requests.c.id.in_(ids[begin : begin + _IN_CHUNK]), again.c.outcome.in_(_PASSING))
                .group_by(requests.c.id)
            )
            for row in connection.execute(asked):
                end = datetime.fromtimestamp(row.last, UTC) + rest_after(row.failures)
                if end > now:
                    ends[row.id] = end
    return ends
