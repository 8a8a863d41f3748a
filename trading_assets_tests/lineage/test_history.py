"""Dagster's record: where it is missing, damaged, or on another server, the answers say so and the rest stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from trading_assets.lineage import LineageQueryEngine, LineageTracker, LineageVisualizer
from trading_assets.resources.dagster_private import InstanceRef
from trading_assets.resources.instance import dagster_instance
from trading_assets_tests.lineage.collected import MONDAY, TUESDAY, collected, engine_of, settings_of

pytestmark = pytest.mark.xdist_group("lineage")  # what they look at is collected once


def test_a_deleted_record_is_said_and_not_made(lake: Path) -> None:
    shutil.rmtree(lake / "dagster")
    engine = engine_of(lake)
    (row, *_) = engine.rows("option_bars", session=MONDAY)
    assert row.request is not None, "the journal still has the request"
    assert row.requested_by is not None and not row.requested_by.found
    assert "is not in Dagster's record" in row.requested_by.sentence
    assert row.recorded_by is None
    assert any("lacks index.db (events) and runs.db (runs)" in note for note in row.notes)
    made = engine.partition("option_bars", MONDAY)
    assert made.materializations == [] and made.requests != []
    assert any("lacks index.db" in note for note in made.notes)
    run = engine.run(row.request.run_id)
    assert run.requests != [] and run.partitions == {} and any("lacks index.db" in note for note in run.notes)
    assert {one.materialized for one in engine.downstream("option_chains", MONDAY)} == {None}
    assert "lacks index.db" in str(LineageVisualizer(engine.tracker).generate_summary_report())
    engine.tracker.close()
    assert not (lake / "dagster").exists()


def test_without_the_runs_the_events_still_name_them(lake: Path) -> None:
    for file in (lake / "dagster" / "history").glob("runs.db*"):
        file.unlink()
    engine = engine_of(lake)
    (row, *_) = engine.rows("option_bars", session=MONDAY)
    assert row.partition_run is not None and not row.partition_run.found
    assert "lacks runs.db (runs)" in row.partition_run.sentence
    made = engine.partition("option_bars", MONDAY)
    assert row.partition_run.run_id in [event.run_id for event in made.materializations]
    assert not (lake / "dagster" / "history" / "runs.db").exists()


def test_a_deleted_run_takes_its_materializations_with_it(lake: Path) -> None:
    (row, *_) = engine_of(lake).rows("equity_bars", session=TUESDAY)
    assert row.recorded_by is not None
    with dagster_instance(settings_of(lake)) as instance:
        instance.delete_run(row.recorded_by.run_id)
    (again, *_) = engine_of(lake).rows("equity_bars", session=TUESDAY)
    assert again.recorded_by is None and again.request == row.request
    assert again.requested_by is not None and "It was deleted there." in again.requested_by.sentence
    assert any(f"no materialization of equity_bars {TUESDAY}" in note for note in again.notes)


def test_a_partition_that_another_run_recorded_names_both_runs(lake: Path) -> None:
    """The run that stored the rows is gone from the record; Tuesday's wrote the partition again."""
    (row, *_) = engine_of(lake).rows("equity_bars", session=MONDAY)
    assert row.recorded_by is not None and row.notes == []
    with dagster_instance(settings_of(lake)) as instance:
        instance.delete_run(row.recorded_by.run_id)
    (again, *_) = engine_of(lake).rows("equity_bars", session=MONDAY)
    assert again.recorded_by is not None and again.recorded_by.run_id != row.recorded_by.run_id
    assert f"run {row.recorded_by.run_id} sent the request" in again.notes[0]


def test_a_damaged_record_is_named(lake: Path) -> None:
    for file in (lake / "dagster" / "history" / "runs").glob("index.db*"):
        file.unlink()
    (lake / "dagster" / "history" / "runs" / "index.db").write_bytes(b"no database at all" * 100)
    (row, *_) = engine_of(lake).rows("option_bars", session=MONDAY)
    assert row.request is not None and row.recorded_by is None
    assert any("cannot be read" in note and "backup" in note for note in row.notes)


def test_an_instance_elsewhere_is_asked_in_place_of_that_of_the_data_folder() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        event = dg.AssetMaterialization("option_bars", partition=MONDAY, tags={"dagster/code_version": "7"})
        instance.report_runless_asset_event(event)
        tracker = LineageTracker(settings=settings_of(collected()), instance=instance)
        made = LineageQueryEngine(tracker).partition("option_bars", MONDAY)
        assert [event.code_version for event in made.materializations] == ["7"]
        tracker.close()
        assert instance.get_materialized_partitions(dg.AssetKey("option_bars")) == {MONDAY}, "it is not closed"


def test_a_record_on_postgresql_answers_alike(tmp_path: Path, postgresql: str) -> None:
    pytest.importorskip("dagster_postgres")
    storage = {"postgres": {"postgres_url": postgresql}}
    with (
        dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(tmp_path), overrides={"storage": storage})) as instance,
        dagster_instance(settings_of(collected())) as local,
    ):
        for run in reversed(local.get_runs()):
            instance.add_run(run._replace(job_snapshot_id=None, execution_plan_snapshot_id=None))
            for record in local.get_records_for_run(run.run_id).records:
                instance.store_event(record.event_log_entry)
        there = LineageQueryEngine(LineageTracker(settings=settings_of(collected()), instance=instance))
        here = engine_of(collected())
        for asset in ("contracts", "option_chains", "equity_bars", "option_bars"):
            mine, theirs = (engine.partition(asset, MONDAY) for engine in (here, there))
            assert [(e.run_id, e.at, e.code_version) for e in theirs.materializations] == [
                (e.run_id, e.at, e.code_version) for e in mine.materializations
            ]
            assert theirs.requests == mine.requests
        run_id = mine.runs[0].run_id
        assert there.run(run_id).partitions == here.run(run_id).partitions
        assert there.out_of_date() == here.out_of_date() == []
        assert [s.count for s in there.find_data_sources("asset")] == [s.count for s in here.find_data_sources("asset")]
