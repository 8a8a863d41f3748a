"""Dagster's history: lost, damaged, unavailable, or not saying what the lake has.

What Dagster shows of a partition is worked out as after a collection (`resources.completeness`); which partitions it
knows is read from its table, so that looking changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.backup.databases import damage_of, read_only
from trading_assets.backup.sources import DAGSTER
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.doctor.coverage import DATA, recorded_conditions
from trading_assets.doctor.files import readable_files
from trading_assets.doctor.findings import Finding, Kept, Source, set_aside
from trading_assets.errors import HistoryUnavailable, StateMismatch, UnreadableFile
from trading_assets.monitoring.wording import counted
from trading_assets.repositories.files import read_file
from trading_assets.repositories.live_schema import LIVE_DATASETS
from trading_assets.repositories.schemas import (
    COVERAGE,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_GREEKS,
    POSITION_CHANGES,
    POSITION_SNAPSHOTS,
    Condition,
    Dataset,
)
from trading_assets.repositories.store import ParquetStore
from trading_assets.repositories.temporary_files import is_locked
from trading_assets.resources.history_database import connected, is_made, place, reading
from trading_assets.resources.instance_settings import FILE, kept_differences
from trading_assets.settings import Settings

INDEX = "history/runs/index.db"
"""Dagster's events of all runs, under its folder: which partitions are materialized."""

_NEEDED = ("history/runs.db", INDEX, "schedules/schedules.db")

_BESIDE = ("", "-wal", "-shm", "-journal")

POSITIONS = (POSITION_SNAPSHOTS, POSITION_CHANGES)

PARTITIONED = (*DATA, OPTION_GREEKS, *POSITIONS, *LIVE_DATASETS)
"""The datasets whose assets have a partition a session, upstream first."""

_MATERIALIZED = """
    select distinct e.partition from event_logs e left join asset_keys k on k.asset_key = e.asset_key
    where e.asset_key = ? and e.partition is not null and e.dagster_event_type = 'ASSET_MATERIALIZATION'
      and (k.wipe_timestamp is null or e.timestamp > k.wipe_timestamp)"""


def find_history_faults(settings: Settings, source: Source | None = None, *, compare: bool = True) -> list[Finding]:
    """The faults of Dagster's history under the data folder. Nothing is written.

    `compare`: look at its partitions as well, for which the lake and the state database must be whole.
    """
    edited = _edited_settings(settings)
    if settings.dagster_database_url is not None:
        return edited + _find_server_faults(settings, settings.dagster_database_url, source, compare)
    home = settings.data_dir / DAGSTER
    damaged = {path: why for path in sorted(home.rglob("*.db")) if (why := damage_of(path))}
    lost = [name for name in _NEEDED if not (home / name).exists() and home / name not in damaged]
    found = [_damaged(settings, path, why) for path, why in damaged.items()]
    if lost:
        found.insert(0, _lost(settings, lost, source))
    return edited + (found or (find_partition_faults(settings, source) if compare else []))


def _edited_settings(settings: Settings) -> list[Finding]:
    """What a `dagster.yaml` of somebody else takes out of use."""
    home = settings.data_dir / DAGSTER
    file = f"{DAGSTER}/{FILE}"
    try:
        said = kept_differences(home)
    except UnreadableFile as error:
        return [Finding("unusable_dagster_settings", file, "Nothing: Dagster cannot be opened.", str(error))]
    remedy = "If that is not meant, correct the file, or delete it to have it written anew."
    return [Finding("edited_dagster_settings", file, sentence, remedy) for sentence in said]


def _find_server_faults(settings: Settings, url: str, source: Source | None, compare: bool) -> list[Finding]:
    """The same of a history on a PostgreSQL server."""
    try:
        if compare:  # state database and lake are whole: the history must be theirs
            with reading(settings, url) as connection:
                made = connection is not None
        else:
            with connected(url) as connection:
                made = is_made(connection)
    except (HistoryUnavailable, StateMismatch) as error:
        lost = "Nothing of the lake: Dagster shows and starts no run while its history cannot be used."
        return [Finding("history_unavailable", place(url), lost, str(error))]
    if made:
        return find_partition_faults(settings, source) if compare else []
    remedy = (
        "Put its tables back from a dump of the database. Without one, trading-assets doctor --fix begins a new history"
        " and records the partitions that the lake has; nothing is requested."
    )
    return [
        Finding("lost_history", place(url), f"Dagster's tables: {_HISTORY}", remedy, partial(_begun_anew, settings))
    ]


def _begun_anew(settings: Settings) -> str:
    return f"{counted(sum(record_missing(settings).values()), 'partition')} recorded."


def _is_served(settings: Settings) -> bool:
    """Whether `trading-assets up` works on the data folder: it has the databases open."""
    return is_locked(settings.data_dir, "up")


_END_UP = "Stop trading-assets up first: it has Dagster's databases open."


_HISTORY = (
    "the history of runs, events and logs, what was switched on or off, and which partitions are materialized. The lake"
    " and the journal have all data and what brought it."
)


def _lost(settings: Settings, names: Sequence[str], source: Source | None) -> Finding:
    home = settings.data_dir / DAGSTER
    kept = source.newest(f"{DAGSTER}/{INDEX}") if source is not None else None
    lost = f"{', '.join(names)}: {_HISTORY}"
    back = f"puts back the history of snapshot {kept[0].id} and" if kept is not None else "begins a new history and"
    remedy = f"trading-assets doctor --fix {back} records the partitions that the lake has; nothing is requested."

    def mend() -> str:
        said = ""
        if kept is not None and source is not None:
            of_history = (entry for entry in kept[0].files if entry.path.startswith(f"{DAGSTER}/"))
            source.put_back(settings.data_dir, of_history)
            said = f"History of snapshot {kept[0].id} put back; "
        return f"{said}{_begun_anew(settings)}"

    if _is_served(settings):
        return Finding("lost_history", home.name, lost, _END_UP)
    return Finding("lost_history", home.name, lost, remedy, mend)


def _damaged(settings: Settings, path: Path, why: str) -> Finding:
    name = path.relative_to(settings.data_dir).as_posix()
    lost = f"What Dagster kept in it ({why})."
    remedy = "trading-assets doctor --fix sets it aside, and records the partitions that the lake has."

    def mend() -> str:
        aside = [
            set_aside(settings.data_dir, path.with_name(path.name + end))
            for end in _BESIDE
            if path.with_name(path.name + end).exists()
        ]
        return f"Set aside: {aside[0]}; {_begun_anew(settings)}"

    return Finding(
        "damaged_history",
        name,
        lost,
        _END_UP if _is_served(settings) else remedy,
        None if _is_served(settings) else mend,
    )


def find_partition_faults(settings: Settings, source: Source | None = None) -> list[Finding]:
    """Partitions that Dagster and the lake disagree about. The history must be readable."""
    found: list[Finding] = []
    with Archive(settings) as archive:
        recorded = recorded_conditions(settings)
        for dataset in PARTITIONED:
            known = _materialized(settings, dataset)
            wanted, empty = _judged(archive, dataset, recorded, known)
            if missing := sorted(wanted.keys() - known):
                found.append(_unrecorded(settings, dataset, missing))
            if empty:
                found.append(_without_data(settings, dataset, empty, source))
    return found


def _materialized(settings: Settings, dataset: Dataset) -> set[date]:
    key = (f'["{dataset.name}"]',)
    if settings.dagster_database_url is not None:
        with connected(settings.dagster_database_url) as server:
            rows = server.exec_driver_sql(_MATERIALIZED.replace("?", "%s"), key).fetchall()
    else:
        with closing(read_only(settings.data_dir / DAGSTER / INDEX, untouched=True)) as database:
            rows = database.execute(_MATERIALIZED, key).fetchall()
    return {date.fromisoformat(partition) for (partition,) in rows}


def _judged(
    archive: Archive, dataset: Dataset, recorded: pa.Table, known: set[date]
) -> tuple[dict[date, int], list[date]]:
    """The sessions that are collected, with their rows; and those of `known` of which the lake has nothing that it
    should have."""
    from trading_assets.resources.completeness import session_states
    from trading_assets.resources.recorded_sessions import whole_computed_sessions

    if dataset is OPTION_GREEKS:
        rows = _rows(archive.settings, dataset)
        span = (min(rows), max(rows)) if rows else None
        whole = whole_computed_sessions(archive, archive.universe.active(), *span) if span else set()
        return {session: rows[session] for session in whole}, sorted(known - rows.keys())
    if dataset in (*POSITIONS, *LIVE_DATASETS):
        rows = _rows(archive.settings, dataset)
        return rows, [] if dataset is POSITION_CHANGES else sorted(known - rows.keys())  # of nothing that changed
    mine = recorded.filter(pc.equal(recorded["dataset"], dataset.name))
    rows = _rows(archive.settings, dataset)
    # Snapshots are materialized with their rows; of bars the answer that there are none is enough.
    covered = set(mine["session"].to_pylist()) if dataset in (EQUITY_BARS, OPTION_BARS) else set()
    sessions = sorted(rows.keys() | covered)
    report = CollectionReport(dataset.name, archive.calendar.current(archive.now), sessions=sessions)
    nothing = Collected(dataset, dataset.schema.empty_table(), COVERAGE.schema.empty_table(), [], report, archive.now)
    states = session_states(archive, nothing)
    collected = {session: rows.get(session, 0) for session, state in states.items() if state.collected}
    complete = mine.filter(pc.equal(mine["condition"], str(Condition.COMPLETE)))
    promised, any_known = set(complete["session"].to_pylist()), set(mine["session"].to_pylist())
    empty = [s for s in sorted(known - rows.keys()) if s in promised or s not in any_known]
    return collected, empty


def _rows(settings: Settings, dataset: Dataset) -> dict[date, int]:
    """Rows of each session, from the files that can be read."""
    counts: dict[date, int] = {}
    for path in readable_files(settings.data_dir, dataset):
        table = read_file(path, dataset, ["session"])
        for value in pc.value_counts(table["session"]).to_pylist():
            counts[value["values"]] = counts.get(value["values"], 0) + value["counts"]
    return counts


def _span(sessions: Sequence[date]) -> str:
    return f"{counted(len(sessions), 'session')} ({sessions[0]} to {sessions[-1]})"


def _unrecorded(settings: Settings, dataset: Dataset, sessions: Sequence[date]) -> Finding:
    def mend(name: str) -> str:
        count = record_missing(settings).get(name, 0)
        return f"{counted(count, 'partition')} recorded." if count else ""

    return Finding(
        "data_without_materialization",
        dataset.name,
        f"Nothing of the lake: Dagster does not show {_span(sessions)} of {dataset.name} as materialized.",
        "trading-assets doctor --fix records them; nothing is requested.",
        partial(mend, dataset.name),
    )


def _without_data(settings: Settings, dataset: Dataset, sessions: Sequence[date], source: Source | None) -> Finding:
    kept = _kept(settings, dataset, sessions, source)
    lost = f"The rows of {_span(sessions)}, which Dagster shows as materialized."
    if not kept:
        again = f"trading-assets backfill --from {sessions[0]} --to {sessions[-1]}"
        how = (
            f"{again} computes them again."
            if dataset is OPTION_GREEKS
            else "they are lost: a look at a past session cannot be repeated."
            if dataset is POSITION_SNAPSHOTS
            else "they are lost: a stream cannot be repeated."
            if dataset in LIVE_DATASETS
            else f"{again} requests bars again that the broker still has; snapshots of past sessions it has not."
        )
        backup = "Put the files back from a backup: trading-assets doctor --fix --from PATH. Without one,"
        return Finding("materialized_without_data", dataset.name, lost, f"{backup} {how}")

    def mend() -> str:
        if source is not None:
            source.put_back(settings.data_dir, [entry for _, entry in kept])
        return f"Put back: {names}."

    names = ", ".join(f"{entry.path} of snapshot {snapshot.id}" for snapshot, entry in kept)
    return Finding(
        "materialized_without_data", dataset.name, lost, f"trading-assets doctor --fix puts back {names}.", mend
    )


def _kept(settings: Settings, dataset: Dataset, sessions: Sequence[date], source: Source | None) -> list[Kept]:
    """The files of rows and coverage of those sessions that the data folder has not, and the backup has."""
    if source is None or not source.repository.ids():
        return []
    store = ParquetStore(settings.data_dir)
    wanted = {f"{dataset.name}/": store.period(dataset), f"{COVERAGE.name}/{dataset.name}/": store.period(COVERAGE)}
    names = {(folder, f"{period.of(session)}.parquet") for folder, period in wanted.items() for session in sessions}
    paths = [
        entry.path
        for entry in source.repository.snapshot().files
        if any(entry.path.startswith(folder) and entry.path.endswith(f"/{name}") for folder, name in names)
        and not (settings.data_dir / entry.path).exists()
    ]
    return [kept for path in paths if (kept := source.newest(path)) is not None]


def record_missing(
    settings: Settings, only: Sequence[Dataset] = PARTITIONED, by: str = "the doctor, from the rows of the lake"
) -> dict[str, int]:
    """Record in Dagster's history the partitions of the datasets `only` that the lake has and it does not show, oldest
    first; how many, by asset. The history is made where there is none. `by` is shown with them."""
    from trading_assets.assets.policy import CODE_VERSION  # these bring Dagster
    from trading_assets.definitions import defs
    from trading_assets.resources.runless_partitions import record_runless_partitions

    datasets = {dataset.name: dataset for dataset in only}
    with Archive(settings) as archive:
        recorded = recorded_conditions(settings)

        def missing(name: str, known: set[date]) -> dict[date, int]:
            wanted, _ = _judged(archive, datasets[name], recorded, known)
            return {session: rows for session, rows in wanted.items() if session not in known}

        return record_runless_partitions(
            settings, list(datasets), missing, by, definitions=defs, code_version=CODE_VERSION
        )
