"""Dagster's record as lineage reads it: runs and materializations, by index, never the whole event log.

Both storages are Dagster's own interfaces, so that SQLite and PostgreSQL answer alike. A record that is not there is
not made: `missing` says so, and every answer is empty then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import dagster as dg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from trading_assets.errors import HistoryUnavailable, StateMismatch
from trading_assets.lineage.records import Materialization, RunRecord
from trading_assets.resources.dagster_private import (
    RunStorage,
    SqlEventLogStorage,
    SqlEventLogStorageTable,
    event_logs_directory,
    runs_directory,
)
from trading_assets.resources.history_folder import history_folder
from trading_assets.resources.history_place import refuse_second
from trading_assets.resources.storage import CompactEventLogStorage, CompactRunStorage
from trading_assets.settings import Settings
from trading_assets.state.records import instant

MOST_EVENTS = 1000
"""Materializations of one partition that are read at most, the newest."""

_CODE, _DATA, _INPUT = "dagster/code_version", "dagster/data_version", "dagster/input_data_version/"


_P = ParamSpec("_P")
_T = TypeVar("_T")


def _answered(
    method: Callable[Concatenate[DagsterHistory, _P], _T],
) -> Callable[Concatenate[DagsterHistory, _P], _T]:
    """The method with the errors of a server that went away since it was opened as `HistoryUnavailable`."""

    @wraps(method)
    def asked(self: DagsterHistory, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if not self._server:
            return method(self, *args, **kwargs)
        from trading_assets.resources.history_database import answering  # late: the modules of PostgreSQL

        with answering(self._server):
            return method(self, *args, **kwargs)

    return asked


class DagsterHistory:
    """Runs and materializations of an instance, by default of that of the data folder. Where they are on a server that
    went away since, each question raises `HistoryUnavailable`."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance | None = None) -> None:
        self.missing = ""
        self._events: SqlEventLogStorage | None = None
        self._runs: RunStorage | None = None
        self._own = instance is None
        self._server = ""  # URL of the history that was opened here
        if instance is not None:
            events = instance.event_log_storage
            if not isinstance(events, SqlEventLogStorage):
                raise ValueError(
                    f"Lineage reads Dagster's events from an SQL database, and {type(events).__name__} is none: give an"
                    " instance on SQLite or PostgreSQL."
                )
            self._events, self._runs = events, instance.run_storage
        else:
            self._open(settings)

    def close(self) -> None:
        """Close the databases that were opened here."""
        if self._own:
            for storage in (self._events, self._runs):
                if storage is not None:
                    storage.dispose()
        self._events = self._runs = None

    @_answered
    def materializations(self, asset: str, partition: str | None) -> list[Materialization]:
        """Materializations of a partition (None: of an asset without partitions), the newest first."""
        if self._events is None:
            return []
        key = dg.AssetKey(asset)
        wanted = dg.AssetRecordsFilter(key, asset_partitions=[partition]) if partition is not None else key
        records = self._events.fetch_materializations(wanted, limit=MOST_EVENTS if partition is not None else 1).records
        return [_materialization(record) for record in records if record.asset_materialization is not None]

    @_answered
    def recorded(self, asset: str) -> dict[str, int]:
        """The storage id of the newest materialization of each partition of an asset."""
        if self._events is None:
            return {}
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION
        return dict(self._events.get_latest_storage_id_by_partition(dg.AssetKey(asset), kind))

    @_answered
    def data_versions(self, asset: str) -> dict[str, str]:
        """The data version in the newest materialization of each partition, where it has one."""
        if self._events is None:
            return {}
        found = self._events.get_latest_tags_by_partition(
            dg.AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION, [_DATA]
        )
        return {partition: tags[_DATA] for partition, tags in found.items() if _DATA in tags}

    @_answered
    def events(self, asset: str, storage_ids: Iterable[int]) -> list[Materialization]:
        """Materializations of an asset by their storage ids."""
        ids = sorted(storage_ids)
        if self._events is None:
            return []
        found: list[Materialization] = []
        for begin in range(0, len(ids), MOST_EVENTS // 2):
            chosen = dg.AssetRecordsFilter(dg.AssetKey(asset), storage_ids=ids[begin : begin + MOST_EVENTS // 2])
            found += map(_materialization, self._events.fetch_materializations(chosen, limit=MOST_EVENTS).records)
        return found

    @_answered
    def newest(self, asset: str) -> Materialization | None:
        """The newest materialization of an asset, of whatever partition."""
        if self._events is None:
            return None
        records = self._events.fetch_materializations(dg.AssetKey(asset), limit=1).records
        return _materialization(records[0]) if records else None

    @_answered
    def partitions_of_run(self, run_id: str) -> dict[str, list[str]]:
        """The partitions of each asset that a run recorded, in order (none of an asset without partitions)."""
        if self._events is None:
            return {}
        t, found = SqlEventLogStorageTable, defaultdict(set)
        materialized = t.c.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
        query = sa.select(t.c.asset_key, t.c.partition).where(t.c.run_id == run_id, materialized)
        # the log of all runs: to look into that of the run would make one where it was deleted
        with self._events.index_connection() as connection:
            for key, partition in connection.execute(query):
                asset = dg.AssetKey.from_db_string(key)
                if asset is not None:
                    found[asset.path[-1]].add(partition)
        return {asset: sorted(filter(None, partitions)) for asset, partitions in sorted(found.items())}

    @_answered
    def runs(self, run_ids: Iterable[str]) -> dict[str, RunRecord]:
        """Runs by id. One without a record is there all the same, and says so."""
        ids = sorted({run_id for run_id in run_ids if run_id})
        records: dict[str, RunRecord] = {}
        for begin in range(0, len(ids) if self._runs is not None else 0, MOST_EVENTS // 2):
            assert self._runs is not None
            chosen = dg.RunsFilter(run_ids=ids[begin : begin + MOST_EVENTS // 2])
            for record in self._runs.get_run_records(chosen):
                run = record.dagster_run
                records[run.run_id] = RunRecord(
                    run.run_id,
                    True,
                    run.job_name,
                    run.status.value.lower(),
                    instant(record.start_time),
                    instant(record.end_time),
                )
        return {
            run_id: records.get(run_id) or RunRecord(run_id, False, sentence=self._no_run(run_id)) for run_id in ids
        }

    def _no_run(self, run_id: str) -> str:
        return f"Run {run_id} is not in Dagster's record. {self.missing or 'It was deleted there.'}"

    def _open(self, settings: Settings) -> None:
        if settings.dagster_database_url is None:
            self._open_files(settings)
        else:
            self._open_server(settings, settings.dagster_database_url)

    def _open_server(self, settings: Settings, url: str) -> None:
        from trading_assets.resources.history_database import place, reading  # late: the modules of PostgreSQL
        from trading_assets.resources.postgresql_storage import readers

        try:
            with reading(settings, url) as connection:
                if connection is not None:
                    self._events, self._runs = readers(url)
                    self._server = url
                else:
                    self.missing = (
                        f"Dagster's record in {place(url)} is not made yet: which run wrote a partition is not known."
                        " trading-assets doctor --fix records the partitions that the lake has."
                    )
        except (HistoryUnavailable, StateMismatch) as error:
            self.missing = str(error)

    def _open_files(self, settings: Settings) -> None:
        home = str(history_folder(settings))
        events, runs = event_logs_directory(home), runs_directory(home)
        try:
            refuse_second(history_folder(settings))
            if (history_folder(settings) / "history" / "runs" / "index.db").is_file():
                self._events = CompactEventLogStorage(events)
                with self._events.index_connection():  # a damaged file is found here, and not by the first question
                    pass
            if (history_folder(settings) / "history" / "runs.db").is_file():
                self._runs = CompactRunStorage.from_local(runs)
                self._runs.get_run_records(limit=1)
        except HistoryUnavailable as error:
            self.missing = str(error)
            return
        except SQLAlchemyError as error:
            self.close()
            self.missing = (
                f"Dagster's record under {home} cannot be read ({str(error).partition(chr(10))[0]}): put it back from a"
                " backup."
            )
            return
        gone = [
            name
            for name, storage in (("index.db (events)", self._events), ("runs.db (runs)", self._runs))
            if storage is None
        ]
        if gone:
            self.missing = (
                f"Dagster's record under {home} lacks {' and '.join(gone)}: which run wrote a partition is not known,"
                " or only in part. Put it back from a backup; the lake and the journal are not concerned."
            )


def first_since(found: Iterable[Materialization], instant: datetime) -> Materialization | None:
    """The earliest of some materializations at or after an instant."""
    later = [one for one in found if one.at >= instant]
    return min(later, key=lambda one: one.storage_id, default=None)


def _materialization(record: dg.EventLogRecord) -> Materialization:
    event = record.asset_materialization
    assert event is not None
    tags: Mapping[str, str] = event.tags or {}
    rows = event.metadata.get("dagster/partition_row_count")
    return Materialization(
        storage_id=record.storage_id,
        asset=event.asset_key.path[-1],
        partition=event.partition or "",
        run_id=record.run_id,
        at=datetime.fromtimestamp(record.timestamp, UTC),
        code_version=tags.get(_CODE, ""),
        data_version=tags.get(_DATA, ""),
        rows=None if rows is None else int(str(rows.value)),
        input_versions={name.removeprefix(_INPUT): value for name, value in tags.items() if name.startswith(_INPUT)},
    )
