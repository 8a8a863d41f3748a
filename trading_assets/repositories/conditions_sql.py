"""The SQL of `repositories.conditions`: the relation `conditions` as a chain of common table expressions.

The SQL stands in the `conditions_*.sql` files beside this module; their fields in braces are filled here. What
conditions mean is said in `repositories.conditions`. Parameters: `$symbols`, `$sizes`, `$sessions` (lists), `$begin`,
`$end`, `$closed`, `$current`, `$today` (dates), `$now` (instant), `$verify_days` (days); where contracts are named also
`$con_ids` (list).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from trading_assets.repositories.schemas import (
    CONTRACTS,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    REFUSED_SQL,
    SETTLED_SQL,
)

MISSED_SNAPSHOT = "No snapshot was taken while session {} was current; a chain of a past session is unavailable."
"""The reason of a chain that was not taken while its session, whose date is filled in, was current."""

CARRIED_CONTRACT = "Not asked for in session {}; the details of the sessions beside it answer for it."
"""The reason of contract details that nobody asked for in that session, while they were verified later."""

UNKNOWN_CONTRACT = (
    "Not asked for in session {}, and the answers before and after it differ: whether there was this contract then is"
    " not known."
)
"""The reason of contract details between an answer that names the contract and one that denies it, or names another."""

NOTHING_MISSED = "Not asked for in session {}; nothing would have been selected: "
"""How the reason begins of a chain that was not taken while its session was current, and of which the chain before it
says that nothing was available; the sentence of that chain follows."""

NO_EXPIRY = r"(?:within|and) ([0-9]+) days, (?:next ([0-9]{4}-[0-9]{2}-[0-9]{2})|none later)[.]"
"""What the reason of a chain says whose selection no expiry lies in (`collecting.steps.chain_selection`): the days that
the selection reaches ahead, and the next expiry, empty where there is none."""

HELD_FOR_REVIEW = "is held for review"
"""What the reasons of answers contain that wait for the user's decision."""

_REASONS = {
    "not_collected": "Not collected yet.",
    "gone": "The bars are gone from the lake; they are requested again.",
    "gone_snapshot": "Nothing of it is in the lake, though it was recorded; it is requested again.",
    "lost_contract": (
        "The contract expired before its bars were collected; the broker keeps no history of expired options."
    ),
    "waits_for_equity_bars": "Equity bars come first. ",
    "no_contract_alive": "No selected contract was alive in this session; a newer chain is needed first.",
    "nothing_selected": "No option contract is selected yet; option_chains comes first.",
}

_REASONS_OF_PAST = {
    "missed_chain": MISSED_SNAPSHOT,
    "nothing_missed": NOTHING_MISSED,
    "gone_chain": (
        "Nothing of the chain of session {} is in the lake, though it was recorded; a chain of a past session is"
        " unavailable."
    ),
    "carried_contract": CARRIED_CONTRACT,
    "unknown_contract": UNKNOWN_CONTRACT,
    "believed_contract": (
        "Not asked for in session {}; the details of an earlier session are recent enough to answer for it."
    ),
    "unverified_contract": (
        "The contract details of session {} are neither verified nor recent enough; the next update answers for them."
    ),
    "gone_contract": (
        "The contract details of session {} are gone from the lake; those of the sessions beside it answer for them."
    ),
    "lost_contract_details": (
        "The contract details of session {} are gone from the lake; the next update answers for them."
    ),
}
"""Reasons that name the session."""

_COLUMNS = """dataset, bar_size, symbol, session, condition, reason, broker_code, retry_after,
              instruments, complete, askable, expires"""

INSTRUMENTS = {
    EQUITY_BARS.name: """
        select symbol, 0::bigint as con_id, session, condition, reason, broker_code, retry_after,
               null::date as snapshot, askable > 0 as askable, false as lost
        from equity_bars_conditions order by symbol, session""",
    OPTION_BARS.name: """
        select symbol, con_id, session, if(waits, recorded, condition) as condition,
               if(waits, recorded_reason, reason) as reason, broker_code, retry_after,
               snapshot, may_ask as askable, lost
        from option_ranked order by symbol, con_id, session""",
}
"""What is wanted of bars, an instrument and session a row, after the `with` clause of that dataset alone."""

EXPIRED_CONTRACTS = """
    select symbol, con_id, max(session) as session, count(*) as sessions, count(*) filter (recorded is null) as unknown,
           count(*) filter (recorded is not null and condition not in ('complete', 'no_trades')) as lost
    from (select *, min(snapshot) over (partition by symbol, con_id) as first_selected from option_ranked)
    where expired and session >= first_selected group by symbol, con_id"""
"""What became of each contract that has expired, after the `with` clause of `option_bars`. Sessions before the first
chain that selects it do not count: they are wanted too, but nobody knew the contract in time."""


_FIRST_SESSIONS = {
    "first_equity_session": "m.dataset = 'equity_bars' and m.bar_size = z.bar_size and m.symbol = s.symbol",
    "first_option_session": "m.dataset = 'option_bars' and m.symbol = s.symbol",
}
"""Which of the `marks` is of the bars of a symbol."""


def statement(
    datasets: Sequence[str],
    option_bar_size: str,
    precedence: Sequence[str],
    *,
    named: bool = False,
    every: bool = False,
) -> str:
    """The `with` clause that ends in the relation `conditions`, over the given datasets only. A select follows it.

    `named`: the option contracts that are wanted are those of `$con_ids`, in place of those that the chains select.
    `every`: all of `$sessions` are wanted of bars, whatever was recorded first; else those since the first recorded.
    """
    snapshots = [name for name in (CONTRACTS.name, OPTION_CHAINS.name) if name in datasets]
    chosen = {
        "snapshots": bool(snapshots),
        "equity_bars": EQUITY_BARS.name in datasets,
        "option_bars": OPTION_BARS.name in datasets,
    }
    names = [name for name, wanted in chosen.items() if wanted] or ["nothing"]
    fields = _fixed_fields() | {
        "contracts_wanted": _sql("named_contracts" if named else "selected_contracts").strip(),
        "snapshots": ", ".join(f"('{name}')" for name in snapshots),
        "snapshots_present": " union all ".join(_sql(f"{name}_present") for name in snapshots),
        "option_marks": _sql("option_marks").format(option_size=option_bar_size) if chosen["option_bars"] else "",
        "option_size": option_bar_size,
        **_since_first(every),
        "ranks": " ".join(f"when '{condition}' then {rank}" for rank, condition in enumerate(precedence)),
        "by_rank": ", ".join(f"'{condition}'" for condition in precedence),
    }
    parts = ",\n".join(_sql(name) for name in ("given", *names)).format_map(fields)
    union = " union all ".join(f"select {_COLUMNS} from {name}_conditions" for name in names)
    return f"with {parts},\nconditions as ({union})"


def _since_first(every: bool) -> dict[str, str]:
    if every:  # a fifth of the time: the first sessions are not looked up
        return dict.fromkeys(_FIRST_SESSIONS, "") | {"since_first": "true"}
    joins = {
        name: f"left join marks m on {mark} left join set_up u on u.symbol = s.symbol"
        for name, mark in _FIRST_SESSIONS.items()
    }
    return joins | {"since_first": "d.session >= coalesce(m.first_session, u.first_session)"}


@cache
def _sql(name: str) -> str:
    return (files(__package__) / f"conditions_{name}.sql").read_text(encoding="utf-8")


@cache
def _fixed_fields() -> dict[str, str]:
    constant = {name: f"'{reason}'" for name, reason in _REASONS.items()}
    fixed = {
        "held": f"'{HELD_FOR_REVIEW}'",
        "refused": REFUSED_SQL,
        "settled": SETTLED_SQL,
        "no_expiry": f"'{NO_EXPIRY}'",
    }
    return fixed | constant | _with_session()


def _with_session() -> dict[str, str]:
    """The reasons with the session of a row filled in, as SQL expressions."""
    parts = {name: reason.partition("{}") for name, reason in _REASONS_OF_PAST.items()}
    return {
        name: f"'{before}' || strftime(session, '%Y-%m-%d') || '{after}'" for name, (before, _, after) in parts.items()
    }
