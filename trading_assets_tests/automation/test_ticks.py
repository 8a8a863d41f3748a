"""Schedules and sensors in their own contexts, on a lake collected from a simulated TWS: what they ask for, and why
not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from shutil import copytree
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.utils import make_new_run_id

from trading_assets.automation import run_dedup, schedules, sensors, sessions
from trading_assets.broker.contact import record_connected, record_failure
from trading_assets.monitoring.alerts import Alerts
from trading_assets.monitoring.run_claims import claim, run_claims_table
from trading_assets.resources.archive import ArchiveResource
from trading_assets.sessions import NEW_YORK
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state import connect_state
from trading_assets.universe import Universe
from trading_assets_tests.scenarios.desk import Desk

SELECTION = {"max_days_to_expiry": 5, "strikes_around_spot": 2}


def at(new_york: str) -> datetime:
    return datetime.fromisoformat(new_york).replace(tzinfo=NEW_YORK)


pytestmark = pytest.mark.xdist_group("ticks")  # what they look at is collected once


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """AAPL, set up on Monday 2025-11-17 after the close, its contracts expiring on Friday the 21st."""
    with Simulator(GeneratedMarket(seed=42), now=at("2025-11-17T16:40")) as simulator:
        desk = Desk(
            tmp_path_factory.mktemp("lake"), simulator, changes={"selection": SELECTION, "enforce_pacing": True}
        )
        assert desk.setup("AAPL", lookback_days=10).success
        yield desk


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def resource(desk: Desk, now: datetime | None = None, **changes: Any) -> ArchiveResource:
    settings = {"data_dir": str(desk.folder), "ib_port": desk.simulator.port, "selection": SELECTION, **changes}
    return ArchiveResource.holding(settings | ({"now": now.isoformat()} if now else {}))()


def scheduled(
    schedule: dg.ScheduleDefinition, desk: Desk, instance: dg.DagsterInstance, new_york: str, **changes: Any
) -> Any:
    """The tick of a schedule at an instant of New York."""
    with dg.build_schedule_context(
        instance, at(new_york), resources={"archive": resource(desk, at(new_york), **changes)}
    ) as context:
        found = schedule(context)
    return found.skip_message if isinstance(found, dg.SkipReason) else found


def sensed(sensor: dg.SensorDefinition, desk: Desk, instance: dg.DagsterInstance, new_york: str, **changes: Any) -> Any:
    """The look of a sensor at an instant of New York."""
    with dg.build_sensor_context(instance, resources={"archive": resource(desk, at(new_york), **changes)}) as context:
        found = sensor(context)
    return found.skip_message if isinstance(found, dg.SkipReason) else found


def config(request: dg.RunRequest) -> Mapping[str, Any]:
    return {name: op["config"] for name, op in request.run_config["ops"].items()}


def test_the_snapshot_comes_fifteen_minutes_before_the_close(collected: Desk, instance: dg.DagsterInstance) -> None:
    assert "at 15:45 New York" in sensed(sessions.daily_snapshot, collected, instance, "2025-11-18T15:40")
    request = sensed(sessions.daily_snapshot, collected, instance, "2025-11-18T15:45")
    assert (request.partition_key, request.run_key) == ("2025-11-18", "daily_snapshot 2025-11-18")
    assert config(request)["option_chains"] == {"requote_after_minutes": 60}, "the selection is the settings' own"


def test_a_half_day_has_its_own_time_and_a_setting_moves_it(collected: Desk, instance: dg.DagsterInstance) -> None:
    assert "half day comes at 12:45" in sensed(sessions.daily_snapshot, collected, instance, "2025-11-28T12:40")
    assert sensed(sessions.daily_snapshot, collected, instance, "2025-11-28T12:45").partition_key == "2025-11-28"
    assert "comes at 12:55" in sensed(
        sessions.daily_snapshot, collected, instance, "2025-11-28T12:45", snapshot_lead_minutes=5
    )


def test_a_missed_snapshot_is_made_good_until_the_next_open(collected: Desk, instance: dg.DagsterInstance) -> None:
    for late in ("2025-11-18T20:00", "2025-11-19T09:25"):
        request = sensed(sessions.daily_snapshot, collected, instance, late)
        assert request.partition_key == "2025-11-18"
    assert "2025-11-19 comes at 15:45" in sensed(sessions.daily_snapshot, collected, instance, "2025-11-19T09:35")


def test_on_a_holiday_nothing_is_started_and_the_reason_says_so(collected: Desk, instance: dg.DagsterInstance) -> None:
    instance.add_run(
        run_of(
            sensed(sessions.daily_snapshot, collected, instance, "2025-11-26T15:45"),
            DagsterRunStatus.SUCCESS,
            "snapshot",
        )
    )
    assert "2025-11-26" in sensed(sessions.daily_snapshot, collected, instance, "2025-11-27T15:45")
    told = sensed(sessions.last_chance, collected, instance, "2025-11-27T15:00")
    assert (
        told
        == "The exchange is closed on Thursday 2025-11-27. The last look before contracts expire of the next session"
        " comes on Friday 2025-11-28 at 12:00 New York."
    )


def test_what_is_complete_is_not_collected_again(collected: Desk, instance: dg.DagsterInstance) -> None:
    assert "is complete, quoted after 14:45" in sensed(sessions.daily_snapshot, collected, instance, "2025-11-17T17:00")
    assert "The bars of session 2025-11-17 are complete" in sensed(
        sessions.daily_bars, collected, instance, "2025-11-17T17:00"
    )


def test_the_positions_are_looked_at_before_the_close(collected: Desk, instance: dg.DagsterInstance) -> None:
    assert "at 15:55 New York" in sensed(sessions.daily_positions, collected, instance, "2025-11-18T15:54")
    request = sensed(sessions.daily_positions, collected, instance, "2025-11-18T15:55")
    assert (request.job_name, request.partition_key) == ("positions", "2025-11-18")
    assert request.run_key == "daily_positions 2025-11-18" and not config(request)
    instance.add_run(run_of(request, DagsterRunStatus.STARTED, "positions"))
    assert "is started" in sensed(sessions.daily_positions, collected, instance, "2025-11-18T15:57")
    assert isinstance(sensed(sessions.daily_snapshot, collected, instance, "2025-11-18T15:57"), dg.RunRequest)


def test_the_bars_come_after_the_close_and_after_the_snapshot(collected: Desk, instance: dg.DagsterInstance) -> None:
    early = sensed(sessions.daily_bars, collected, instance, "2025-11-18T16:25")
    assert (
        early == "The bars of session 2025-11-17 are complete; the next come on Tuesday 2025-11-18 at 16:30 New York."
    )
    waiting = sensed(sessions.daily_bars, collected, instance, "2025-11-18T16:30")
    assert waiting == "The bars of session 2025-11-18 wait for its snapshot until 17:00 New York."
    request = sensed(sessions.daily_bars, collected, instance, "2025-11-18T17:00")
    assert (request.partition_key, request.run_key) == ("2025-11-18", "daily_bars 2025-11-18")
    assert config(request)["option_bars"] == {"lookback_days": 10}
    instance.add_run(
        run_of(
            sensed(sessions.daily_snapshot, collected, instance, "2025-11-18T17:00"),
            DagsterRunStatus.STARTED,
            "snapshot",
        )
    )
    assert "waits for run" in sensed(sessions.daily_bars, collected, instance, "2025-11-18T17:05")


def test_the_last_look_before_contracts_expire(collected: Desk, instance: dg.DagsterInstance) -> None:
    request = sensed(sessions.last_chance, collected, instance, "2025-11-21T15:00")
    assert request.tags["dagster/asset_partition_range_start"] == "2025-11-18"
    assert request.tags["dagster/asset_partition_range_end"] == "2025-11-20"
    assert config(request)["option_bars"] == {"symbols": ["AAPL"]}
    assert "No selected contract expires in session 2025-11-20" in sensed(
        sessions.last_chance, collected, instance, "2025-11-20T15:00"
    )


def test_every_hour_is_checked_once(collected: Desk, instance: dg.DagsterInstance) -> None:
    first = scheduled(schedules.quality_check, collected, instance, "2025-11-18T12:00")
    assert first.partition_key is None
    instance.add_run(run_of(first, DagsterRunStatus.STARTED, "quality_check"))
    assert "is started" in scheduled(schedules.quality_check, collected, instance, "2025-11-18T12:05")
    assert "waits for run" in scheduled(schedules.quality_check, collected, instance, "2025-11-18T13:00")


def run_of(request: dg.RunRequest, status: DagsterRunStatus, job: str) -> dg.DagsterRun:
    """The run of a request, as a daemon records it."""
    return dg.DagsterRun(job_name=job, run_id=make_new_run_id(), status=status, tags=dict(request.tags))


def test_a_stale_chain_is_refreshed_once(collected: Desk, instance: dg.DagsterInstance) -> None:
    fresh = sensed(sensors.stale_chains, collected, instance, "2025-11-18T09:29")
    assert fresh == "Every chain is younger than 24 hours, or no session has begun since it was taken."
    request = sensed(sensors.stale_chains, collected, instance, "2025-11-18T16:41")
    assert (request.partition_key, config(request)["contracts"]) == ("2025-11-18", {"symbols": ["AAPL"]})
    assert sensed(sensors.stale_chains, collected, instance, "2025-11-18T16:41").run_key == request.run_key
    instance.add_run(run_of(request, DagsterRunStatus.STARTING, "snapshot"))
    assert "is starting" in sensed(sensors.stale_chains, collected, instance, "2025-11-18T16:42")
    assert "waits for run" in sensed(sensors.stale_chains, collected, instance, "2025-11-18T17:42")


def test_gaps_wait_for_the_schedule_and_are_filled_in_one_run(collected: Desk, instance: dg.DagsterInstance) -> None:
    assert (
        sensed(sensors.gaps, collected, instance, "2025-11-18T16:45")
        == "No closed session is missing that can be asked for now."
    )
    request = sensed(sensors.gaps, collected, instance, "2025-11-21T12:00")
    assert request.tags["dagster/asset_partition_range_start"] == "2025-11-18"
    assert request.tags["dagster/asset_partition_range_end"] == "2025-11-20"
    contracts = len(collected.rows("select distinct con_id from option_chains where selected"))
    common = {"symbols": ["AAPL"], "first_session": "2025-11-18", "last_session": "2025-11-20", "respect_backoff": True}
    assert config(request) == {
        "equity_bars": common | {"max_requests": 1},
        "option_bars": common | {"max_requests": contracts},
    }
    of_options = sensed(sensors.gaps, collected, instance, "2025-11-21T12:00", gap_request_budget=3)
    assert config(of_options) == {"option_bars": common | {"max_requests": 3}}, "what expires comes first"
    assert of_options.asset_selection == [dg.AssetKey("option_bars")]
    assert request.run_key == sensed(sensors.gaps, collected, instance, "2025-11-21T12:20").run_key
    instance.add_run(run_of(request, DagsterRunStatus.FAILURE, "backfill_bars"))
    assert "is failure" in sensed(sensors.gaps, collected, instance, "2025-11-21T12:30")
    assert sensed(sensors.gaps, collected, instance, "2025-11-21T13:00").run_key != request.run_key, (
        "it is tried again, once an hour"
    )


def test_nothing_is_started_while_the_broker_does_not_answer(collected: Desk, instance: dg.DagsterInstance) -> None:
    desk = collected
    engine = connect_state(desk.settings.state_url)
    record_failure(engine, f"127.0.0.1:{desk.simulator.port}", "no route")
    try:
        assert sensed(sensors.gaps, desk, instance, "2025-11-21T12:00").startswith(
            "Held back: the broker could not be reached (no route)"
        )
        assert isinstance(sensed(sensors.gaps, desk, instance, "2025-11-21T12:00", recovery_timeout=0.0), dg.RunRequest)
    finally:
        record_connected(engine, f"127.0.0.1:{desk.simulator.port}", "", 178)


def test_a_symbol_that_joins_the_universe_is_set_up(
    tmp_path: Path, collected: Desk, instance: dg.DagsterInstance
) -> None:
    desk = Desk(tmp_path, collected.simulator, changes={"enforce_pacing": True})
    assert "The universe is empty" in sensed(sessions.daily_snapshot, desk, instance, "2025-11-18T15:45")
    for sensor in (sensors.new_symbols, sensors.stale_chains, sensors.gaps):
        assert "The universe is empty" in sensed(sensor, desk, instance, "2025-11-18T12:00")
    Universe(desk.settings.state_url).add(["IBM"])
    request = sensed(sensors.new_symbols, desk, instance, "2025-11-18T12:00")
    assert request.partition_key == "2025-11-18"
    assert config(request)["equity_bars"] == {"symbols": ["IBM"], "lookback_days": 365}


def test_two_daemons_start_one_run(collected: Desk, instance: dg.DagsterInstance) -> None:
    """The claim stands between the decision and the run's own record; when nothing came of it, another tick takes
    over."""
    key = "daily_bars 2030-01-02"
    assert claim(collected.settings.state_url, key)
    assert not claim(collected.settings.state_url, key)
    engine = connect_state(collected.settings.state_url)
    with engine.begin() as connection:
        connection.execute(
            run_claims_table.update()
            .where(run_claims_table.c.key == key)
            .values(at=run_claims_table.c.at - run_dedup.CLAIM_SECONDS)
        )
    assert claim(collected.settings.state_url, key)


def test_a_run_that_was_recorded_and_never_queued_is_replaced(
    collected: Desk, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = sensed(sessions.daily_bars, collected, instance, "2025-11-18T17:00")
    run = instance.add_run(run_of(request, DagsterRunStatus.NOT_STARTED, "backfill_bars"))
    assert "is not started" in sensed(sessions.daily_bars, collected, instance, "2025-11-18T17:05")
    monkeypatch.setattr(run_dedup, "CLAIM_SECONDS", -1.0)
    again = sensed(sessions.daily_bars, collected, instance, "2025-11-18T17:10")
    assert (again.run_key, instance.get_run_by_id(run.run_id).status) == (
        f"{request.run_key}#1",
        DagsterRunStatus.FAILURE,
    )


def test_a_snapshot_that_failed_is_tried_again_before_the_close(collected: Desk, instance: dg.DagsterInstance) -> None:
    """Nobody else would make it good on a day whose chain was refreshed after the open already."""
    keys = set()
    for minute in ("45", "50", "55"):
        request = sensed(sessions.daily_snapshot, collected, instance, f"2025-11-18T15:{minute}")
        keys.add(request.run_key)
        failed = instance.add_run(run_of(request, DagsterRunStatus.FAILURE, "snapshot"))
        instance.add_run_tags(failed.run_id, {"dagster/will_retry": "true"})
        assert "is failure" in sensed(sessions.daily_snapshot, collected, instance, f"2025-11-18T15:{minute}"), (
            "Dagster's own try comes first"
        )
        retried = run_of(request, DagsterRunStatus.FAILURE, "snapshot").with_tags(
            {**request.tags, "dagster/retry_number": "1"}
        )
        instance.add_run(retried)
        instance.add_run_tags(failed.run_id, {"dagster/auto_retry_run_id": retried.run_id})
    assert len(keys) == 3
    assert "is failure" in sensed(sessions.daily_snapshot, collected, instance, "2025-11-18T15:59")


def test_a_long_set_up_does_not_hold_up_the_snapshot_of_the_others(
    collected: Desk, instance: dg.DagsterInstance
) -> None:
    instance.add_run(dg.DagsterRun(job_name="setup_symbol", run_id=make_new_run_id(), status=DagsterRunStatus.STARTED))
    assert isinstance(sensed(sessions.daily_snapshot, collected, instance, "2025-11-18T15:45"), dg.RunRequest)
    assert "waits for run" in sensed(sensors.stale_chains, collected, instance, "2025-11-18T16:41"), (
        "a refresh is in no hurry"
    )


def test_a_damaged_file_hides_no_other_trouble(tmp_path: Path, collected: Desk, instance: dg.DagsterInstance) -> None:
    """What the file would tell is unknown; that it is damaged is told, and so is a run that failed."""
    desk = Desk(tmp_path / "lake", collected.simulator, changes={"enforce_pacing": True})
    copytree(collected.folder, desk.folder, dirs_exist_ok=True)
    (file,) = (desk.folder / "equity_bars").glob("*/2025.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    instance.add_run(dg.DagsterRun(job_name="snapshot", run_id=make_new_run_id(), status=DagsterRunStatus.FAILURE))

    told = sensed(sensors.alerts, desk, instance, "2025-11-17T16:41")
    name = str(file.relative_to(desk.folder))
    opened = {(alert.alert_type, alert.subject) for alert in Alerts(desk.settings).open()}
    assert opened == {("data_integrity_failure", name), ("run_failed", "snapshot")}
    assert "messages sent 2" in told

    file.write_bytes(whole)
    sensed(sensors.alerts, desk, instance, "2025-11-17T16:42")
    assert {alert.alert_type for alert in Alerts(desk.settings).open()} == {"run_failed"}
