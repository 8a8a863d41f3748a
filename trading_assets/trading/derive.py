"""Rows of `position_changes` out of the looks in the lake. Computed again they come out the same, so that a look whose
changes were not written (the process was killed in between) gets them with the next one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from trading_assets.repositories.basis import traded_sql
from trading_assets.repositories.catalog import query
from trading_assets.repositories.equity_bars import DAILY
from trading_assets.repositories.schemas import POSITION_CHANGES
from trading_assets.sessions import SessionCalendar
from trading_assets.trading.changes import changes_between

_PAIRS = """
    looks as (select distinct account, "at", session from position_snapshots),
    pairs as (select *, lag("at") over (partition by account order by "at") as since,
                     row_number() over (partition by account order by "at" desc) as newest
              from looks)"""


_DAY = f"bar_size = '{DAILY}' and symbol = $symbol and session = $session"
_TRADED = traded_sql(*(f"(select * from {name} where {_DAY})" for name in ("equity_bars", "revisions_equity_bars")))


def newest_changes(data_dir: Path, calendar: SessionCalendar, pairs: int = 2) -> pa.Table:
    """The changes that the newest looks of each account show, each against the look before it."""
    return _changes(data_dir, calendar, "newest <= ?", [pairs])


def changes_of_sessions(data_dir: Path, calendar: SessionCalendar, sessions: Sequence[date]) -> pa.Table:
    """The changes that the looks of these sessions show."""
    return _changes(data_dir, calendar, "session in (select unnest(?::date[]))", [list(sessions)])


def _changes(data_dir: Path, calendar: SessionCalendar, where: str, values: Sequence[Any]) -> pa.Table:
    pairs = query(
        data_dir,
        f'with {_PAIRS} select account, since, "at", session from pairs where since is not null and {where}'
        ' order by account, "at"',
        values,
    ).to_pylist()
    if not pairs:
        return POSITION_CHANGES.schema.empty_table()
    instants = sorted({instant for pair in pairs for instant in (pair["since"], pair["at"])})
    rows: dict[tuple[str, datetime], list[dict[str, Any]]] = {}
    stored = query(
        data_dir, 'select * from position_snapshots where "at" in (select unnest(?::timestamptz[]))', [instants]
    )
    for row in stored.to_pylist():
        rows.setdefault((row["account"], row["at"]), []).append(row)
    closes = _Closes(data_dir)
    found = [
        change
        for pair in pairs
        for change in changes_between(
            rows[pair["account"], pair["since"]],
            rows[pair["account"], pair["at"]],
            at=pair["at"],
            session=pair["session"],
            calendar=calendar,
            close=closes.of,
        )
    ]
    return pa.Table.from_pylist(found, schema=POSITION_CHANGES.schema)


class _Closes:
    """Daily closes of underlyings at the prices of their day, each looked up once."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._found: dict[tuple[str, date], float | None] = {}

    def of(self, symbol: str, session: date) -> float | None:
        """The close of that session; None where the lake has none."""
        key = symbol, session
        if key not in self._found:
            values = query(self._data_dir, _TRADED, {"symbol": symbol, "session": session})["close"].to_pylist()
            self._found[key] = values[0] if values else None
        return self._found[key]
