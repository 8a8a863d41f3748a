"""Why a sensor or schedule starts no run now, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from trading_assets.broker.pauses import pause_of
from trading_assets.monitoring.hours import (
    clock_time,
    due_at,
)
from trading_assets.sessions import NEW_YORK, SessionCalendar, calendar
from trading_assets.settings import Settings
from trading_assets.state import reading_engine


@dataclass(frozen=True, slots=True)
class Skip:
    """Nothing to do now; `reason` is a sentence for people."""

    reason: str


def held_back(settings: Settings) -> Skip | None:
    """Why no run of a sensor should be started now although there is work: the breaker is open, or the broker was not
    reached a moment ago; with several gateways, when that is so of all."""
    engine = reading_engine(settings.state_url)
    pauses = [pause for one in settings.each_gateway() if (pause := pause_of(engine, one)) is not None]
    if len(pauses) < len(settings.each_gateway()):
        return None
    first = min(pauses, key=lambda pause: pause.seconds)
    if first.phase is not None:
        return Skip(
            f"Held back: the circuit breaker is {first.phase} after repeated failures; it allows a trial in"
            f" {first.seconds:.0f} s."
        )
    return Skip(f"Held back: the broker could not be reached ({first.error}); tried again in {first.seconds:.0f} s.")


def empty_universe() -> Skip:
    """There is nobody to collect for."""
    return Skip("The universe is empty: add symbols with `trading-assets universe add` or the job `add_symbols`.")


def not_yet(schedule: str, what: str, settings: Settings, xnys: SessionCalendar, now: datetime) -> Skip:
    """When `what` of today's session, or of the next one, is due by that schedule."""
    today = today_in_new_york(now)
    if xnys.is_session(today) and due_at(schedule, settings, xnys, today) > now:
        half = ", a half day" if xnys.is_half_day(today) else ""
        return Skip(
            f"{what} of session {today}{half} comes at"
            f" {due_at(schedule, settings, xnys, today).astimezone(NEW_YORK):%H:%M} New York."
        )
    following = xnys.on_or_after(today) if not xnys.is_session(today) else xnys.following(today)
    due = clock_time(due_at(schedule, settings, xnys, following))
    return Skip(f"{exchange_closed(now)}{what} of the next session comes on {due}.")


def exchange_closed(now: datetime) -> str:
    """A sentence for days without a session, empty on the others."""
    today = today_in_new_york(now)
    return "" if calendar().is_session(today) else f"The exchange is closed on {today:%A} {today}. "


def today_in_new_york(now: datetime) -> date:
    """The date of an instant in New York."""
    return now.astimezone(NEW_YORK).date()
