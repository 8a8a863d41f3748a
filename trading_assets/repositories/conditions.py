"""One condition for each dataset, bar size, symbol and session: the truth that coverage, status, metadata and sensors
share.

The dataset `coverage` holds what was recorded of each instrument. Here it is completed by what was not recorded, and
the contracts of a symbol are rolled up, so that every wanted session of a symbol has exactly one condition. What does
not belong here: recording (`repositories.coverage`), and what to do about a hole (`monitoring.gaps`). The SQL is in
`repositories.conditions_sql`.

**Wanted sessions** of a symbol in a dataset and bar size: from the first one recorded there, else from the symbol's
first recorded snapshot (the day it was set up), to the last closed session; of a snapshot also the current session once
it is recorded.

**Nothing recorded** means:

| dataset | session | condition |
| --- | --- | --- |
| bars | any | `pending` |
| bars of an option that has expired | any | `expired_lost` |
| snapshots | within the retry time of an earlier refusal, or between two answers that there is none | the refusal's |
| snapshots | the current one | `pending` |
| `option_chains` | a past one in whose selection no expiry lay, says the chain before it | `nothing_selected` |
| `option_chains` | any other past one | `expired_lost`: chains of past sessions are unavailable |
| `contracts` | between an answer that names the contract and one that denies it or names another | `pending`: unknown |
| `contracts` | a past one before a complete one | `complete`, carried: the sessions beside it answer for it |
| `contracts` | a past one soon after a complete one | `complete`, carried: details are believed for `verify_days` |
| `contracts` | any other past one | `pending`: nothing is lost, the next update answers for all such sessions at once |

A snapshot that was recorded as `pending`, or as an `error` that may be requested again at any time (an answer that
could not be read), counts as not recorded once its session is past: it can no longer be taken.

Contract details that were carried into a session without asking count as not recorded once the next answer denies the
contract or names another. "There is none" no longer answers for the sessions after it once the next answer is that
there is one.

A `complete` whose bars are gone from the lake is `pending`: they are requested again. A snapshot that was recorded as
`complete` or `partial`, and of which the lake holds no row, counts as not recorded and says so. Contract details
carried over a session nobody asked in have no row, and none is missed while another session answers.

**Contracts of a symbol** (`option_bars`) are those selected in the snapshot that answers for the session (its own, else
the earliest after, else the latest before; without one of its own the latest before counts too), alive in that session.
Where its own chain selects nothing, those of the chain before it go on alone. Their conditions are rolled up to the
first of `PRECEDENCE` that one of them has. A session without any is `nothing_selected` where the chain that answers for
it says so, or the last chain of a symbol of which nothing was ever selected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypedDict, Unpack

import pyarrow as pa

from trading_assets.instrument import OPTION_BAR_SIZE
from trading_assets.repositories.catalog import query
from trading_assets.repositories.conditions_sql import INSTRUMENTS, statement
from trading_assets.repositories.identity import LakeIdentity
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, INSTANT, OPTION_BARS, OPTION_CHAINS, Condition
from trading_assets.sessions import NEW_YORK, SessionCalendar

PRECEDENCE = (
    Condition.PENDING,
    Condition.ERROR,
    Condition.NOT_PERMITTED,
    Condition.PARTIAL,
    Condition.EXPIRED_LOST,
    Condition.NO_CONTRACT,
    Condition.COMPLETE,
    Condition.NO_TRADES,
    Condition.NOTHING_SELECTED,
)
"""Of several contracts, the first of these that one has is the symbol's: what can still be mended comes before what is
lost, what is lost before what is there. `no_trades` only when no contract traded; a contract is never
`nothing_selected`, its symbol can be."""

CONDITION_SCHEMA = pa.schema(
    [
        pa.field("dataset", pa.string()),
        pa.field("bar_size", pa.string()),
        pa.field("symbol", pa.string()),
        pa.field("session", pa.date32()),
        pa.field("condition", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("broker_code", pa.int32()),
        pa.field("retry_after", INSTANT),
        pa.field("instruments", pa.int64()),
        pa.field("complete", pa.int64()),
    ]
)
"""Columns of `symbol_conditions`. `session` is the exchange date; `retry_after` (UTC) is the first instant at which one
of the instruments may be requested again; `instruments` are wanted in the session (1 of an underlying), `complete` of
them are answered: their data is in the lake, or the knowledge that there was no trade."""

WANTED_SCHEMA = pa.schema(
    [
        *(CONDITION_SCHEMA.field("symbol"), pa.field("con_id", pa.int64())),
        *(CONDITION_SCHEMA.field(name) for name in ("session", "condition", "reason", "broker_code", "retry_after")),
        pa.field("snapshot", pa.date32()),
        pa.field("askable", pa.bool_()),
        pa.field("lost", pa.bool_()),
    ]
)
"""Columns of `wanted_bars`. `con_id` is 0 for the underlying; `snapshot` is the session of the chain that selects a
contract. `askable`: missing, and may be requested now. `lost`: the contract expired before the session was answered.
What is neither is answered, in part where the contract expired meanwhile, or waits for its `retry_after` (then
`condition` and `reason` are as recorded)."""

_ORDER = "dataset, bar_size, symbol, session"


class Scope(TypedDict, total=False):
    """Which conditions are looked at.

    `datasets` restricts to some of the four (None: all), `first` and `last` (both included) restrict the sessions. With
    `sessions` all of these that are closed are wanted of bars, whatever was recorded before. `equity_bar_sizes` are
    those in use; options have `option_bar_size` (by default `OPTION_BAR_SIZE`), snapshots an empty one. Contract
    details answer for sessions less than `verify_days` days after theirs. By default both are what the last collection
    wanted of the lake (`lake.json`): whoever asks with the settings of the collection and whoever asks without get one
    answer. With `con_ids` the contracts of that id that any chain lists are wanted, in place of the selected ones.
    """

    datasets: Sequence[str] | None
    first: date | None
    last: date | None
    sessions: Sequence[date]
    option_bar_size: str
    equity_bar_sizes: Sequence[str]
    verify_days: int
    con_ids: Sequence[int]


def wanted_bars(
    data_dir: Path | str,
    calendar: SessionCalendar,
    now: datetime,
    symbols: Sequence[str],
    dataset: str,
    bar_size: str,
    sessions: Sequence[date],
    con_ids: Sequence[int] | None = None,
) -> pa.Table:
    """One row for each instrument and session of `sessions` (the closed ones) whose bars are wanted (`WANTED_SCHEMA`),
    in order.

    `dataset` is `equity_bars` (the symbols themselves) or `option_bars` (the selected contracts alive in the session;
    with `con_ids` these contracts).
    """
    scope: Scope = {
        "datasets": [dataset],
        "sessions": sessions,
        "equity_bar_sizes": [bar_size],
        "option_bar_size": bar_size,
        "verify_days": 0,
    }
    if con_ids is not None:
        scope["con_ids"] = con_ids
    return query_conditions(data_dir, calendar, now, symbols, INSTRUMENTS[dataset], **scope).cast(WANTED_SCHEMA)


def symbol_conditions(
    data_dir: Path | str, calendar: SessionCalendar, now: datetime, symbols: Sequence[str], **scope: Unpack[Scope]
) -> pa.Table:
    """Exactly one row for each dataset, bar size in use, symbol and wanted session, in this order
    (`CONDITION_SCHEMA`)."""
    sql = f"select {', '.join(CONDITION_SCHEMA.names)} from conditions order by {_ORDER}"
    return query_conditions(data_dir, calendar, now, symbols, sql, **scope).cast(CONDITION_SCHEMA)


def count_conditions(
    data_dir: Path | str, calendar: SessionCalendar, now: datetime, symbols: Sequence[str], **scope: Unpack[Scope]
) -> pa.Table:
    """The same, counted: one row for each dataset, bar size, symbol and condition that occurs.

    Columns `dataset, bar_size, symbol, condition, sessions, first, last, instrument_sessions,
    instrument_sessions_answered, reason, reason_session, broker_code, retry_after`. An instrument wanted in three
    sessions counts as three instrument sessions. Reason and code are those of the latest session, which
    `reason_session` is when there is a reason.
    """
    sql = """select dataset, bar_size, symbol, condition, count(*) as sessions, min(session) as first,
                    max(session) as last,
                    sum(instruments)::bigint as instrument_sessions,
                    sum(complete)::bigint as instrument_sessions_answered,
                    arg_max(reason, session) as reason,
                    case when arg_max(reason, session) <> '' then max(session) end as reason_session,
                    arg_max_null(broker_code, session) as broker_code, min(retry_after) as retry_after
             from conditions group by dataset, bar_size, symbol, condition
             order by dataset, bar_size, symbol, condition"""
    return query_conditions(data_dir, calendar, now, symbols, sql, **scope)


def query_conditions(
    data_dir: Path | str,
    calendar: SessionCalendar,
    now: datetime,
    symbols: Sequence[str],
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    **scope: Unpack[Scope],
) -> pa.Table:
    """The answer to `sql` over the relation `conditions`: for counts and holes of many symbols and years, without their
    rows in Python.

    Besides the columns of `CONDITION_SCHEMA` the relation has `askable` (instruments that may be asked for at `now`:
    not settled, their retry time past) and `expires` (nearest expiry among those, null of underlyings). With
    `option_bars` among the datasets there are also the relations `selected_contracts` (symbol, snapshot, con_id,
    expiry, last_day): the contracts of the chains that answer for a wanted session, and `lacking_contracts` (symbol,
    session, con_id, expiry): the askable contracts one by one. `parameters` are those of `sql` by name.
    """
    datasets, first, last = scope.get("datasets"), scope.get("first"), scope.get("last")
    sizes, days = scope.get("equity_bar_sizes"), scope.get("verify_days")
    if sizes is None or days is None:
        wanted = LakeIdentity(Path(data_dir).expanduser()).wanted()
        sizes, days = (
            wanted.equity_bar_sizes if sizes is None else sizes,
            (wanted.contract_verify_days if days is None else days),
        )
    names = tuple(dataset.name for dataset in (CONTRACTS, OPTION_CHAINS, EQUITY_BARS, OPTION_BARS))
    chosen = names if datasets is None else tuple(name for name in names if name in datasets)
    closed, current = calendar.last_closed(now), calendar.current(now)
    explicit = scope.get("sessions")
    if explicit is not None:
        first, last = min(explicit, default=calendar.last), max(explicit, default=calendar.first)
    begin, end = max(first or calendar.first, calendar.first), min(last or current, current)
    values = {
        "symbols": list(dict.fromkeys(symbols)),
        "sizes": list(dict.fromkeys(sizes)),
        "sessions": (
            calendar.sessions(begin, end) if explicit is None else [session for session in explicit if session <= end]
        ),
        "begin": begin,
        "end": end,
        "closed": closed,
        "current": current,
        "today": now.astimezone(NEW_YORK).date(),
        "now": now,
        "verify_days": days,
        **({"con_ids": list(scope["con_ids"])} if "con_ids" in scope else {}),
        **(parameters or {}),
    }
    ranks = [str(condition) for condition in PRECEDENCE]
    common = statement(
        chosen,
        scope.get("option_bar_size", OPTION_BAR_SIZE),
        ranks,
        named="con_ids" in scope,
        every=explicit is not None,
    )
    return query(data_dir, f"{common} {sql}", values, few=True)
