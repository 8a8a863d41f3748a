"""What is wrong now: reads the lake, the findings and the state of the broker side, and names every trouble a person
should know.

Each function looks at one thing and changes nothing; no broker is asked. What does not belong here: telling anybody
(`monitoring.alerts`), repairing it (the sensors), and troubles of runs and schedules, which whoever knows Dagster hands
in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from trading_assets.broker.breaker_store import DatabaseStore
from trading_assets.broker.contact import last_contact
from trading_assets.broker.quarantine import Entry, Quarantine
from trading_assets.broker.reset_windows import reset_window_end
from trading_assets.contract_changes import ContractChange, ContractChanges
from trading_assets.errors import UnreadableFile
from trading_assets.monitoring.alerts.kinds import AlertType, Issue
from trading_assets.monitoring.gaps import expiring_gaps, stale_chains
from trading_assets.monitoring.recovery import lost_state
from trading_assets.reliability import CircuitBreaker, Phase
from trading_assets.repositories.catalog import query
from trading_assets.repositories.lake import Lake
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets.validation.findings import Finding, Findings
from trading_assets.validation.rule import NAMELESS, Severity

WATCHED = frozenset(AlertType) - {AlertType.RUN_FAILED, AlertType.SCHEDULE_MISSED}
"""The types that `troubles` finds by itself: an alert of one of them that it does not name any more is over."""

STALE_GRACE = timedelta(hours=1)
"""How long a chain may be stale before an alert is sent: on a Monday it is so from the open on, and the sensor
refreshes it."""

EXPIRY_SESSIONS = 2
"""A contract that lacks bars and expires within so many sessions is at risk."""

RECENT_SESSIONS = 5
"""Sessions back in which the kind of market data of the newest chain is looked for."""

TOLD_OTHERWISE = frozenset({"contract_present", "chain_current", "session_complete"})
"""Rules of severity ERROR about what is absent. Other alerts say the same with more patience and a better remedy
(`prerequisites`, `stale`, `missing_equity`): one condition is told once."""

PREREQUISITE_RULES = frozenset({"prerequisites_held"})
"""Rules whose violation is a `prerequisite_violation`: option bars are there, and what they build on is not."""

_IN_ORDER = ("contracts", "option_chains", "equity_bars")
"""What option bars build on, in the order of its collection: what comes after the last one recorded is still being set
up."""

_NAMELESS_REMEDY = "Run `trading-assets validate` to see the rows and what the rule advises."
"""Of rows without a symbol: no symbol can be given to the command."""

NAMED_RULES = 3
"""Broken rules one reason names."""

NAMED_ENTRIES = 3
"""Quarantined answers one reason names."""


def troubles(
    settings: Settings, *, now: datetime | None = None, runs: Iterable[Issue] = (), schedules: Iterable[Issue] = ()
) -> list[Issue]:
    """Every issue at `now` (default: the platform's clock), with what the caller knows of runs and schedules.

    Reconcile it with the types of `WATCHED`, and with `run_failed` and `schedule_missed` when those were handed in.
    """
    looks = _looks(settings, now or settings.clock())
    return [*(trouble for _, look in looks for trouble in look()), *runs, *schedules]


Look = Callable[[], Iterable[Issue]]


@dataclass(frozen=True, slots=True)
class FoundIssues:
    """What is wrong, and the `types` of which that is known: a look that could not be made says nothing of what is
    over."""

    troubles: list[Issue]
    types: frozenset[AlertType]


def find_issues(settings: Settings, now: datetime, others: Mapping[AlertType, Look]) -> FoundIssues:
    """The same as `troubles`, where a damaged file is a trouble itself and does not hide the others; `others` are looks
    of the caller, by type."""
    found: list[Issue] = []
    damaged: dict[str, Issue] = {}
    unknown: set[AlertType] = set()
    for types, look in [*_looks(settings, now), *((frozenset({kind}), look) for kind, look in others.items())]:
        try:
            found += look()
        except UnreadableFile as error:
            unknown |= types
            name = (
                error.path.relative_to(settings.data_dir)
                if error.path.is_relative_to(settings.data_dir)
                else error.path
            )
            damaged[f"{name}"] = Issue(AlertType.DATA_INTEGRITY_FAILURE, f"{name}", str(error), remedy=_MEND)
    return FoundIssues([*found, *damaged.values()], (WATCHED | others.keys()) - unknown)


_MEND = "Put the file back from a backup, or move it away and run `trading-assets update`."


def _looks(settings: Settings, now: datetime) -> list[tuple[frozenset[AlertType], Look]]:
    """Each look with the types of trouble that it finds."""
    active = Universe(settings.state_url).active()
    changes = ContractChanges(settings.state_url).unfinished(active)
    # A symbol that waits for a decision has that one alert: the others advise an update, which would collect nothing
    # for it.
    symbols = [symbol for symbol in active if symbol not in changes]
    kinds = AlertType
    return [
        (frozenset({kinds.CONTRACT_CHANGED}), lambda: contract_changed(changes)),
        (frozenset({kinds.DATA_INTEGRITY_FAILURE, kinds.PREREQUISITE_VIOLATION}), lambda: integrity(settings, active)),
        (frozenset({kinds.DATA_INTEGRITY_FAILURE}), lambda: lost(settings)),
        (frozenset({kinds.PREREQUISITE_VIOLATION}), lambda: prerequisites(settings, symbols)),
        (frozenset({kinds.MISSING_EQUITY_DATA}), lambda: missing_equity(settings, now, symbols)),
        (frozenset({kinds.STALE_OPTION_CHAINS}), lambda: stale(settings, now)),
        (frozenset({kinds.EXPIRING_DATA_AT_RISK}), lambda: expiring_at_risk(settings, now)),
        (frozenset({kinds.API_CIRCUIT_BREAKER_OPEN}), lambda: breaker_open(settings)),
        (frozenset({kinds.BROKER_UNREACHABLE}), lambda: unreachable(settings)),
        (frozenset({kinds.MARKET_DATA_DELAYED}), lambda: delayed(settings, now, symbols)),
        (frozenset({kinds.ANSWER_QUARANTINED}), lambda: quarantined(settings, now, active)),
    ]


def lost(settings: Settings) -> list[Issue]:
    """`data_integrity_failure` of the platform: the state database or `lake.json` was lost, and nobody has acted
    (`monitoring.recovery`)."""
    try:
        said = lost_state(settings)
    except UnreadableFile:
        return []  # told with the damaged file, which other looks meet too
    return (
        [
            Issue(
                AlertType.DATA_INTEGRITY_FAILURE,
                "state.db",
                said,
                remedy="Do what the reason says, then look at `trading-assets status`.",
            )
        ]
        if said
        else []
    )


def contract_changed(changes: Mapping[str, ContractChange]) -> list[Issue]:
    """`contract_changed`: symbols that the broker answers with another contract than their series has, and on which
    nobody has decided."""
    return [
        Issue(
            AlertType.CONTRACT_CHANGED,
            symbol,
            change.reason,
            details={"series": change.old_contract, "broker": change.new_contract, "found": _minute(change.found_at)},
        )
        for symbol, change in changes.items()
    ]


def integrity(settings: Settings, symbols: list[str]) -> list[Issue]:
    """`data_integrity_failure`: per symbol, the rules of severity ERROR that the last validation found broken.

    Rows without a symbol (`NAMELESS`) are told as one symbol more. Of `PREREQUISITE_RULES` it is a
    `prerequisite_violation`; those of `TOLD_OTHERWISE` are left out.
    """
    by_symbol: dict[tuple[AlertType, str], list[Finding]] = {}
    for finding in Findings(settings.state_url).current(severity=Severity.ERROR, symbols=[*symbols, NAMELESS]):
        if finding.rule not in TOLD_OTHERWISE:
            prerequisite = finding.rule in PREREQUISITE_RULES
            kind = AlertType.PREREQUISITE_VIOLATION if prerequisite else AlertType.DATA_INTEGRITY_FAILURE
            by_symbol.setdefault((kind, finding.symbol), []).append(finding)
    return [_broken(kind, symbol, found) for (kind, symbol), found in sorted(by_symbol.items())]


def _broken(kind: AlertType, symbol: str, found: list[Finding]) -> Issue:
    by_rule: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        by_rule.setdefault((finding.dataset, finding.rule), []).append(finding)
    sentences = []
    for (dataset, rule), each in list(by_rule.items())[:NAMED_RULES]:
        days = sorted({finding.session for finding in each})
        when = f"in session {days[0]}" if len(days) == 1 else f"in {len(days)} sessions from {days[0]} to {days[-1]}"
        sentences.append(
            f"{dataset} breaks the rule {rule} with {_count(sum(finding.failed for finding in each), 'row')} {when}."
        )
    if len(by_rule) > NAMED_RULES:
        sentences.append(f"{len(by_rule) - NAMED_RULES} more rules are broken.")
    return Issue(kind, symbol, " ".join(sentences), remedy=_NAMELESS_REMEDY if symbol == NAMELESS else "")


def prerequisites(settings: Settings, symbols: list[str]) -> list[Issue]:
    """`prerequisite_violation`: symbols that were asked for, and lack a contract, a chain or equity bars, so that
    option bars wait.

    A symbol nobody has asked for yet, or that is being set up, is new and not in trouble (`gaps.new_symbols` finishes
    it); one without listed options wants no option bars.
    """
    sql = """select symbol, dataset, bool_or(condition in ('complete', 'partial', 'no_trades',
                                                           'nothing_selected')) as held,
                    arg_max(condition, session) as condition, arg_max(reason, session) as reason
             from coverage where con_id = 0 and dataset in ('contracts', 'option_chains', 'equity_bars')
               and symbol in (select unnest(?::varchar[]))
             group by symbol, dataset"""
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for row in query(settings.data_dir, sql, [symbols]).to_pylist():
        told.setdefault(row["symbol"], {})[row["dataset"]] = row
    found = []
    for symbol, datasets in sorted(told.items()):
        if datasets.get("option_chains", {}).get("condition") == "no_contract":
            continue
        reached = max(_IN_ORDER.index(name) for name in datasets)
        lacking = [name for name in _IN_ORDER[: reached + 1] if not datasets.get(name, {}).get("held")]
        if lacking:
            why = " ".join(
                dict.fromkeys(
                    datasets[name]["reason"] for name in lacking if name in datasets and datasets[name]["reason"]
                )
            )
            reason = f"Option bars are wanted, and there is nothing in {', '.join(lacking)}. {why}".strip()
            found.append(Issue(AlertType.PREREQUISITE_VIOLATION, symbol, reason))
    return found


def missing_equity(settings: Settings, now: datetime, symbols: list[str]) -> list[Issue]:
    """`missing_equity_data`: per symbol, the closed sessions of the checked window whose bars are neither complete nor
    without trades.

    A session counts when its scheduled collection is `lake.COLLECTION_GRACE` ago.
    """
    lake = Lake.of(settings, now)
    last = lake.bars_due
    first = lake.calendar.previous(last, settings.check_window_sessions - 1)
    sql = """select symbol, count(distinct session) as sessions, min(session) as first, max(session) as last,
                    arg_max(condition, session) as condition, arg_max(reason, session) as reason,
                    arg_max(broker_code, session) as code
             from conditions where condition not in ('complete', 'no_trades') group by symbol order by symbol"""
    rows = lake.over_conditions(symbols, sql, datasets=["equity_bars"], first=first, last=last)
    return [_missing(row) for row in rows.to_pylist()]


def _missing(row: dict[str, Any]) -> Issue:
    when = (
        f"of {row['first']}"
        if row["sessions"] == 1
        else f"of {row['sessions']} sessions from {row['first']} to {row['last']}"
    )
    reason = f"The equity bars {when} are not complete ({row['condition']}). {row['reason'] or ''}".strip()
    details = {} if row["code"] is None else {"broker code": row["code"]}
    return Issue(AlertType.MISSING_EQUITY_DATA, row["symbol"], reason, details=details)


def stale(settings: Settings, now: datetime) -> list[Issue]:
    """`stale_option_chains`: symbols whose newest chain has been too old for longer than `STALE_GRACE`."""
    found = []
    for chain in stale_chains(settings, now):
        opened = calendar().opens_at(chain.session)
        since = (
            opened
            if chain.newest_at is None
            else max(opened, chain.newest_at + timedelta(hours=settings.stale_chain_hours))
        )
        if now - since < STALE_GRACE:
            continue
        age = (
            "There is no option chain"
            if chain.newest_at is None
            else f"The newest option chain is of {_minute(chain.newest_at)}"
        )
        found.append(
            Issue(AlertType.STALE_OPTION_CHAINS, chain.symbol, f"{age}, and session {chain.session} has begun since.")
        )
    return found


def expiring_at_risk(settings: Settings, now: datetime) -> list[Issue]:
    """`expiring_data_at_risk`: symbols with contracts that lack bars and expire within `EXPIRY_SESSIONS`."""
    limit = calendar().following(calendar().current(now), EXPIRY_SESSIONS)
    found: dict[str, Issue] = {}
    for gap in expiring_gaps(settings, limit, now=now):
        if gap.symbol not in found:
            lack = (
                f"Bars of {_count(gap.sessions, 'session')} from {gap.first} to {gap.last} are missing for"
                f" {_count(gap.instruments, 'contract')}"
            )
            reason = f"{lack}; the first of them expires on {gap.expires}, after that the broker has no bars of it."
            found[gap.symbol] = Issue(AlertType.EXPIRING_DATA_AT_RISK, gap.symbol, reason)
    return list(found.values())


def breaker_open(settings: Settings) -> list[Issue]:
    """`api_circuit_breaker_open`: the breaker all processes share is open, or tries its one call."""
    state = CircuitBreaker(store=DatabaseStore(connect_state(settings.state_url))).state
    if state.phase is Phase.CLOSED:
        return []
    since = _minute(datetime.fromtimestamp(state.opened_at, UTC))
    return [
        Issue(
            AlertType.API_CIRCUIT_BREAKER_OPEN,
            "",
            f"The broker failed {state.failures} times in a row; nothing is sent since {since}.",
        )
    ]


def unreachable(settings: Settings) -> list[Issue]:
    """`broker_unreachable`: the last attempt to connect failed, and not in the broker's nightly reset, when nobody can
    connect."""
    contact = last_contact(connect_state(settings.state_url))
    if contact is None or contact.reachable:
        return []
    # contacts are of the wall clock: a pinned one says nothing of the reset
    if settings.now is None and reset_window_end(contact.at) is not None:
        return []
    return [
        Issue(
            AlertType.BROKER_UNREACHABLE,
            "",
            f"{contact.endpoint} could not be reached at {_minute(contact.at)}. {contact.error}".strip(),
        )
    ]


def delayed(settings: Settings, now: datetime, symbols: list[str]) -> list[Issue]:
    """`market_data_delayed`: symbols whose newest chain holds delayed quotes while the settings say live."""
    if settings.market_data != "live":
        return []
    sql = """with recent as (select symbol, session, market_data_type from option_chains
                             where session >= ? and market_data_type is not null
                               and symbol in (select unnest(?::varchar[])))
             select symbol, session, count(*) as quotes from recent
             where market_data_type in (3, 4)
               and (symbol, session) in (select (symbol, max(session)) from recent group by symbol)
             group by symbol, session order by symbol"""
    since = calendar().previous(calendar().current(now), RECENT_SESSIONS)
    return [
        Issue(
            AlertType.MARKET_DATA_DELAYED,
            row["symbol"],
            f"The chain of {row['session']} holds {_count(row['quotes'], 'delayed quote')}.",
        )
        for row in query(settings.data_dir, sql, [since, symbols]).to_pylist()
    ]


def quarantined(settings: Settings, now: datetime, symbols: Sequence[str]) -> list[Issue]:
    """`answer_quarantined`: per symbol, the bad answers that nothing has taken the place of yet, each with session and
    field."""
    by_symbol: dict[str, list[Entry]] = {}
    for entry in Quarantine(settings.state_url).entries(symbols=symbols):
        if entry.state(now) == "open":
            by_symbol.setdefault(entry.symbol, []).append(entry)
    return [_in_quarantine(symbol, entries) for symbol, entries in sorted(by_symbol.items())]


def _in_quarantine(symbol: str, entries: list[Entry]) -> Issue:
    told = [f"{e.dataset} {_when(e.sessions)}, {', '.join(e.fields)}: {e.reason}" for e in entries[:NAMED_ENTRIES]]
    more = [f"{len(entries) - NAMED_ENTRIES} more answers are in quarantine."] if len(entries) > NAMED_ENTRIES else []
    due = min(entry.retry_after for entry in entries)
    details = {"ids": ", ".join(str(entry.id) for entry in entries), "asked again from": _minute(due)}
    return Issue(AlertType.ANSWER_QUARANTINED, symbol, " ".join([*told, *more]), details=details)


def _when(sessions: Sequence[date]) -> str:
    if not sessions:
        return "without a session"
    return (
        f"of session {sessions[0]}"
        if len(sessions) == 1
        else f"of {len(sessions)} sessions from {sessions[0]} to {sessions[-1]}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _minute(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
