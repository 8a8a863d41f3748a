"""What a snapshot, or its absence, says about a session: rows of `coverage` of contracts and option chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime

import pyarrow as pa

from trading_assets.broker.outcomes import Outcome, OutcomeKind
from trading_assets.collecting.decode.arrow_tables import from_rows
from trading_assets.collecting.decode.retries import Retries
from trading_assets.collecting.decode.session_findings import SessionFinding, coverage_row, failure
from trading_assets.repositories.conditions_sql import CARRIED_CONTRACT, MISSED_SNAPSHOT, UNKNOWN_CONTRACT
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, Condition
from trading_assets.sessions import calendar

_NOTHING_LISTED = "The broker lists no options of this symbol."


def snapshot_coverage(
    dataset: str,
    session: date,
    outcomes: Mapping[str, Outcome],
    now: datetime,
    *,
    retries: Retries | None = None,
    partial: Mapping[str, str] | None = None,
    again_at: Mapping[str, datetime] | None = None,
    request_ids: Mapping[str, int] | None = None,
    unselected: Mapping[str, str] | None = None,
    codes: Mapping[str, int | None] | None = None,
) -> pa.Table:
    """Rows of `coverage` for a snapshot dataset: one a symbol, from the outcome that decided it.

    `partial` names symbols whose snapshot lacks something, each with the sentence that says what; they are requested
    again. `again_at` says of those of them that are not to be asked for at once when they may be, `codes` are the
    broker codes of what they lack, where there is one. `unselected` names symbols of which nothing was selected, with
    the sentence. `retries` decides when what was refused may be requested again. A symbol carried forward without a
    request has outcome complete and no request id.
    """
    rows = []
    retries = retries or Retries(calendar())
    for symbol in sorted(outcomes):
        outcome = outcomes[symbol]
        if outcome.kind is OutcomeKind.COMPLETE:
            lacking = (partial or {}).get(symbol)
            nothing = (unselected or {}).get(symbol)
            if lacking:
                finding = SessionFinding(Condition.PARTIAL, lacking, (again_at or {}).get(symbol))
            else:
                finding = (
                    SessionFinding(Condition.NOTHING_SELECTED, nothing)
                    if nothing
                    else SessionFinding(Condition.COMPLETE, "")
                )
        elif outcome.kind is OutcomeKind.EMPTY:
            retry = retries.after(("", symbol, 0), Condition.NO_CONTRACT, outcome.code, now)
            finding = SessionFinding(Condition.NO_CONTRACT, outcome.text or _NOTHING_LISTED, retry)
        else:
            finding = failure(outcome, now, retries, ("", symbol, 0))
        code = outcome.code if outcome.kind is not OutcomeKind.COMPLETE else None
        if finding.condition is Condition.PARTIAL:
            code = (codes or {}).get(symbol, code)
        rows.append(
            coverage_row(dataset, "", symbol, 0, session, finding, now, code, (request_ids or {}).get(symbol, 0))
        )
    return from_rows(COVERAGE, rows)


def changed_contract_coverage(
    changed: Mapping[str, str],
    session: date,
    retry_after: datetime,
    now: datetime,
    request_ids: Mapping[str, int] | None = None,
) -> pa.Table:
    """Rows of `coverage` for contract details that name another contract than the series has: `error`, looked at again
    at `retry_after`.

    `changed` has the sentence of each symbol.
    """
    finding = {symbol: SessionFinding(Condition.ERROR, sentence, retry_after) for symbol, sentence in changed.items()}
    ids = request_ids or {}
    return from_rows(
        COVERAGE,
        [
            coverage_row(CONTRACTS.name, "", symbol, 0, session, finding[symbol], now, None, ids.get(symbol, 0))
            for symbol in sorted(finding)
        ],
    )


def unknown_contract_coverage(between: Mapping[str, Iterable[date]], now: datetime) -> pa.Table:
    """Rows of `coverage` for contract details of the sessions between an answer that names a contract and one that
    denies it, by symbol: `pending`, for nobody knows when it changed. No request was made: `request_id` is 0."""
    rows = [
        coverage_row(
            CONTRACTS.name,
            "",
            symbol,
            0,
            session,
            SessionFinding(Condition.PENDING, UNKNOWN_CONTRACT.format(session)),
            now,
        )
        for symbol in sorted(between)
        for session in between[symbol]
    ]
    return from_rows(COVERAGE, rows)


def missed_snapshot_coverage(
    dataset: str,
    missed: Mapping[str, Iterable[date]],
    now: datetime,
    unselected: Mapping[tuple[str, date], str] | None = None,
) -> pa.Table:
    """Rows of `coverage` for past sessions of which no snapshot was taken, by symbol. No request was made: `request_id`
    is 0.

    A chain is `expired_lost`, or `nothing_selected` where `unselected` has a sentence of its symbol and session.
    Contract details are `complete`, carried: those of the sessions beside say the same,
    nothing is lost.
    """
    rows = []
    for symbol in sorted(missed):
        for session in missed[symbol]:
            if dataset == CONTRACTS.name:
                finding = SessionFinding(Condition.COMPLETE, CARRIED_CONTRACT.format(session))
            elif nothing := (unselected or {}).get((symbol, session)):
                finding = SessionFinding(Condition.NOTHING_SELECTED, nothing)
            else:
                finding = SessionFinding(Condition.EXPIRED_LOST, MISSED_SNAPSHOT.format(session))
            rows.append(coverage_row(dataset, "", symbol, 0, session, finding, now))
    return from_rows(COVERAGE, rows)
