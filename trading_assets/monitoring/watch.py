"""What is wrong now: every issue a person should know, from the lake, the findings and the state of the broker side.

Nothing is changed and no broker is asked. What does not belong here: notifying anybody (`monitoring.alerts`), repairing
(the sensors), and issues of runs and schedules, which the caller hands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from trading_assets.contract_changes import ContractChanges
from trading_assets.errors import UnreadableFile
from trading_assets.monitoring.alerts.kinds import AlertType, Issue
from trading_assets.monitoring.broker_issues import (
    breaker_open,
    contract_changed,
    held_answers,
    quarantined,
    units_changed,
    unreachable,
)
from trading_assets.monitoring.data_issues import (
    delayed,
    expiring_at_risk,
    integrity,
    missing_equity,
    positions_unexplained,
    prerequisites,
    stale,
)
from trading_assets.monitoring.lake_folder import folder_state
from trading_assets.monitoring.recovery import lost_state
from trading_assets.monitoring.stream_issues import down, stalled
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.settings import Settings
from trading_assets.universe import Universe

WATCHED = frozenset(AlertType) - {AlertType.RUN_FAILED, AlertType.SCHEDULE_MISSED}
"""The types that `current_issues` finds by itself: an alert of one of them that it does not name any more is over."""


def current_issues(
    settings: Settings, *, now: datetime | None = None, runs: Iterable[Issue] = (), schedules: Iterable[Issue] = ()
) -> list[Issue]:
    """Every issue at `now` (default: the platform's clock), with what the caller knows of runs and schedules.

    Reconcile it with the types of `WATCHED`, and with `run_failed` and `schedule_missed` when those were handed in.
    """
    finders = _finders(settings, now or settings.clock())
    return [*(issue for _, find in finders for issue in find()), *runs, *schedules]


Finder = Callable[[], Iterable[Issue]]


@dataclass(frozen=True, slots=True)
class FoundIssues:
    """What is wrong, and the `types` of which that is known: a look that could not be made says nothing of what is
    over."""

    issues: list[Issue]
    types: frozenset[AlertType]


def find_issues(settings: Settings, now: datetime, others: Mapping[AlertType, Finder]) -> FoundIssues:
    """The same as `current_issues`, where a damaged file is an issue itself and does not hide the others.

    `others` are finders of the caller, by type.
    """
    found: list[Issue] = []
    damaged: dict[str, Issue] = {}
    unknown: set[AlertType] = set()
    for types, find in [*_finders(settings, now), *((frozenset({kind}), find) for kind, find in others.items())]:
        try:
            found += find()
        except UnreadableFile as error:
            unknown |= types
            name = (
                error.path.relative_to(settings.data_dir)
                if error.path.is_relative_to(settings.data_dir)
                else error.path
            )
            damaged[f"{name}"] = Issue(AlertType.DATA_INTEGRITY_FAILURE, f"{name}", error.as_stored, remedy=_MEND)
    return FoundIssues([*found, *damaged.values()], (WATCHED | others.keys()) - unknown)


_MEND = "Put the file back from a backup, or move it away and run `trading-assets update`."


def _finders(settings: Settings, now: datetime) -> list[tuple[frozenset[AlertType], Finder]]:
    """Each look with the types of issue that it finds."""
    active = Universe(settings.state_url).active()
    changes = ContractChanges(settings.state_url).unfinished(active)
    # A symbol that waits for a decision has that one alert: the others advise an update, which would collect nothing
    # for it.
    held = held_answers(settings, active)
    waiting = {entry.symbol for entry in held if entry.dataset == EQUITY_BARS.name}
    symbols = [symbol for symbol in active if symbol not in changes and symbol not in waiting]
    kinds = AlertType
    return [
        (frozenset({kinds.CONTRACT_CHANGED}), lambda: contract_changed(changes)),
        (frozenset({kinds.DATA_INTEGRITY_FAILURE, kinds.PREREQUISITE_VIOLATION}), lambda: integrity(settings, active)),
        (frozenset({kinds.DATA_INTEGRITY_FAILURE}), lambda: lost(settings)),
        (frozenset({kinds.DATA_INTEGRITY_FAILURE}), lambda: folder(settings)),
        (frozenset({kinds.PREREQUISITE_VIOLATION}), lambda: prerequisites(settings, symbols)),
        (frozenset({kinds.MISSING_EQUITY_DATA}), lambda: missing_equity(settings, now, symbols)),
        (frozenset({kinds.STALE_OPTION_CHAINS}), lambda: stale(settings, now)),
        (frozenset({kinds.EXPIRING_DATA_AT_RISK}), lambda: expiring_at_risk(settings, now)),
        (frozenset({kinds.API_CIRCUIT_BREAKER_OPEN}), lambda: breaker_open(settings)),
        (frozenset({kinds.BROKER_UNREACHABLE}), lambda: unreachable(settings)),
        (frozenset({kinds.MARKET_DATA_DELAYED}), lambda: delayed(settings, now, symbols)),
        (frozenset({kinds.ANSWER_QUARANTINED}), lambda: quarantined(settings, now, active)),
        (frozenset({kinds.UNIT_CHANGED}), lambda: units_changed(held)),
        (frozenset({kinds.STREAM_DOWN}), lambda: down(settings)),
        (frozenset({kinds.STREAM_STALLED}), lambda: stalled(settings)),
        (frozenset({kinds.POSITION_UNEXPLAINED}), lambda: positions_unexplained(settings, now)),
    ]


def lost(settings: Settings) -> list[Issue]:
    """`data_integrity_failure` of the platform: the state database or `lake.json` was lost, and nobody has acted
    (`monitoring.recovery`)."""
    try:
        said = lost_state(settings)
    except UnreadableFile:
        return []  # reported with the damaged file, which other finders read too
    return (
        [
            Issue(
                AlertType.DATA_INTEGRITY_FAILURE,
                "state.db",
                said,
                remedy="Do what the reason says, then look at `trading-assets status`.",
            )
        ]
        if said
        else []
    )


def folder(settings: Settings) -> list[Issue]:
    """`data_integrity_failure` of the platform: the data folder holds files that are none of the lake or of a newer
    program, or two machines write into it (`monitoring.lake_folder`)."""
    said = " ".join(folder_state(settings).wrong)
    remedy = "Do what the reason says, then look at `trading-assets status`."
    return [Issue(AlertType.DATA_INTEGRITY_FAILURE, "data folder", said, remedy=remedy)] if said else []
