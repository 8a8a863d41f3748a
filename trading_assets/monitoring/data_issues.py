"""What is wrong with the data of the lake: each function looks at one thing and returns an issue a symbol.

Nothing is changed and no broker is asked. `monitoring.watch` calls them all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from trading_assets.monitoring.alerts.kinds import AlertType, Issue
from trading_assets.monitoring.gaps import expiring_gaps, stale_chains
from trading_assets.monitoring.wording import counted, minute
from trading_assets.repositories.catalog import query
from trading_assets.repositories.lake import Lake
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.validation.findings import Finding, Findings
from trading_assets.validation.rule import NAMELESS, Severity

STALE_GRACE = timedelta(hours=1)
"""How long a chain may be stale before an alert is sent: on a Monday it is so from the open on, and the sensor
refreshes it."""


EXPIRY_SESSIONS = 2
"""A contract that lacks bars and expires within so many sessions is at risk."""


RECENT_SESSIONS = 5
"""Sessions back in which the kind of market data of the newest chain is looked for."""


REPORTED_ELSEWHERE = frozenset({"contract_present", "chain_current", "session_complete"})
"""Rules of severity ERROR about what is absent. Other alerts say the same with more patience and a better remedy
(`prerequisites`, `stale`, `missing_equity`): one condition is reported once."""


PREREQUISITE_RULES = frozenset({"prerequisites_held"})
"""Rules whose violation is a `prerequisite_violation`: option bars are there, and what they build on is not."""


_IN_ORDER = ("contracts", "option_chains", "equity_bars")
"""What option bars build on, in the order of its collection: what comes after the last one recorded is still being set
up."""


_NAMELESS_REMEDY = "Run `trading-assets validate` to see the rows and what the rule advises."
"""Of rows without a symbol: no symbol can be given to the command."""


NAMED_RULES = 3
"""Broken rules one reason names."""


UNEXPLAINED_DAYS = 3
"""Days for which a change of a position that nothing explains is reported: over a weekend."""


def integrity(settings: Settings, symbols: list[str]) -> list[Issue]:
    """`data_integrity_failure`: per symbol, the rules of severity ERROR that the last validation found broken.

    Rows without a symbol (`NAMELESS`) are reported as one symbol more. Of `PREREQUISITE_RULES` it is a
    `prerequisite_violation`; those of `REPORTED_ELSEWHERE` are left out.
    """
    by_symbol: dict[tuple[AlertType, str], list[Finding]] = {}
    for finding in Findings(settings.state_url).current(severity=Severity.ERROR, symbols=[*symbols, NAMELESS]):
        if finding.rule not in REPORTED_ELSEWHERE:
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
            f"{dataset} breaks the rule {rule} with {counted(sum(finding.failed for finding in each), 'row')} {when}."
        )
    if len(by_rule) > NAMED_RULES:
        sentences.append(f"{len(by_rule) - NAMED_RULES} more rules are broken.")
    return Issue(kind, symbol, " ".join(sentences), remedy=_NAMELESS_REMEDY if symbol == NAMELESS else "")


def prerequisites(settings: Settings, symbols: list[str]) -> list[Issue]:
    """`prerequisite_violation`: symbols that were asked for, and lack a contract, a chain or equity bars, so that
    option bars wait.

    A symbol nobody has asked for yet, or that is being set up, is new and not an issue (`gaps.new_symbols` finishes
    it); one without listed options wants no option bars.
    """
    sql = """select symbol, dataset,
                    bool_or(condition in ('complete', 'partial', 'no_trades', 'nothing_selected')) as held,
                    arg_max(condition, session) as condition, arg_max(reason, session) as reason
             from coverage where con_id = 0 and dataset in ('contracts', 'option_chains', 'equity_bars')
               and symbol in (select unnest(?::varchar[]))
             group by symbol, dataset"""
    recorded: dict[str, dict[str, dict[str, Any]]] = {}
    for row in query(settings.data_dir, sql, [symbols]).to_pylist():
        recorded.setdefault(row["symbol"], {})[row["dataset"]] = row
    found = []
    for symbol, datasets in sorted(recorded.items()):
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
            else f"The newest option chain is of {minute(chain.newest_at)}"
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
                f"Bars of {counted(gap.sessions, 'session')} from {gap.first} to {gap.last} are missing for"
                f" {counted(gap.instruments, 'contract')}"
            )
            reason = f"{lack}; the first of them expires on {gap.expires}, after that the broker has no bars of it."
            found[gap.symbol] = Issue(AlertType.EXPIRING_DATA_AT_RISK, gap.symbol, reason)
    return list(found.values())


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
            f"The chain of {row['session']} holds {counted(row['quotes'], 'delayed quote')}.",
        )
        for row in query(settings.data_dir, sql, [since, symbols]).to_pylist()
    ]


def positions_unexplained(settings: Settings, now: datetime) -> list[Issue]:
    """`position_unexplained`: per underlying, the changes of the last days that nothing explains. No account is
    named."""
    sql = """select symbol, local_symbol, expiry, strike, "right", "at", reason from position_changes
             where change = 'unexplained' and session >= $first and "at" between $after and $now
             order by symbol, "at" desc, local_symbol"""
    after = now - timedelta(days=UNEXPLAINED_DAYS)
    rows = query(settings.data_dir, sql, {"first": after.date() - timedelta(days=7), "after": after, "now": now})
    by_symbol: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        by_symbol.setdefault(row["symbol"], []).append(row)
    return [
        Issue(
            AlertType.POSITION_UNEXPLAINED,
            symbol,
            f"{counted(len(found), 'change')} of positions in {symbol}; the newest at {minute(found[0]['at'])}, of"
            f" {found[0]['local_symbol']}: {found[0]['reason']}",
            details={"contracts": sorted({row["local_symbol"] for row in found})},
        )
        for symbol, found in by_symbol.items()
    ]
