"""Recovering: what an interrupted run left in the journal is decoded and written before anything is planned, so that a
plan reads the lake alone.

    recover(archive, EQUITY_BARS, report, decode)

`decode` is the step's own way from answers to rows and coverage. Killed at any instant, the next run does it again and
comes to the same lake: the journal lets go of an answer only when it is written (`Archive.write`).

Left in the journal are answers of which only a part has come: a chain that is not complete in its session, windows of a
session of `1 secs` bars. Which contracts of a chain are quoted follows from the underlying's price, which is in no
dataset, so rows of half a chain would not say what is left to do. The step asks its questions again and the journal
answers those that it knows; only the others go to the broker.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import OptionListingRequest, QuoteRequest
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import (
    carry_listing,
    listing_rows,
    snapshot_coverage,
    with_quotes,
    with_selection,
    without_worse,
)
from trading_assets.collecting.report import INTERRUPTED, Collected, CollectionReport
from trading_assets.collecting.steps.chain_selection import unselected_meanwhile
from trading_assets.collecting.steps.missed import missed_snapshots
from trading_assets.collecting.steps.recorded_chains import RecordedChains
from trading_assets.planning.chains import listing_days
from trading_assets.repositories.frame_checks import storable
from trading_assets.repositories.schemas import COVERAGE, OPTION_CHAINS, Condition, Dataset

_WHOLE = (Condition.COMPLETE, Condition.NOTHING_SELECTED)
"""Conditions of a chain that lacks nothing, whatever is recovered of it."""


def recover(
    archive: Archive, dataset: Dataset, report: CollectionReport, decode: Callable[[list[Result]], Collected]
) -> None:
    """Write the answers of a dataset that are in the journal and not in the lake; `decode` may leave some of them where
    they are.

    Its rows are counted in the report. Raises what `decode` raises; nothing is written then.
    """
    answers = archive.recovered([dataset.name])
    if not answers:
        return
    collected = decode(answers)
    if collected.request_ids:
        archive.write(collected)
    report.recovered |= {
        session for table in (collected.table, collected.coverage) for session in table["session"].unique().to_pylist()
    }


def left_of_chains(recorded: RecordedChains, report: CollectionReport, answers: Sequence[Result]) -> Collected:
    """The rows that answers about chains come to: of earlier sessions, and of those symbols whose chain of the present
    one is finished.

    A snapshot of the past cannot be taken again, so what came of it is kept. The other answers of the session are left
    to the step, but for those that the lake holds already: the step does not ask for them, and would leave them in the
    journal.
    """
    archive = recorded.archive
    taken: list[Result] = []
    left: list[Result] = []
    for result in answers:
        over = result.request.session < recorded.session or result.request.symbol in recorded.finished
        (taken if over else left).append(result)
    groups: dict[date, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in taken:
        groups[result.request.session][result.request.symbol].append(result)
    under_con_ids = {symbol: underlying.con_id for symbol, underlying in recorded.underlyings.items()}
    tables, coverages = [OPTION_CHAINS.schema.empty_table()], [COVERAGE.schema.empty_table()]

    def meanwhile(_: str, reason: str, day: date) -> str | None:
        return unselected_meanwhile(reason, recorded.rules, day)

    for then, by_symbol in sorted(groups.items()):
        known = storable(OPTION_CHAINS, archive.view(OPTION_CHAINS).as_of(sorted(by_symbol), then))
        covered = (
            archive.coverage.recorded(OPTION_CHAINS.name, "", sorted(by_symbol), then, then)
            .select(["symbol", "condition"])
            .to_pylist()
        )
        conditions = {row["symbol"]: row["condition"] for row in covered}
        for symbol, results in sorted(by_symbol.items()):
            rows, whole = known.filter(pc.equal(known["symbol"], symbol)), conditions.get(symbol) in _WHOLE
            stored = rows.filter(pc.equal(rows["session"], pa.scalar(then)))
            base = stored if stored.num_rows or whole else _carried(rows, then, symbol, results)
            table = _with(
                base, listing_rows(results, under_con_ids), [r for r in results if isinstance(r.request, QuoteRequest)]
            )
            # else the run died when all was written, before the journal was marked
            brings = not table.equals(stored)
            tables += [table] if brings else []
            if not whole and (brings or conditions.get(symbol) != Condition.PARTIAL):
                at, outcome = max(result.finished_at for result in results), {symbol: Outcome(OutcomeKind.COMPLETE)}
                coverages.append(missed_snapshots(archive, OPTION_CHAINS, [symbol], then, unselected=meanwhile))
                coverages.append(
                    snapshot_coverage(OPTION_CHAINS.name, then, outcome, at, partial={symbol: INTERRUPTED})
                )
    table = pa.concat_tables(tables)
    report.add_rows(table)
    ended = [result.request_id for result in (*taken, *_stored(archive, recorded.session, left, under_con_ids))]
    return Collected(OPTION_CHAINS, table, pa.concat_tables(coverages), ended, report, archive.now)


def _stored(
    archive: Archive, session: date, answers: Sequence[Result], under_con_ids: Mapping[str, int]
) -> list[Result]:
    """The quotes that rows of the session name, and the listings whose contracts are all among them: the run died after
    the rows of the chain and before its coverage."""
    good = [result for result in answers if result.quarantined is None]
    if not good:
        return []
    rows = archive.view(OPTION_CHAINS).table(sessions=[session], symbols=sorted({r.request.symbol for r in good}))
    named, contracts = set(rows["request_id"].to_pylist()), set(rows["con_id"].to_pylist())

    def stored(result: Result) -> bool:
        if isinstance(result.request, OptionListingRequest):
            listed = set(listing_rows([result], under_con_ids)["con_id"].to_pylist())
            return bool(listed) and listed <= contracts
        return isinstance(result.request, QuoteRequest) and result.request_id in named

    return [result for result in good if stored(result)]


def _carried(last: pa.Table, session: date, symbol: str, results: Sequence[Result]) -> pa.Table:
    """The expiries of the chain before `session` that were not listed anew, as rows of the session."""
    last = last.filter(pc.less(last["session"], pa.scalar(session)))
    listings = {r.request.instrument.last_trade for r in results if isinstance(r.request, OptionListingRequest)}
    alive = {day for day in listing_days(last).to_pylist() if day >= f"{session:%Y%m%d}"}
    return carry_listing(last, alive - listings, session, symbol=symbol)


def _with(base: pa.Table, listed: pa.Table, quotes: Sequence[Result]) -> pa.Table:
    """A chain with the contracts and quotes that it lacks, and with later quotes of the others."""
    table = pa.concat_tables(
        [base, listed.filter(pc.invert(pc.is_in(listed["con_id"], base["con_id"].combine_chunks())))]
    )
    rows = {row["con_id"]: row for row in table.select(["con_id", "request_id", "quote_outcome"]).to_pylist()}
    later = [
        q for q in quotes if q.request.instrument.con_id in rows and _updates(q, rows[q.request.instrument.con_id])
    ]
    selected = {
        *table.filter(table["selected"])["con_id"].to_pylist(),
        *(quote.request.instrument.con_id for quote in later),
    }
    return storable(OPTION_CHAINS, with_quotes(with_selection(table, selected), without_worse(table, later)))


def _updates(quote: Result, row: Mapping[str, Any]) -> bool:
    """Whether a quote is to be put into the row: it has none, or an earlier one while this one came."""
    return row["quote_outcome"] is None or (
        quote.outcome.kind is OutcomeKind.COMPLETE and quote.request_id > row["request_id"]
    )
