"""What a user switched off in the UI, kept when an automation gets another name or kind in Dagster's records.

Dagster files the state of a schedule or sensor under the name of its code location and its kind. Earlier versions named
the location `trading_assets.definitions` when started by `up`, and had schedules that are sensors now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from dagster import DagsterInvariantViolationError

from trading_assets.monitoring.hours import SCHEDULES, SENSORS
from trading_assets.resources.dagster_private import (
    InstigatorOrigin,
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleStorage,
    replace,
)

LOCATION = "trading_assets"
"""Name of the code location, as in `workspace.yaml` and `pyproject.toml`."""

_KINDS = {**dict.fromkeys(SCHEDULES, InstigatorType.SCHEDULE), **dict.fromkeys(SENSORS, InstigatorType.SENSOR)}


def keep_switches(storage: ScheduleStorage, schedules: Path) -> None:
    """File the states of an earlier version anew. `schedules` is the SQLite file of the storage; it is read first, for
    it is rarely needed."""
    if not _outdated(schedules):
        return
    states = storage.all_instigator_state()
    current = {state.instigator_name: state for state in states if _is_current(state)}
    # by a user, since
    decided = {name for name, state in current.items() if state.status is not InstigatorStatus.DECLARED_IN_CODE}
    for state in states:
        if not _is_current(state) and (kind := _KINDS.get(state.instigator_name)) is not None:
            with suppress(DagsterInvariantViolationError):  # another process files it anew at this moment
                _file_anew(storage, state, kind, current, decided)


def _file_anew(
    storage: ScheduleStorage,
    state: InstigatorState,
    kind: InstigatorType,
    current: Mapping[str, InstigatorState],
    decided: set[str],
) -> None:
    name = state.instigator_name
    if name not in decided and state.status is not InstigatorStatus.DECLARED_IN_CODE:
        origin = current[name].origin if name in current else _at_present_location(state)
        renamed = InstigatorState(
            origin, kind, state.status, state.instigator_data if state.instigator_type is kind else None
        )
        decided.add(name)
        if name in current or renamed.selector_id == state.selector_id:
            storage.update_instigator_state(renamed)
        else:
            storage.add_instigator_state(renamed)
        if renamed.selector_id == state.selector_id:
            return
    # Last: killed before, the next opening finds the new state, and deletes the old one.
    storage.delete_instigator_state(state.instigator_origin_id, state.selector_id)


def _is_current(state: InstigatorState) -> bool:
    location = state.origin.repository_origin.code_location_origin.location_name
    return location == LOCATION and state.instigator_type is _KINDS.get(state.instigator_name, state.instigator_type)


def _at_present_location(state: InstigatorState) -> InstigatorOrigin:
    repository = state.origin.repository_origin
    location = replace(repository.code_location_origin, location_name=LOCATION)
    return replace(state.origin, repository_origin=replace(repository, code_location_origin=location))


def _outdated(schedules: Path) -> bool:
    """Whether Dagster's records hold a state of an earlier version."""
    if not schedules.exists():
        return False
    kinds = {name: kind.value for name, kind in _KINDS.items()}
    sql = """
        select instigator_type,
               json_extract(instigator_body, '$.origin.external_repository_origin'
                                             || '.repository_location_origin.location_name'),
               coalesce(json_extract(instigator_body, '$.origin.job_name'),
                        json_extract(instigator_body, '$.origin.instigator_name'))
        from instigators"""
    with closing(sqlite3.connect(f"{schedules.as_uri()}?mode=ro", uri=True)) as database:
        try:
            rows = database.execute(sql).fetchall()
        except sqlite3.DatabaseError:  # not made yet, or damaged: Dagster says so itself
            return False
    return any(name in kinds and (location != LOCATION or kind != kinds[name]) for kind, location, name in rows)
