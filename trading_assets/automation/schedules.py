"""The schedule: the hourly quality check. What has the times of a session is a sensor (`automation.sessions`)."""

import dagster as dg

from trading_assets.automation.history import forget_old_checks
from trading_assets.automation.run_dedup import request_of
from trading_assets.monitoring import agenda
from trading_assets.monitoring.hours import QUALITY_CHECK
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


ALL_SCHEDULES = (quality_check,)
