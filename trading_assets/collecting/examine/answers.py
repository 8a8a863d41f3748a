"""One answer of any kind: what can be stored of it, and its faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from trading_assets.broker.outcomes import Fault
from trading_assets.broker.requests import (
    BarsRequest,
    ContractDetailsRequest,
    OptionListingRequest,
    OptionParametersRequest,
    QuoteRequest,
    Request,
)
from trading_assets.collecting.examine.bars import examine_bars
from trading_assets.collecting.examine.contracts import examine_details, examine_listing, examine_parameters
from trading_assets.collecting.examine.quotes import examine_quote
from trading_assets.collecting.examine.values import shown
from trading_assets.sessions import SessionCalendar

_RECORDS = {
    ContractDetailsRequest: ("contracts", examine_details),
    OptionListingRequest: ("contracts", examine_listing),
    OptionParametersRequest: ("parameters", examine_parameters),
}


@dataclass(frozen=True, slots=True)
class Examined:
    """What is left of an answer (None: nothing), its faults, and the sessions that lack something because of them."""

    payload: Any
    faults: tuple[Fault, ...] = ()
    sessions: frozenset[date] = frozenset()


def examine(request: Request, payload: Any, calendar: SessionCalendar, known_at: datetime) -> Examined:
    """Examine the payload (`broker.payloads`) of one answer; `known_at` is the instant it came."""
    if not isinstance(payload, dict):
        return nothing_left(
            request,
            Fault("the answer", "the answer", shown(payload), "is no answer to the question"),
            calendar,
            known_at,
        )
    if isinstance(request, QuoteRequest):
        faults = examine_quote(payload, request.instrument)
        return Examined(None, tuple(faults), frozenset({request.session})) if faults else Examined(payload)
    name = (
        "bars" if isinstance(request, BarsRequest) else _RECORDS[type(request)][0] if type(request) in _RECORDS else ""
    )
    if not name:
        return Examined(payload)
    if not isinstance(payload.get(name), list):
        return nothing_left(
            request, Fault(name, "the answer", shown(payload.get(name)), "is no list"), calendar, known_at
        )
    if isinstance(request, BarsRequest):
        possible, found, lacking = examine_bars(request, payload["bars"], calendar, known_at)
        if not found:
            return Examined({"bars": possible})
        return Examined({"bars": possible}, tuple(found), frozenset(lacking))
    kept, found = _RECORDS[type(request)][1](request, payload[name])
    if not found:
        return Examined({name: kept})
    return Examined({name: kept} if kept else None, tuple(found), frozenset({request.session}))


def nothing_left(request: Request, fault: Fault, calendar: SessionCalendar, known_at: datetime) -> Examined:
    """An answer of which nothing can be stored."""
    sessions = [request.session]
    if isinstance(request, BarsRequest):
        last = calendar.last_closed(known_at)
        sessions = [session for session in calendar.sessions(request.first_session, request.session) if session <= last]
    return Examined(None, (fault,), frozenset(sessions))
