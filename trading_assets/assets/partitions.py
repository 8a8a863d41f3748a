"""Daily partitions on the session calendar, shared by every asset.

Here belongs how a session becomes a Dagster partition. What sessions there are is said by `trading_assets.sessions`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache

import dagster as dg

from trading_assets.sessions import NEW_YORK, calendar


@lru_cache(maxsize=1)
def session_partitions() -> dg.TimeWindowPartitionsDefinition:
    """One partition a session, keyed `YYYY-MM-DD`; the newest appears at 00:00 New York of its own day.

    `end_offset=1` shows the running day: options that expire on a Friday must be collectable on that Friday.
    On a weekday holiday Dagster already shows the next session (dagster-io/dagster#33551): assets guard against
    sessions that have not begun.
    """
    xnys = calendar()
    holidays = [datetime(day.year, day.month, day.day, tzinfo=NEW_YORK) for day in xnys.weekday_holidays()]
    return dg.TimeWindowPartitionsDefinition(
        start=xnys.first.isoformat(),
        fmt="%Y-%m-%d",
        timezone=str(NEW_YORK),
        cron_schedule="0 0 * * 1-5",
        exclusions=holidays,
        end_offset=1,
    )


def sessions_of(partition_keys: Iterable[str]) -> list[date]:
    """The sessions of partition keys, in order."""
    return sorted(date.fromisoformat(key) for key in partition_keys)
