"""The sensors: stale chains, gaps, new symbols, live data, and alerts.

They read the lake and the state database, never the broker; what is to be done is said by `monitoring.agenda`, that it
is started once by `automation.run_dedup`. The alerts sensor starts no run: it compares what is wrong now with what was
told.
"""

from collections.abc import Callable
from datetime import datetime

import dagster as dg

from trading_assets.automation.missed_runs import failed_runs, missed_schedules
from trading_assets.automation.run_dedup import request_of
from trading_assets.monitoring import agenda, live_agenda
from trading_assets.monitoring.agenda import WantedRun
from trading_assets.monitoring.alerts import Alerts, AlertType, deliver
from trading_assets.monitoring.live_agenda import LIVE_MERGE
from trading_assets.monitoring.skips import Skip
from trading_assets.monitoring.watch import find_issues
from trading_assets.resources.abandoned import end_abandoned_runs
from trading_assets.resources.archive import ArchiveResource
from trading_assets.settings import Settings

LOOK_SECONDS = 60
"""Seconds between two looks of the sensors that start runs: nothing they wait for is decided faster."""

ALERT_SECONDS = 30
"""Seconds between two looks of the alerts: how late an alert may be sent."""


def agenda_sensor(
    name: str,
    job: str,
    decide: Callable[[Settings, datetime], WantedRun | Skip],
    description: str,
    *,
    seconds: int = LOOK_SECONDS,
) -> dg.SensorDefinition:
    """A sensor that starts a run of `job` when the agenda says so, and looks every `seconds`."""

    @dg.sensor(
        name=name,
        job_name=job,
        minimum_interval_seconds=seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=description,
    )
    def sensing(context: dg.SensorEvaluationContext, archive: ArchiveResource) -> dg.RunRequest | dg.SkipReason:
        settings = archive.settings()
        return request_of(context, settings, decide(settings, settings.clock()))

    return sensing


stale_chains = agenda_sensor(
    "stale_chains",
    "snapshot",
    agenda.stale_chains,
    "Refreshes today's snapshot of symbols whose newest chain is older than a day (settings: stale_chain_hours) while a"
    " session has begun since.",
)

gaps = agenda_sensor(
    "gaps",
    "backfill_bars",
    agenda.gaps,
    "Fills closed sessions that are missing, contracts that expire first before all others, within a budget (settings:"
    " gap_request_budget).",
)

new_symbols = agenda_sensor(
    "new_symbols", "setup_symbol", agenda.new_symbols, "Sets up symbols that were added to the universe."
)

live_merge = agenda_sensor(
    LIVE_MERGE,
    LIVE_MERGE,
    live_agenda.live_merge,
    "Seals and merges what was streamed in sessions that are over.",
)


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=ALERT_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Sends an alert once when something needs attention and once when it is over: failed runs and checks, missed"
        " schedules, the broker."
    ),
)
def alerts(context: dg.SensorEvaluationContext, archive: ArchiveResource) -> dg.SkipReason:
    """Compare what is wrong now with the open alerts, and send what is new, due again or over."""
    settings = archive.settings()
    now = settings.clock()
    end_abandoned_runs(context.instance, settings)  # a run that nobody works on any more is a failed one
    others = {
        AlertType.RUN_FAILED: lambda: failed_runs(context.instance),
        AlertType.SCHEDULE_MISSED: lambda: missed_schedules(settings, now),
    }
    try:
        found = find_issues(settings, now, others)
        changes = Alerts(settings).reconcile(found.issues, types=found.types, now=now)
    finally:
        sent = deliver(settings, now)  # what waits in the outbox is sent also where the search for issues fails
    counts = f"opened {len(changes.opened)}, reminded {len(changes.reminded)}, cleared {len(changes.cleared)}"
    return dg.SkipReason(
        f"{len(found.issues)} open issue(s); {counts}; messages sent {sent.sent}, failed {sent.failed}."
    )


ALL_SENSORS = (stale_chains, gaps, new_symbols, live_merge, alerts)
