"""What only Dagster's own records show: runs that failed, sessions whose scheduled run never came.

Failed checks, stale data, the breaker and the broker are seen in the state database and the lake (`monitoring.watch`).
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

import dagster as dg
from dagster import DagsterEventType, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter

from trading_assets.automation.run_dedup import KEY_TAG, NEVER_SUBMITTED, UNFINISHED, will_be_retried
from trading_assets.distribution import DISTRIBUTION_TAG
from trading_assets.monitoring.alerts import AlertType, Issue
from trading_assets.monitoring.hours import DAILY_BARS, DAILY_SNAPSHOT, clock_time, due_at, latest_due
from trading_assets.monitoring.wording import counted, named
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

PAGES = 10
"""Most pages of so many runs that are read, where parts of distributed work are among them."""

GRACE = timedelta(minutes=30)
"""A scheduled run may be this late: its sensor looks every two minutes, and a run may wait for another one."""

SESSIONS_BACK = 5
"""Sessions whose scheduled runs are looked for; older ones show in coverage alone."""


_DATASET = {DAILY_SNAPSHOT: "option_chains", DAILY_BARS: "equity_bars"}

_HELD_BACK_BY = {DAILY_SNAPSHOT: ["contracts", "option_chains"], DAILY_BARS: ["contracts"]}
"""Datasets whose refusal answers for later sessions, too; bars are refused session by session."""


def failed_runs(instance: dg.DagsterInstance) -> list[Issue]:
    """Jobs whose latest ended run of the last days failed, each with the sentence of the step that failed.

    A failure that Dagster is about to mend by another try, or trying to, is not reported yet. Of distributed work each
    part counts by itself, and the failed ones of a distribution are one issue.
    """
    latest: dict[str, DagsterRun] = {}
    trying = instance.get_runs(RunsFilter(statuses=UNFINISHED))
    ids, parts = {run.run_id for run in trying}, {run.tags.get(KEY_TAG) for run in trying if _is_part(run)}
    for record in _ended_runs(instance):
        run, tags = record.dagster_run, record.dagster_run.tags
        if NEVER_SUBMITTED in tags or will_be_retried(record) or tags.get(AUTO_RETRY_RUN_ID_TAG) in ids:
            continue
        latest.setdefault(tags.get(KEY_TAG, "") if _is_part(run) else run.job_name, run)
    failed: dict[str, list[DagsterRun]] = {}
    for key, run in latest.items():
        if run.status is DagsterRunStatus.FAILURE and key not in parts:
            failed.setdefault(run.tags.get(DISTRIBUTION_TAG, run.job_name), []).append(run)
    return [_issue(instance, subject, runs) for subject, runs in failed.items()]


def _ended_runs(instance: dg.DagsterInstance) -> Iterator[RunRecord]:
    """The runs that ended in the last days, the latest first: `RUNS_READ` beside the parts of distributed work, of
    which there may be thousands."""
    recent = RunsFilter(statuses=ENDED, updated_after=system_clock() - REMEMBERED)
    cursor, others = None, 0
    for _ in range(PAGES):
        page = instance.get_run_records(recent, limit=RUNS_READ, cursor=cursor)
        yield from page
        others += sum(not _is_part(record.dagster_run) for record in page)
        if len(page) < RUNS_READ or others >= RUNS_READ:
            return
        cursor = page[-1].dagster_run.run_id


def _is_part(run: DagsterRun) -> bool:
    return DISTRIBUTION_TAG in run.tags


def _issue(instance: dg.DagsterInstance, subject: str, runs: Sequence[DagsterRun]) -> Issue:
    """The issue of failed runs, the latest first: one of a job, or those of a distribution's parts."""
    said = f"Run {runs[0].run_id[:8]} failed: {failure_sentence(instance, runs[0])}"
    if not _is_part(runs[0]):
        return Issue(AlertType.RUN_FAILED, subject, said)
    remedy = "When the cause is removed, submit the failed parts again: trading-assets distribute repeat."
    return Issue(AlertType.RUN_FAILED, subject, f"{counted(len(runs), 'part')} failed. {said}", remedy)


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
