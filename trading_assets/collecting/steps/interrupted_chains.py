"""What interrupted runs left of chain snapshots in the journal: taken from there, for it can never be asked for again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.outcomes import Outcome, OutcomeKind, Result
from trading_assets.broker.requests import OptionListingRequest, QuoteRequest
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.decode import carry_listing, listing_rows, snapshot_coverage, with_quotes, with_selection, without_worse
from trading_assets.instrument import Instrument
from trading_assets.repositories.schemas import OPTION_CHAINS, Condition
from trading_assets.repositories.validation import storable


@dataclass(frozen=True)
class Interrupted:
    """What interrupted runs of earlier sessions left in the journal, as rows.

    `in_part` are the last trading days (`YYYYMMDD`) by symbol whose listing of the present session a killed run may have stored in part.
    """

    table: pa.Table
    coverage: pa.Table
    request_ids: set[int]
    in_part: dict[str, set[str]]


def interrupted_chains(archive: Archive, session: date, underlyings: Mapping[str, Instrument]) -> Interrupted:
    """Answers of earlier sessions that never reached the lake: those snapshots cannot be taken again, so what came of them is kept.

    Bad answers of `session` itself are among the `request_ids`: they answer nothing and are asked again in this run.
    """
    waiting = archive.recovered([OPTION_CHAINS.name])
    left = [result for result in waiting if result.request.session < session]
    bad = [result for result in waiting if result.quarantined is not None and result.request.session == session]
    in_part: dict[str, set[str]] = defaultdict(set)
    for result in bad:
        if isinstance(result.request, OptionListingRequest):
            in_part[result.request.symbol].add(result.request.instrument.last_trade)
    groups: dict[tuple[date, str], list[Result]] = defaultdict(list)
    for result in left:
        groups[result.request.session, result.request.symbol].append(result)
    view = archive.view(OPTION_CHAINS)
    under_con_ids = {symbol: underlying.con_id for symbol, underlying in underlyings.items()}
    tables, coverages = [OPTION_CHAINS.schema.empty_table()], [snapshot_coverage(OPTION_CHAINS.name, session, {}, archive.now)]
    for (then, symbol), results in sorted(groups.items()):
        if _complete(archive, [symbol], then):
            tables.append(_fresher(archive, then, [symbol], results))  # the rest is stored; the run died before it could tell the journal
            continue
        earlier = storable(OPTION_CHAINS, view.as_of([symbol], then))
        if earlier.num_rows and earlier["session"][0].as_py() > then:
            earlier = earlier.slice(0, 0)
        listings = [r.request.instrument.last_trade for r in results if isinstance(r.request, OptionListingRequest)]
        carried = sorted(set(earlier["last_trade"].to_pylist()) - set(listings)) if earlier.num_rows else []
        alive = [day for day in carried if day >= f"{then:%Y%m%d}"]
        table = pa.concat_tables([listing_rows(results, under_con_ids), carry_listing(earlier, alive, then, symbol=symbol)])
        quotes = [r for r in results if isinstance(r.request, QuoteRequest) and r.request.instrument.sec_type == "OPT"]
        chosen = {r.request.instrument.con_id for r in quotes} & set(table["con_id"].to_pylist())
        tables.append(with_quotes(with_selection(table, chosen), quotes))
        reason = {symbol: "The run of that session was interrupted; this is what had come."}
        coverages.append(snapshot_coverage(OPTION_CHAINS.name, then, {symbol: Outcome(OutcomeKind.COMPLETE)}, _moment(results), partial=reason))
    ids = {result.request_id for result in [*left, *bad]}
    return Interrupted(pa.concat_tables(tables), pa.concat_tables(coverages), ids, in_part)


def _complete(archive: Archive, symbols: Sequence[str], session: date) -> set[str]:
    """The symbols whose chain of the session lacks nothing, by what is recorded."""
    rows = archive.coverage.conditions(OPTION_CHAINS.name, "", symbols, session, session).to_pylist()
    return {row["symbol"] for row in rows if row["condition"] == Condition.COMPLETE}


def stored_answers(archive: Archive, session: date, symbols: Sequence[str]) -> tuple[set[int], pa.Table]:
    """Answers whose chain is complete in the lake: their run died between the write and telling the journal so.

    Also the rows of those that are not: a run that quoted a complete chain again died before it could write.
    """
    waiting = [result for result in archive.recovered([OPTION_CHAINS.name], symbols) if result.request.session == session]
    complete = _complete(archive, symbols, session) if waiting else set()
    stored = [result for result in waiting if result.request.symbol in complete]
    return {result.request_id for result in stored}, _fresher(archive, session, sorted(complete), stored)


def _fresher(archive: Archive, session: date, symbols: Sequence[str], results: Sequence[Result]) -> pa.Table:
    """The stored rows of the session to which one of the results is a later quote, with that quote."""
    quotes = [r for r in results if isinstance(r.request, QuoteRequest) and r.outcome.kind is OutcomeKind.COMPLETE]
    if not quotes:
        return OPTION_CHAINS.schema.empty_table()
    names = OPTION_CHAINS.schema.names
    stored = archive.view(OPTION_CHAINS).table(sessions=[session], symbols=symbols, columns=names, where="selected").cast(OPTION_CHAINS.schema)
    brought_by = dict(zip(stored["con_id"].to_pylist(), stored["request_id"].to_pylist(), strict=True))
    later = {r.request.instrument.con_id: r for r in quotes if r.request_id > brought_by.get(r.request.instrument.con_id, r.request_id)}
    rows = stored.filter(pc.is_in(stored["con_id"], pa.array(sorted(later), pa.int64())))
    return storable(OPTION_CHAINS, with_quotes(rows, without_worse(rows, later.values())))


def _moment(results: Sequence[Result]) -> datetime:
    return max(result.finished_at for result in results)
