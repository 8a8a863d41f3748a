"""The job `positions`: the look of the day as a partition, without an account number in what Dagster keeps."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
from dagster._core.events.log import EventLogEntry
from dagster._serdes import serialize_value

from trading_assets.doctor.history import POSITIONS, find_partition_faults, record_missing
from trading_assets.jobs.runner import run_job
from trading_assets.repositories import query
from trading_assets.resources.instance import dagster_instance
from trading_assets.trading import PositionManager
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.trading.desk import CALL, FIRST, SECOND, SHARES, UNMARKED, desk

SESSION = PLAIN_NOW.date()


def test_the_look_of_the_session_is_a_partition_that_names_no_account(tmp_path: Path) -> None:
    positions = {FIRST: [(CALL, -5, 60.0), (SHARES, 300, 60.0), (UNMARKED, 1, 3.0)], SECOND: []}
    with desk(copy_of(PLAIN, tmp_path / "lake"), positions) as (settings, tws):
        refused = run_job(settings, "positions", [date(2023, 12, 29)], {})
        assert not refused.success and "is a snapshot" in str(refused.error)
        assert "positions" not in tws.counters.requests
        done = run_job(settings, "positions", [SESSION], {})
        assert done.success, done.error
        assert tws.counters.requests["positions"] == tws.counters.requests["cancel_positions"] == 1
    rows = query(settings.data_dir, "select account, con_id, session from position_snapshots").to_pylist()
    assert {(row["account"], row["con_id"]) for row in rows} == {
        *((FIRST, con_id) for con_id in (CALL, SHARES, UNMARKED)),
        (SECOND, 0),
    }
    assert {row["session"] for row in rows} == {SESSION}
    with dagster_instance(settings) as instance:
        for name in ("position_snapshots", "position_changes"):
            assert instance.get_materialized_partitions(dg.AssetKey(name)) == {SESSION.isoformat()}
        newest = instance.get_latest_materialization_event(dg.AssetKey("position_snapshots"))
        kept = [serialize_value(record.event_log_entry) for record in instance.get_records_for_run(done.run_id).records]
    assert isinstance(newest, EventLogEntry) and newest.asset_materialization is not None
    metadata = {name: value.value for name, value in newest.asset_materialization.metadata.items()}
    assert (metadata["positions"], metadata["accounts"], metadata["without_greeks"]) == (3, 2, 1)
    assert metadata["dagster/partition_row_count"] == 4
    assert any("SI***-42" in text for text in kept) and not any(FIRST in text or SECOND in text for text in kept)
    faults = [
        fault
        for fault in find_partition_faults(settings)
        if fault.subject in ("position_snapshots", "position_changes")
    ]
    assert faults == [] and record_missing(settings, POSITIONS) == {}


def test_a_look_that_no_run_made_is_shown_once_it_is_recorded(tmp_path: Path) -> None:
    with desk(copy_of(PLAIN, tmp_path / "lake"), {FIRST: [(SHARES, 300, 60.0)]}) as (settings, _):
        with dagster_instance(settings):
            """Make the history."""
        with PositionManager(settings) as manager:
            manager.snapshot()
        assert record_missing(settings, POSITIONS) == {"position_snapshots": 1}
        (settings.data_dir / "position_snapshots" / "2024-01.parquet").unlink()
        (fault,) = (one for one in find_partition_faults(settings) if one.subject == "position_snapshots")
        assert fault.kind == "materialized_without_data" and "cannot be repeated" in fault.remedy
