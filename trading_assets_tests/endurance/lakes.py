"""What the tests read of a lake: its rows, what is broken in it, which questions its journal holds an answer to. Not a
test."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from dagster import DagsterRunStatus, RunsFilter

from trading_assets.broker.outcomes import OutcomeKind
from trading_assets.errors import LakeBusy
from trading_assets.repositories import ParquetStore
from trading_assets.repositories.files import LOCKS, locked
from trading_assets.repositories.merge import revisions_of
from trading_assets.repositories.schemas import (
    COVERAGE,
    DATASETS,
    LIVE_DATASETS,
    POSITION_CHANGES,
    POSITION_SNAPSHOTS,
    QUALITY_METRICS,
)
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings
from trading_assets.simulator.counters import LoggedRequest
from trading_assets.simulator.requests import DATA_KINDS
from trading_assets.state import connect_state
from trading_assets.state.tables import requests

Question = tuple[str, str]
"""Kind of request in the simulator's words, and the contract id or else the contract in words."""

_KINDS = {
    "contract_details": "contract_details",
    "option_listing": "contract_details",
    "option_parameters": "option_parameters",
    "quote": "market_data",
    "bars": "historical_data",
}

NOT_COLLECTED = {COVERAGE.name, QUALITY_METRICS.name, *(POSITION_SNAPSHOTS.name, POSITION_CHANGES.name)} | {
    dataset.name for dataset in LIVE_DATASETS
}
"""Datasets that no collection writes partitions of."""

ASSETS = tuple(name for name in DATASETS if name not in NOT_COLLECTED)


def contents(folder: Path) -> dict[str, pa.Table]:
    """The rows of every dataset and of its revisions, without the number of the request that brought them."""
    store = ParquetStore(folder)
    tables = {dataset.name: store.read(dataset) for dataset in DATASETS.values()}
    tables |= {f"revisions of {dataset.name}": store.read(revisions_of(dataset)) for dataset in DATASETS.values()}
    keys = {name: DATASETS[name.removeprefix("revisions of ")].key for name in tables}
    return {
        name: table.drop_columns(["request_id"]).sort_by([(key, "ascending") for key in keys[name]])
        for name, table in tables.items()
    }


def difference(folder: Path, other: dict[str, pa.Table], *, revisions: bool = True) -> list[str]:
    """How the lake differs from the contents of another, in words; empty when it does not. `revisions` counts
    superseded rows too."""
    found = []
    for name, rows in contents(folder).items():
        if rows.equals(other[name]) or (not revisions and name.startswith("revisions")):
            continue
        mine, theirs = (Counter(map(repr, table.to_pylist())) for table in (rows, other[name]))
        found.append(
            f"{name}: {list((mine - theirs).elements())[:3]} in place of {list((theirs - mine).elements())[:3]}"
        )
    return found


def broken(folder: Path) -> list[str]:
    """What a killed process may have left: temporary files, held locks, files that cannot be read. Empty when all is
    well."""
    found = [f"temporary file {path.relative_to(folder)}" for path in folder.rglob("*.tmp")]
    locks = folder / LOCKS
    for path in locks.rglob("*.lock"):
        try:
            with locked(folder, path.relative_to(locks).as_posix().removesuffix(".lock"), 0):
                pass
        except LakeBusy:
            found.append(f"lock {path.relative_to(folder)} is held")
    for path in folder.rglob("*.parquet"):
        pq.ParquetFile(path).read()
    with closing(sqlite3.connect(folder / "state.db")) as connection:
        found += [f"state database: {row[0]}" for row in connection.execute("pragma quick_check") if row[0] != "ok"]
        answers = ", ".join(f"'{kind.value}'" for kind in OutcomeKind if kind.answers)
        left = f"select count(*) from requests where state <> 'done' or (applied_at is null and outcome in ({answers}))"
        count = connection.execute(left).fetchone()[0]
        found += [f"{count} journalled requests without an end in the lake"] if count else []
    return found


def broken_runs(settings: Settings) -> list[str]:
    """Runs that never end and places in the pool that are never given back, as Dagster tells them."""
    unfinished = [
        DagsterRunStatus.NOT_STARTED,
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
        DagsterRunStatus.CANCELING,
    ]
    with dagster_instance(settings) as instance:
        found = [
            f"run {run.run_id} is {run.status.value} for ever"
            for run in instance.get_runs(RunsFilter(statuses=unfinished))
        ]
        storage = instance.event_log_storage
        for key in storage.get_concurrency_keys():
            found += [
                f"pool {key}: place held by run {slot.run_id}"
                for slot in storage.get_concurrency_info(key).claimed_slots
            ]
    return found


def partitions(settings: Settings) -> dict[str, set[str]]:
    """The partitions that Dagster knows as materialized, by asset."""
    with dagster_instance(settings) as instance:
        return {name: instance.get_materialized_partitions(dg.AssetKey(name)) for name in ASSETS}


def answered(folder: Path) -> set[Question]:
    """The questions whose answer the journal in the folder holds or has given to the lake."""
    file = folder / "state.db"
    if not file.exists():
        return set()
    with closing(sqlite3.connect(file)) as connection:
        if not connection.execute("select name from sqlite_master where name = 'requests'").fetchone():
            return set()
        return _answered(connection.execute("select kind, record, outcome from requests where state = 'done'"))


def answered_on_server(settings: Settings) -> set[Question]:
    """The same of a journal on a database server."""
    ended = sa.select(requests.c.kind, requests.c.record, requests.c.outcome).where(requests.c.state == "done")
    with connect_state(settings.state_url).connect() as connection:
        return _answered((row.kind, row.record, row.outcome) for row in connection.execute(ended))


def _answered(ended: Iterable[tuple[str, str, str]]) -> set[Question]:
    answers = {kind.value for kind in OutcomeKind if kind.answers}
    return {
        _question_of(kind, json.loads(record)["instrument"]) for kind, record, outcome in ended if outcome in answers
    }


def _question_of(kind: str, instrument: dict[str, str]) -> Question:
    words = f"{instrument['symbol']} {instrument.get('sec_type', 'STK')} {instrument.get('last_trade', '')}".strip()
    return _KINDS[kind], str(instrument.get("con_id") or words)


def instants(settings: Settings) -> list[float]:
    """All instants in the journal."""
    columns = (requests.c[name] for name in ("claimed_at", "sent_at", "finished_at", "applied_at"))
    with connect_state(settings.state_url).connect() as connection:
        return [at for row in connection.execute(sa.select(*columns)) for at in row if at is not None]


def unfinished(settings: Settings) -> int:
    """Requests without an end, or whose answer is not in the lake."""
    left = (requests.c.state != "done") | (requests.c.applied_at.is_(None) & requests.c.response.is_not(None))
    with connect_state(settings.state_url).connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(requests).where(left)).scalar_one()


def asked(log: list[LoggedRequest]) -> Counter[Question]:
    """How often each question reached the simulator."""
    return Counter((entry.kind, _subject(entry.subject)) for entry in log if entry.kind in DATA_KINDS)


def _subject(words: str) -> str:
    con_id, colon, _ = words.partition(":")
    return con_id if colon else " ".join(word for word in words.split() if word not in ("SMART", "CBOE"))
