"""Whether a maintenance is due: a run a week and a run a month, of an archive that is kept for some symbol."""

from __future__ import annotations

from datetime import datetime

from trading_assets.monitoring.agenda import WantedRun
from trading_assets.monitoring.hours import MONTHLY_MAINTENANCE, WEEKLY_MAINTENANCE
from trading_assets.monitoring.skips import Skip, empty_universe
from trading_assets.sessions import NEW_YORK
from trading_assets.settings import Settings
from trading_assets.universe import Universe


def weekly(settings: Settings, now: datetime) -> WantedRun | Skip:
    """The maintenance of the week that `now` is in (ISO week in New York)."""
    week = f"{now.astimezone(NEW_YORK):%G-W%V}"
    return _run(settings, WEEKLY_MAINTENANCE, week, f"The maintenance of week {week}.")


def monthly(settings: Settings, now: datetime) -> WantedRun | Skip:
    """The maintenance of the month that `now` is in (in New York)."""
    month = f"{now.astimezone(NEW_YORK):%Y-%m}"
    return _run(settings, MONTHLY_MAINTENANCE, month, f"The maintenance of month {month}.")


def _run(settings: Settings, job: str, period: str, why: str) -> WantedRun | Skip:
    return WantedRun(job, f"{job} {period}", why) if Universe(settings.state_url).active() else empty_universe()
