"""From rows of the lake to their requests, runs and partitions: many rows with few reads of each source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from trading_assets.broker.requests import OptionListingRequest
from trading_assets.instrument import Instrument
from trading_assets.lineage.history import first_since
from trading_assets.lineage.lake_rows import Found, bars_of
from trading_assets.lineage.origin import belongs, explain, origin_of, request_notes, standing_note
from trading_assets.lineage.records import Materialization, Origin, RequestRecord, RowLineage
from trading_assets.lineage.streamed import stream_of, streams_of
from trading_assets.lineage.tracker import LineageTracker
from trading_assets.planning.instruments import OPTION_EXCHANGE
from trading_assets.repositories import LakeIdentity
from trading_assets.repositories.schemas import CONTRACTS, COVERAGE, OPTION_CHAINS, QUALITY_METRICS
from trading_assets.sessions import calendar

_CLOCKS_APART = timedelta(seconds=2)
"""How much the clock of a database server may be ahead of the machine's that recorded the materialization."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Rows by origin, the most frequent first; the requests that they name; the numbers of those without a record."""

    counts: dict[str, int]
    requests: dict[int, RequestRecord]
    gone: list[int]


_TWO_RUNS = (
    "Run {} recorded the partition, and run {} sent the request: that one was interrupted before it could, its record"
    " was deleted, or the session was not complete then."
)


class RowTracer:
    """Traces rows of one tracker's lake."""

    def __init__(self, tracker: LineageTracker) -> None:
        self._tracker = tracker
        self._data_dir = tracker.settings.data_dir
        self._replayed = (LakeIdentity(self._data_dir).read() or "").startswith("simulated")
        self._former: dict[str, tuple[str, ...]] = {}
        self._listings: dict[tuple[str, str, date], list[RequestRecord]] = {}

    def trace(self, rows: Sequence[Found]) -> list[RowLineage]:
        """The lineage of each row, in order."""
        named = self._tracker.requests.requests(
            number for each in rows for number in (each.row["request_id"], each.row.get("superseded_by") or 0)
        )
        requests = [self.named_by(each, named) for each in rows]
        streams = streams_of(self._data_dir, rows)
        origins = [
            origin_of(each, request, stream_of(each, streams)) for each, request in zip(rows, requests, strict=True)
        ]
        aggregated = [each.row for each, origin in zip(rows, origins, strict=True) if origin is Origin.AGGREGATED]
        finer: dict[tuple[int, date], list[Mapping[str, Any]]] = defaultdict(list)
        for bar in bars_of(self._data_dir, aggregated, daily=False):
            finer[bar["con_id"], bar["session"]].append(bar)
        events = self._materializations(rows)
        bad = self._tracker.requests.quarantined(request.id for request in requests if request is not None)
        traced = []
        for each, request, origin in zip(rows, requests, origins, strict=True):
            row = each.row
            gone = self._tracker.requests.why_gone(row["request_id"]) if origin is Origin.REQUEST_GONE else ""
            bars = finer[row["con_id"], row["session"]] if origin is Origin.AGGREGATED else []
            notes = [standing_note(each)] if each.standing != "current" else []
            notes += request_notes(each, request) if request is not None else []
            if request is not None and (entry := bad.get(request.id)) is not None:
                notes.append(
                    f"A part of that answer is in quarantine (entry {entry.id}: {entry.reason}); what is stored of it"
                    " passed the examination."
                )
            recorded, sentence = self._recorded(each, origin, request, events)
            notes += [sentence] if sentence else []
            traced.append(
                RowLineage(
                    dataset=each.dataset,
                    row=row,
                    standing=each.standing,
                    origin=origin,
                    explanation=explain(each, origin, request, bars, gone, stream_of(each, streams)),
                    request_id=row["request_id"],
                    request=request,
                    replaced_by=self._replacing(each, named),
                    listing=self._listing(each, origin),
                    recorded_by=recorded,
                    notes=notes,
                )
            )
        return self._with_runs(traced)

    def origins(self, rows: Sequence[Found]) -> Origins:
        """What many rows are and which requests they name, without the lineage of each."""
        named = self._tracker.requests.requests(each.row["request_id"] for each in rows)
        streams = streams_of(self._data_dir, rows)
        counts, found, gone = Counter[str](), dict[int, RequestRecord](), set[int]()
        for each in rows:
            request = self.named_by(each, named)
            origin = origin_of(each, request, stream_of(each, streams))
            counts[origin.value] += each.count
            if request is not None:
                found[request.id] = request
            elif origin is Origin.REQUEST_GONE:
                gone.add(each.row["request_id"])
        return Origins(dict(counts.most_common()), found, sorted(gone))

    def named_by(self, found: Found, named: Mapping[int, RequestRecord]) -> RequestRecord | None:
        """The request that a row names, among those with their numbers; None where that is another one."""
        request = named.get(found.row["request_id"])
        if request is None:
            return None
        symbol = found.row["symbol"]
        former = () if request.symbol == symbol else self._former_symbols(symbol)
        return request if belongs(found, request, replayed=self._replayed, symbols=former) else None

    def _replacing(self, found: Found, named: Mapping[int, RequestRecord]) -> RequestRecord | None:
        """The request of the row that took the place of a superseded one."""
        row = found.row
        if not row.get("superseded_by"):
            return None
        there = {**row, "request_id": row["superseded_by"], "collected_at": row["superseded_at"]}
        return self.named_by(replace(found, row=there), named)

    def _former_symbols(self, symbol: str) -> tuple[str, ...]:
        """The symbols under which a series was asked for before it had this one: those of its contract details."""
        if symbol not in self._former:
            sql = "select distinct request_id from contracts where symbol = $symbol and request_id > 0"
            ids = self._tracker.lake.query(sql, {"symbol": symbol})["request_id"].to_pylist()
            details = self._tracker.requests.requests(ids).values()
            self._former[symbol] = tuple(
                {one.symbol for one in details if one.dataset == CONTRACTS.name} | {symbol.partition("@")[0]}
            )
        return self._former[symbol]

    def _materializations(self, rows: Iterable[Found]) -> dict[tuple[str, str | None], list[Materialization]]:
        wanted = {_partition(each) for each in rows}
        return {key: self._tracker.history.materializations(*key) for key in sorted(wanted, key=str)}

    def _recorded(
        self,
        found: Found,
        origin: Origin,
        request: RequestRecord | None,
        events: Mapping[tuple[str, str | None], list[Materialization]],
    ) -> tuple[Materialization | None, str]:
        """The materialization that stands for the row, or a sentence that says why there is none."""
        asset, partition = _partition(found)
        what = f"{asset} {partition}" if partition else asset
        if origin is Origin.SAVED:
            return None, ""
        known = events[asset, partition]
        if not known:
            return None, self._tracker.history.missing or (
                f"Dagster has no materialization of {what}: the partition is not complete yet, or its record was"
                " deleted."
            )
        if request is None or request.applied_at is None:
            return known[0], ""
        recorded = first_since(known, request.applied_at - _CLOCKS_APART)
        if recorded is None:
            return None, f"Dagster has no materialization of {what} since the answer was stored."
        apart = origin in (Origin.ANSWER, Origin.AGGREGATED) and recorded.run_id != request.run_id
        return recorded, _TWO_RUNS.format(recorded.run_id, request.run_id) if apart and request.run_id else ""

    def _listing(self, found: Found, origin: Origin) -> RequestRecord | None:
        """The request that listed the contract of a quoted chain row."""
        row = found.row
        if found.dataset != OPTION_CHAINS.name or origin is not Origin.ANSWER or row["quote_outcome"] is None:
            return None
        session = calendar().current(row["listed_at"])
        key = row["symbol"], row.get("listed_expiry") or row["last_trade"], session
        if key not in self._listings:
            expiry = Instrument(row["symbol"], "OPT", OPTION_EXCHANGE, row["currency"], last_trade=key[1])
            self._listings[key] = self._tracker.requests.by_keys([OptionListingRequest(expiry, session).key])
        answered = self._listings[key]
        exact = [one for one in answered if one.finished_at == row["listed_at"]]
        return next(reversed(exact or answered), None)

    def _with_runs(self, traced: list[RowLineage]) -> list[RowLineage]:
        ids = [one.request.run_id for one in traced if one.request is not None]
        ids += [one.recorded_by.run_id for one in traced if one.recorded_by is not None]
        runs = self._tracker.history.runs(ids)
        return [
            replace(
                one,
                requested_by=runs.get(one.request.run_id) if one.request is not None else None,
                partition_run=runs.get(one.recorded_by.run_id) if one.recorded_by is not None else None,
            )
            for one in traced
        ]


def _partition(found: Found) -> tuple[str, str | None]:
    """Asset and partition of a row; measures of quality are in no partition."""
    if found.dataset == QUALITY_METRICS.name:
        return found.dataset, None
    asset = found.row["dataset"] if found.dataset == COVERAGE.name else found.dataset
    return asset, found.row["session"].isoformat()
