"""From a row to its request, run, partition and code version, and back to the row: a thousand rows of all datasets."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from trading_assets.lineage import LineageQueryEngine
from trading_assets.lineage.lake_rows import CURRENT, Found
from trading_assets.lineage.records import Origin, RowLineage
from trading_assets.lineage.views import PartitionLineage, RequestLineage, RunLineage
from trading_assets.repositories import query
from trading_assets.repositories.schemas import DATASETS
from trading_assets_tests.lineage.collected import collected

pytestmark = pytest.mark.xdist_group("lineage")  # what they look at is collected once

ROWS = 1000

KINDS = {
    "contracts": {"contract_details"},
    "option_chains": {"option_listing", "quote"},
    "equity_bars": {"bars"},
    "option_bars": {"bars"},
}


def some_rows() -> list[Found]:
    """Random rows, some of each dataset that has any."""
    chance, rows = random.Random(7), []
    for name in ("contracts", "option_chains", "equity_bars", "option_bars", "coverage"):
        found = query(collected(), f'select * from "{name}"').to_pylist()
        rows += [Found(name, CURRENT, row) for row in found]
    chosen = chance.sample(rows, ROWS)
    chosen += [row for row in rows if row.dataset == "contracts"]  # there are two of them only
    assert len({row.dataset for row in chosen}) == 5
    return chosen


def recorded_requests() -> dict[int, dict[str, Any]]:
    """The journal, read without any code of the platform."""
    with sqlite3.connect(f"file:{collected()}/state.db?mode=ro", uri=True) as journal:
        journal.row_factory = sqlite3.Row
        return {row["id"]: dict(row) for row in journal.execute("select * from requests")}


def recorded_events() -> dict[tuple[str, str], list[tuple[str, dict[str, str]]]]:
    """Run and tags of the materializations by asset and partition, read without any code of the platform."""
    found: dict[tuple[str, str], list[tuple[str, dict[str, str]]]] = {}
    with sqlite3.connect(f"file:{collected()}/dagster/history/runs/index.db?mode=ro", uri=True) as events:
        sql = (
            "select asset_key, partition, run_id, event from event_logs"
            " where dagster_event_type = 'ASSET_MATERIALIZATION' order by id desc"
        )
        for asset, partition, run_id, event in events.execute(sql):
            made = json.loads(event)["dagster_event"]["event_specific_data"]["materialization"]
            found.setdefault((json.loads(asset)[0], partition), []).append((run_id, made["tags"]))
    return found


def key_of(row: Mapping[str, Any], dataset: str) -> tuple[Any, ...]:
    return (dataset, *(row[name] for name in DATASETS[dataset].key))


@pytest.mark.slow
def test_a_thousand_rows_there_and_back(engine: LineageQueryEngine) -> None:
    rows, journal, events = some_rows(), recorded_requests(), recorded_events()
    traced = engine.trace(rows)
    assert [one.row for one in traced] == [each.row for each in rows]

    @cache
    def request(number: int) -> RequestLineage:
        return engine.request(number)

    @cache
    def run(run_id: str) -> RunLineage:
        return engine.run(run_id)

    @cache
    def partition(asset: str, session: str) -> PartitionLineage:
        return engine.partition(asset, session)

    for one in traced:
        asset = one.row["dataset"] if one.dataset == "coverage" else one.dataset
        check_request(one, journal)
        assert one.recorded_by is not None and one.partition_run is not None
        assert (one.recorded_by.asset, one.recorded_by.partition) == (asset, one.partition)
        recorded = dict(events[asset, one.partition])
        run_id = one.recorded_by.run_id
        assert one.partition_run.run_id == run_id
        assert one.recorded_by.code_version == recorded[run_id]["dagster/code_version"] == "1"
        assert one.partition in run(run_id).partitions[asset]
        made = partition(asset, one.partition)
        assert [event.run_id for event in made.materializations] == list(recorded)
        if one.request is None:
            assert one.row["request_id"] == 0
            continue
        back = request(one.request_id)
        assert key_of(one.row, one.dataset) in {key_of(each.row, each.dataset) for each in back.rows}
        assert any(one.request_id in group.ids for group in made.requests)
        assert one.requested_by is not None and one.requested_by.found
        if one.origin in (Origin.ANSWER, Origin.AGGREGATED):
            assert one.requested_by.run_id == run_id, "the run that asked has recorded it, none was interrupted"
        assert any(one.request_id in group.ids for group in run(one.requested_by.run_id).requests)
    assert {one.origin for one in traced} == {Origin.ANSWER, Origin.AGGREGATED, Origin.CARRIED, Origin.DERIVED}


def check_request(one: RowLineage, journal: Mapping[int, Mapping[str, Any]]) -> None:
    """The request of a row is the one in the journal, and could have brought it."""
    if one.row["request_id"] == 0:
        assert one.request is None and one.origin is Origin.DERIVED
        return
    said, request = journal[one.row["request_id"]], one.request
    assert request is not None
    names = ("id", "key", "kind", "outcome", "rows", "answer_bytes", "run_id")
    assert [getattr(request, name) for name in names] == [said[name] for name in names]
    assert request.sent_at is not None and request.sent_at.timestamp() == pytest.approx(said["sent_at"], abs=1e-6)
    assert request.outcome == "complete" and request.answer_bytes is not None and request.answer_bytes > 20
    if one.dataset == "coverage":
        assert request.dataset == one.row["dataset"]
    else:
        assert request.kind in KINDS[one.dataset]
    if one.dataset == "option_bars":
        assert request.con_id == one.row["con_id"] and request.contract == one.row["local_symbol"]


def test_all_rows_of_a_run_add_up_to_those_of_the_lake(engine: LineageQueryEngine) -> None:
    """Every row with a request belongs to the requests of exactly one run."""
    counted: Counter[str] = Counter()
    for run_id in {one["run_id"] for one in recorded_requests().values()}:
        for group in engine.run(run_id).rows:
            counted[group.dataset] += group.rows
    names = ("contracts", "option_chains", "equity_bars", "option_bars", "coverage")
    stored = {
        name: query(collected(), f'select count(*) as n from "{name}" where request_id > 0')["n"][0].as_py()
        for name in names
    }
    assert counted == stored


def test_a_quoted_contract_leads_to_its_listing_too(engine: LineageQueryEngine) -> None:
    quoted = [one for one in engine.rows("option_chains", session="2025-11-25") if one.row["quote_outcome"]]
    assert len(quoted) > 10
    assert {one.listing.kind for one in quoted if one.listing is not None} == {"option_listing"}
    assert {one.listing.session.isoformat() for one in quoted if one.listing is not None} == {"2025-11-24"}
    assert {one.request.session.isoformat() for one in quoted if one.request is not None} == {"2025-11-25"}
