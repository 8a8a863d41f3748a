"""Sessions whose snapshot was never taken: recorded when the next snapshot is, so that none is silently forgotten.

A chain of a past session is lost, unless nothing would have been selected from it; the contract details of one are not,
those beside it answer for it (docs: decisions).
No request is made for any of this.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode.snapshot_coverage import missed_snapshot_coverage, unknown_contract_coverage
from trading_assets.repositories.schemas import CONTRACTS, Condition, Dataset

_ANSWERS = (Condition.COMPLETE, Condition.PARTIAL, Condition.NO_CONTRACT)
"""Conditions of contract details that say whether there is a contract, where a request stands behind them."""


Unselected = Callable[[str, str, date], str | None]
"""From a symbol, the reason of its last chain, of which nothing was selected, and a later session: the sentence where
nothing would have been selected in that session either."""


def missed_snapshots(
    archive: Archive,
    dataset: Dataset,
    symbols: Collection[str],
    session: date,
    *,
    denied: Collection[str] = (),
    unselected: Unselected | None = None,
) -> pa.Table:
    """Coverage of the sessions between each symbol's last recorded one and `session`, which is being collected now.

    Sessions in which the symbol was not to be asked for, because the broker had refused it, are left out: the refusal
    answers for them. So are those between two answers that there is no contract; of those `denied` the present answer
    says so. `unselected` says of chains whether they are lost.
    """
    recorded = (
        archive.coverage.recorded(dataset.name, "", symbols, last=session - timedelta(days=1))
        .sort_by("session")
        .to_pylist()
    )
    newest = {row["symbol"]: row for row in recorded}
    missed: dict[str, list[date]] = {}
    nothing: dict[tuple[str, date], str] = {}
    for symbol, row in sorted(newest.items()):
        waits = (
            row["retry_after"].date()
            if Condition(row["condition"]).refused and row["retry_after"] is not None
            else date.min
        )
        if row["condition"] == Condition.NO_CONTRACT and symbol in denied:
            continue
        days = archive.calendar.sessions(row["session"] + timedelta(days=1), session - timedelta(days=1))
        missed[symbol] = [day for day in days if day >= waits]
        if unselected is not None and row["condition"] == Condition.NOTHING_SELECTED:
            said = {(symbol, day): unselected(symbol, row["reason"], day) for day in missed[symbol]}
            nothing |= {place: sentence for place, sentence in said.items() if sentence is not None}
    return missed_snapshot_coverage(dataset.name, missed, archive.now, nothing)


def between_answers(
    archive: Archive, answered: Collection[str], denied: Collection[str], changed: Collection[str], session: date
) -> tuple[pa.Table, set[str]]:
    """Coverage of contract details in the sessions between the last answer to each symbol and the one in `session`,
    where one of them names a contract and the other denies it or names another: unknown, whatever was carried into
    them. And these symbols.

    `answered` were asked in `session` and have a contract, `denied` have none, `changed` have another.
    """
    symbols = [*answered, *denied, *changed]
    asked = {
        (row["symbol"], row["session"])
        for row in archive.coverage.recorded(CONTRACTS.name, "", symbols).to_pylist()
        if row["request_id"]
    }
    between = {}
    for symbol, row in _last_answers(archive, symbols, session - timedelta(days=1)).items():
        if symbol in changed or (row["condition"] == Condition.NO_CONTRACT) != (symbol in denied):
            days = archive.calendar.sessions(row["session"] + timedelta(days=1), session - timedelta(days=1))
            between[symbol] = [day for day in days if (symbol, day) not in asked]
    return unknown_contract_coverage(between, archive.now), set(between)


def last_denied(archive: Archive, symbols: Collection[str]) -> set[str]:
    """Symbols to whose contract details the broker's last answer was that there is no such contract."""
    answers = _last_answers(archive, symbols, archive.calendar.current(archive.now))
    return {symbol for symbol, row in answers.items() if row["condition"] == Condition.NO_CONTRACT}


def _last_answers(archive: Archive, symbols: Collection[str], last: date) -> dict[str, dict[str, Any]]:
    """The newest row of coverage up to the session `last` that an answer about contract details stands behind, by
    symbol."""
    rows = archive.coverage.recorded(CONTRACTS.name, "", list(symbols), last=last).sort_by("session").to_pylist()
    return {row["symbol"]: row for row in rows if row["request_id"] and row["condition"] in _ANSWERS}
