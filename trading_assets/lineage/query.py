"""`LineageQueryEngine`: asks for the lineage of rows, requests, runs, partitions, symbols and assets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trading_assets.arguments import DATABASE_ID, one_con_id, stored_symbol
from trading_assets.arguments import bar_size as checked_bar_size
from trading_assets.arguments import session as checked_session
from trading_assets.arguments.days import Day
from trading_assets.errors import InvalidRequest
from trading_assets.lineage.dependencies import Dependencies, Dependency
from trading_assets.lineage.given_rows import given_row
from trading_assets.lineage.lake_rows import CURRENT, Found, Wanted, bars_of, find, naming, of_requests
from trading_assets.lineage.records import RequestRecord, RowLineage
from trading_assets.lineage.snapshots import dataset_of
from trading_assets.lineage.sources import DataSource, SourceType, find_sources
from trading_assets.lineage.tracing import RowTracer
from trading_assets.lineage.tracker import LineageTracker
from trading_assets.lineage.versions import OutOfDate, out_of_date
from trading_assets.lineage.views import (
    PartitionLineage,
    RequestLineage,
    RunLineage,
    group_bars,
    group_requests,
    group_rows,
)
from trading_assets.repositories.schemas import COVERAGE, DATASETS, OPTION_BARS


class LineageQueryEngine:
    """Questions about the lineage of one lake. Every answer is read anew; none is stored.

    Arguments as everywhere (see `trading_assets.arguments`). Raises `InvalidRequest` for what does not exist,
    `UnreadableFile` for a damaged file of the lake.
    """

    def __init__(self, tracker: LineageTracker) -> None:
        self.tracker = tracker

    def find_data_sources(self, source_type: str | SourceType | None = None) -> list[DataSource]:
        """The sources of one type (None: of all): `repository` the datasets, `broker` the kinds of requests, `asset`
        the assets; upstream ones first. Raises `InvalidRequest` for another type."""
        wanted = list(SourceType) if source_type is None else [SourceType.of(source_type)]
        return [source for each in wanted for source in find_sources(self.tracker, each)]

    def rows(
        self,
        dataset: str,
        *,
        symbol: str | None = None,
        session: Day | None = None,
        contract: int | str | None = None,
        bar_size: str | None = None,
        about: str | None = None,
    ) -> list[RowLineage]:
        """The lineage of the rows of a dataset, and of its superseded and withdrawn rows, that fit.

        `contract` is a contract id or local symbol. Of `coverage`, `about` is the dataset that a row speaks of.
        Without a symbol and a contract all rows of the session; one of them or the session must be given.
        """
        if symbol is None and session is None and contract is None:
            raise InvalidRequest("Say which rows: give symbol=, session= or contract=.")
        wanted = Wanted(
            _symbol(symbol),
            None if session is None else checked_session(session),
            contract if contract is None or isinstance(contract, str) else one_con_id(contract, "contract"),
            None if bar_size is None else checked_bar_size(bar_size),
            None if about is None else dataset_of(about).name,
        )
        return self.trace(find(self.tracker.settings.data_dir, dataset_of(dataset), wanted))

    def row(self, dataset: str, row: Any) -> RowLineage:
        """The lineage of one row, given by its columns: those of the dataset, or of its revisions. A mapping, or a row
        of a frame as `iloc`, `iterrows`, `itertuples` or `to_dict` give it."""
        return self.trace([given_row(dataset_of(dataset), row)])[0]

    def trace(self, rows: list[Found]) -> list[RowLineage]:
        """The lineage of rows that were read, in order; many at once cost little more than one."""
        return RowTracer(self.tracker).trace(rows)

    def request(self, request_id: int) -> RequestLineage:
        """From a request to the rows that it brought, its run, and what is in quarantine of its answer."""
        DATABASE_ID.whole(request_id, "request_id")
        requests = self.tracker.requests.requests([request_id])
        if request_id not in requests:
            rows = self._naming(request_id)
            notes = [self.tracker.requests.why_gone(request_id)]
            notes += [f"{len(rows)} row(s) of the lake name that number."] if rows else []
            return RequestLineage(None, None, group_rows(rows), [], rows, None, notes)
        request = requests[request_id]
        rows, strangers = self._rows_of([request])
        entry = self.tracker.requests.quarantined([request_id]).get(request_id)
        now = self.tracker.settings.clock()
        notes = []
        if strangers:
            notes.append(
                f"{strangers} row(s) of the lake name the number {request_id} and are not of this request: theirs was"
                " recorded in another state database."
            )
        if not rows and request.state == "done":
            notes.append("No row of the lake names it: " + _why_no_row(request))
        runs = self.tracker.history.runs([request.run_id])
        return RequestLineage(
            request,
            runs.get(request.run_id),
            group_rows(rows),
            group_bars(self._unnamed_daily(rows), OPTION_BARS.name),
            rows,
            entry.as_dict(now) if entry is not None else None,
            notes,
        )

    def run(self, run_id: str) -> RunLineage:
        """From a run (its id, or the beginning of it) to its requests, their rows, and the partitions it recorded."""
        requests = self.tracker.requests.of_run(run_id)
        run = self.tracker.history.runs([run_id])[run_id]
        if not requests and not run.found:
            why = " ".join(["Take its id from the UI or from a request.", *self.tracker.missing])
            raise InvalidRequest(f"Neither the journal nor Dagster has a record of run {run_id}. {why}")
        rows, _ = self._rows_of(requests, brief=True)
        notes = [sentence for sentence in (run.sentence, *self.tracker.missing) if sentence]
        partitions = self.tracker.history.partitions_of_run(run_id)
        return RunLineage(run, group_requests(requests), group_rows(rows), partitions, list(dict.fromkeys(notes)))

    def partition(self, asset: str, session: Day, *, symbol: str | None = None) -> PartitionLineage:
        """Which run and which requests made a partition of an asset, for all symbols or one."""
        dataset, day = dataset_of(asset), checked_session(session)
        name = _symbol(symbol)
        data_dir = self.tracker.settings.data_dir
        tracer = RowTracer(self.tracker)
        rows = [each for each in find(data_dir, dataset, Wanted(name, day), brief=True) if each.standing == CURRENT]
        known = find(data_dir, COVERAGE, Wanted(name, day, about=asset), brief=True) if dataset is not COVERAGE else []
        known = [each for each in known if each.standing == CURRENT]
        stored, recorded = tracer.origins(rows), tracer.origins(known)
        named = {**stored.requests, **recorded.requests}
        gone = sorted({*stored.gone, *recorded.gone})
        events = self.tracker.history.materializations(asset, day.isoformat())
        run_ids = {event.run_id for event in events} | {one.run_id for one in named.values()}
        notes = list(self.tracker.missing)
        if gone:
            notes.append(self.tracker.requests.why_gone(gone[0]))
        if not rows:
            conditions = ", ".join(sorted({str(each.row["condition"]) for each in known}))
            notes.append(f"The lake has no row of {asset} {day}: {conditions or 'nothing is recorded of it'}.")
        return PartitionLineage(
            asset,
            day,
            name,
            sum(each.count for each in rows),
            stored.counts,
            events,
            list(self.tracker.history.runs(run_ids).values()),
            group_requests(named.values()),
            gone,
            notes,
        )

    def upstream(self, asset: str, partition: Day | None = None, *, symbol: str | None = None) -> list[Dependency]:
        """What an asset, or a partition of it, was made from, upstream ones first; of one symbol or of all.

        Without a partition and with a symbol: the partitions that hold the symbol.
        """
        one, dependencies = self.tracker.graph.asset(asset), self._dependencies(symbol)
        if partition is None:
            return dependencies.of_asset(self.tracker.graph.upstream(asset))
        return dependencies.upstream(one, checked_session(partition, "partition"))

    def downstream(self, asset: str, partition: Day | None = None, *, symbol: str | None = None) -> list[Dependency]:
        """What depends on an asset, or on a partition of it: for a snapshot that changed, the partitions it touches."""
        one, dependencies = self.tracker.graph.asset(asset), self._dependencies(symbol)
        if partition is None:
            return dependencies.of_asset(self.tracker.graph.downstream(asset))
        return dependencies.downstream(one, checked_session(partition, "partition"))

    def out_of_date(self) -> list[OutOfDate]:
        """Partitions that another code version made, or that were made with another data version of their upstream."""
        return list(out_of_date(self.tracker))

    def _dependencies(self, symbol: str | None) -> Dependencies:
        return Dependencies(self.tracker, None if symbol is None else [stored_symbol(symbol)])

    def _rows_of(self, requests: list[RequestRecord], *, brief: bool = False) -> tuple[list[Found], int]:
        """The rows that name one of the requests, and how many name a number of theirs and mean another request."""
        found = of_requests(self.tracker.settings.data_dir, requests, brief=brief)
        tracer = RowTracer(self.tracker)
        named = {request.id: request for request in requests}
        mine = [each for each in found if tracer.named_by(each, named) is not None]
        return mine, len(found) - len(mine)

    def _naming(self, request_id: int) -> list[Found]:
        """All rows that name a number of which there is no record."""
        data_dir = self.tracker.settings.data_dir
        return [each for dataset in DATASETS.values() for each in naming(data_dir, dataset, request_id)]

    def _unnamed_daily(self, rows: list[Found]) -> list[Mapping[str, Any]]:
        """Daily option bars that are made of some of these bars and name the request of another one."""
        bars = [each.row for each in rows if each.dataset == OPTION_BARS.name and each.standing == CURRENT]
        named = {(row["con_id"], row["session"]) for row in bars if row["bar_size"] == "1 day"}
        left = [row for row in bars if (row["con_id"], row["session"]) not in named]
        return bars_of(self.tracker.settings.data_dir, left, daily=True)


def _symbol(given: str | None) -> str | None:
    """The symbol as rows have it; None stays None."""
    return None if given is None else stored_symbol(given)


def _why_no_row(request: RequestRecord) -> str:
    """What became of an answered request that no row names."""
    if request.outcome == "complete":
        return "its answer was equal to rows that were there, or later answers took their place."
    return f"it ended as {request.outcome}{f' ({request.text})' if request.text else ''}."
