"""What is wrong on the broker's side: circuit breaker, connection, changed contracts and units, answers in quarantine.

The state database is read; no broker is asked. `monitoring.watch` calls them all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from trading_assets.broker.breaker_store import DatabaseStore, breaker_name
from trading_assets.broker.contact import last_contact
from trading_assets.broker.quarantine import Entry, Quarantine
from trading_assets.broker.reset_windows import reset_window_end
from trading_assets.contract_changes import ContractChange
from trading_assets.monitoring.alerts.kinds import AlertType, Issue
from trading_assets.monitoring.wording import minute
from trading_assets.reliability import CircuitBreaker, Phase
from trading_assets.settings import Settings
from trading_assets.state import reading_engine

NAMED_ENTRIES = 3
"""Quarantined answers one reason names."""


def contract_changed(changes: Mapping[str, ContractChange]) -> list[Issue]:
    """`contract_changed`: symbols that the broker answers with another contract than their series has, and on which
    nobody has decided."""
    return [
        Issue(
            AlertType.CONTRACT_CHANGED,
            symbol,
            change.reason,
            details={"series": change.old_contract, "broker": change.new_contract, "found": minute(change.found_at)},
        )
        for symbol, change in changes.items()
    ]


def breaker_open(settings: Settings) -> list[Issue]:
    """`api_circuit_breaker_open`: the breaker all processes share is open, or tries its one call; one issue for all
    gateways."""
    store = DatabaseStore(reading_engine(settings.state_url))
    found = []
    for one in settings.each_gateway():
        state = CircuitBreaker(name=breaker_name(one), store=store).state
        if state.phase is not Phase.CLOSED:
            who = "The broker" if one.gateway_name is None else f"The gateway {one.gateway_name}"
            since = minute(datetime.fromtimestamp(state.opened_at, UTC))
            found.append(f"{who} failed {state.failures} times in a row; nothing is sent since {since}.")
    return [Issue(AlertType.API_CIRCUIT_BREAKER_OPEN, "", " ".join(found))] if found else []


def unreachable(settings: Settings) -> list[Issue]:
    """`broker_unreachable`: the last attempt to connect failed, and not in the broker's nightly reset, when nobody can
    connect; one issue for all gateways."""
    engine = reading_engine(settings.state_url)
    found = []
    for one in settings.each_gateway():
        contact = last_contact(engine, one.gateway_name)
        if contact is None or contact.reachable:
            continue
        # contacts are of the wall clock: a pinned one says nothing of the reset
        if settings.now is not None or reset_window_end(contact.at) is None:
            who = contact.endpoint if one.gateway_name is None else f"The gateway {one.gateway_name}"
            found.append(f"{who} could not be reached at {minute(contact.at)}. {contact.error}".strip())
    return [Issue(AlertType.BROKER_UNREACHABLE, "", " ".join(found))] if found else []


def units_changed(held: Sequence[Entry]) -> list[Issue]:
    """`unit_changed`: one issue of the platform for all answers that wait for the user's decision on their unit: as a
    rule TWS has changed, for all symbols."""
    if not held:
        return []
    symbols = sorted({entry.symbol for entry in held})
    more = f" (and {len(symbols) - NAMED_ENTRIES} more symbols)" if len(symbols) > NAMED_ENTRIES else ""
    days = sorted({day for entry in held for day in entry.sessions})
    waiting = f" Sessions {days[0]} to {days[-1]} wait for it." if days else ""
    reason = f"Bars of {', '.join(symbols[:NAMED_ENTRIES])}{more} are held for review.{waiting} {held[0].reason}"
    return [Issue(AlertType.UNIT_CHANGED, "", reason, details={"ids": ", ".join(f"{entry.id}" for entry in held)})]


def held_answers(settings: Settings, symbols: Sequence[str]) -> list[Entry]:
    """The quarantined answers of these symbols that may be right and wait for a decision (`Entry.held`)."""
    return [e for e in Quarantine(settings.state_url).entries(symbols=symbols) if e.held is not None]


def quarantined(settings: Settings, now: datetime, symbols: Sequence[str]) -> list[Issue]:
    """`answer_quarantined`: per symbol, the bad answers that nothing has taken the place of yet, each with session and
    field."""
    by_symbol: dict[str, list[Entry]] = {}
    for entry in Quarantine(settings.state_url).entries(symbols=symbols):
        if entry.state(now) == "open" and entry.held is None:
            by_symbol.setdefault(entry.symbol, []).append(entry)
    return [_in_quarantine(symbol, entries) for symbol, entries in sorted(by_symbol.items())]


def _in_quarantine(symbol: str, entries: list[Entry]) -> Issue:
    named = [f"{e.dataset} {_when(e.sessions)}, {', '.join(e.fields)}: {e.reason}" for e in entries[:NAMED_ENTRIES]]
    more = [f"{len(entries) - NAMED_ENTRIES} more answers are in quarantine."] if len(entries) > NAMED_ENTRIES else []
    due = min(entry.retry_after for entry in entries)
    details = {"ids": ", ".join(str(entry.id) for entry in entries), "asked again from": minute(due)}
    return Issue(AlertType.ANSWER_QUARANTINED, symbol, " ".join([*named, *more]), details=details)


def _when(sessions: Sequence[date]) -> str:
    if not sessions:
        return "without a session"
    return (
        f"of session {sessions[0]}"
        if len(sessions) == 1
        else f"of {len(sessions)} sessions from {sessions[0]} to {sessions[-1]}"
    )
