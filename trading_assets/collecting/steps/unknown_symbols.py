"""What has become of a contract whose symbol the broker does not know any more: it is asked for by its id.

A renamed company keeps its contract id, and with it bars and options; its old symbol is unknown (200) or answered with
the contract under the new one. Option parameters, which name the symbol beside the id, are empty. Of a company that was
delisted or taken over the id is unknown too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import ContractDetailsRequest
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode.arrow_tables import from_rows
from trading_assets.collecting.decode.session_findings import SessionFinding, coverage_row
from trading_assets.collecting.steps.common import HAS_SYMBOL, SendRequests
from trading_assets.instrument import Instrument, same_symbol
from trading_assets.remedies import typed
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, EQUITY_BARS, OPTION_CHAINS, Condition


@dataclass(frozen=True)
class ByIds:
    """What the broker says of contracts by their ids. `renamed` has the sentence for each symbol whose contract has
    another one now, `gone` the symbols whose contract is unknown; others have neither."""

    renamed: dict[str, str]
    gone: set[str]
    results: list[Result]
    """The answers, which no dataset holds: the journal may let them go."""


def ask_by_id(archive: Archive, ask: SendRequests, con_ids: Mapping[str, int], session: date) -> ByIds:
    """Ask for the contract of each symbol (`con_ids`) by its id alone: one request a symbol."""
    results = ask([ContractDetailsRequest(Instrument(s, con_id=con_ids[s]), session) for s in sorted(con_ids)])
    renamed, gone = {}, set()
    for result in results:
        symbol = result.request.symbol
        if result.outcome.kind is OutcomeKind.NO_CONTRACT:
            gone.add(symbol)
        elif result.outcome.kind is OutcomeKind.COMPLETE and result.payload is not None:
            names = sorted({record["symbol"] for record in result.payload["contracts"]})
            if len(names) == 1 and not same_symbol(names[0], symbol):
                renamed[symbol] = renamed_sentence(symbol, con_ids[symbol], names[0])
    return ByIds(renamed, gone, results)


def renamed_sentence(symbol: str, con_id: int, new_symbol: str) -> str:
    """What to do about a company that was renamed."""
    return (
        f"{symbol} was renamed: its contract {con_id} {HAS_SYMBOL} {new_symbol} now. Nothing of its option chains is"
        f" collected under {symbol}, and what expires meanwhile is lost: `trading-assets universe add"
        f" {typed(new_symbol)}` and an update move the series to {new_symbol} and continue it."
    )


def is_by_id(result: Result) -> bool:
    """Whether an answer is about a contract by its id: it says nothing about a symbol."""
    return type(result.request) is ContractDetailsRequest and result.request.instrument.con_id > 0


def without_chain(archive: Archive, symbols: Collection[str], session: date) -> dict[str, Outcome]:
    """Symbols whose options are not to be asked for, because the broker does not know the symbol any more; the outcome
    that says so. A chain that the session has already stays as it is."""
    unknown = _unknown(archive, symbols)
    recorded = archive.coverage.recorded(OPTION_CHAINS.name, "", sorted(unknown), session, session).to_pylist()
    whole = {row["symbol"] for row in recorded if row["condition"] in (Condition.COMPLETE, Condition.PARTIAL)}
    return {
        symbol: Outcome(OutcomeKind.REJECTED, row["broker_code"], _reason(symbol, row))
        for symbol, row in sorted(unknown.items())
        if symbol not in whole
    }


def without_bars(
    archive: Archive, symbols: Collection[str], bar_sizes: Iterable[str], sessions: Iterable[date]
) -> tuple[dict[str, str], pa.Table]:
    """Symbols whose bars are not to be asked for: the broker knows neither the symbol nor its contract id any more. A
    sentence for each; and the coverage of those of the sessions (closed ones) that nobody has asked for: as of the last
    one that was refused, with its retry time."""
    told: dict[str, str] = {}
    rows: list[dict[str, object]] = []
    for symbol, details in _unknown(archive, symbols).items():
        for bar_size in bar_sizes:
            recorded = archive.coverage.recorded(EQUITY_BARS.name, bar_size, [symbol]).sort_by("session").to_pylist()
            last = recorded[-1] if recorded else None
            refused = last is not None and last["condition"] == Condition.NO_CONTRACT
            if last is None or not refused or last["retry_after"] is None or last["retry_after"] <= archive.now:
                continue
            told[symbol] = _reason(symbol, details)
            finding = SessionFinding(Condition.NO_CONTRACT, last["reason"], last["retry_after"])
            rows += [
                coverage_row(EQUITY_BARS.name, bar_size, symbol, 0, day, finding, archive.now, last["broker_code"])
                for day in sessions
                if day > last["session"] and archive.calendar.is_closed(day, archive.now)
            ]
    return told, from_rows(COVERAGE, rows)


def _reason(symbol: str, details: Mapping[str, Any]) -> str:
    if HAS_SYMBOL in details["reason"]:
        return str(details["reason"])
    return (
        f"The broker knows no contract of {symbol} any more (code {details['broker_code']}), so nothing was asked for"
        f" it; it is looked up again after {details['retry_after']:%Y-%m-%d}. Bars of its options are collected as long"
        f" as the broker knows them: `trading-assets universe remove {typed(symbol)}` ends that."
    )


def _unknown(archive: Archive, symbols: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Symbols that the broker does not know any more, as is believed by now, with the newest row of coverage of their
    details: renamed, or refused in a second session (`decode.retries`)."""
    rows = archive.coverage.recorded(CONTRACTS.name, "", sorted(symbols)).sort_by("session").to_pylist()
    found = {}
    for symbol, row in {row["symbol"]: row for row in rows}.items():
        refused = row["condition"] == Condition.NO_CONTRACT and row["retry_after"] is not None
        if refused and row["retry_after"] > archive.now:
            calendar = archive.calendar
            first_look = calendar.opens_at(calendar.following(calendar.current(row["collected_at"])))
            if HAS_SYMBOL in row["reason"] or row["retry_after"] > first_look:
                found[symbol] = row
    return found
