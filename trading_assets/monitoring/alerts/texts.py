"""How an alert is worded: title and body of a message on one alert, and of one message on many."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from trading_assets.monitoring.alerts.kinds import KINDS, AlertSeverity, AlertType
from trading_assets.sessions import NEW_YORK

NAMED_ALERTS = 50
"""How many alerts one message names: services cut bodies at some 2,000 to 4,000 characters."""


class Event(StrEnum):
    """Why a message is sent."""

    OPENED = "opened"
    REMINDER = "reminder"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class AlertEntry:
    """What a message says of one alert. Instants are epoch seconds."""

    alert_id: int
    alert_type: AlertType
    subject: str
    severity: AlertSeverity
    reason: str
    remedy: str
    details: str
    opened_at: float
    told: int

    @property
    def name(self) -> str:
        """The subject in a sentence."""
        return self.subject or "The platform"


def title(event: Event, entries: Sequence[AlertEntry]) -> str:
    """One line: severity or event, type, and the symbol or how many."""
    first = entries[0]
    mark = {
        Event.OPENED: first.severity.value,
        Event.REMINDER: f"{first.severity.value}, still open",
        Event.CLEARED: "cleared",
    }[event]
    subject = first.subject if len(entries) == 1 else f"({len(entries)} at once)"
    return f"[{mark}] {first.alert_type.value} {subject}".rstrip()


def body(event: Event, entries: Sequence[AlertEntry], now: float, headline: str = "") -> str:
    """The sentences: what, since when, what to do. Of many alerts of one type, one line each."""
    first = entries[0]
    lines = [headline] if headline else []
    if len(entries) == 1:
        lines += [f"{first.name}: {first.reason}", *_details(first.details)]
    else:
        lines += [f"{len(entries)} alerts: {KINDS[first.alert_type].meaning}."]
        lines += [f"{each.name}: {each.reason}" for each in entries[:NAMED_ALERTS]]
        if len(entries) > NAMED_ALERTS:
            lines.append(f"... and {len(entries) - NAMED_ALERTS} more: trading-assets alerts lists all.")
    if event is Event.CLEARED:
        lines.append(
            f"This no longer holds. It was open from {_time(first.opened_at)} to {_time(now)}."
            if len(entries) == 1
            else "This no longer holds."
        )
    else:
        advice = first.remedy if len(entries) == 1 else KINDS[first.alert_type].remedy
        lines.append(f"What to do: {advice}")
        if event is Event.REMINDER:
            lines.append(f"Open since {_time(min(each.opened_at for each in entries))}.")
    return "\n".join(lines)


def _details(text: str) -> list[str]:
    return [f"{name}: {value}" for name, value in json.loads(text).items()]


def _time(instant: float) -> str:
    return f"{datetime.fromtimestamp(instant, UTC).astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York"
