"""Which sessions of a collection are recorded as materialized partitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.resources.completeness import SessionState, written_sessions


def sessions_to_record(
    collected: Collected, states: Mapping[date, SessionState], partitions: Collection[str], known: Collection[str]
) -> list[date]:
    """The sessions to record: collected ones of the `partitions` asked for, that were written, or that Dagster does not
    know yet (`known` are the partitions it knows).

    An earlier run may have written them and died before it could say so.
    """
    written = written_sessions(collected)
    asked = {*partitions, *(session.isoformat() for session in written)}
    # a partition that the config left out says nothing
    judged = {*collected.report.sessions, *written}
    return [
        session
        for session, state in states.items()
        if session in judged and state.collected and (session.isoformat() in asked or session.isoformat() not in known)
    ]


def computed_sessions_to_record(
    archive: Archive, computed: Collected, partitions: Collection[str], known: Collection[str]
) -> list[date]:
    """The same of a dataset that is computed from the lake: sessions of the run of which it has rows. After the run
    every quote and bar of its sessions has a row, with a value or a reason."""
    sql = f'select distinct session from "{computed.dataset.name}" where session between $first and $last'
    bounds = {"first": min(computed.report.sessions), "last": max(computed.report.sessions)}
    stored = set(archive.lake.query(sql, bounds)["session"].to_pylist()) & set(computed.report.sessions)
    asked = {*partitions, *(session.isoformat() for session in written_sessions(computed))}
    return sorted(day for day in stored if day.isoformat() in asked or day.isoformat() not in known)
