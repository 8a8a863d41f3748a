"""Collecting `contracts`: resolve what is new or unverified, carry the rest forward."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

import pyarrow as pa

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.collecting.archive import Archive, wall_clock
from trading_assets.collecting.decode import carry_contracts, contract_rows, snapshot_coverage
from trading_assets.collecting.decode.tables import last_of_key
from trading_assets.collecting.report import Collected, CollectionReport, Problem, ProblemKind
from trading_assets.collecting.steps.common import outcomes_of, refusals, retries_for, rows_by_symbol, without_echoes
from trading_assets.collecting.steps.missed import missed_snapshots
from trading_assets.planning.contracts import ContractsPlan, plan_contracts
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE
from trading_assets.universe import UniverseEntry


def collect_contracts(archive: Archive, entries: Sequence[UniverseEntry], session: date, *, refresh: bool = False, run_id: str = "") -> Collected:
    """One row a symbol for `session` (the current one): asked for when new or last verified too long ago, else carried.

    A symbol the broker does not know is reported and not asked for again until its retry time; the others go on.
    Raises `BrokerError` when the broker cannot be reached.
    """
    planned_at, now = wall_clock(), archive.now
    symbols = [entry.symbol for entry in entries]
    report = CollectionReport(CONTRACTS.name, session, sessions=[session], symbols=symbols)
    known = contracts_plan(archive, entries, session, refresh=refresh)
    plan = known.plan
    late = archive.recovered([CONTRACTS.name])  # first: what is bad among them answers nothing and is asked again
    results = without_echoes(archive.ask(plan.requests, report, planned_at=planned_at, run_id=run_id))
    fresh = contract_rows([*late, *results], stamped=archive.settings.now)
    table = pa.concat_tables([fresh, carry_contracts(known.latest, plan.carried, session)])
    report.saved = len(symbols) - len(plan.requests)
    report.rows_by_symbol = rows_by_symbol(table)
    report.fail(results, harmless=frozenset(), delayed=archive.settings.delayed)
    for symbol, sentence in known.refused.items():
        report.problems.append(Problem(ProblemKind.FAILED, symbol, "contract_details", sentence, outcome="no_contract"))
    misfits = _misfits([*late, *results], fresh)
    _tell_misfits(report, misfits)
    carried = {symbol: Outcome(OutcomeKind.COMPLETE) for symbol in [*plan.carried, *_unrecorded(archive, known, session)]}
    ids = {result.request_id for result in [*late, *results]}
    asked = {result.request.symbol for result in results}
    missed = missed_snapshots(archive, CONTRACTS, {*carried, *asked}, session)
    told = last_of_key(pa.concat_tables([missed, _coverage(archive, session, carried, _with_misfits([*late, *results], misfits), now)]), COVERAGE.key)
    return Collected(CONTRACTS, table, told, sorted(ids), report, now)


def _coverage(archive: Archive, session: date, carried: Mapping[str, Outcome], results: Sequence[Result], now: datetime) -> pa.Table:
    """The conditions of `session` and of the earlier sessions whose answers an interrupted run left in the journal."""
    by_session: dict[date, list[Result]] = {session: []}
    for result in results:
        by_session.setdefault(result.request.session, []).append(result)
    retries = retries_for(archive, CONTRACTS, outcomes_of(results))
    tables = [
        snapshot_coverage(
            CONTRACTS.name,
            then,
            {**(carried if then == session else {}), **{result.request.symbol: result.outcome for result in answers}},
            now,
            retries=retries,
            partial={r.request.symbol: r.quarantined.reason for r in answers if r.quarantined is not None and r.payload is not None},
            request_ids={result.request.symbol: result.request_id for result in answers},
        )
        for then, answers in by_session.items()
    ]
    return pa.concat_tables(tables)


def _unrecorded(archive: Archive, known: KnownContracts, session: date) -> set[str]:
    """Symbols whose row of the session is stored while the coverage does not say so: it was deleted, and is recorded anew."""
    stored = {row["symbol"] for row in known.latest.select(["symbol", "session"]).to_pylist() if row["session"] == session}
    return stored - set(archive.coverage.conditions(CONTRACTS.name, "", stored, session, session)["symbol"].to_pylist())


@dataclass(frozen=True)
class KnownContracts:
    """The stored rows that answer for the session, symbols the broker refused (with the sentence), and what is to be asked."""

    latest: pa.Table
    refused: dict[str, str]
    plan: ContractsPlan


def contracts_plan(archive: Archive, entries: Sequence[UniverseEntry], session: date, *, refresh: bool = False) -> KnownContracts:
    """What the contracts of `session` cost, from what the lake holds."""
    symbols = [entry.symbol for entry in entries]
    latest = archive.view(CONTRACTS).as_of(symbols, session)
    stored = {row["symbol"]: row for row in latest.select(["symbol", "session", "verified_at"]).to_pylist()}
    refused = {} if refresh else refusals(archive, CONTRACTS, symbols, archive.now)
    plan = plan_contracts(
        [entry.instrument for entry in entries],
        {symbol: row["verified_at"] for symbol, row in stored.items()},
        archive.now,
        session,
        verify_days=archive.settings.contract_verify_days,
        settled={symbol for symbol, row in stored.items() if row["session"] == session} | set(refused),
        refresh=refresh,
    )
    return KnownContracts(latest, refused, plan)


def _misfits(results: Sequence[Result], fresh: pa.Table) -> dict[str, str]:
    """Symbols whose answer held no contract in US dollars of the kind asked for, each with a sentence."""
    answered = {result.request.symbol for result in results if result.payload}
    return {
        symbol: f"The broker's answer for {symbol} holds no contract of that symbol, type and currency. Add it with its exchange and type."
        for symbol in sorted(answered - set(fresh["symbol"].to_pylist()))
    }


def _with_misfits(results: Sequence[Result], misfits: Mapping[str, str]) -> list[Result]:
    """The results; an answer that does not fit says that there is no such contract, and is not asked for again at once."""
    return [
        replace(result, outcome=Outcome(OutcomeKind.NO_CONTRACT, None, misfits[result.request.symbol]))
        if result.request.symbol in misfits and result.outcome.kind is OutcomeKind.COMPLETE
        else result
        for result in results
    ]


def _tell_misfits(report: CollectionReport, misfits: Mapping[str, str]) -> None:
    for symbol, sentence in misfits.items():
        report.problems.append(Problem(ProblemKind.FAILED, symbol, "contract_details", sentence, outcome="no_contract"))
