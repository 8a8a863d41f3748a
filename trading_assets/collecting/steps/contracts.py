"""Collecting `contracts`: resolve what is new or unverified, carry the rest forward."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.history import last_details, words_of
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Quarantined, Result
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import carry_contracts, snapshot_coverage
from trading_assets.collecting.decode.arrow_tables import last_of_key
from trading_assets.collecting.decode.snapshot_coverage import changed_contract_coverage
from trading_assets.collecting.identity import CHANGED, Judged, carry_out, hold_back, judge, unknown_to_the_broker
from trading_assets.collecting.recover import recover
from trading_assets.collecting.report import Collected, CollectionReport, Problem, ProblemKind
from trading_assets.collecting.steps.chain_knowledge import WITHOUT_PARAMETERS
from trading_assets.collecting.steps.common import HAS_SYMBOL, SendRequests, outcomes_of, refusals, retries_for
from trading_assets.collecting.steps.missed import between_answers, last_denied, missed_snapshots
from trading_assets.collecting.steps.unknown_symbols import ByIds, ask_by_id, is_by_id
from trading_assets.planning.contracts import ContractsPlan, plan_contracts
from trading_assets.repositories.catalog import query
from trading_assets.repositories.frame_checks import storable
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE
from trading_assets.repositories.series import series_contracts
from trading_assets.universe import UniverseEntry


def collect_contracts(
    archive: Archive, entries: Sequence[UniverseEntry], session: date, *, refresh: bool = False, run_id: str = ""
) -> Collected:
    """One row a symbol for `session` (the current one): asked for when new or last verified too long ago, else carried.

    A symbol the broker does not know is reported and not requested again until its retry time; so is one that several
    contracts fit, and one whose contract is another than its series': of these nothing is stored. The others go on.
    Raises `BrokerError` when the broker cannot be reached.
    """
    planned_at = archive.journal.now()
    symbols = [entry.symbol for entry in entries]
    report = CollectionReport(CONTRACTS.name, session, sessions=[session], symbols=symbols)
    for change in archive.changes.unfinished(symbols).values():
        if change.decision is not None:  # the process that carried it out was killed
            report.notes.append(carry_out(archive, change))
    recover(archive, CONTRACTS, report, lambda answers: _recovered(archive, report, session, answers))
    known = contracts_plan(archive, entries, session, refresh=refresh)
    plan = known.plan
    ask: SendRequests = partial(archive.ask, report=report, planned_at=planned_at, run_id=run_id)
    results = ask(plan.requests)
    report.saved = len(symbols) - len(plan.requests)
    denied = {r.request.symbol for r in results if r.outcome.kind is OutcomeKind.NO_CONTRACT}
    by_id = _by_id(archive, ask, results, session)
    results = [_with_present_symbol(result, by_id) for result in results]
    judged = judge(archive, results)
    report.notes += unknown_to_the_broker(archive, denied - by_id.renamed.keys(), by_id.gone)
    told = [result for result in results if result.request.symbol not in by_id.renamed]
    report.fail(told, harmless=frozenset(), delayed=archive.settings.delayed)
    _report_failures(report, by_id.renamed, "no_contract")
    _report_failures(report, known.refused | judged.unclear, "no_contract")
    _report_failures(report, judged.changed, CHANGED)
    hold_back(archive, [symbol for symbol in symbols if symbol not in judged.changed], report)
    carried = {*plan.carried, *_unrecorded(archive, known, session)}
    collected = _decoded(
        archive, report, session, judged, results, carried, carry_contracts(known.latest, plan.carried, session)
    )
    return _with_ended(collected, by_id.results)


def _recovered(archive: Archive, report: CollectionReport, session: date, answers: Sequence[Result]) -> Collected:
    """Answers that were left in the journal; those about contracts by their ids are asked for again where they
    matter."""
    words = [answer for answer in answers if not is_by_id(answer)]
    collected = _decoded(archive, report, session, judge(archive, words), words)
    return _with_ended(collected, [answer for answer in answers if is_by_id(answer)])


def _with_ended(collected: Collected, results: Iterable[Result]) -> Collected:
    """The collection, with which the journal lets these answers go as well."""
    ended = {*collected.request_ids, *(result.request_id for result in results)}
    return replace(collected, request_ids=sorted(ended))


def _by_id(archive: Archive, ask: SendRequests, results: Sequence[Result], session: date) -> ByIds:
    """What the broker says of the contracts of series whose symbol it does not know, or answers with another one."""
    without = {
        result.request.symbol
        for result in results
        if result.outcome.kind is OutcomeKind.NO_CONTRACT or (result.quarantined is not None and result.payload is None)
    }
    known = series_contracts(archive.settings.data_dir, without) if without else {}
    return ask_by_id(archive, ask, {symbol: found.con_id for symbol, found in known.items()}, session)


def _with_present_symbol(result: Result, by_id: ByIds) -> Result:
    """The result, as one that denies the symbol where its contract has another one now."""
    sentence = by_id.renamed.get(result.request.symbol)
    if sentence is None:
        return result
    return replace(result, outcome=Outcome(OutcomeKind.NO_CONTRACT, result.outcome.code, sentence), payload=None)


def _decoded(
    archive: Archive,
    report: CollectionReport,
    session: date,
    judged: Judged,
    results: Sequence[Result],
    carried: Iterable[str] = (),
    rows: pa.Table | None = None,
) -> Collected:
    """The rows and coverage of judged results, and of symbols that are `carried` to `session` without a request, with
    their `rows`."""
    now = archive.now
    report.notes += [
        f"{symbol} goes on with the series of {before}: it is the same contract."
        for symbol, before in judged.renamed.items()
    ]
    clear = [result for result in _with_unclear(results, judged.unclear) if result.request.symbol not in judged.changed]
    found = {symbol: Outcome(OutcomeKind.COMPLETE) for symbol in carried}
    missed = _missed(archive, found.keys(), clear, judged.changed, session)
    next_look = archive.calendar.opens_at(archive.calendar.following(session))
    ids = {result.request.symbol: result.request_id for result in results}
    changed = changed_contract_coverage(judged.changed, session, next_look, now, ids)
    coverage = last_of_key(
        pa.concat_tables([missed, _coverage(archive, session, found, clear, now), changed]), COVERAGE.key
    )
    table = judged.rows if rows is None else pa.concat_tables([judged.rows, rows])
    # what was read of them before the move is under the new symbol now
    moved = pa.array(sorted(judged.renamed.values()), pa.string())
    table, coverage = (each.filter(pc.invert(pc.is_in(each["symbol"], moved))) for each in (table, coverage))
    report.add_rows(table)
    return Collected(CONTRACTS, table, coverage, sorted({result.request_id for result in results}), report, now)


def _missed(
    archive: Archive, carried: Collection[str], results: Sequence[Result], changed: Collection[str], session: date
) -> pa.Table:
    """Coverage of the sessions since the last one recorded: answered by those beside them, or unknown where these
    differ."""
    kinds = {result.request.symbol: result.outcome.kind for result in results if result.request.session == session}
    denied = {symbol for symbol, kind in kinds.items() if kind is OutcomeKind.NO_CONTRACT}
    answered = {symbol for symbol, kind in kinds.items() if kind is OutcomeKind.COMPLETE}
    unknown, symbols = between_answers(archive, answered, denied, changed, session)
    others = [symbol for symbol in (*carried, *answered) if symbol not in symbols]
    return pa.concat_tables([missed_snapshots(archive, CONTRACTS, others, session), unknown])


def _coverage(
    archive: Archive, session: date, carried: Mapping[str, Outcome], results: Sequence[Result], now: datetime
) -> pa.Table:
    """The conditions of `session` and of the earlier sessions whose answers an interrupted run left in the journal."""
    by_session: dict[date, list[Result]] = {session: []}
    for result in results:
        by_session.setdefault(result.request.session, []).append(result)
    retries = retries_for(archive, CONTRACTS, outcomes_of(results))
    lacking = {then: _in_part(answers) for then, answers in by_session.items()}
    tables = [
        snapshot_coverage(
            CONTRACTS.name,
            then,
            {**(carried if then == session else {}), **{result.request.symbol: result.outcome for result in answers}},
            now,
            retries=retries,
            partial={symbol: bad.reason for symbol, bad in lacking[then].items()},
            again_at={symbol: bad.retry_after for symbol, bad in lacking[then].items()},
            request_ids={result.request.symbol: result.request_id for result in answers},
        )
        for then, answers in by_session.items()
    ]
    return pa.concat_tables(tables)


def _in_part(answers: Sequence[Result]) -> dict[str, Quarantined]:
    """What is in quarantine of each symbol's last answer, where the rest of it is stored."""
    last = {answer.request.symbol: answer for answer in answers}
    return {symbol: r.quarantined for symbol, r in last.items() if r.quarantined is not None and r.payload is not None}


def _unrecorded(archive: Archive, known: KnownContracts, session: date) -> set[str]:
    """Symbols whose row of the session is stored while the coverage does not say so: it was deleted, and is recorded
    anew."""
    stored = {
        row["symbol"] for row in known.latest.select(["symbol", "session"]).to_pylist() if row["session"] == session
    }
    return stored - set(archive.coverage.recorded(CONTRACTS.name, "", stored, session, session)["symbol"].to_pylist())


@dataclass(frozen=True)
class KnownContracts:
    """The stored rows that answer for the session, symbols the broker refused (with the sentence), and what is to be
    asked."""

    latest: pa.Table
    refused: dict[str, str]
    plan: ContractsPlan


def contracts_plan(
    archive: Archive, entries: Sequence[UniverseEntry], session: date, *, refresh: bool = False
) -> KnownContracts:
    """What the contracts of `session` cost, from what the lake holds."""
    symbols = [entry.symbol for entry in entries]
    latest = storable(CONTRACTS, archive.view(CONTRACTS).as_of(symbols, session))
    stored = {
        row["symbol"]: row for row in latest.select(["symbol", "session", "verified_at", "request_id"]).to_pylist()
    }
    held = archive.changes.unfinished(symbols)
    # What was answered to other words, or in part, does not say what the contract is now.
    again = (
        _reworded(archive, entries, stored.values())
        | archive.examiner.due_details(symbols)
        | _no_longer_known(archive, symbols)
    )
    # An older row says nothing after the answer that there is no such contract.
    unverified = held.keys() | again | last_denied(archive, symbols)
    refused = {} if refresh else refusals(archive, CONTRACTS, sorted(set(symbols) - held.keys() - again), archive.now)
    plan = plan_contracts(
        [entry.instrument for entry in entries],
        # A changed contract is looked at once a session: the broker may give the old one again.
        {symbol: row["verified_at"] for symbol, row in stored.items() if symbol not in unverified},
        archive.now,
        session,
        verify_days=archive.settings.contract_verify_days,
        settled={
            symbol for symbol, row in stored.items() if row["session"] == session and symbol not in held.keys() | again
        }
        | set(refused)
        | {symbol for symbol, change in held.items() if change.session == session and symbol not in again},
        refresh=refresh,
    )
    return KnownContracts(latest, refused, plan)


def _reworded(archive: Archive, entries: Sequence[UniverseEntry], stored: Iterable[Mapping[str, Any]]) -> set[str]:
    """Symbols that were last asked for in other words than the universe has now (an exchange, the type): what was
    answered then says nothing."""
    recorded = archive.coverage.recorded(CONTRACTS.name, "", [entry.symbol for entry in entries]).to_pylist()
    asked: dict[str, int] = {}
    for row in [*recorded, *stored]:
        asked[row["symbol"]] = max(row["request_id"], asked.get(row["symbol"], 0))
    words = words_of(archive.journal, set(asked.values()))
    present = {entry.symbol: entry.instrument for entry in entries}
    last = {symbol: words[request_id] for symbol, request_id in asked.items() if request_id in words}
    return {symbol for symbol, then in last.items() if then.symbol == symbol and then.key != present[symbol].key}


def _no_longer_known(archive: Archive, symbols: Sequence[str]) -> set[str]:
    """Symbols with chains or bars of which the broker, since their details were last asked for, knows no contract or
    names no options any more: they are due at once. Those whose details it has denied have their retry time."""
    symbols = sorted(set(symbols) - last_denied(archive, symbols))
    refusing = f"""con_id = 0 and (
        (dataset in ('option_chains', 'equity_bars') and condition = 'no_contract')
        or (dataset = 'option_chains' and condition = 'error'
            and (contains(reason, '{WITHOUT_PARAMETERS}') or contains(reason, '{HAS_SYMBOL}'))))"""
    if not archive.view(COVERAGE).table(symbols=symbols, columns=("symbol",), where=refusing).num_rows:
        return set()  # as nearly always: the rows of the other datasets are not looked at
    sql = f"""select symbol, max(request_id) as request_id from coverage c
             where {refusing} and request_id > 0 and symbol in (select unnest($symbols::varchar[]))
               and case dataset
                        when 'equity_bars'
                        then exists (from equity_bars b where b.symbol = c.symbol and b.session < c.session)
                        else exists (from option_chains o where o.symbol = c.symbol and o.session < c.session)
                   end
             group by symbol"""
    refused = query(archive.settings.data_dir, sql, {"symbols": list(symbols)}).to_pylist()
    asked = last_details(archive.journal, [row["symbol"] for row in refused]) if refused else {}
    return {row["symbol"] for row in refused if row["request_id"] > asked.get(row["symbol"], 0)}


def _with_unclear(results: Sequence[Result], unclear: Mapping[str, str]) -> list[Result]:
    """The results; an answer that does not say which contract is meant is not requested again at once."""
    return [
        (
            replace(result, outcome=Outcome(OutcomeKind.NO_CONTRACT, None, unclear[result.request.symbol]))
            if result.request.symbol in unclear and result.outcome.kind is OutcomeKind.COMPLETE
            else result
        )
        for result in results
    ]


def _report_failures(report: CollectionReport, sentences: Mapping[str, str], outcome: str) -> None:
    for symbol, sentence in sentences.items():
        report.problems.append(Problem(ProblemKind.FAILED, symbol, "contract_details", sentence, outcome=outcome))
