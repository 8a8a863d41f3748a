"""What an answer, or its absence, says about each session of bars: rows of `coverage`.

An answer without a bar is knowledge too, and is recorded so that it is not requested again; a failure is not, and is
recorded with the instant after which to ask again. The two are never mixed.

| outcome | condition of a session without a bar |
| --- | --- |
| complete, empty | `no_trades`; of a stock in one of the last days `pending` (see `RECENT`) |
| empty, of an option after its last trading day | `expired_lost` |
| not_permitted, no_contract, rejected | the same, or `error`, with `retry_after` (see `decode.retries`) |
| no_contract, of an option after its last trading day | `expired_lost` |
| expired | `expired_lost` |
| unreadable | `error`, to be requested again at any time: the broker answered, and nobody knows what |
| pacing, timeout, disconnected, unavailable, cancelled | `pending`: the next run asks again |
| quarantined | `error`, with the quarantine's `retry_after` |

A session that lacks something because part of the answer is in quarantine is `partial` where it has a bar, else
`error`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import OutcomeKind, Quarantined, Result
from trading_assets.broker.requests import BarsRequest
from trading_assets.collecting.decode.arrow_tables import empty, from_columns, from_rows, last_of_key
from trading_assets.collecting.decode.retries import Retries
from trading_assets.collecting.decode.session_findings import (
    LOST,
    SessionFinding,
    SessionFindings,
    coverage_row,
    failure,
)
from trading_assets.collecting.naming import last_day
from trading_assets.instrument import Instrument
from trading_assets.planning.bars import LostOption
from trading_assets.repositories.schemas import COVERAGE, INSTANT, OPTION_BARS, Condition
from trading_assets.sessions import SessionCalendar, session_date

RECENT = timedelta(days=7)
"""A stock without a bar in so recent a session is not yet believed to have none: the broker's daily data of a session
can come hours late. Older sessions without a bar are `no_trades`."""

RECHECK = timedelta(hours=12)
"""Such a recent session is requested again after this time."""

_DATA = (OutcomeKind.COMPLETE, OutcomeKind.EMPTY)

_NOT_LISTED = "The broker's bars begin later: not listed yet, or older than its history."
_NO_BAR = "The broker has no bar of this session."
_NOT_YET = "The broker has no bar of this session yet."
_NO_TRADES = "No trade in this session."
_SOME_WINDOWS = "Only some of the session's windows were answered."
_ASKED_LATE = "The broker returned nothing for this contract after its last trading day."


def bar_coverage(
    results: Iterable[Result], bars: pa.Table, calendar: SessionCalendar, *, retries: Retries | None = None
) -> pa.Table:
    """Rows of `coverage` for every session that the `bars` requests asked for and that was closed by then.

    `bars` are the rows decoded from the same results (`bar_rows`): a session with a bar is complete. `con_id` is 0 for
    underlyings. `retries` decides when what was refused may be requested again.
    """
    found = sorted((r for r in results if isinstance(r.request, BarsRequest)), key=lambda result: result.request_id)
    requests: list[BarsRequest] = [result.request for result in found]  # type: ignore[misc]
    if not found:
        return empty(COVERAGE)
    dates = calendar.sessions(min(r.first_session for r in requests), max(r.session for r in requests))
    present = _present(bars, dates)
    whole = whole_sessions(found, calendar)
    findings = SessionFindings()
    retries = retries or Retries(calendar)
    codes: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    for result, request in zip(found, requests, strict=True):
        instant = result.finished_at
        begin = bisect_left(dates, request.first_session)
        end = bisect_right(dates, min(request.session, calendar.last_closed(instant)))
        have = present.get((request.instrument.con_id, request.bar_size), np.empty(0, dtype=np.int64))
        inside = have[(have >= begin) & (have < end)] - begin
        asked = np.arange(begin, max(begin, end))
        split = request.is_window and (request.instrument.con_id, request.session) not in whole
        if split and result.outcome.kind in _DATA:
            answers = np.full(len(asked), findings.number(SessionFinding(Condition.PARTIAL, _SOME_WINDOWS)))
        else:
            answers = _answers(
                result, request, dates[begin:end], inside[:0] if split else inside, instant, retries, findings, calendar
            )
        if result.quarantined is not None:
            answers = _without_quarantined(answers, dates[begin:end], inside, result.quarantined, findings)
        codes.append(answers)
        positions.append(asked)
    counts = np.array([len(asked) for asked in positions])
    if not counts.sum():
        return empty(COVERAGE)
    origin = np.repeat(np.arange(len(found)), counts)
    return _table(found, requests, origin, np.concatenate(codes), np.concatenate(positions), dates, findings)


def lost_coverage(lost: Iterable[LostOption], bar_size: str, now: datetime) -> pa.Table:
    """Rows of `coverage` for sessions of expired contracts that were never collected. No request was made: `request_id`
    is 0."""
    rows = [
        coverage_row(
            OPTION_BARS.name,
            bar_size,
            option.instrument.symbol,
            option.instrument.con_id,
            session,
            SessionFinding(Condition.EXPIRED_LOST, LOST),
            now,
        )
        for option in lost
        for session in option.sessions
    ]
    return from_rows(COVERAGE, rows)


def _answers(
    result: Result,
    request: BarsRequest,
    asked: list[date],
    have: np.ndarray,
    instant: datetime,
    retries: Retries,
    findings: SessionFindings,
    calendar: SessionCalendar,
) -> np.ndarray:
    """The finding's number for each session asked for; `have` are the positions of those with a bar."""
    is_option = request.instrument.sec_type == "OPT"
    late = is_option and _past_last_trade(request.instrument, instant)
    if result.outcome.kind not in _DATA:
        expired = late and result.outcome.kind is OutcomeKind.NO_CONTRACT
        key = (request.bar_size, request.symbol, request.instrument.con_id if is_option else 0)
        last_trade = _last_session(request.instrument, calendar) if is_option else ""
        finding = (
            SessionFinding(Condition.EXPIRED_LOST, LOST)
            if expired
            else failure(result.outcome, instant, retries, key, last_trade)
        )
        answers = np.full(len(asked), findings.number(finding))
    elif is_option:
        lost = late and result.outcome.kind is OutcomeKind.EMPTY
        finding = (
            SessionFinding(Condition.EXPIRED_LOST, _ASKED_LATE)
            if lost
            else SessionFinding(Condition.NO_TRADES, _NO_TRADES)
        )
        answers = np.full(len(asked), findings.number(finding))
    else:
        answers = np.full(len(asked), findings.number(SessionFinding(Condition.NO_TRADES, _NO_BAR)))
        if len(have):  # an answer without a bar does not say that the bars begin later
            answers[: have.min()] = findings.number(SessionFinding(Condition.NO_TRADES, _NOT_LISTED))
        recent = bisect_right(asked, session_date(instant - RECENT))
        answers[max(recent, have.max() + 1 if len(have) else 0) :] = findings.number(
            SessionFinding(Condition.PENDING, _NOT_YET, instant + RECHECK)
        )
    answers[have] = findings.number(SessionFinding(Condition.COMPLETE, ""))
    return answers


def _without_quarantined(
    answers: np.ndarray, asked: list[date], have: np.ndarray, bad: Quarantined, findings: SessionFindings
) -> np.ndarray:
    """The findings with those of the sessions that lack something because of the quarantine replaced."""
    lacking = np.array([session in bad.sessions for session in asked], dtype=bool)
    present = np.zeros(len(asked), dtype=bool)
    present[have] = True
    partial, error = (
        findings.number(SessionFinding(condition, bad.reason, bad.retry_after))
        for condition in (Condition.PARTIAL, Condition.ERROR)
    )
    return np.where(lacking, np.where(present, partial, error), answers)


def _past_last_trade(instrument: Instrument, instant: datetime) -> bool:
    last = last_day(instrument.local_symbol, instrument.last_trade)
    return last is not None and session_date(instant) > last


def _last_session(instrument: Instrument, calendar: SessionCalendar) -> str:
    """The last session in which an option trades (`YYYYMMDD`): its last day may be a Saturday or a holiday. Empty where
    no day is known."""
    last = last_day(instrument.local_symbol, instrument.last_trade)
    if last is None:
        return ""
    return f"{calendar.on_or_before(last) if last <= calendar.last else last:%Y%m%d}"


def _present(bars: pa.Table, dates: list[date]) -> dict[tuple[int, str], np.ndarray]:
    """The positions in `dates` of the sessions with a bar, sorted, for each contract id and bar size."""
    distinct = (
        bars.group_by(["con_id", "bar_size", "session"])
        .aggregate([])
        .sort_by([(n, "ascending") for n in ("con_id", "bar_size", "session")])
    )
    positions = pc.index_in(distinct["session"], pa.array(dates, pa.date32()))
    frame = distinct.set_column(2, "session", positions).filter(positions.is_valid()).to_pandas()
    return {
        (int(con_id), str(size)): rows.to_numpy(np.int64)
        for (con_id, size), rows in frame.groupby(["con_id", "bar_size"])["session"]
    }


def whole_sessions(results: Iterable[Result], calendar: SessionCalendar) -> set[tuple[int, date]]:
    """Contract id and session of `1 secs` bars all of whose windows were answered: one window alone is not a
    session."""
    answered: dict[tuple[int, date], set[tuple[datetime, str]]] = {}
    for result in results:
        request = result.request
        if isinstance(request, BarsRequest) and request.is_window and result.outcome.kind in _DATA:
            answered.setdefault((request.instrument.con_id, request.session), set()).add(
                (request.end, request.duration)
            )
    seconds = {key: sum(int(duration.split()[0]) for _, duration in windows) for key, windows in answered.items()}
    return {
        key
        for key, total in seconds.items()
        if total >= (calendar.closes_at(key[1]) - calendar.opens_at(key[1])).total_seconds()
    }


def _table(
    results: list[Result],
    requests: list[BarsRequest],
    origin: np.ndarray,
    codes: np.ndarray,
    positions: np.ndarray,
    dates: list[date],
    findings: SessionFindings,
) -> pa.Table:
    per_result = {
        "dataset": pa.array([request.dataset for request in requests], pa.string()),
        "bar_size": pa.array([request.bar_size for request in requests], pa.string()),
        "symbol": pa.array([request.symbol for request in requests], pa.string()),
        "con_id": pa.array(
            [r.instrument.con_id if r.instrument.sec_type == "OPT" else 0 for r in requests], pa.int64()
        ),
        "broker_code": pa.array([result.outcome.code for result in results], pa.int32()),
        "collected_at": pa.array([result.finished_at for result in results], INSTANT),
        "request_id": pa.array([result.request_id for result in results], pa.int64()),
    }
    per_finding = {
        "condition": pa.array([str(finding.condition) for finding in findings.all], pa.string()),
        "reason": pa.array([finding.reason for finding in findings.all], pa.string()),
        "retry_after": pa.array([finding.retry_after for finding in findings.all], INSTANT),
    }
    columns = {name: column.take(pa.array(origin)) for name, column in per_result.items()}
    columns |= {name: column.take(pa.array(codes)) for name, column in per_finding.items()}
    complete = pc.equal(columns["condition"], str(Condition.COMPLETE))
    columns["broker_code"] = pc.if_else(complete, pa.scalar(None, pa.int32()), columns["broker_code"])
    columns["session"] = pa.array(dates, pa.date32()).take(pa.array(positions))
    return last_of_key(from_columns(COVERAGE, columns), COVERAGE.key)
