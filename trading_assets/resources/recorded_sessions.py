"""Which sessions of a collection are recorded as materialized partitions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

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
