"""Whose data it is: contract details are compared with the symbol's series before anything else is asked or stored.

`judge` sorts the answers: what may be stored, symbols that are ambiguous, series that go on under a new symbol, and
changed contracts. A changed contract holds its symbol back (`hold_back`) until the user decides; `resolve` carries the
decision out. What a series is follows from the lake (`repositories.series`); open questions are in the state database
(`contract_changes`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.arguments import one_of, one_symbol
from trading_assets.broker.history import in_flight, relabel_answers
from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.quarantine import Quarantine
from trading_assets.broker.unit_decisions import UnitDecisions
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import contract_rows, snapshot_coverage
from trading_assets.collecting.decode.arrow_tables import answered, from_rows
from trading_assets.collecting.decode.contracts import choose, contract_row, describe_contract, describe_record
from trading_assets.collecting.quarantine import retry_now
from trading_assets.collecting.report import CollectionReport, Problem, ProblemKind
from trading_assets.contract_changes import ContractChange, Decision
from trading_assets.errors import InvalidRequest
from trading_assets.instrument import Instrument
from trading_assets.remedies import typed
from trading_assets.repositories.schemas import (
    CONTRACTS,
    EQUITY_BARS,
    OPTION_BARS,
    OPTION_CHAINS,
    closed_symbol,
)
from trading_assets.repositories.series import SeriesContract, move_series, owner_of, series_contracts

CHANGED = "contract_changed"
"""The outcome that reports give for a symbol that waits for the user's decision."""


@dataclass
class Judged:
    """Contract details that were compared with the lake: rows that may be stored, and a sentence for each symbol that
    has none."""

    rows: pa.Table
    unclear: dict[str, str] = field(default_factory=dict)
    """No contract fits the words, or several do."""
    changed: dict[str, str] = field(default_factory=dict)
    """The broker answers another contract than the series has; also what waits for a renaming."""
    renamed: dict[str, str] = field(default_factory=dict)
    """The symbol that the series had until now, by the symbol under which it goes on."""


def judge(archive: Archive, results: Sequence[Result]) -> Judged:
    """Compare answers to contract details with the series in the lake, record what changed, and let renamed series go
    on."""
    details = answered(results, "contract_details")
    known = series_contracts(archive.settings.data_dir, {result.request.symbol for result in details})
    con_ids = {symbol: contract.con_id for symbol, contract in known.items()}
    judged = Judged(contract_rows(details, con_ids), _unclear(details, con_ids))
    agreeing: set[str] = set()
    # Where an interrupted run left an earlier answer, the newest decides.
    newest = {
        row["symbol"]: row["con_id"] for row in judged.rows.sort_by("session").select(["symbol", "con_id"]).to_pylist()
    }
    judged.rows = judged.rows.filter(
        pa.array([newest[row["symbol"]] == row["con_id"] for row in judged.rows.to_pylist()], pa.bool_())
    )
    for symbol, con_id in newest.items():
        if symbol not in known:
            _continue_renamed(archive, symbol, con_id, judged)
        elif known[symbol].con_id == con_id:
            agreeing.add(symbol)
        else:
            _record(archive, known[symbol], _last_answer(details, symbol), judged)
    archive.changes.finish(agreeing, archive.now)
    apart = pa.array(sorted(judged.changed), pa.string())
    judged.rows = judged.rows.filter(pc.invert(pc.is_in(judged.rows["symbol"], apart)))
    return judged


def hold_back(archive: Archive, symbols: Sequence[str], report: CollectionReport) -> list[str]:
    """The symbols without those whose contract has changed; these are reported, and nothing is to be asked for them."""
    held = archive.changes.unfinished(symbols)
    for symbol, change in held.items():
        report.problems.append(
            Problem(ProblemKind.PREREQUISITE_VIOLATION, symbol, report.dataset, change.held, outcome=CHANGED)
        )
    return [symbol for symbol in symbols if symbol not in held]


def unknown_to_the_broker(archive: Archive, symbols: Collection[str], gone: Collection[str]) -> list[str]:
    """A sentence for each symbol with a series that the broker knows no more. Of those `gone` it does not know the
    contract id either."""
    known = series_contracts(archive.settings.data_dir, symbols) if symbols else {}
    return [
        f"{symbol}: the broker knows no contract of this symbol any more; its series ({_in_words(found)}) stays."
        f" {_what_to_do(symbol, symbol in gone)}"
        for symbol, found in sorted(known.items())
    ]


def _what_to_do(symbol: str, is_gone: bool) -> str:
    remove = f"`trading-assets universe remove {typed(symbol)}`"
    if is_gone:
        return (
            f"Its contract id is unknown too: it was delisted or taken over. Its options are collected as long as the"
            f" broker knows them; {remove} ends that. Its rows can be read as before."
        )
    return (
        "If the company has a new symbol, `trading-assets universe add NEWSYMBOL` and an update continue the series; if"
        f" it was delisted, {remove}."
    )


def revealed(archive: Archive, underlying: Instrument, con_id: int, report: CollectionReport) -> None:
    """A chain named another underlying than the one it was asked for: recorded as a change whose details the next run
    asks for."""
    old = series_contracts(archive.settings.data_dir, [underlying.symbol])[underlying.symbol]
    words = f"contract {con_id}, as its option chain says"
    archive.changes.record(underlying.symbol, old=(old.con_id, _in_words(old)), new=(con_id, words), now=archive.now)
    hold_back(archive, [underlying.symbol], report)


def resolve(archive: Archive, symbol: str, decision: Decision | str) -> str:
    """Carry out what the user decided about a changed contract; a sentence that says what was done. Sends nothing to a
    broker.

    Raises `ValueError` when there is nothing to decide, when the new contract's details are not known yet, or while
    requests for the symbol are in flight. Killed in between, the next collection of contracts goes on with it.
    """
    name, chosen = one_symbol(symbol), Decision(one_of(decision, tuple(Decision), "decision"))
    known = archive.changes.unfinished([name]).get(name)
    if known is not None and known.record is None:
        raise InvalidRequest(
            f"The details of {name}'s new contract are not known yet. Run `trading-assets update {typed(name)}`, then"
            " decide."
        )
    _refuse_in_flight(archive, [name])
    return carry_out(archive, archive.changes.decide(name, chosen))


def carry_out(archive: Archive, change: ContractChange) -> str:
    """Do what a decided change asks for. Idempotent: every step may have been done before."""
    assert change.record is not None, "a change without details cannot be decided"
    symbol, sentence = change.symbol, f"{change.symbol}: the series goes on under {change.new_contract}."
    if change.decision is Decision.NEW:
        closed = closed_symbol(symbol, change.old_con_id)
        stored = series_contracts(archive.settings.data_dir, [symbol]).get(symbol)
        if stored is not None and stored.con_id == change.old_con_id:
            relabel_answers(archive.journal, symbol, closed)
            Quarantine(archive.settings.state_url).close_series(symbol, archive.now)
            move_series(archive.store, symbol, closed)
        sentence = (
            f"{symbol}: the series of {change.old_contract} is closed, its rows have the symbol {closed} now. A new"
            " series begins with "
        )
        sentence += f"{change.new_contract}; run `trading-assets setup {typed(symbol)}` for its history."
        _adopt(archive, symbol, change.new_con_id)
    else:
        _clear_retry_times(archive, symbol)
    words = next(iter(archive.universe.resolve([symbol]))).instrument
    session = change.session or archive.calendar.current(archive.now)
    row = contract_row(change.record, words, session, change.found_at.astimezone(UTC), change.request_id)
    archive.store.upsert(CONTRACTS, from_rows(CONTRACTS, [row]))
    complete = {symbol: Outcome(OutcomeKind.COMPLETE)}
    archive.coverage.record(
        snapshot_coverage(CONTRACTS.name, session, complete, archive.now, request_ids={symbol: change.request_id})
    )
    archive.changes.finish([symbol], archive.now)
    return sentence


def _clear_retry_times(archive: Archive, symbol: str) -> None:
    """What the broker refused of the symbol was refused of the contract, or under the symbol, before: it may be asked
    for at once."""
    for dataset in (OPTION_CHAINS, EQUITY_BARS, OPTION_BARS):
        rows = archive.coverage.recorded(dataset.name, None, [symbol])
        retry_now(archive, rows)


def _unclear(details: Iterable[Result], con_ids: dict[str, int]) -> dict[str, str]:
    """Symbols whose answer does not say which contract is meant, each with a sentence."""
    found: dict[str, str] = {}
    for result in details:
        symbol = result.request.symbol
        choice = choose(result.request.instrument, result.payload["contracts"], con_ids.get(symbol, 0))
        if choice.record is not None:
            found.pop(symbol, None)
        elif choice.candidates:
            found[symbol] = _ambiguous(
                result.request.instrument, [describe_record(record) for record in choice.candidates]
            )
        else:
            found[symbol] = _nothing_fits(result)
    return found


def _ambiguous(words: Instrument, candidates: list[str]) -> str:
    listed = "; ".join(candidates)
    return (
        f"{words.symbol} is ambiguous, {len(candidates)} contracts fit: {listed}. Name the listing exchange of the one"
        f" you mean, `trading-assets universe add {typed(words.symbol)} --primary-exchange EXCHANGE`, then run"
        f" `trading-assets update {typed(words.symbol)}`."
    )


def _nothing_fits(result: Result) -> str:
    words = result.request.instrument
    where = f" and primary exchange {words.primary_exchange}" if words.primary_exchange else ""
    offered = "; ".join(dict.fromkeys(describe_record(record) for record in result.payload["contracts"]))
    return (
        f"The broker's answer for {words.symbol} holds no contract of that symbol, type {words.sec_type}, currency"
        f" {words.currency}{where}. It names: {offered}. Say which one you mean: `trading-assets universe add"
        f" {typed(words.symbol)} --sec-type TYPE --primary-exchange EXCHANGE`."
    )


def _last_answer(details: Sequence[Result], symbol: str) -> Result:
    return [result for result in details if result.request.symbol == symbol][-1]


def _record(archive: Archive, old: SeriesContract, result: Result, judged: Judged) -> None:
    record = choose(result.request.instrument, result.payload["contracts"], old.con_id).record
    assert record is not None, "a row was made of it"
    archive.changes.record(
        old.symbol,
        old=(old.con_id, _in_words(old)),
        new=(record["con_id"], describe_record(record)),
        now=archive.now,
        record=record,
        request_id=result.request_id,
        session=result.request.session,
    )
    change = archive.changes.unfinished([old.symbol])[old.symbol]
    judged.changed[old.symbol] = f"{change.reason} {change.remedy}"


def _in_words(old: SeriesContract) -> str:
    return describe_contract(old.con_id, old.long_name, old.primary_exchange, old.currency, old.sec_ids)


def _continue_renamed(archive: Archive, symbol: str, con_id: int, judged: Judged) -> None:
    """A symbol without a series whose contract has one under another symbol: the company was renamed, and its series
    goes on."""
    owner = owner_of(archive.settings.data_dir, con_id)
    if owner is None or owner == symbol:
        return
    try:
        _refuse_in_flight(archive, [owner])
    except ValueError as error:
        judged.changed[symbol] = str(error)
        return
    _adopt(archive, symbol, con_id)
    _clear_retry_times(archive, symbol)
    judged.renamed[symbol] = owner


def _adopt(archive: Archive, symbol: str, con_id: int) -> None:
    """Bring the rows of the contract, if another symbol has them, under this one; that symbol is no longer
    collected."""
    owner = owner_of(archive.settings.data_dir, con_id)
    if owner is None or owner == symbol:
        return
    if "@" not in owner:
        archive.universe.remove([owner])
    relabel_answers(archive.journal, owner, symbol)
    Quarantine(archive.settings.state_url).rename(owner, symbol)
    UnitDecisions(archive.settings.state_url).rename(owner, symbol)
    move_series(archive.store, owner, symbol)


def _refuse_in_flight(archive: Archive, symbols: Sequence[str]) -> None:
    if in_flight(archive.journal, symbols):
        raise ValueError(
            f"Requests for {', '.join(symbols)} are in flight in another process: wait until its run has ended, then"
            " run this again."
        )
