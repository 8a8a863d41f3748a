"""Five years of an archive in bulk, for `benchmarks.lineage`: rows, the requests that brought them, and Dagster's
events."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import AssetEventTagsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from trading_assets.broker.journal_rows import request_values
from trading_assets.broker.requests import (
    BarsRequest,
    ContractDetailsRequest,
    OptionListingRequest,
    OptionParametersRequest,
    QuoteRequest,
    Request,
)
from trading_assets.instrument import Instrument
from trading_assets.permissions import private_folder
from trading_assets.repositories import LakeIdentity, ParquetStore
from trading_assets.repositories.schemas import (
    CONTRACTS,
    COVERAGE,
    DATASETS,
    EQUITY_BARS,
    INSTANT,
    OPTION_BARS,
    OPTION_CHAINS,
    Dataset,
)
from trading_assets.sessions import calendar
from trading_assets.settings import Settings
from trading_assets.state import connect_state, write_transaction
from trading_assets.state.tables import requests

SYMBOLS = ["AAPL", "AMZN", "GOOG", "JPM", "KO", "MSFT", "NVDA", "SPY", "TSLA", "XOM"]
ASSETS = {"contracts": 0, "option_chains": 0, "equity_bars": 1, "option_bars": 1}
"""Which of a session's two runs makes the asset."""

DETAILS_DAYS = 5
"""Sessions for which contract details and listings are carried forward."""


@dataclass(frozen=True)
class Ids:
    """The numbers of the requests for one symbol in one session: the first of the quotes and of the bars of options."""

    details: int
    parameters: int
    listing: int
    quotes: int
    equity: int
    bars: int


class Archive:
    """The archive of some sessions: where each request and row stands follows from symbol and session."""

    def __init__(self, settings: Settings, days: Sequence[date], contracts: int, listed: int) -> None:
        self.settings, self.days, self.contracts, self.listed = settings, list(days), contracts, listed
        self._position = {day: i for i, day in enumerate(self.days)}
        self._a_symbol = 4 + 2 * contracts
        self.run_ids = {day: (str(uuid.uuid4()), str(uuid.uuid4())) for day in self.days}

    def ids(self, symbol: str, day: date) -> Ids:
        """The numbers of the requests; of what is carried forward, those of the session that asked."""
        first, asked = self._first(symbol, day), self._first(symbol, self.asked(day))
        return Ids(asked, first + 1, asked + 2, first + 3, first + 3 + self.contracts, first + 4 + self.contracts)

    def asked(self, day: date) -> date:
        """The session in which contract details and listing were asked for."""
        return self.days[self._position[day] // DETAILS_DAYS * DETAILS_DAYS]

    def con_ids(self, symbol: str, day: date) -> np.ndarray:
        """The listed contracts, the selected ones first: others every quarter."""
        quarter = self._position[day] // 60
        return 10**8 + SYMBOLS.index(symbol) * 10**7 + quarter * 10**4 + np.arange(self.listed)

    def ended(self, request_id: int, day: date) -> datetime:
        """When a request ended."""
        return calendar().closes_at(day) + timedelta(milliseconds=request_id % 3_600_000)

    def fill(self) -> tuple[int, int]:
        """Write rows and requests; how many."""
        private_folder(self.settings.data_dir)
        LakeIdentity(self.settings.data_dir).pin("paper")
        store, rows = ParquetStore(self.settings.data_dir), 0
        by_month: dict[str, list[date]] = defaultdict(list)
        for day in self.days:
            by_month[f"{day:%Y-%m}"].append(day)
        for days in by_month.values():
            for dataset, tables in self._rows(days).items():
                table = pa.concat_tables(tables)
                store.upsert(DATASETS[dataset], table)
                rows += table.num_rows
        return rows, self._journal()

    def _first(self, symbol: str, day: date) -> int:
        return 1 + (self._position[day] * len(SYMBOLS) + SYMBOLS.index(symbol)) * self._a_symbol

    def _rows(self, days: Sequence[date]) -> dict[str, list[pa.Table]]:
        tables: dict[str, list[pa.Table]] = defaultdict(list)
        for day in days:
            for symbol in SYMBOLS:
                for dataset, table in self._rows_of(symbol, day):
                    tables[dataset.name].append(table)
        return tables

    def _rows_of(self, symbol: str, day: date) -> Iterator[tuple[Dataset, pa.Table]]:
        ids, chosen, many = self.ids(symbol, day), self.con_ids(symbol, day)[: self.contracts], self.contracts
        each = np.arange(many)
        at = [self.ended(int(number), day) for number in ids.bars + each]
        asked = self.asked(day)
        close = calendar().opens_at(day)
        common: dict[str, Any] = {"session": day, "symbol": symbol}
        origin = {"request_id": ids.details, "collected_at": self.ended(ids.details, asked)}
        yield CONTRACTS, table_of(CONTRACTS, 1, {**common, **origin, "con_id": 1 + SYMBOLS.index(symbol)})
        listing, quoted = self.ended(ids.listing, asked), [self.ended(int(n), day) for n in ids.quotes + each]
        unquoted = self.listed - many
        yield (
            OPTION_CHAINS,
            table_of(
                OPTION_CHAINS,
                self.listed,
                {
                    **common,
                    **self._terms(symbol, day, self.listed),
                    "currency": "USD",
                    "under_con_id": 1 + SYMBOLS.index(symbol),
                    "listed_at": listing,
                    "selected": [True] * many + [False] * unquoted,
                    "quote_outcome": ["complete"] * many + [None] * unquoted,
                    "quoted_at": [*quoted, *[None] * unquoted],
                    "collected_at": [*quoted, *[listing] * unquoted],
                    "request_id": [*(ids.quotes + each).tolist(), *[ids.listing] * unquoted],
                },
            ),
        )
        origin = {"request_id": ids.equity, "collected_at": self.ended(ids.equity, day), "start": close}
        equity = {**common, **origin, "bar_size": "1 day", "con_id": 1 + SYMBOLS.index(symbol)}
        yield EQUITY_BARS, table_of(EQUITY_BARS, 1, equity)
        for size in ("1 day", "8 hours"):
            bars = {"start": close, "bar_size": size, "collected_at": at, "request_id": ids.bars + each}
            yield (
                OPTION_BARS,
                table_of(OPTION_BARS, many, {**common, **self._terms(symbol, day, many), **bars}),
            )
        yield (
            COVERAGE,
            table_of(
                COVERAGE,
                many,
                {
                    **common,
                    "dataset": "option_bars",
                    "bar_size": "8 hours",
                    "con_id": chosen,
                    "condition": "complete",
                    "collected_at": at,
                    "request_id": ids.bars + each,
                },
            ),
        )

    def _terms(self, symbol: str, day: date, count: int) -> dict[str, Any]:
        expiry = self._expiry(day)
        strikes = 100.0 + np.arange(count)
        names = [f"{symbol:<6}{expiry:%y%m%d}C{int(strike * 1000):08d}" for strike in strikes]
        return {
            "con_id": self.con_ids(symbol, day)[:count],
            "local_symbol": names,
            "expiry": expiry,
            "last_trade": f"{expiry:%Y%m%d}",
            "strike": strikes,
            "right": "C",
            "multiplier": 100.0,
            "exchange": "SMART",
        }

    def _expiry(self, day: date) -> date:
        return self.days[min(len(self.days) - 1, (self._position[day] // 60 + 1) * 60 - 1)]

    def _journal(self) -> int:
        engine, count = connect_state(self.settings.state_url), 0
        with write_transaction(engine) as connection:
            for day in self.days:
                values = [row for symbol in SYMBOLS for row in self._requests(symbol, day)]
                connection.execute(requests.insert(), values)
                count += len(values)
        return count

    def _requests(self, symbol: str, day: date) -> Iterator[dict[str, Any]]:
        ids, stock = self.ids(symbol, day), Instrument(symbol, con_id=1 + SYMBOLS.index(symbol))
        end, snapshot, bars = calendar().closes_at(day), *self.run_ids[day]
        terms = self._terms(symbol, day, self.contracts)
        options = [
            Instrument(
                symbol,
                "OPT",
                con_id=int(terms["con_id"][i]),
                last_trade=terms["last_trade"],
                strike=float(terms["strike"][i]),
                right="C",
                multiplier="100",
                local_symbol=terms["local_symbol"][i],
                trading_class=symbol,
            )
            for i in range(self.contracts)
        ]
        span = {"first_session": day, "end": end, "duration": "1 D"}
        if self.asked(day) == day:
            yield self._request(ids.details, ContractDetailsRequest(Instrument(symbol), day), snapshot)
            expiry = Instrument(symbol, "OPT", last_trade=terms["last_trade"])
            yield self._request(ids.listing, OptionListingRequest(expiry, day), snapshot)
        yield self._request(ids.parameters, OptionParametersRequest(stock, day), snapshot)
        yield self._request(ids.equity, BarsRequest(stock, day, **span), bars)
        for i, option in enumerate(options):
            yield self._request(ids.quotes + i, QuoteRequest(option, day, generic_ticks="100,101,106"), snapshot)
            yield self._request(ids.bars + i, BarsRequest(option, day, bar_size="8 hours", **span), bars)

    def _request(self, number: int, request: Request, run_id: str) -> dict[str, Any]:
        at = self.ended(number, request.session).timestamp()
        return {
            "id": number,
            **request_values(request),
            "owner": "benchmark",
            "run_id": run_id,
            "state": "done",
            "attempt": 1,
            "outcome": "complete",
            "text": "",
            "rows": 1,
            "claimed_at": at - 1,
            "sent_at": at - 0.5,
            "finished_at": at,
            "duration": 0.5,
            "answer_bytes": 240,
            "applied_at": calendar().closes_at(request.session).timestamp() + 3700,
        }


def table_of(dataset: Dataset, count: int, given: dict[str, Any]) -> pa.Table:
    """Rows of a dataset: single values are repeated, columns that are not given are null, empty or 1."""
    columns = []
    for field in dataset.schema:
        value = given.get(field.name, _plain(field))
        several = isinstance(value, list | np.ndarray)
        columns.append(pa.array(value, field.type) if several else pa.repeat(pa.scalar(value, field.type), count))
    return pa.Table.from_arrays(columns, schema=dataset.schema)


def _plain(field: pa.Field) -> Any:
    if field.nullable:
        return None
    if field.type == pa.string():
        return ""
    return datetime(2020, 1, 2, tzinfo=UTC) if field.type == INSTANT else 1


def record_runs(instance: dg.DagsterInstance, archive: Archive) -> int:
    """Write the runs and their events straight into Dagster's tables; how many events."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    rows = dg.MetadataValue.md("| session | symbol | close |\n" + "| 2025-11-24 | AAPL | 170.35 |\n" * 150)
    count, tags = 0, []
    for day in archive.days:
        for run_id in archive.run_ids[day]:
            instance.add_run(dg.DagsterRun("daily_update", run_id=run_id, status=dg.DagsterRunStatus.SUCCESS))
    with storage.index_connection() as connection:
        for day in archive.days:
            at = calendar().closes_at(day).timestamp() + 3800
            for asset, which in ASSETS.items():
                for event in _events(asset, day, archive.run_ids[day][which], at, rows):
                    inserted = connection.execute(storage.prepare_insert_event(event))
                    count += 1
                tags.append(_tag(asset, inserted.inserted_primary_key[0], at))
        connection.execute(AssetEventTagsTable.insert(), tags)
    return count


def _events(asset: str, day: date, run_id: str, at: float, rows: Any) -> Iterator[EventLogEntry]:
    """What a run leaves of an asset in the log of all runs: a planned materialization, and the materialization."""
    versions = {"dagster/code_version": "1", "dagster/data_version": "1"}
    versions |= {f"dagster/input_data_version/{name}": "1" for name in ASSETS if name != asset}
    metadata = {"dagster/partition_row_count": 400, "last_rows": rows}
    made = dg.AssetMaterialization(asset, partition=day.isoformat(), metadata=metadata, tags=versions)
    planned = AssetMaterializationPlannedData(dg.AssetKey(asset), partition=day.isoformat())
    for kind, data in (
        (dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, planned),
        (dg.DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(made)),
    ):
        inner = DagsterEvent(kind.value, job_name="daily_update", step_key=asset, event_specific_data=data)
        yield EventLogEntry(None, 10, "", run_id, at, asset, "daily_update", inner)


def _tag(asset: str, event_id: int, at: float) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "asset_key": dg.AssetKey(asset).to_string(),
        "key": "dagster/data_version",
        "value": "1",
        "event_timestamp": datetime.fromtimestamp(at, UTC).replace(tzinfo=None),
    }
