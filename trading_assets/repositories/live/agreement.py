"""Whether streamed five-second bars agree with the bars of the archive that cover the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from trading_assets.repositories.basis import traded_sql
from trading_assets.repositories.catalog import query
from trading_assets.sessions import SessionCalendar

STEP_SECONDS = 5

TOLERANCE = 0.001
"""Part of the price by which they may differ: history leaves out trades that are corrected or reported late, which the
stream has shown."""

CENT = 0.01
"""Dollars by which they may differ whatever the price: one tick."""

_DAYS = "session in (select unnest($sessions))"
_TRADED = traded_sql(*(f"(select * from {name} where {_DAYS})" for name in ("equity_bars", "revisions_equity_bars")))
"""What was streamed has the prices of its day, whatever has been restated since."""

_COMPARED = f"""
    with lengths as (select unnest($sessions) as session, unnest($sizes) as bar_size, unnest($seconds) as seconds),
    covered as (
        select e.session, e.symbol, e.con_id, e.bar_size, e.start, e.open, e.high, e.low, e.close,
               arg_min(l.open, l.start) as live_open, max(l.high) as live_high, min(l.low) as live_low,
               arg_max(l.close, l.start) as live_close
        from ({_TRADED}) e
        join lengths n on n.session = e.session and n.bar_size = e.bar_size
        join live_bars l on l.session = e.session and l.con_id = e.con_id and l.what_to_show = 'TRADES'
                        and l.start >= e.start and l.start < e.start + to_seconds(n.seconds)
        where e.session in (select unnest($sessions)) and l.session in (select unnest($sessions))
        group by all
        having count(*) = any_value(n.seconds) // $step)
    select *, greatest(abs(open - live_open), abs(high - live_high), abs(low - live_low), abs(close - live_close))
              > greatest($cent, $tolerance * close) as differs
    from covered order by session, symbol, bar_size, start"""


@dataclass(frozen=True)
class Agreement:
    """How many bars were compared, and those that differ: the columns of both (`open` and `live_open`, ...)."""

    compared: int
    differing: pa.Table


def agreement(
    data_dir: Path, sessions: Sequence[date], calendar: SessionCalendar, bar_seconds: Mapping[str, float]
) -> Agreement:
    """Compare the bars of `equity_bars`, of the sizes in `bar_seconds`, of which every five seconds were streamed.

    A session's `1 day` bar counts as one from its open to its close.
    """
    lengths = [found for session in sessions for found in _lengths(calendar, session, bar_seconds)]
    if not lengths:
        return Agreement(0, pa.table({}))
    names = ("sessions", "sizes", "seconds")
    given = dict(zip(names, map(list, zip(*lengths, strict=True)), strict=True))
    limits = {"step": STEP_SECONDS, "cent": CENT, "tolerance": TOLERANCE}
    found = query(data_dir, _COMPARED, {**given, **limits})
    return Agreement(found.num_rows, found.filter(found["differs"]).drop_columns(["differs"]))


def _lengths(
    calendar: SessionCalendar, session: date, bar_seconds: Mapping[str, float]
) -> list[tuple[date, str, float]]:
    whole = (calendar.closes_at(session) - calendar.opens_at(session)).total_seconds()
    return [
        (session, size, whole if size == "1 day" else float(seconds))
        for size, seconds in bar_seconds.items()
        if seconds % STEP_SECONDS == 0 and (size == "1 day" or seconds <= whole)
    ]
