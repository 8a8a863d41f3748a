"""What all assets share: partitions, pool, owners, the `complete` check, and how a collection becomes Dagster events.

Here belongs everything Dagster wants said about an asset but its name, its upstream and its narrative.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.dataset as pads

from trading_assets.assets.config import BarsConfig
from trading_assets.assets.partitions import session_partitions, sessions_of
from trading_assets.checks.rules import ROWS_SHOWN, evaluate_rules, rules_spec
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected, CollectionReport, ProblemKind
from trading_assets.repositories.schemas import DATASETS
from trading_assets.repositories.tables import column_rows
from trading_assets.resources.conditions import conditions_metadata

IB_POOL = "ib"
"""The concurrency pool of every step that may talk to the broker; its limit is in `dagster.yaml`."""

CODE_VERSION = "1"
"""Raised when an asset's rows would come out differently from the same answers."""

COMPLETE = "complete"
"""Name of the check that every asset emits itself."""


def asset_policy(dataset: str, *, group: str) -> dict[str, Any]:
    """Arguments of `dg.asset` that follow from the dataset."""
    return {
        "group_name": group,
        "kinds": {"ibkr", "parquet"},
        "owners": ["team:trading-assets"],
        "code_version": CODE_VERSION,
        "partitions_def": session_partitions(),
        "backfill_policy": dg.BackfillPolicy.single_run(),
        "pool": IB_POOL,
        "io_manager_key": "io_manager",
        "check_specs": [
            dg.AssetCheckSpec(COMPLETE, asset=dataset, description="Everything wanted that can be had is in the lake."),
            rules_spec(dataset),
        ],
        "metadata": {"dagster/column_schema": table_schema(dataset), "dagster/table_name": dataset},
    }


def table_schema(dataset: str) -> dg.TableSchema:
    """Dagster's description of a dataset's columns, from the dataset itself."""
    columns = [
        dg.TableColumn(
            row.name,
            row.type,
            description=f"{row.description} [{row.unit}]" if row.unit else row.description,
            constraints=dg.TableColumnConstraints(nullable=row.nullable),
        )
        for row in column_rows(DATASETS[dataset])
    ]
    return dg.TableSchema(columns=columns)


class Refused(ValueError):
    """The run asks for something that cannot be had or makes no sense; running it again changes nothing."""


def current_session(context: dg.AssetExecutionContext, archive: Archive) -> date:
    """The session of a snapshot run. Raises `Refused` for any other than the current session."""
    wanted = sessions_of(context.partition_keys)
    current = archive.calendar.current(archive.now)
    if wanted != [current]:
        named = f"{wanted[0]}" if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}"
        raise Refused(
            f"{context.asset_key.to_user_string()} is a snapshot: the broker tells only what is listed now, so it can be "
            f"collected for the current session {current} only, not for {named}. Choose partition {current}."
        )
    return current


def bar_sessions(context: dg.AssetExecutionContext, archive: Archive, config: BarsConfig) -> list[date]:
    """The sessions of a bar run: its partitions and the lookback before them, from `first_session` to `last_session` of the config.

    Raises `Refused` for sessions that have not begun, and when none is left.
    """
    sessions = sessions_of(context.partition_keys)
    current = archive.calendar.current(archive.now)
    if sessions[-1] > current:
        raise Refused(f"Session {sessions[-1]} has not begun; the current session is {current}. Choose partitions up to {current}.")
    first = min(sessions[0], sessions[-1] - timedelta(days=config.lookback_days)) if config.lookback_days else sessions[0]
    begin, end = _day(config.first_session, first), _day(config.last_session, sessions[-1])
    wanted = archive.calendar.sessions(max(first, begin), min(end, sessions[-1])) if max(first, begin) <= min(end, sessions[-1]) else []
    if not wanted:
        raise Refused(f"No session from {begin} to {end} is among those of the run, {first} to {sessions[-1]}.")
    return wanted


def _day(given: str | None, otherwise: date) -> date:
    if given is None:
        return otherwise
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise Refused(f"{given!r} is no date: write it as YYYY-MM-DD.") from error


def events(context: dg.AssetExecutionContext, lake: Archive, collected: Collected) -> Iterator[Any]:
    """The output, the checks `complete` and `rules`, and a materialization for each session of the lookback outside the run's partitions."""
    report = collected.report
    yield dg.Output(collected)
    yield complete_check(report, conditions_metadata(lake, report, picture=False))
    yield evaluate_rules(context.run, lake.settings, report.dataset)
    for session in _lookback_to_mark(context, lake, collected):
        context.log_event(
            dg.AssetMaterialization(
                context.asset_key,
                partition=session.isoformat(),
                description=f"Collected in the lookback of {max(context.partition_keys)}.",
                metadata={"window": f"{report.sessions[0]} to {report.sessions[-1]}"},
            )
        )


def _lookback_to_mark(context: dg.AssetExecutionContext, lake: Archive, collected: Collected) -> list[date]:
    """Sessions outside the run's partitions that this run brought rows of, or that an earlier one did and died before it could say so."""
    own = set(sessions_of(context.partition_keys))
    touched = set(collected.table.column("session").unique().to_pylist())
    marked = set(sessions_of(context.instance.get_materialized_partitions(context.asset_key)))
    doubtful = set(collected.report.sessions) - own - touched - marked
    if doubtful:
        mine = pads.field("symbol").isin(pa.array(collected.report.symbols, pa.string()))
        stored = lake.store.read(collected.dataset, columns=["session"], where=mine, first=min(doubtful), last=max(doubtful))
        touched |= doubtful & set(stored.column("session").unique().to_pylist())
    return sorted(touched - own)


def complete_check(report: CollectionReport, conditions: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Passes when nothing wanted is missing; else lists symbol, outcome, broker code and sentence. `conditions` is further metadata.

    What can no longer be had, came in part, or is left to a later run, is told (WARN) but is no failure of this run; everything
    else is an ERROR.
    """
    open_problems = [problem for problem in report.problems if problem.kind not in (ProblemKind.LOST, ProblemKind.PARTIAL, ProblemKind.DEFERRED)]
    rows = [problem.as_row() for problem in report.problems]
    metadata: dict[str, Any] = {
        **conditions,
        "problems": len(rows),
        "outcomes": dg.MetadataValue.json(dict(report.outcomes)),
    }
    if rows:
        records = [dg.TableRecord({name: "" if value is None else value for name, value in row.items()}) for row in rows[:ROWS_SHOWN]]
        metadata["first_problems"] = dg.MetadataValue.table(records)
        metadata["symbols"] = ", ".join(sorted({row["symbol"] for row in rows}))
    return dg.AssetCheckResult(
        check_name=COMPLETE,
        passed=not rows,
        severity=dg.AssetCheckSeverity.ERROR if open_problems else dg.AssetCheckSeverity.WARN,
        description=_sentence(report),
        metadata=metadata,
    )


def _sentence(report: CollectionReport) -> str:
    if not report.problems:
        return "Everything wanted is in the lake."
    counts = Counter(str(problem.kind) for problem in report.problems)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    first = report.problems[0]
    return f"Missing: {kinds}. First: {' '.join(filter(None, (first.symbol, first.subject)))}: {first.sentence}"
