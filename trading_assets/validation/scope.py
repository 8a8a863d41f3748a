"""Which part of the lake is validated, and the tables that rules find beside the datasets.

Laid over a DuckDB cursor as temporary views and tables, those that the rules name; they end with it:

| name | columns |
| --- | --- |
| `<dataset>` | the dataset's rows of the scope's symbols and sessions, and of `CONTEXT` before them |
| `all_<dataset>` | the dataset's rows of the scope's symbols, of any session |
| `traded_equity_bars` | the `1 day` rows of `equity_bars` at the prices of their day, not restated by later splits |
| `written_<dataset>` | the same with the rows that lack a session or, in a scope of all symbols, a symbol |
| `session_calendar` | session, opens, closes, following (the next open), all UTC; half_day; sessions begun by now |
| `active_symbols` | symbol: the symbols that count as active, see `Scope` |
| `index_symbols` | symbol: indices, which have no volume |
| `equity_bar_sizes` | bar_size: the configured ones |
| `present` | now, today (New York), current_session, bars_due, last_closed, contract_verify_days, stale_chain_hours |
| `expired_contracts` | what became of the wanted contracts that have expired: the columns of `Lake.expired_contracts` |
| `adjusted_classes` | symbol, session, trading_class, multiplier, why, scale (`repositories.option_classes`) |
| `unrestated_contracts` | symbol, con_id, since (`repositories.option_classes.unrestated_sql`) |
| `restated_bars` | symbol, session, known_until: end of another basis (`repositories.basis.restated_sql`) |
| `accepted_bars` | rule, symbol, session, bar_size, close: bars a person accepted |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

import duckdb
import pyarrow as pa

from trading_assets.arguments import day_range, stored_symbols
from trading_assets.repositories.basis import restated_sql, traded_sql
from trading_assets.repositories.equity_bars import DAILY
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.option_classes import adjusted_sql, scaled_sql, unrestated_sql
from trading_assets.repositories.schemas import DATASETS as LAKE
from trading_assets.repositories.schemas import INSTANT
from trading_assets.sessions import NEW_YORK, SessionCalendar, calendar
from trading_assets.settings import Settings
from trading_assets.universe import INDEX_EXCHANGES, Universe
from trading_assets.validation.reviews import Reviews

CONTEXT = timedelta(days=100)
"""How far before the scope's first session a rule can see: the 60 bars a spike is measured against are 88 days at
most."""

IN_MEMORY = 250_000
"""Rows of the lake up to which a validation reads each dataset once and keeps its rows: about 100 MB of memory at
most."""

_WORD = re.compile(r"\w+")

SNAPSHOT_DATASETS = ("contracts", "option_chains")


_BOUNDS = ("first", "last")


@dataclass(frozen=True, slots=True)
class Scope:
    """Symbols and sessions (`first` and `last` included); None does not restrict. `newest`: of snapshots only each
    symbol's newest. Raises `InvalidRequest` (see `trading_assets.arguments`).

    Symbols that a user names are all treated as active. With `part_of_lake` the symbols are a part of those of the
    lake, written as rows have them, and the active ones are those of the universe: each symbol is judged as in a
    validation of the whole lake.
    """

    symbols: tuple[str, ...] | None = None
    first: date | None = None
    last: date | None = None
    newest: bool = False
    part_of_lake: bool = False

    def __post_init__(self) -> None:
        symbols = self.symbols if self.part_of_lake else stored_symbols(self.symbols, "symbols")
        first, last = day_range(self.first, self.last, _BOUNDS)
        for name, value in (("symbols", symbols and tuple(symbols)), ("first", first), ("last", last)):
            object.__setattr__(self, name, value)

    @property
    def newest_only(self) -> tuple[str, ...]:
        """The datasets of which only each symbol's newest session is looked at, whatever sessions the scope has."""
        return SNAPSHOT_DATASETS if self.newest else ()

    def sessions_sql(self) -> str:
        """The predicate that keeps the rows of the scope's sessions."""
        return _between(self.first, self.last)


def create_views(
    connection: duckdb.DuckDBPyConnection, settings: Settings, scope: Scope, sql: str, *, in_memory: bool = False
) -> None:
    """Make the scope's views and tables that `sql` names on a cursor of the lake: each costs a look at files. Made
    again, they are made anew.

    With `in_memory` the rows of a dataset are read once and kept for all rules: for a lake of which all rows fit into
    memory.
    """
    xnys, now = calendar(), settings.clock()
    names = {"scope_symbols", *_WORD.findall(sql.lower())}
    if "index_symbols" in names:
        names.add("all_contracts")
    if {"adjusted_classes", "unrestated_contracts"} & names:
        names |= {"all_option_chains", "all_option_bars"}
    active = _active(settings, scope)
    named = active if scope.symbols is None else sorted(set(scope.symbols))
    tables: dict[str, Callable[[], dict[str, pa.Array]]] = {
        "scope_symbols": lambda: {"symbol": pa.array(named, pa.string())},
        "active_symbols": lambda: {"symbol": pa.array(active, pa.string())},
        "equity_bar_sizes": lambda: {"bar_size": pa.array(settings.equity_bar_sizes, pa.string())},
        "session_calendar": lambda: _calendar(xnys, now),
        "present": lambda: _present(settings, xnys, now),
        "accepted_bars": lambda: _accepted(settings),
        "expired_contracts": lambda: _expired(settings, scope),
    }
    for name in tables.keys() & names:
        _table(connection, name, tables[name]())
    for name in LAKE:
        views = {view: rows for view, rows in _views(name, scope, kept=in_memory).items() if view in names}
        if views and in_memory:
            connection.execute(
                f"create or replace temp table kept_{name} as select * from memory.main.{name} where"
                f" {_of_symbols(scope)}"
            )
        for view, rows in views.items():
            connection.execute(f"create or replace temp view {view} as {rows}")
    days = f"bar_size = '{DAILY}' and {_of_symbols(scope)} and {_between(scope.first, scope.last)}"
    bars = tuple(f"(select * from memory.main.{name}equity_bars where {days})" for name in ("", "revisions_"))
    made = {
        "traded_equity_bars": lambda: traded_sql(*bars),
        "restated_bars": lambda: restated_sql(*bars),
        "adjusted_classes": lambda: _adjusted(scope),
        "unrestated_contracts": lambda: unrestated_sql(f"from all_option_chains where {_near(scope)}"),
    }
    for name in made.keys() & names:
        connection.execute(f"create or replace temp table {name} as {made[name]()}")
    if "index_symbols" in names:
        indices = ", ".join(f"('{symbol}')" for symbol in sorted(INDEX_EXCHANGES))
        connection.execute(
            f"create or replace temp table index_symbols as select col0 as symbol from (values {indices}) "
            "union select distinct symbol from all_contracts where sec_type = 'IND'"
        )


def _active(settings: Settings, scope: Scope) -> list[str]:
    """The symbols that count as active."""
    if scope.symbols is not None and not scope.part_of_lake:
        return sorted(set(scope.symbols))
    active = Universe(settings.state_url).active()
    return active if scope.symbols is None else sorted(set(active) & set(scope.symbols))


def _near(scope: Scope) -> str:
    """The predicate that keeps the rows of the scope's sessions and of `CONTEXT` before them."""
    return _between(scope.first - CONTEXT if scope.first else None, scope.last)


def _adjusted(scope: Scope) -> str:
    within = _near(scope)
    key = "symbol, session, trading_class, multiplier"
    return f"""with {adjusted_sql(f"from all_option_chains where {within}")},
        classes as (select distinct {key} from all_option_bars where bar_size = '1 day' and {within}
                    union select distinct {key} from class_quotes)
        select {key}, why, scale from ({scaled_sql("classes")})
        left join adjusted_groups using ({key}) where adjusted"""


def _of_symbols(scope: Scope) -> str:
    return "symbol in (select symbol from scope_symbols)" if scope.symbols is not None else "true"


def _views(name: str, scope: Scope, *, kept: bool) -> dict[str, str]:
    """The views of a dataset, each with its SQL. The views of the lake are hidden by temporary ones of the same name:
    rules are written over plain names."""
    where, source = _of_symbols(scope), f"kept_{name}" if kept else f"memory.main.{name}"
    newest = f"(symbol, session) in (select (symbol, max(session)) from {source} where {where} group by symbol)"
    first = scope.first - CONTEXT if scope.first else None
    written = f"select * from {source} where {where}"
    every = f"{written} and symbol is not null and session is not null"
    within = newest if name in scope.newest_only else _between(first, scope.last)
    return {f"written_{name}": written, f"all_{name}": every, name: f"{every} and {within}"}


def _between(first: date | None, last: date | None) -> str:
    bounds = ([f"session >= date '{first}'"] if first else []) + ([f"session <= date '{last}'"] if last else [])
    return " and ".join(bounds) or "true"


def _table(connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, pa.Array]) -> None:
    connection.register(f"given_{name}", pa.table(columns))
    connection.execute(f"create or replace temp table {name} as select * from given_{name}")
    connection.unregister(f"given_{name}")


def _calendar(xnys: SessionCalendar, now: datetime) -> dict[str, pa.Array]:
    count = len(xnys.sessions(xnys.first, xnys.current(now)))
    return {name: column.slice(0, count) for name, column in _whole_calendar(xnys).items()}


@lru_cache(maxsize=1)
def _whole_calendar(xnys: SessionCalendar) -> dict[str, pa.Array]:
    """Every session of the calendar but its last; made once, for every validation lays it."""
    sessions = xnys.sessions(xnys.first, xnys.last)
    opens = pa.array([xnys.opens_at(session) for session in sessions], INSTANT)
    columns = {
        "session": pa.array(sessions, pa.date32()),
        "opens": opens,
        "closes": pa.array([xnys.closes_at(session) for session in sessions], INSTANT),
        "half_day": pa.array([xnys.is_half_day(session) for session in sessions], pa.bool_()),
    }
    return {name: column[:-1] for name, column in columns.items()} | {"following": opens[1:]}


def _present(settings: Settings, xnys: SessionCalendar, now: datetime) -> dict[str, pa.Array]:
    return {
        "now": pa.array([now], INSTANT),
        "today": pa.array([now.astimezone(NEW_YORK).date()], pa.date32()),
        "current_session": pa.array([xnys.current(now)], pa.date32()),
        "last_closed": pa.array([xnys.last_closed(now)], pa.date32()),
        "bars_due": pa.array([Lake.of(settings, now).bars_due], pa.date32()),
        "contract_verify_days": pa.array([settings.contract_verify_days], pa.int32()),
        "stale_chain_hours": pa.array([settings.stale_chain_hours], pa.float64()),
    }


def _expired(settings: Settings, scope: Scope) -> dict[str, pa.Array]:
    lake = Lake.of(settings)
    symbols = scope.symbols
    if symbols is None:  # what has expired is lost, whether its symbol is still active or not
        symbols = lake.query("select distinct symbol from option_chains where symbol is not null")["symbol"].to_pylist()
    found = lake.expired_contracts(symbols, first=scope.first - CONTEXT if scope.first else None)
    return dict(zip(found.column_names, found.columns, strict=True))


def _accepted(settings: Settings) -> dict[str, pa.Array]:
    accepted: Sequence[tuple[str, str, date, str, float]] = Reviews(settings).accepted()
    types = {
        "rule": pa.string(),
        "symbol": pa.string(),
        "session": pa.date32(),
        "bar_size": pa.string(),
        "close": pa.float64(),
    }
    return {name: pa.array([row[i] for row in accepted], kind) for i, (name, kind) in enumerate(types.items())}
