"""The check `complete` of each collected asset: one result a session, judged over the lake and for every active symbol.

A run that collects one symbol does not make a session green in which another one is missing. Before the close of a
session nothing of it is missing yet.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected, CollectionReport, Problem, ProblemKind
from trading_assets.monitoring.hours import bars_at
from trading_assets.resources.completeness import SessionState, session_states, written_sessions
from trading_assets.resources.dagster_private import AssetCheckTarget, CheckStatus
from trading_assets.resources.metadata import conditions_of
from trading_assets.sessions import NEW_YORK
from trading_assets.settings import system_clock

COMPLETE = "complete"
"""Name of the check that every collected asset emits itself."""

ROWS_SHOWN = 50
"""Rows of a table in metadata: enough to see what is missing, small enough for the event log."""


def complete_spec(dataset: str, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    """The check of a dataset, for the `check_specs` of its asset."""
    return dg.AssetCheckSpec(
        COMPLETE,
        asset=dataset,
        partitions_def=partitions,
        description=(
            "All that is wanted of the session is in the lake, for every active symbol; else what is missing and why."
        ),
    )


def complete_checks(
    context: dg.AssetExecutionContext, archive: Archive, collected: Collected
) -> Iterator[dg.Output[None] | dg.AssetCheckEvaluation]:
    """A result for each session of the run's partitions, and for the sessions before them that lack something or did so
    when last checked.

    With the newest one comes what the run met: problems with symbol, outcome, broker code and sentence.
    """
    key = dg.AssetCheckKey(context.asset_key, COMPLETE)
    if key in context.selected_asset_check_keys:
        yield dg.Output(None, output_name=f"{context.asset_key.to_python_identifier()}_{COMPLETE}")
    yield from session_checks(
        context.instance,
        archive,
        collected,
        asset=context.asset_key,
        partitions=context.partition_keys,
        run=context.run,
    )


def session_checks(
    instance: dg.DagsterInstance,
    archive: Archive,
    collected: Collected,
    *,
    asset: dg.AssetKey,
    partitions: Sequence[str] = (),
    run: dg.DagsterRun | None = None,
) -> Iterator[dg.AssetCheckEvaluation]:
    """The results for the `partitions` of a run, and for other sessions of the collection that lack something or did so
    when last checked."""
    report, key = collected.report, dg.AssetCheckKey(asset, COMPLETE)
    states = session_states(archive, collected, partitions)
    own = {date.fromisoformat(partition) for partition in partitions}
    others = {session: state for session, state in states.items() if session not in own}
    reported = own | _sessions_to_report(instance, key, collected, others)
    sessions = [session for session in states if session in reported]
    made = own | written_sessions(collected)
    materialized = [session for session in sessions if session in made and states[session].collected]
    targets = _materializations(instance, asset, run, materialized)
    for session in sessions:
        newest = session == sessions[-1]
        hidden = _without_trace(report, [states[each] for each in sessions]) if newest else []
        yield dg.AssetCheckEvaluation(
            asset_key=asset,
            check_name=COMPLETE,
            partition=session.isoformat(),
            passed=not states[session].lacking and not hidden,
            severity=dg.AssetCheckSeverity.ERROR if states[session].wrong or hidden else dg.AssetCheckSeverity.WARN,
            description=_left_out(report, session) + _sentence(archive, states[session], hidden),
            metadata=_metadata(states[session]) | (_run_metadata(report, states) if newest else {}),
            target_materialization_data=targets.get(session),
        )


def _sessions_to_report(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, collected: Collected, states: Mapping[date, SessionState]
) -> set[date]:
    """Those of the sessions that lack something of which the collection recorded anything, and those that lack nothing
    any more."""
    recorded = {*written_sessions(collected), *collected.coverage["session"].unique().to_pylist()}
    found = {
        session
        for session, state in states.items()
        if state.lacking and (session in recorded or not all(each.recorded for each in state.lacking))
    }
    whole = [session.isoformat() for session, state in states.items() if not state.lacking]
    if whole:
        infos = instance.event_log_storage.get_asset_check_partition_info([key], partition_keys=whole)
        found |= {
            date.fromisoformat(i.partition_key)
            for i in infos
            if i.partition_key and i.latest_execution_status is not CheckStatus.SUCCEEDED
        }
    return found


def _materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, run: dg.DagsterRun | None, sessions: list[date]
) -> dict[date, AssetCheckTarget]:
    """The materializations of these sessions that the run made a moment ago."""
    if not sessions or run is None:
        return {}
    ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, {session.isoformat() for session in sessions}
    )
    at = system_clock().timestamp()
    return {
        date.fromisoformat(p): AssetCheckTarget(storage_id=found, run_id=run.run_id, timestamp=at)
        for p, found in ids.items()
    }


def _without_trace(report: CollectionReport, reported: list[SessionState]) -> list[Problem]:
    """Failures of the run that none of the sessions it reports shows: the newest one does, so that nothing is
    hidden."""
    shown = {each.symbol for state in reported for each in state.lacking}
    failures = (ProblemKind.PREREQUISITE_VIOLATION, ProblemKind.FAILED)
    return [problem for problem in report.problems if problem.kind in failures and problem.symbol not in shown]


def _left_out(report: CollectionReport, session: date) -> str:
    return "" if session in report.sessions else f"The run collected nothing of session {session}, as its config says. "


def _sentence(archive: Archive, state: SessionState, hidden: list[Problem]) -> str:
    if not state.closed:
        due = bars_at(archive.settings, archive.calendar, state.session).astimezone(NEW_YORK)
        close = archive.calendar.closes_at(state.session).astimezone(NEW_YORK)
        return f"Session {state.session} closes at {close:%H:%M} New York; its bars are collected from {due:%H:%M} on."
    if hidden:
        return f"{hidden[0].symbol}: {hidden[0].sentence}"
    if not state.lacking:
        return f"All that is wanted of session {state.session} is in the lake."
    counts = Counter(each.condition for each in state.lacking)
    kinds = ", ".join(f"{count} {condition}" for condition, count in sorted(counts.items()))
    first = state.lacking[0]
    return (
        f"Session {state.session} lacks: {kinds}. First: {' '.join(filter(None, (first.symbol, first.bar_size)))}:"
        f" {first.reason}"
    )


def _metadata(state: SessionState) -> dict[str, Any]:
    """Symbols (and bar sizes) of the session by condition, and those that lack something."""
    metadata: dict[str, Any] = {
        "conditions_of_the_session": dg.MetadataValue.json(dict(state.conditions.most_common()))
    }
    if state.lacking:
        metadata["lacking"] = dg.MetadataValue.table(
            [dg.TableRecord(each.as_row()) for each in state.lacking[:ROWS_SHOWN]]
        )
        metadata["symbols"] = ", ".join(sorted({each.symbol for each in state.lacking})[:ROWS_SHOWN])
    return metadata


def _run_metadata(report: CollectionReport, states: Mapping[date, SessionState]) -> dict[str, Any]:
    """What the run met: sessions by condition, problems, outcomes of its requests."""
    metadata: dict[str, Any] = {
        "problems": len(report.problems),
        "outcomes": dg.MetadataValue.json(dict(report.outcomes)),
    }
    if conditions := conditions_of(states, report.sessions):
        metadata["conditions"] = dg.MetadataValue.json(conditions)
    if report.problems:
        rows = [problem.as_row() for problem in report.problems[:ROWS_SHOWN]]
        metadata["first_problems"] = dg.MetadataValue.table(
            [dg.TableRecord({k: "" if v is None else v for k, v in row.items()}) for row in rows]
        )
    return metadata
