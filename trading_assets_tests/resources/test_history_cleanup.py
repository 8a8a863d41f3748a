"""Old run logs go; what Dagster says of partitions, checks, runs and cursors is the same before and after."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import RunsFilter

from trading_assets.resources.dagster_private import InstigatorOrigin, InstigatorState, InstigatorStatus, InstigatorType
from trading_assets.resources.history_cleanup import clean_history
from trading_assets.resources.history_folder import history_folder
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings, system_clock
from trading_assets_tests.homes import furnish
from trading_assets_tests.killing.beside import copied
from trading_assets_tests.killing.forks import ForkServer
from trading_assets_tests.killing.instants import spread

DAYS = dg.DailyPartitionsDefinition("2024-01-01", end_date="2024-01-10")
LATER = timedelta(days=100)
MUCH_LATER = timedelta(days=400)


@dg.asset(partitions_def=DAYS, check_specs=[dg.AssetCheckSpec("fine", asset="prices")])
def prices(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    if context.partition_key == "2024-01-03":
        raise ValueError("on purpose")
    result = dg.AssetCheckResult(passed=context.partition_key != "2024-01-02")
    return dg.MaterializeResult(metadata={"rows": 7}, check_results=[result])


PRICES = dg.AssetKey("prices")
CHECK = dg.AssetCheckKey(PRICES, "fine")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A lake whose history has four runs, one of which failed, and the cursor of a sensor."""
    made = Settings(data_dir=tmp_path / "lake", now=datetime(2024, 1, 8, tzinfo=UTC))
    furnish(made.data_dir)
    with dagster_instance(made) as instance:
        for day in ("2024-01-01", "2024-01-02", "2024-01-03", "2024-01-01"):
            dg.materialize([prices], instance=instance, partition_key=day, raise_on_error=False)
        instance.add_instigator_state(InstigatorState(_origin(), InstigatorType.SENSOR, InstigatorStatus.STOPPED, None))
    return made


def _origin() -> InstigatorOrigin:
    from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

    return InstigatorOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all"), "gaps")


def statuses(settings: Settings) -> dict[str, Any]:
    """What the UI shows of the asset, as Dagster's API says it."""
    with dagster_instance(settings) as instance:
        storage = instance.event_log_storage
        latest = {
            day: instance.fetch_materializations(
                dg.AssetRecordsFilter(PRICES, asset_partitions=[day]), limit=10
            ).records
            for day in DAYS.get_partition_keys()
        }
        planned = [dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED]
        return {
            "materialized": instance.get_materialized_partitions(PRICES),
            "events": {day: [(r.storage_id, r.run_id) for r in records] for day, records in latest.items()},
            "last": {kind: dict(storage.get_latest_storage_id_by_partition(PRICES, kind)) for kind in planned},
            "failed": storage.get_latest_asset_partition_materialization_attempts_without_materializations(PRICES),
            "checks": [
                (record.run_id, record.status, record.partition, record.event)
                for record in storage.get_asset_check_execution_history(CHECK, limit=50)
            ],
            "runs": sorted((run.run_id, run.status) for run in instance.get_runs(RunsFilter())),
            "cursors": [(s.instigator_name, s.status) for s in instance.all_instigator_state()],
            "asset": instance.get_asset_records([PRICES])[0].asset_entry.last_materialization_record,
        }


def logs(settings: Settings) -> int:
    return len(list((history_folder(settings) / "history" / "runs").glob("*-*.db")))


def test_nothing_goes_before_its_time(settings: Settings) -> None:
    found = clean_history(settings, dry_run=False, now=system_clock() + timedelta(days=89))
    assert found.sentence().endswith("nothing old enough: nothing to do.")
    assert logs(settings) == 4


def test_a_dry_run_is_the_default_and_deletes_nothing(settings: Settings) -> None:
    found = clean_history(settings, now=system_clock() + LATER)
    assert found.dry_run and len(found.runs) == 3 and found.bytes_after < found.bytes_before
    assert found.sentence().startswith("Would delete the step logs of 3 runs")
    assert logs(settings) == 4


def test_old_logs_go_and_every_status_stays(settings: Settings) -> None:
    before = statuses(settings)
    assert before["materialized"] == {"2024-01-01", "2024-01-02"} and len(before["checks"]) >= 4
    promised = clean_history(settings, now=system_clock() + LATER)
    found = clean_history(settings, dry_run=False, now=system_clock() + LATER)
    assert found.runs == promised.runs and found.events == promised.events > 0
    assert found.bytes_after < found.bytes_before
    assert logs(settings) == 1, "the log of the failed run is kept for a year"
    assert statuses(settings) == before

    assert clean_history(settings, dry_run=False, now=system_clock() + MUCH_LATER).runs
    assert logs(settings) == 0
    assert statuses(settings) == before


def clean(settings: Settings) -> None:
    """Clean up, a year and more from now."""
    clean_history(settings, dry_run=False, now=system_clock() + MUCH_LATER)


@pytest.mark.slow
def test_killed_at_ten_instants_every_status_stays(settings: Settings, forks: ForkServer, tmp_path: Path) -> None:
    before = statuses(settings)
    whole = copied(settings, tmp_path / "whole")
    steps = forks.run(clean, whole, watched=[whole.data_dir], statements=True).instants
    for instant in spread(steps):
        copy = copied(settings, tmp_path / f"lake{instant}")
        watching = {"watched": [copy.data_dir], "statements": True}
        assert forks.run(clean, copy, **watching, stop_at=instant, or_near=True).killed
        assert statuses(copy) == before
        clean(copy)
        assert statuses(copy) == before and logs(copy) == 0


def test_a_run_after_it_is_recorded_as_ever(settings: Settings) -> None:
    clean_history(settings, dry_run=False, now=system_clock() + MUCH_LATER)
    before = statuses(settings)
    with dagster_instance(settings) as instance:
        done = dg.materialize([prices], instance=instance, partition_key="2024-01-05")
    after = statuses(settings)
    assert after["materialized"] == before["materialized"] | {"2024-01-05"}
    assert after["events"]["2024-01-05"][0][1] == done.run_id
    newest = max(storage_id for records in before["events"].values() for storage_id, _ in records)
    assert after["events"]["2024-01-05"][0][0] > newest, "ids are not used again: sensors count on them"
