"""When live data is merged: after its session, while some of it is still in parts or segments."""

from __future__ import annotations

from datetime import datetime

from trading_assets.monitoring.agenda import WantedRun
from trading_assets.monitoring.hours import DAILY_BARS, latest_due
from trading_assets.monitoring.skips import Skip
from trading_assets.repositories.live.places import live_sessions
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.sessions import calendar
from trading_assets.settings import Settings

LIVE_MERGE = "live_merge"


def live_merge(settings: Settings, now: datetime) -> WantedRun | Skip:
    """A merge of the sessions that are over (their bars are due) and have live data that is not merged; what a recorder
    adds later is merged in the next hour."""
    due = latest_due(DAILY_BARS, settings, calendar(), now)
    waiting = sorted({session for dataset in LIVE_DATASETS for session in live_sessions(settings.data_dir, dataset)})
    ready = [session for session in waiting if session <= due]
    if not ready:
        later = f"Live data of session {waiting[0]} is merged when its bars are due." if waiting else ""
        return Skip(later or "All live data is merged.")
    first, last = ready[0], ready[-1]
    why = (
        f"Live data of session {first} is to be merged."
        if first == last
        else (f"Live data of sessions {first} to {last} is to be merged.")
    )
    return WantedRun(LIVE_MERGE, f"{LIVE_MERGE} {first} {last} {now:%Y-%m-%dT%H}", why, first, last)
