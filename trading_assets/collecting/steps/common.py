"""What the steps share: settled sessions, refusals, the words of a missing prerequisite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.codes import remedy_of
from trading_assets.broker.outcomes import HELD, Outcome, OutcomeKind, Result
from trading_assets.broker.requests import BarsRequest, Request
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import Refusal, Retries
from trading_assets.collecting.quarantine import IN_QUARANTINE
from trading_assets.collecting.report import CollectionReport, Problem, ProblemKind, as_sentence
from trading_assets.instrument import Instrument
from trading_assets.planning.instruments import underlying_instrument
from trading_assets.repositories.catalog import query
from trading_assets.repositories.schemas import EQUITY_BARS, OPTION_CHAINS, Condition, Dataset
from trading_assets.repositories.views import DatasetView
from trading_assets.sessions import NEW_YORK

_KINDS = {
    str(Condition.NOT_PERMITTED): OutcomeKind.NOT_PERMITTED,
    str(Condition.NO_CONTRACT): OutcomeKind.NO_CONTRACT,
    str(Condition.ERROR): OutcomeKind.REJECTED,
}
"""Conditions that are refusals, and the outcomes they come of."""

_MISSING = [*_KINDS, str(Condition.PARTIAL)]
"""Conditions of bars that are missing until their retry time; `partial` is a session of which a part is in
quarantine."""

_REFUSING = (OutcomeKind.NOT_PERMITTED, OutcomeKind.NO_CONTRACT, OutcomeKind.REJECTED, OutcomeKind.EMPTY)
"""Outcomes that may become a refusal: an empty one does of a snapshot, where it says that nothing is listed."""

HAS_SYMBOL = "has the symbol"
"""Words of every sentence about a renamed company."""

InstrumentKey = tuple[str, int]
"""Symbol of the underlying and option contract id; 0 for the underlying itself."""

SendRequests = Callable[[Sequence[Request]], list[Result]]
"""`Archive.ask` with the report and the run already given."""


def within_allowance(ask: SendRequests, report: CollectionReport, most: int | None) -> SendRequests:
    """`ask` that asks `most` requests in all, the first of those given (None: any number); what is left over is
    reported as deferred.

    The windows of one session of `1 secs` bars are asked for together or not at all, for an answered part of them
    counts for nothing; where `most` is less than one such session, one is asked for all the same.
    """
    if most is None:
        return ask
    left = most

    def bounded(requests: Sequence[Request]) -> list[Result]:
        nonlocal left
        now: list[Request] = []
        for _, group in groupby(requests, _asked_together):
            together = list(group)
            if len(now) + len(together) > left and not (now == [] and left == most > 0):
                break
            now += together
        left = max(0, left - len(now))
        report.defer(requests[len(now) :])
        return ask(now)

    return bounded


def _asked_together(request: Request) -> Hashable:
    """The same for the windows of one session, of any other request its own."""
    return (
        (request.instrument, request.session) if isinstance(request, BarsRequest) and request.is_window else id(request)
    )


def answered_elsewhere(requests: Iterable[Request], answers: Iterable[Result]) -> list[Request]:
    """The requests whose answers are not among ours: another run has stored them since ours was planned
    (`Archive.ask`)."""
    keys = {answer.request.key for answer in answers}
    return [request for request in requests if request.key not in keys]


def outcomes_of(results: Iterable[Result]) -> list[tuple[str, Outcome]]:
    """Symbol and outcome of each result."""
    return [(result.request.symbol, result.outcome) for result in results]


def known_underlyings(archive: Archive, contracts: DatasetView, symbols: Sequence[str]) -> dict[str, Instrument]:
    """The resolved underlying of each symbol that has a contract row, by symbol: its newest row counts."""
    rows = contracts.as_of(symbols, archive.calendar.current(archive.now), columns=contracts.dataset.schema.names)
    return {row["symbol"]: underlying_instrument(row) for row in rows.to_pylist()}


def retries_for(archive: Archive, dataset: Dataset, outcomes: Iterable[tuple[str, Outcome]]) -> Retries:
    """Who decides when these symbols may be requested again after these outcomes: knows the last word on each of their
    instruments.

    Nothing is read where no outcome refuses. Rows that no answer stands behind (`request_id` 0) and failures that pass
    say nothing.
    """
    symbols = sorted({symbol for symbol, outcome in outcomes if outcome.kind in _REFUSING})
    refused = {}
    if symbols:
        sql = """
            with recorded as (
                from coverage
                where dataset = $dataset and symbol in (select unnest($symbols::varchar[]))
                  and request_id > 0 and condition <> 'pending'),
            answered as (
                select bar_size, symbol, con_id, max(collected_at) as at from recorded
                where condition not in (select unnest($refused::varchar[])) group by all)
            select r.bar_size, r.symbol, r.con_id, r.condition, r.broker_code, r.collected_at, r.retry_after
            from recorded r
            left join answered a using (bar_size, symbol, con_id)
            where r.condition in (select unnest($refused::varchar[])) and (a.at is null or a.at <= r.collected_at)
            qualify row_number() over (
                partition by r.bar_size, r.symbol, r.con_id order by r.collected_at desc) = 1"""
        rows = query(
            archive.settings.data_dir, sql, {"dataset": dataset.name, "symbols": symbols, "refused": list(_KINDS)}
        ).to_pylist()
        refused = {
            (row["bar_size"], row["symbol"], row["con_id"]): Refusal(
                row["condition"], row["broker_code"], row["collected_at"], row["retry_after"]
            )
            for row in rows
        }
    return Retries(archive.calendar, archive.settings.no_data_retry_days, refused)


def settled_bars(archive: Archive, dataset: Dataset, bar_size: str, wanted: pa.Table) -> dict[InstrumentKey, set[date]]:
    """Sessions that need no request, by symbol and contract id (0: the underlying). `wanted` is what `Lake.wanted`
    gives.

    What is in quarantine and due is wanted again, whatever a later answer said of it.
    """
    settled: dict[InstrumentKey, set[date]] = defaultdict(set)
    done = wanted.filter(pc.invert(pc.or_(wanted["askable"], wanted["lost"])))
    for symbol, con_id, session in zip(
        *(done[name].to_pylist() for name in ("symbol", "con_id", "session")), strict=True
    ):
        settled[symbol, con_id].add(session)
    for key, days in archive.examiner.due_bars(dataset.name, bar_size, wanted["symbol"].unique().to_pylist()).items():
        settled[key] -= days
    return settled


def missing_prerequisite(dataset: str, symbol: str) -> str:
    """The sentence for a symbol whose upstream dataset has nothing."""
    return (
        f"{symbol} has no {dataset} in the lake, so nothing was requested for it. Materialize {dataset} for {symbol}"
        " first."
    )


def held_sentence(archive: Archive, symbol: str) -> str | None:
    """The sentence for a symbol without equity bars whose answer about them is held for review; None where none is."""
    rows = archive.coverage.recorded(EQUITY_BARS.name, None, [symbol]).sort_by("session").to_pylist()
    reasons = [row["reason"] for row in rows if HELD in (row["reason"] or "")]
    if not reasons:
        return None
    return f"{symbol} has no equity_bars in the lake yet, so no bars of its options were requested. {reasons[-1]}"


def report_open_sessions(archive: Archive, report: CollectionReport, sessions: Iterable[date]) -> None:
    """Report wanted sessions that are not closed: their bars are not finished, so none is asked for or stored."""
    for session in sessions:
        if not archive.calendar.is_closed(session, archive.now):
            close = archive.calendar.closes_at(session).astimezone(NEW_YORK)
            sentence = f"Session {session} closes at {close:%H:%M} New York; its bars are collected after that."
            report.problems.append(Problem(ProblemKind.PENDING, "", str(session), sentence))


def refusals(archive: Archive, dataset: Dataset, symbols: Sequence[str], now: datetime) -> dict[str, str]:
    """Symbols whose snapshot the broker last refused and that are not to be asked for yet: symbol -> sentence."""
    return {
        symbol: (
            f"{_explained(archive, row)} Not requested again before {row['retry_after']:%Y-%m-%d %H:%M} UTC unless told"
            " to (--refresh)."
        )
        for symbol, row in _last_conditions(archive, dataset, symbols).items()
        if row["condition"] in _KINDS and row["retry_after"] is not None and row["retry_after"] > now
    }


def without_options(archive: Archive, symbols: Sequence[str]) -> set[str]:
    """Symbols of which the broker last said that no option is listed: nothing of theirs is missing."""
    return {
        symbol
        for symbol, row in _last_conditions(archive, OPTION_CHAINS, symbols).items()
        if row["condition"] == Condition.NO_CONTRACT
    }


def without_selection(archive: Archive, symbols: Sequence[str]) -> dict[str, str]:
    """Symbols of whose last chain nothing was selected, each with the sentence that says why: nothing of theirs is
    missing."""
    rows = _last_conditions(archive, OPTION_CHAINS, symbols)
    return {symbol: row["reason"] for symbol, row in rows.items() if row["condition"] == Condition.NOTHING_SELECTED}


def report_without_options(report: CollectionReport, symbols: Iterable[str]) -> None:
    """Note the symbols that have no options: they have neither a chain nor option bars, and that is no failure."""
    report.notes += [f"{symbol} has no listed options." for symbol in sorted(symbols)]


def _explained(archive: Archive, row: Mapping[str, Any]) -> str:
    """The recorded reason of a refusal as a sentence, and what to do about it."""
    if HELD in row["reason"] or HAS_SYMBOL in row["reason"]:
        return as_sentence(row["reason"])
    quarantined = IN_QUARANTINE in row["reason"]
    outcome = Outcome(
        OutcomeKind.QUARANTINED if quarantined else _KINDS[row["condition"]], row["broker_code"], row["reason"]
    )
    return " ".join(filter(None, (as_sentence(row["reason"]), remedy_of(outcome, delayed=archive.settings.delayed))))


def _last_conditions(archive: Archive, dataset: Dataset, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The newest coverage row of each symbol of a snapshot dataset: an older refusal says nothing once a later answer
    came."""
    rows = archive.coverage.recorded(dataset.name, "", symbols).sort_by("session").to_pylist()
    return {row["symbol"]: row for row in rows}


def report_refused_bars(archive: Archive, report: CollectionReport, wanted: pa.Table) -> None:
    """Report wanted bars (see `Lake.wanted`) that the broker refused in an earlier run and that are not to be asked for
    yet: they are missing all the same. One problem a symbol or contract."""
    missing: dict[InstrumentKey, list[dict[str, Any]]] = defaultdict(list)
    waits = pc.and_(
        pc.invert(pc.or_(wanted["askable"], wanted["lost"])), pc.is_in(wanted["condition"], pa.array(_MISSING))
    )
    for row in wanted.filter(waits).to_pylist():
        missing[row["symbol"], row["con_id"]].append(row)
    for (symbol, con_id), rows in sorted(missing.items()):
        first = min(rows, key=lambda row: row["retry_after"])
        sentence = (
            f"{_explained(archive, first)} {len(rows)} session(s) are missing; "
            f"not requested again before {first['retry_after']:%Y-%m-%d %H:%M} UTC unless told to (--refresh)."
        )
        subject = f"bars of contract {con_id}" if con_id else "bars"
        report.problems.append(
            Problem(
                ProblemKind.FAILED,
                symbol,
                subject,
                sentence,
                outcome=first["condition"],
                broker_code=first["broker_code"],
            )
        )


def last_close(archive: Archive, symbol: str) -> float | None:
    """The last stored daily close of a symbol whose present price the broker did not answer."""
    view = archive.view(EQUITY_BARS)
    stored = view.stored_sessions([symbol], where="bar_size = '1 day'").get(symbol)
    if not stored or archive.calendar.count_between(stored[-1], archive.calendar.current(archive.now)) > 3:
        return None
    rows = view.table(sessions=[stored[-1]], symbols=[symbol], columns=["close"], where="bar_size = '1 day'")
    return float(rows["close"][0].as_py())
