"""Which sessions of a collection are recorded as materialized partitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import Collected
from trading_assets.collecting.steps.option_greeks import sessions_to_compute
from trading_assets.repositories.schemas import OPTION_GREEKS
from trading_assets.resources.completeness import SessionState, judged_symbols, written_sessions


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
    """The same of `option_greeks`."""
    first, last = min(computed.report.sessions), max(computed.report.sessions)
    stored = whole_computed_sessions(archive, judged_symbols(archive, computed.report), first, last)
    whole = stored & set(computed.report.sessions)
    asked = {*partitions, *(session.isoformat() for session in written_sessions(computed))}
    return sorted(day for day in whole if day.isoformat() in asked or day.isoformat() not in known)


def whole_computed_sessions(archive: Archive, symbols: Sequence[str], first: date, last: date) -> set[date]:
    """The sessions of which `option_greeks` has rows, and in which every quote and bar of these symbols has one, with a
    value or a reason."""
    sql = f'select distinct session from "{OPTION_GREEKS.name}" where session between $first and $last'
    stored = set(archive.lake.query(sql, {"first": first, "last": last})["session"].to_pylist())
    return stored - sessions_to_compute(archive, symbols, first, last)
