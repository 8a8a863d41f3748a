"""What only Dagster's own records show: runs that failed, sessions whose scheduled run never came.

Failed checks, stale data, the breaker and the broker are seen in the state database and the lake (`monitoring.watch`).
"""

from datetime import date, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterRun, DagsterRunStatus, RunsFilter

from trading_assets.automation.run_dedup import NEVER_SUBMITTED, UNFINISHED, will_be_retried
from trading_assets.monitoring.alerts import AlertType, Issue
from trading_assets.monitoring.hours import DAILY_BARS, DAILY_SNAPSHOT, clock_time, due_at, latest_due
from trading_assets.monitoring.wording import named
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import REFUSED_SQL
from trading_assets.resources.abandoned import ENDED
from trading_assets.resources.dagster_private import AUTO_RETRY_RUN_ID_TAG
from trading_assets.sessions import calendar
from trading_assets.settings import Settings, system_clock
from trading_assets.universe import Universe

REMEMBERED = timedelta(days=7)
"""How long a failed run without a later one is reported."""

RUNS_READ = 300
"""Runs looked at, the latest first: a week of the platform's own is about 200."""

GRACE = timedelta(minutes=30)
"""A scheduled run may be this late: its sensor looks every two minutes, and a run may wait for another one."""

SESSIONS_BACK = 5
"""Sessions whose scheduled runs are looked for; older ones show in coverage alone."""


_DATASET = {DAILY_SNAPSHOT: "option_chains", DAILY_BARS: "equity_bars"}

_HELD_BACK_BY = {DAILY_SNAPSHOT: ["contracts", "option_chains"], DAILY_BARS: ["contracts"]}
"""Datasets whose refusal answers for later sessions, too; bars are refused session by session."""


def failed_runs(instance: dg.DagsterInstance) -> list[Issue]:
    """Jobs whose latest ended run of the last days failed, each with the sentence of the step that failed.

    A failure that Dagster is about to mend by another try, or trying to, is not reported yet.
    """
    recent = RunsFilter(statuses=ENDED, updated_after=system_clock() - REMEMBERED)
    latest: dict[str, DagsterRun] = {}
    trying = {record.dagster_run.run_id for record in instance.get_run_records(RunsFilter(statuses=UNFINISHED))}
    for record in instance.get_run_records(recent, limit=RUNS_READ):
        tags = record.dagster_run.tags
        if NEVER_SUBMITTED in tags or will_be_retried(record) or tags.get(AUTO_RETRY_RUN_ID_TAG) in trying:
            continue
        latest.setdefault(record.dagster_run.job_name, record.dagster_run)
    failed = (run for run in latest.values() if run.status is DagsterRunStatus.FAILURE)
    return [
        Issue(AlertType.RUN_FAILED, run.job_name, f"Run {run.run_id[:8]} failed: {failure_sentence(instance, run)}")
        for run in failed
    ]


def failure_sentence(instance: dg.DagsterInstance, run: DagsterRun) -> str:
    """What the first failed step of a run said, or the run itself."""
    for kind in (DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run.run_id, of_type=kind, limit=1).records:
            event = record.event_log_entry.dagster_event
            data = event.event_specific_data if event is not None else None
            given = getattr(data, "user_failure_data", None)
            if given is not None and given.description:
                return str(given.description)
            error = getattr(data, "error", None)
            if error is not None:
                return str((error.cause or error).message).strip()
            if event is not None and event.message:
                return event.message
    return "Dagster gives no reason."


def missed_schedules(settings: Settings, now: datetime) -> list[Issue]:
    """Schedules that left no trace of a session whose time has come: neither rows nor a recorded reason, for some
    active symbol.

    A symbol that was not to be asked for then, because the broker had refused it or its contract, is not missed.
    """
    added = {entry.symbol: entry.added_at for entry in Universe(settings.state_url).entries()}
    if not added:
        return []
    xnys = calendar()
    found = []
    for schedule, dataset in _DATASET.items():
        last = latest_due(schedule, settings, xnys, now - GRACE)
        sessions = xnys.sessions(xnys.previous(last, SESSIONS_BACK - 1), last)
        rows = query(
            settings.data_dir,
            "select distinct symbol, session from coverage where dataset = ? and con_id = 0 and session >= ?",
            [dataset, sessions[0]],
        )
        known = set(zip(rows["symbol"].to_pylist(), rows["session"].to_pylist(), strict=True))
        refused = _refusals(settings, schedule)
        for session in sessions:
            due = due_at(schedule, settings, xnys, session)
            excused = {
                symbol
                for symbol, first, until, retry_after in refused
                if first <= session < until and retry_after > due
            }
            silent = sorted(
                symbol
                for symbol, since in added.items()
                if since <= due and (symbol, session) not in known and symbol not in excused
            )
            if silent:
                reason = (
                    f"Nothing was collected of session {session} for {named(silent)}; it was due on {clock_time(due)}."
                )
                found.append(Issue(AlertType.SCHEDULE_MISSED, f"{schedule} {session}", reason))
    return found


def _refusals(settings: Settings, schedule: str) -> list[tuple[str, date, date, datetime]]:
    """Refusals that hold a symbol back from a schedule: symbol, first session, the session of the next answer, and when
    it may be requested again."""
    sql = f"""with answered as (select symbol, session, condition, retry_after,
                                   lead(session, 1, date '9999-12-31') over answers as next
                           from coverage where con_id = 0 and dataset in (select unnest(?::varchar[]))
                           window answers as (partition by dataset, symbol order by session))
             select symbol, session, next, retry_after from answered
             where condition in ({REFUSED_SQL}) and retry_after is not null"""
    rows = query(settings.data_dir, sql, [_HELD_BACK_BY[schedule]]).to_pylist()
    return [(row["symbol"], row["session"], row["next"], row["retry_after"]) for row in rows]
