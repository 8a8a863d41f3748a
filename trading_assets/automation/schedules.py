"""The schedules: the session's snapshot, its bars, the last look before contracts expire, the hourly quality check.

Dagster's cron knows neither holidays nor half days, and the times are settings that are not read before a tick. So the
first three look every five minutes whether the session's time has come; a tick that was missed is made good by the next
one. What is due is said by `monitoring.agenda`, that it is started once by `automation.once`.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg

from trading_assets.automation.history import forget_old_checks
from trading_assets.automation.once import request_of
from trading_assets.monitoring import agenda
from trading_assets.monitoring.agenda import Ask, Wait
from trading_assets.monitoring.hours import DAILY_BARS, DAILY_SNAPSHOT, LAST_CHANCE, QUALITY_CHECK
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.dagster_private import scheduled_time
from trading_assets.sessions import NEW_YORK
from trading_assets.settings import Settings

EVERY_FIVE_MINUTES = "*/5 * * * *"
EVERY_HOUR = "0 * * * *"


def _schedule(
    name: str, job: str, decide: Callable[[Settings, datetime], Ask | Wait], description: str, *, cron: str = EVERY_FIVE_MINUTES
) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=name,
        job_name=job,
        cron_schedule=cron,
        execution_timezone=str(NEW_YORK),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
    def scheduled(context: dg.ScheduleEvaluationContext, archive: ArchiveResource) -> dg.RunRequest | dg.SkipReason:
        settings = archive.settings()
        if job == QUALITY_CHECK and context.log_key is not None:  # not in a trial evaluation
            forget_old_checks(context.instance)
        return request_of(context, settings, decide(settings, instant(context, settings)))

    return scheduled


def instant(context: dg.ScheduleEvaluationContext, settings: Settings) -> datetime:
    """The market's instant of a tick: the tick's own in a trial evaluation, else the present one.

    A tick that comes late must see the present: what was due then may no longer be had.
    """
    trial = context.log_key is None and scheduled_time(context) is not None
    return context.scheduled_execution_time.astimezone(UTC) if trial else settings.clock()


daily_snapshot = _schedule(
    DAILY_SNAPSHOT,
    "snapshot",
    agenda.daily_snapshot,
    "Contracts and option chains of the session, shortly before its close (settings: snapshot_lead_minutes), on half days too.",
)

daily_bars = _schedule(
    DAILY_BARS,
    "backfill_bars",
    agenda.daily_bars,
    "Equity and option bars of the session, after its close (settings: bars_delay_minutes), and of sessions missed shortly before.",
)

last_chance = _schedule(
    LAST_CHANCE,
    "backfill_bars",
    agenda.last_chance,
    "On days when selected contracts expire: the bars they still lack, before the close (settings: last_chance_lead_minutes).",
)


quality_check = _schedule(
    QUALITY_CHECK,
    "quality_check",
    agenda.quality_check,
    "Every hour: all asset checks over the latest sessions (settings: check_window_sessions), and the quality metrics.",
    cron=EVERY_HOUR,
)

ALL_SCHEDULES = (daily_snapshot, daily_bars, last_chance, quality_check)
