"""The schedules: the hourly quality check, and the maintenance outside of sessions. What has the times of a session is
a sensor (`automation.sessions`)."""

import dagster as dg

from trading_assets.automation.history import forget_old_checks
from trading_assets.automation.run_dedup import request_of
from trading_assets.monitoring import agenda, maintenance_agenda
from trading_assets.monitoring.hours import (
    MONTHLY_HOUR,
    MONTHLY_MAINTENANCE,
    QUALITY_CHECK,
    WEEKLY_AT,
    WEEKLY_MAINTENANCE,
)
from trading_assets.resources.archive import ArchiveResource
from trading_assets.sessions import NEW_YORK

EVERY_HOUR = "0 * * * *"


@dg.schedule(
    name=QUALITY_CHECK,
    job_name=QUALITY_CHECK,
    cron_schedule=EVERY_HOUR,
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Every hour: all asset checks over the latest sessions (setting check_window_sessions), and the quality"
        " metrics."
    ),
)
def quality_check(context: dg.ScheduleEvaluationContext, archive: ArchiveResource) -> dg.RunRequest | dg.SkipReason:
    """The quality check of the hour."""
    settings = archive.settings()
    if context.log_key is not None:  # not in a trial evaluation
        forget_old_checks(context.instance)
    return request_of(context, settings, agenda.quality_check(settings, settings.clock()))


@dg.schedule(
    name=WEEKLY_MAINTENANCE,
    job_name=WEEKLY_MAINTENANCE,
    cron_schedule=f"0 {WEEKLY_AT[1]} * * {(WEEKLY_AT[0] + 1) % 7}",
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Saturdays at 10:00 New York: verifies contract descriptions, removes temporary files of dead writers, "
        "validates the lake, stores the metrics, sends the report."
    ),
)
def weekly_maintenance(
    context: dg.ScheduleEvaluationContext, archive: ArchiveResource
) -> dg.RunRequest | dg.SkipReason:
    """The maintenance of the week."""
    settings = archive.settings()
    return request_of(context, settings, maintenance_agenda.weekly(settings, settings.clock()))


@dg.schedule(
    name=MONTHLY_MAINTENANCE,
    job_name=MONTHLY_MAINTENANCE,
    cron_schedule=f"0 {MONTHLY_HOUR} 1 * *",
    execution_timezone=str(NEW_YORK),
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "On the first of a month at 05:00 New York: archives old periods (setting archives), tidies the storage layout,"
        " cleans up the history (setting maintenance_deletes), measures the performance, sends the report."
    ),
)
def monthly_maintenance(
    context: dg.ScheduleEvaluationContext, archive: ArchiveResource
) -> dg.RunRequest | dg.SkipReason:
    """The maintenance of the month."""
    settings = archive.settings()
    return request_of(context, settings, maintenance_agenda.monthly(settings, settings.clock()))


ALL_SCHEDULES = (quality_check, weekly_maintenance, monthly_maintenance)
