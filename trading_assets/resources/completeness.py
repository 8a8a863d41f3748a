"""What each session of a dataset has and lacks after a collection, judged over the lake and for every active symbol.

A run may collect one symbol or a part of the sessions; a partition speaks of all of them. So neither its
materialization nor its `complete` check follows from what the run did: both follow from `Lake.conditions`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.report import INTERRUPTED, Collected, CollectionReport, ProblemKind
from trading_assets.monitoring.agenda import BARS
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_BARS, OPTION_CHAINS, Condition

ANSWERED = (Condition.COMPLETE, Condition.NO_TRADES, Condition.NOTHING_SELECTED)
"""Nothing is lacking: the rows are in the lake, or the knowledge that there are none."""

DEFERRED = "deferred"
"""In place of `pending`: missing, and left to a later run on purpose."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """A symbol (and bar size) that lacks something in a session: its condition, and the reason. `recorded`: the lake
    has it in its coverage."""

    symbol: str
    bar_size: str
    condition: str
    reason: str
    broker_code: int | None = None
    recorded: bool = True

    def as_row(self) -> dict[str, str | int]:
        """A flat record for tables."""
        code = "" if self.broker_code is None else self.broker_code
        return {
            "symbol": self.symbol,
            "bar_size": self.bar_size,
            "condition": self.condition,
            "reason": self.reason,
            "broker_code": code,
        }


@dataclass(frozen=True, slots=True)
class SessionState:
    """One session of a dataset: symbols (and bar sizes) by condition, and those that lack something.

    `closed` is False for bars of a session that has not closed: nothing of it can be collected yet. `active` are the
    active symbols of which something is wanted in the session.
    """

    session: date
    dataset: str
    closed: bool = True
    conditions: Counter[str] = field(default_factory=Counter)
    lacking: list[Lacking] = field(default_factory=list)
    active: set[str] = field(default_factory=set)

    @property
    def collected(self) -> bool:
        """Whether all that is wanted of the active symbols is in the lake, or recorded as not existing or lost.

        Quotes that lack values count as collected: the chain is there, and the check `complete` reports them. Where no
        active symbol wants anything, the symbols of the run decide.
        """
        judged = [each for each in self.lacking if not self.active or each.symbol in self.active]
        return self.closed and all(
            each.condition == Condition.EXPIRED_LOST or self._lacks_values(each) for each in judged
        )

    def _lacks_values(self, each: Lacking) -> bool:
        """Whether it is a whole chain of which some quotes lack values."""
        return self.dataset == OPTION_CHAINS.name and each.condition == Condition.PARTIAL and each.reason != INTERRUPTED

    @property
    def wrong(self) -> bool:
        """Whether something is missing that should be there, and that a person or a later run can still collect."""
        reported = {Condition.EXPIRED_LOST, Condition.PARTIAL, DEFERRED}
        return any(each.condition not in reported for each in self.lacking)


def session_states(archive: Archive, collected: Collected, partitions: Iterable[str] = ()) -> dict[date, SessionState]:
    """The state of each session that a collection was for or brought rows of, and of `partitions`, in order; the lake
    is asked once a report."""
    report = collected.report
    sessions = sorted({*report.sessions, *written_sessions(collected), *map(date.fromisoformat, partitions)})
    if not sessions:
        return {}
    rows = _judged(archive, report, sessions[0], sessions[-1])
    states = {
        s: SessionState(s, report.dataset, report.dataset not in BARS or archive.calendar.is_closed(s, archive.now))
        for s in sessions
    }
    active = pa.array(archive.universe.active(), pa.string())
    for row in rows.filter(pc.is_in(rows["symbol"], active)).group_by(["session", "symbol"]).aggregate([]).to_pylist():
        if row["session"] in states:
            states[row["session"]].active.add(row["symbol"])
    for row in rows.group_by(["session", "condition"]).aggregate([("symbol", "count")]).to_pylist():
        if row["session"] in states:
            states[row["session"]].conditions[row["condition"]] += row["symbol_count"]
    deferred = {problem.symbol for problem in report.problems if problem.kind is ProblemKind.DEFERRED}
    nothing_lacks = pc.is_in(rows["condition"], pa.array([str(condition) for condition in _answered(report.dataset)]))
    # of a symbol without options; of a contract that the broker does not know any more it is a lack
    if report.dataset == OPTION_BARS.name:
        without_options = pc.and_(
            pc.equal(rows["condition"], str(Condition.NO_CONTRACT)), pc.equal(rows["instruments"], 0)
        )
        nothing_lacks = pc.or_(nothing_lacks, without_options)
    for row in rows.filter(pc.invert(nothing_lacks)).to_pylist():
        if row["session"] in states:
            pending = row["condition"] == Condition.PENDING and row["symbol"] in deferred
            condition = DEFERRED if pending else row["condition"]
            states[row["session"]].lacking.append(
                Lacking(row["symbol"], row["bar_size"], condition, row["reason"], row["broker_code"])
            )
    _add_other_bar_sizes(collected, states, rows)
    _add_unrecorded(report, states, rows, set(archive.universe.active()))
    _add_never_collected(archive, states, rows)
    return states


def _add_other_bar_sizes(collected: Collected, states: dict[date, SessionState], rows: pa.Table) -> None:
    """What the run was refused of bar sizes that the settings do not want: no condition of the lake shows them."""
    if collected.dataset is not EQUITY_BARS:
        return
    answered, sizes = {str(condition) for condition in ANSWERED}, set(rows["bar_size"].to_pylist())
    for row in collected.coverage.to_pylist():
        if row["bar_size"] not in sizes and row["condition"] not in answered and row["session"] in states:
            lacking = Lacking(row["symbol"], row["bar_size"], row["condition"], row["reason"], row["broker_code"])
            states[row["session"]].lacking.append(lacking)


def _add_never_collected(archive: Archive, states: dict[date, SessionState], rows: pa.Table) -> None:
    """Active symbols of which the dataset has no record at all lack every session since they joined the universe."""
    known = set(rows["symbol"].to_pylist())
    missing = [entry for entry in archive.universe.entries() if entry.symbol not in known]
    if not missing:
        return
    sql = (
        "select distinct symbol from coverage where dataset = $dataset and symbol in (select"
        " unnest($symbols::varchar[]))"
    )
    values = {"dataset": next(iter(states.values())).dataset, "symbols": [entry.symbol for entry in missing]}
    recorded = set(archive.lake.query(sql, values)["symbol"].to_pylist())
    for entry in missing:
        if entry.symbol in recorded:
            continue
        joined = archive.calendar.current(entry.added_at)
        for session, state in states.items():
            if state.closed and session >= joined and entry.symbol not in {each.symbol for each in state.lacking}:
                state.conditions[str(Condition.PENDING)] += 1
                state.lacking.append(Lacking(entry.symbol, "", str(Condition.PENDING), "Never collected."))
                state.active.add(entry.symbol)


def written_sessions(collected: Collected) -> set[date]:
    """The sessions of the rows that a collection gives to the lake, and gave before for an interrupted run."""
    return set(collected.table["session"].unique().to_pylist()) | collected.report.recovered


def judged_symbols(archive: Archive, report: CollectionReport) -> list[str]:
    """The symbols that a partition speaks of: the active ones, and those that the run collected."""
    return sorted({*report.symbols, *archive.universe.active()})


def _judged(archive: Archive, report: CollectionReport, first: date, last: date) -> pa.Table:
    """The conditions of these sessions (`repositories.conditions.CONDITION_SCHEMA`), kept with the report."""
    if report.conditions is None:
        report.conditions = archive.lake.conditions(
            judged_symbols(archive, report), datasets=[report.dataset], first=first, last=last
        )
    return report.conditions


def _answered(dataset: str) -> Sequence[Condition]:
    """A chain that the broker does not know belongs to a symbol without options: nothing is lacking."""
    return (*ANSWERED, Condition.NO_CONTRACT) if dataset == OPTION_CHAINS.name else ANSWERED


def _add_unrecorded(
    report: CollectionReport, states: dict[date, SessionState], rows: pa.Table, active: set[str]
) -> None:
    """Symbols that failed without a trace in the lake lack what the run was to bring: the sessions say why."""
    recorded = set(zip(rows["symbol"].to_pylist(), rows["session"].to_pylist(), strict=True))
    reported = (ProblemKind.PREREQUISITE_VIOLATION, ProblemKind.FAILED, ProblemKind.DEFERRED)
    sentences: dict[str, tuple[str, str]] = {}
    for problem in report.problems:
        if problem.kind in reported and problem.symbol in report.symbols:
            condition = DEFERRED if problem.kind is ProblemKind.DEFERRED else str(Condition.PENDING)
            sentences.setdefault(problem.symbol, (condition, problem.sentence))
    for symbol, (condition, sentence) in sentences.items():
        for session, state in states.items():
            if state.closed and (symbol, session) not in recorded:
                state.conditions[condition] += 1
                state.lacking.append(Lacking(symbol, "", condition, sentence, recorded=False))
                state.active.update({symbol} & active)
