"""Recovering: what an interrupted run left in the journal is decoded and written before anything is planned, so that a plan reads the lake alone.

    recover(archive, EQUITY_BARS, report, decode)

`decode` is the step's own way from answers to rows and coverage. Killed at any instant, the next run does it again and comes to the same
lake: the journal lets go of an answer only when it is written (`Archive.write`).

One thing is left to the step: the answers of a chain that is not complete yet in its session. Which contracts are quoted follows from the
underlying's price, which is in no dataset, so the rows of half a chain would not say what is left to do. The step asks its questions again and the
journal answers those that it knows; only the others go to the broker.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import OptionListingRequest, QuoteRequest
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import carry_listing, listing_rows, snapshot_coverage, with_quotes, with_selection, without_worse
from trading_assets.collecting.report import Collected, CollectionReport
from trading_assets.collecting.steps.missed import missed_snapshots
from trading_assets.instrument import Instrument
from trading_assets.repositories.schemas import COVERAGE, OPTION_CHAINS, Condition, Dataset
from trading_assets.repositories.validation import storable

_INTERRUPTED = "The run of that session was interrupted; this is what had come."

_WHOLE = {str(Condition.COMPLETE), str(Condition.NOTHING_SELECTED)}
_STORED = {*_WHOLE, str(Condition.PARTIAL)}
"""Conditions of a chain that hold also with what is recovered of it, and those that hold when nothing new is."""


def recover(archive: Archive, dataset: Dataset, report: CollectionReport, decode: Callable[[list[Result]], Collected]) -> None:
    """Write the answers of a dataset that are in the journal and not in the lake; `decode` may leave some of them where they are.

    Its rows are counted in the report. Raises what `decode` raises; nothing is written then.
    """
    answers = archive.recovered([dataset.name])
    if not answers:
        return
    collected = decode(answers)
    if collected.request_ids:
        archive.write(collected)
    report.recovered |= set(collected.table["session"].unique().to_pylist())


def left_of_chains(
    archive: Archive,
    report: CollectionReport,
    session: date,
    underlyings: Mapping[str, Instrument],
    finished: Collection[str],
    answers: Sequence[Result],
) -> Collected:
    """The rows that answers about chains come to: of earlier sessions, and of those symbols whose chain of `session` is `finished`.

    A snapshot of the past cannot be taken again, so what came of it is kept. The other answers of the session are left to the step.
    """
    groups: dict[tuple[date, str], list[Result]] = defaultdict(list)
    for result in answers:
        if result.request.session < session or result.request.symbol in finished:
            groups[result.request.session, result.request.symbol].append(result)
    tables, coverages = [OPTION_CHAINS.schema.empty_table()], [COVERAGE.schema.empty_table()]
    for (then, symbol), results in sorted(groups.items()):
        stored, table = _chain(archive, then, symbol, results, underlyings)
        brings = not table.equals(stored)
        tables += [table] if brings else []  # else the run died when all was written, before it could tell the journal
        recorded = archive.coverage.conditions(OPTION_CHAINS.name, "", [symbol], then, then)["condition"].to_pylist()
        if not set(recorded) & (_WHOLE if brings else _STORED):
            at = max(result.finished_at for result in results)
            told = snapshot_coverage(OPTION_CHAINS.name, then, {symbol: Outcome(OutcomeKind.COMPLETE)}, at, partial={symbol: _INTERRUPTED})
            coverages += [missed_snapshots(archive, OPTION_CHAINS, [symbol], then), told]
    ids = sorted(result.request_id for results in groups.values() for result in results)
    table = pa.concat_tables(tables)
    report.add_rows(table)
    return Collected(OPTION_CHAINS, table, pa.concat_tables(coverages), ids, report, archive.now)


def _chain(
    archive: Archive, session: date, symbol: str, results: Sequence[Result], underlyings: Mapping[str, Instrument]
) -> tuple[pa.Table, pa.Table]:
    """The chain of the session as it is stored, and with what the results bring: contracts, and later or missing quotes of them.

    Where nothing of it is stored, the expiries that were not listed are carried from the chain before.
    """
    last = storable(OPTION_CHAINS, archive.view(OPTION_CHAINS).as_of([symbol], session)).cast(OPTION_CHAINS.schema)
    stored = last.filter(pc.equal(last["session"], pa.scalar(session)))
    base = stored
    if not stored.num_rows:
        last = last.filter(pc.less(last["session"], pa.scalar(session)))
        listings = {r.request.instrument.last_trade for r in results if isinstance(r.request, OptionListingRequest)}
        alive = {day for day in last["last_trade"].to_pylist() if day >= f"{session:%Y%m%d}"}
        base = carry_listing(last, alive - listings, session, symbol=symbol)
    fresh = listing_rows(results, {name: underlying.con_id for name, underlying in underlyings.items()})
    table = pa.concat_tables([base, fresh.filter(pc.invert(pc.is_in(fresh["con_id"], base["con_id"].combine_chunks())))])
    rows = {row["con_id"]: row for row in table.select(["con_id", "request_id", "quote_outcome"]).to_pylist()}
    quotes = [r for r in results if isinstance(r.request, QuoteRequest) and r.request.instrument.con_id in rows]
    later = [r for r in quotes if _says_more(r, rows[r.request.instrument.con_id])]
    selected = {*table.filter(table["selected"])["con_id"].to_pylist(), *(r.request.instrument.con_id for r in later)}
    return stored, storable(OPTION_CHAINS, with_quotes(with_selection(table, selected), without_worse(table, later)))


def _says_more(quote: Result, row: Mapping[str, Any]) -> bool:
    """Whether a quote is to be put into the row: it has none, or an earlier one while this one came."""
    return row["quote_outcome"] is None or (quote.outcome.kind is OutcomeKind.COMPLETE and quote.request_id > row["request_id"])
