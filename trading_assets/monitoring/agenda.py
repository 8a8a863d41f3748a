"""What the platform should do by itself at an instant: a run to ask for, or a sentence that says why there is none.

Pure reading of the lake and the state database; nothing is sent to a broker. The schedules and sensors of
`trading_assets.automation` turn a `WantedRun` into one run and a `Skip` into a skip reason; that a run is not asked for
twice is their part, as is the queue of runs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import blake2s
from typing import Any

from trading_assets.collecting.backoff import backoff_of
from trading_assets.contract_changes import ContractChanges
from trading_assets.monitoring import gaps as reading
from trading_assets.monitoring.hours import (
    DAILY_BARS,
    DAILY_POSITIONS,
    DAILY_SNAPSHOT,
    LAST_CHANCE,
    QUALITY_CHECK,
    clock_time,
    due_at,
    last_chance_at,
    latest_due,
)
from trading_assets.monitoring.skips import (
    Skip,
    empty_universe,
    exchange_closed,
    held_back,
    not_yet,
    today_in_new_york,
)
from trading_assets.monitoring.wording import named
from trading_assets.repositories.catalog import query
from trading_assets.repositories.lake import Lake
from trading_assets.repositories.schemas import CONTRACTS, EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Condition
from trading_assets.sessions import NEW_YORK, calendar
from trading_assets.settings import Settings
from trading_assets.universe import Universe

UPDATE_LOOKBACK_DAYS = 10
"""Calendar days a daily update looks back for sessions it missed; what is covered costs nothing. Older gaps are the gap
sensor's."""

SNAPSHOTS = (CONTRACTS.name, OPTION_CHAINS.name)
BARS = (EQUITY_BARS.name, OPTION_BARS.name)
COMPUTED = ("option_greeks",)
"""What is computed from the quotes and bars of a run, in the same run; nothing is asked for."""
POSITIONS = ("position_snapshots", "position_changes")
"""A look at the account and what it shows; no collecting job has a part of it."""

SNAPSHOT_PATIENCE = timedelta(minutes=30)
"""How long the bars wait for a snapshot that is late: it says which contracts to collect. After that they go
without."""

SNAPSHOT_TRIES = 3
"""Runs of one session's snapshot while they fail: where the broker does not answer, each takes
`Settings.reconnect_timeout` (five minutes), and three fit between its time and the close."""

Config = Mapping[str, Mapping[str, Any]]
"""Run config by asset name."""


@dataclass(frozen=True, slots=True)
class WantedRun:
    """A run that should be made: `job` on the partitions `first` to `last` (None: it has none), with `config` by asset.

    `key` is the same as long as the reason is the same: one run a key, or up to `tries` of them as long as they fail.
    `assets` are those of the job's that are collected (none named: all).
    `urgent`: it is available only now, so it does not wait for longer work on the same symbols, only for its own kind.
    `yields`: it waits while a part of a distributed backfill is worked on. `tags` are further tags of the run.
    """

    job: str
    key: str
    why: str
    first: date | None = None
    last: date | None = None
    assets: tuple[str, ...] = ()
    config: Config = field(default_factory=dict)
    tries: int = 1
    urgent: bool = False
    yields: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)


def daily_snapshot(settings: Settings, now: datetime) -> WantedRun | Skip:
    """The snapshot of the current session, from shortly before its close until the next session opens."""
    xnys = calendar()
    session = xnys.current(now)
    if not _active(settings):
        return empty_universe()
    if latest_due(DAILY_SNAPSHOT, settings, xnys, now) != session:
        return not_yet(DAILY_SNAPSHOT, "The snapshot", settings, xnys, now)
    since = due_at(DAILY_SNAPSHOT, settings, xnys, session) - timedelta(minutes=settings.requote_after_minutes)
    if _nothing_left(settings, session, now, SNAPSHOTS) and not _quoted_before(settings, session, since):
        return Skip(
            f"{exchange_closed(now)}The snapshot of session {session} is complete, quoted after"
            f" {since.astimezone(NEW_YORK):%H:%M} New York."
        )
    config = {OPTION_CHAINS.name: {"requote_after_minutes": settings.requote_after_minutes}}
    late = "" if session == today_in_new_york(now) else " It is late: the quotes are those of the session's close."
    return WantedRun(
        "snapshot",
        f"{DAILY_SNAPSHOT} {session}",
        f"The snapshot of session {session}.{late}",
        session,
        session,
        config=config,
        tries=SNAPSHOT_TRIES,
        urgent=True,
    )


def daily_bars(settings: Settings, now: datetime) -> WantedRun | Skip:
    """The bars of the latest session whose collection time has come, and of those missed shortly before."""
    xnys = calendar()
    if not _active(settings):
        return empty_universe()
    session = latest_due(DAILY_BARS, settings, xnys, now)
    if _nothing_left(settings, session, now, BARS):
        following = xnys.following(session)
        return Skip(
            f"{exchange_closed(now)}The bars of session {session} are complete; the next come on"
            f" {clock_time(due_at(DAILY_BARS, settings, xnys, following))}."
        )
    patience = due_at(DAILY_BARS, settings, xnys, session) + SNAPSHOT_PATIENCE
    # A chain whose quotes lack values names its contracts all the same.
    if (
        session == xnys.current(now)
        and now < patience
        and not _nothing_left(settings, session, now, SNAPSHOTS, enough=(Condition.PARTIAL,))
    ):
        return Skip(
            f"The bars of session {session} wait for its snapshot until {patience.astimezone(NEW_YORK):%H:%M} New York."
        )
    config = {name: {"lookback_days": UPDATE_LOOKBACK_DAYS} for name in BARS}
    return WantedRun(
        "backfill_bars", f"{DAILY_BARS} {session}", f"The bars of session {session}.", session, session, config=config
    )


def last_chance(settings: Settings, now: datetime) -> WantedRun | Skip:
    """What contracts that expire in the current session still lack of the sessions before, while the broker still has
    it."""
    xnys = calendar()
    session = xnys.current(now)
    if not _active(settings):
        return empty_universe()
    if not last_chance_at(settings, xnys, session) <= now < xnys.closes_at(session):
        return not_yet(LAST_CHANCE, "The last look before contracts expire", settings, xnys, now)
    expiring = reading.expiring(settings, session)
    if not expiring:
        return Skip(f"No selected contract expires in session {session}.")
    lacking = reading.expiring_gaps(settings, session, now=now)
    if not lacking:
        return Skip(
            f"{sum(expiring.values())} selected contract(s) of {named(expiring)} expire in session {session}; nothing"
            " of theirs is missing."
        )
    symbols = sorted({gap.symbol for gap in lacking})
    why = f"Contracts of {named(symbols)} expire in session {session} and lack bars."
    config = {name: {"symbols": symbols} for name in BARS}
    first, last = min(gap.first for gap in lacking), max(gap.last for gap in lacking)
    return WantedRun("backfill_bars", f"{LAST_CHANCE} {session}", why, first, last, config=config)


def daily_positions(settings: Settings, now: datetime) -> WantedRun | Skip:
    """The look at the positions of the current session, from shortly before its close until the next session opens."""
    xnys = calendar()
    session = xnys.current(now)
    if not _active(settings):
        return empty_universe()
    if latest_due(DAILY_POSITIONS, settings, xnys, now) != session:
        return not_yet(DAILY_POSITIONS, "The look at the positions", settings, xnys, now)
    due = due_at(DAILY_POSITIONS, settings, xnys, session)
    sql = 'select max("at") as newest from position_snapshots where session = ?'
    newest = query(settings.data_dir, sql, [session])["newest"][0].as_py()
    if newest is not None and newest >= due:
        at = newest.astimezone(NEW_YORK)
        return Skip(
            f"{exchange_closed(now)}The positions of session {session} were looked at {at:%Y-%m-%d %H:%M} New York."
        )
    late = "" if session == today_in_new_york(now) else " It is late: what is held now is recorded."
    return WantedRun(
        "positions",
        f"{DAILY_POSITIONS} {session}",
        f"The look at the positions of session {session}.{late}",
        session,
        session,
        tries=SNAPSHOT_TRIES,
        urgent=True,
    )


def stale_chains(settings: Settings, now: datetime) -> WantedRun | Skip:
    """A refresh of today's partition for the symbols whose newest snapshot is stale."""
    if not _active(settings):
        return empty_universe()
    stale = reading.stale_chains(settings, now)
    if not stale:
        return Skip(
            f"Every chain is younger than {settings.stale_chain_hours:g} hours, or no session has begun since it was"
            " taken."
        )
    if (held := held_back(settings)) is not None:
        return held
    session = calendar().current(now)
    symbols = sorted(chain.symbol for chain in stale)
    why = f"The newest chain of {named(symbols)} is older than {settings.stale_chain_hours:g} hours."
    config: dict[str, dict[str, Any]] = {name: {"symbols": symbols} for name in SNAPSHOTS}
    return WantedRun(
        "snapshot", f"stale_chains {session} {_digest(symbols)} {now:%dT%H}", why, session, session, config=config
    )


def gaps(settings: Settings, now: datetime) -> WantedRun | Skip:
    """One backfill over missing sessions, contracts that expire first before all others, that sends no more than the
    request budget.

    What failed lately is in backoff (`collecting.backoff`), so that it does not take the place of the others.
    """
    symbols = _active(settings)
    if not symbols:
        return empty_universe()
    backoff = backoff_of(settings, symbols)
    lacking = reading.find_gaps(settings, now=now, excluding=backoff)
    waiting = reading.waiting_options(settings, lacking)
    found = [gap for gap in lacking if gap.dataset != OPTION_BARS.name or gap.symbol not in waiting]
    if not found and waiting:
        return Skip(f"Missing option bars of {named(waiting)} wait. {next(iter(waiting.values()))}")
    if not found and backoff.until is not None:
        again = f"{backoff.until.astimezone(NEW_YORK):%Y-%m-%d %H:%M}"
        return Skip(f"What is missing failed when it was last asked for; it is requested again from {again} New York.")
    if not found:
        return Skip("No closed session is missing that can be asked for now.")
    if (held := held_back(settings)) is not None:
        return held
    chosen = reading.within_budget(found, settings.gap_request_budget)
    first, last = min(gap.first for gap in chosen), max(gap.last for gap in chosen)
    left = sum(gap.requests for gap in found) - sum(gap.requests for gap in chosen)
    why = f"Sessions are missing of {named({gap.symbol for gap in chosen})}." + (
        f" About {left} more request(s) wait for the next run." if left else ""
    )
    of_asset = {name: [gap for gap in chosen if gap.dataset == name] for name in BARS}
    config = {name: _filling(gaps) for name, gaps in of_asset.items() if gaps}
    what = [
        f"{gap.symbol}/{gap.dataset}/{gap.bar_size}/{gap.first}/{gap.last}/{gap.sessions}/{gap.instruments}"
        for gap in chosen
    ]
    key = f"gaps {first} {last} {_digest([*what, f'failures {backoff.failures}'])} {now:%Y%m%dT%H}"
    return WantedRun("backfill_bars", key, why, first, last, tuple(config), config, yields=True)


def _filling(gaps: Sequence[reading.Gap]) -> dict[str, Any]:
    """The config of one asset that fills these gaps of it and nothing beside them, within the budget."""
    return {
        "symbols": sorted({gap.symbol for gap in gaps}),
        "first_session": f"{min(gap.first for gap in gaps)}",
        "last_session": f"{max(gap.last for gap in gaps)}",
        "max_requests": sum(gap.requests for gap in gaps),
        "respect_backoff": True,
    }


def new_symbols(settings: Settings, now: datetime) -> WantedRun | Skip:
    """The set-up of symbols that were added to the universe and never collected: snapshot now, `setup_lookback_days` of
    history."""
    if not _active(settings):
        return empty_universe()
    new = sorted(reading.new_symbols(settings, now))
    if not new:
        return Skip("Every active symbol is set up.")
    if (held := held_back(settings)) is not None:
        return held
    session = calendar().current(now)
    config: dict[str, dict[str, Any]] = {name: {"symbols": new} for name in (*SNAPSHOTS, *BARS)}
    for name in BARS:
        config[name]["lookback_days"] = settings.setup_lookback_days
    return WantedRun(
        "setup_symbol",
        f"new_symbols {session} {_digest(new)} {now:%dT%H}",
        f"{named(new)} joined the universe.",
        session,
        session,
        config=config,
    )


def quality_check(settings: Settings, now: datetime) -> WantedRun | Skip:
    """The quality check of the hour."""
    if not _active(settings):
        return empty_universe()
    return WantedRun(
        QUALITY_CHECK, f"{QUALITY_CHECK} {now:%Y-%m-%dT%H}", f"The quality check of {now:%Y-%m-%d %H}:00 UTC."
    )


def _nothing_left(
    settings: Settings, session: date, now: datetime, datasets: Sequence[str], *, enough: Collection[Condition] = ()
) -> bool:
    """Whether there is nothing of `datasets` in that session that may be asked for now, of any active symbol; `enough`
    counts as had.

    A symbol whose contract has changed wants its contract details alone: a run looks at them once a session.
    """
    held = ContractChanges(settings.state_url).unfinished()
    symbols = [symbol for symbol in _active(settings) if symbol not in held or datasets[0] == CONTRACTS.name]
    sql = """select dataset, symbol,
                    bool_or(askable > 0 and condition not in (select unnest($enough::varchar[]))) as missing
             from conditions group by dataset, symbol"""
    values = {"enough": [str(condition) for condition in enough]}
    rows = (
        Lake.of(settings, now)
        .over_conditions(symbols, sql, values, datasets=datasets, first=session, last=session)
        .to_pylist()
    )
    left = [row for row in rows if row["missing"] and (row["symbol"] not in held or row["dataset"] == CONTRACTS.name)]
    return not left and {row["symbol"] for row in rows if row["dataset"] == datasets[0]} == set(symbols)


def _quoted_before(settings: Settings, session: date, instant: datetime) -> bool:
    """Whether the newest quote of some symbol's chain of the session was taken before `instant`."""
    sql = (
        "select symbol, max(quoted_at) as at from option_chains where session = ? and selected group by symbol having"
        " max(quoted_at) < ?"
    )
    return query(settings.data_dir, sql, [session, instant]).num_rows > 0


def _active(settings: Settings) -> list[str]:
    return Universe(settings.state_url).active()


def _digest(items: Iterable[str]) -> str:
    """Eight hex digits that name a set of things."""
    return blake2s("\n".join(sorted(items)).encode(), digest_size=4).hexdigest()
