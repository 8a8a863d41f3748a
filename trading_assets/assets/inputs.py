"""What a run of an asset collects: its symbols and its sessions."""

from __future__ import annotations

from datetime import date, timedelta

import dagster as dg

from trading_assets.arguments import day
from trading_assets.assets.config import BarsConfig, CollectionConfig
from trading_assets.assets.partitions import sessions_of
from trading_assets.collecting.archive import Archive
from trading_assets.errors import Refused
from trading_assets.monitoring.recovery import lost_state
from trading_assets.resources.run_config import lookback_days, symbols_of
from trading_assets.universe import UniverseEntry


def entries_of(context: dg.AssetExecutionContext, archive: Archive, config: CollectionConfig) -> list[UniverseEntry]:
    """The symbols of the run as the broker is asked for them. Raises `Refused` when there are none."""
    entries = archive.universe.resolve(config.symbols or symbols_of(context.run) or None)
    if not entries:
        raise Refused(
            lost_state(archive.settings)
            or "There is no symbol to collect: the universe is empty, and the run names none. Write `symbols` into the"
            " config of one of its assets, for example [AAPL], or add symbols to the universe."
        )
    return entries


def current_session(context: dg.AssetExecutionContext, archive: Archive) -> date:
    """The session of a snapshot run. Raises `Refused` for any other than the current session."""
    wanted = sessions_of(context.partition_keys)
    current = archive.calendar.current(archive.now)
    if wanted != [current]:
        named = f"{wanted[0]}" if len(wanted) == 1 else f"{wanted[0]} to {wanted[-1]}"
        early = " On a holiday Dagster lists the next session already." if wanted[-1] > current else ""
        raise Refused(
            f"{context.asset_key.to_user_string()} is a snapshot: the broker answers only what is listed now, so it can"
            f" be collected for the current session {current} only, not for {named}.{early} Choose partition {current}."
        )
    return current


def bar_sessions(context: dg.AssetExecutionContext, archive: Archive, config: BarsConfig) -> list[date]:
    """The sessions of a bar run: its partitions and the lookback before them, from `first_session` to `last_session` of
    the config.

    Raises `Refused` for sessions that have not begun, and when none is left.
    """
    sessions, first = _asked(context, archive)
    begin = _day(config.first_session, first, "first_session")
    end = _day(config.last_session, sessions[-1], "last_session")
    wanted = (
        archive.calendar.sessions(max(first, begin), min(end, sessions[-1]))
        if max(first, begin) <= min(end, sessions[-1])
        else []
    )
    if not wanted:
        raise Refused(f"No session from {begin} to {end} is among those of the run, {first} to {sessions[-1]}.")
    return wanted


def computed_sessions(context: dg.AssetExecutionContext, archive: Archive) -> list[date]:
    """The sessions of a run that computes from the lake: its partitions and the lookback before them (of the config, or
    as the bars of the run). Raises `Refused` for sessions that have not begun."""
    sessions, first = _asked(context, archive)
    return archive.calendar.sessions(first, sessions[-1])


def _asked(context: dg.AssetExecutionContext, archive: Archive) -> tuple[list[date], date]:
    """The sessions of the run's partitions, and the first day with its lookback. Raises `Refused`."""
    sessions = sessions_of(context.partition_keys)
    current = archive.calendar.current(archive.now)
    if sessions[-1] > current:
        raise Refused(
            f"Session {sessions[-1]} has not begun; the current session is {current}. Choose partitions up to"
            f" {current}."
        )
    days = lookback_days(context.run, archive.settings, context.asset_key.path[-1])
    return sessions, min(sessions[0], sessions[-1] - timedelta(days=days)) if days else sessions[0]


def _day(given: str | None, otherwise: date, name: str) -> date:
    return otherwise if given is None else day(given, name)
