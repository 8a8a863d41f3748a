"""The operator's day: at which instants the scheduled runs of a session are due, by the exchange calendar and the
settings.

Here belongs time alone. Whether there is something to do then is said by `monitoring.agenda`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from dateutil.relativedelta import relativedelta

from trading_assets.sessions import NEW_YORK, SessionCalendar
from trading_assets.settings import Settings

DAILY_SNAPSHOT = "daily_snapshot"
DAILY_BARS = "daily_bars"
LAST_CHANCE = "last_chance"
DAILY_POSITIONS = "daily_positions"
QUALITY_CHECK = "quality_check"
WEEKLY_MAINTENANCE = "weekly_maintenance"
MONTHLY_MAINTENANCE = "monthly_maintenance"
PARTS = "parts"

SCHEDULES = (MONTHLY_MAINTENANCE, QUALITY_CHECK, WEEKLY_MAINTENANCE)
SENSORS = (
    *("alerts", DAILY_BARS, DAILY_POSITIONS, DAILY_SNAPSHOT, "gaps", LAST_CHANCE, "live_merge"),
    *("new_symbols", PARTS, "stale_chains"),
)
"""Names of the platform's automations in Dagster, in order."""


def snapshot_at(settings: Settings, calendar: SessionCalendar, session: date) -> datetime:
    """When the session's contracts and chains are collected (UTC): shortly before its close, on half days too."""
    return calendar.closes_at(session) - timedelta(minutes=settings.snapshot_lead_minutes)


def bars_at(settings: Settings, calendar: SessionCalendar, session: date) -> datetime:
    """When the session's bars are collected (UTC): after its close, when the broker has them."""
    return calendar.closes_at(session) + timedelta(minutes=settings.bars_delay_minutes)


def last_chance_at(settings: Settings, calendar: SessionCalendar, session: date) -> datetime:
    """When what expiring contracts still lack is collected (UTC): before the close of their last session."""
    return calendar.closes_at(session) - timedelta(minutes=settings.last_chance_lead_minutes)


def positions_at(settings: Settings, calendar: SessionCalendar, session: date) -> datetime:
    """When the session's look at the positions is made (UTC): before its close, when its chains are quoted."""
    return calendar.closes_at(session) - timedelta(minutes=settings.positions_lead_minutes)


WEEKLY_AT = (5, 10)
"""When the weekly maintenance is due, New York: day of the week (Monday is 0) and hour. No session is on a Saturday."""

MONTHLY_HOUR = 5
"""When the monthly maintenance is due on the first of a month, New York: before any session opens."""

_AT = {DAILY_SNAPSHOT: snapshot_at, DAILY_BARS: bars_at, LAST_CHANCE: last_chance_at, DAILY_POSITIONS: positions_at}


def due_at(schedule: str, settings: Settings, calendar: SessionCalendar, session: date) -> datetime:
    """When a schedule's run of a session is due (UTC)."""
    return _AT[schedule](settings, calendar, session)


def latest_due(schedule: str, settings: Settings, calendar: SessionCalendar, now: datetime) -> date:
    """The latest session whose run of the schedule is due at `now`. Raises `NotASession` before the first of the
    calendar."""
    current = calendar.current(now)
    return current if due_at(schedule, settings, calendar, current) <= now else calendar.previous(current)


def next_due(settings: Settings, calendar: SessionCalendar, now: datetime) -> dict[str, datetime]:
    """The next instant (UTC) at which each schedule is due, by name."""
    found = {}
    for schedule in _AT:
        session = calendar.on_or_after(now.astimezone(NEW_YORK).date())
        while due_at(schedule, settings, calendar, session) <= now:
            session = calendar.following(session)
        found[schedule] = due_at(schedule, settings, calendar, session)
    found[QUALITY_CHECK] = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    local = now.astimezone(NEW_YORK)
    weekday, hour = WEEKLY_AT
    saturday = local.replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(
        days=(weekday - local.weekday()) % 7
    )
    found[WEEKLY_MAINTENANCE] = (saturday if saturday > local else saturday + timedelta(days=7)).astimezone(UTC)
    first = local.replace(day=1, hour=MONTHLY_HOUR, minute=0, second=0, microsecond=0)
    found[MONTHLY_MAINTENANCE] = (first if first > local else first + relativedelta(months=1)).astimezone(UTC)
    return found


def clock_time(instant: datetime) -> str:
    """An instant as people at the exchange say it: `Thursday 2015-12-24 at 12:45 New York`."""
    return f"{instant.astimezone(NEW_YORK):%A %Y-%m-%d at %H:%M} New York"
