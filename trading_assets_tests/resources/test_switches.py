"""What was switched off under an earlier version is off under this one: Dagster's records as that version wrote
them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dagster._serdes import deserialize_value

from trading_assets.resources import switches
from trading_assets.resources.dagster_private import InstigatorState
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.storage import CompactScheduleStorage
from trading_assets.resources.switches import keep_switches
from trading_assets.settings import Settings

SENSOR = {
    "__class__": "SensorInstigatorData", "cursor": "where it was", "last_run_key": None,
    "last_sensor_start_timestamp": 1795676902.0,
    "last_tick_start_timestamp": 1795677157.3, "last_tick_success_timestamp": 1795677157.5,
    "last_tick_timestamp": 1795677157.3,
    "min_interval": 60, "sensor_type": {"__enum__": "SensorType.STANDARD"},
}  # fmt: skip
SCHEDULE = {
    "__class__": "ScheduleInstigatorData", "cron_schedule": "*/5 * * * *", "last_iteration_timestamp": 1795676901.9,
    "start_timestamp": 1795676901.9,
}  # fmt: skip


def recorded(name: str, kind: str, status: str, location: str) -> InstigatorState:
    """The record of a schedule or sensor as earlier versions had it written, by `up` or by Dagster's own commands."""
    server: dict[str, Any] = {
        "__class__": "GrpcServerRepositoryLocationOrigin",
        "additional_metadata": {"module_name": "trading_assets.definitions"},
        "host": "localhost", "location_name": location, "port": None, "socket": "/run/user/code",
    }  # fmt: skip
    repository = {
        "__class__": "ExternalRepositoryOrigin",
        "repository_location_origin": server,
        "repository_name": "__repository__",
    }
    body = {
        "__class__": "InstigatorState",
        "job_specific_data": SENSOR if kind == "SENSOR" else SCHEDULE,
        "job_type": {"__enum__": f"InstigatorType.{kind}"},
        "origin": {"__class__": "ExternalJobOrigin", "external_repository_origin": repository, "job_name": name},
        "status": {"__enum__": f"InstigatorStatus.{status}"},
    }
    return deserialize_value(json.dumps(body), InstigatorState)


def kept(folder: Path, *states: InstigatorState) -> dict[str, tuple[str, str, str, str | None]]:
    """Kind, status, location and cursor by name, after the data folder with these records was opened again."""
    settings = Settings(data_dir=folder)  # type: ignore[call-arg]
    with dagster_instance(settings) as instance:
        for state in states:
            instance.add_instigator_state(state)
    with dagster_instance(settings) as instance:
        found = instance.all_instigator_state()
    assert len({state.instigator_name for state in found}) == len(found)
    return {
        s.instigator_name: (
            s.instigator_type.value,
            s.status.value,
            s.origin.repository_origin.code_location_origin.location_name,
            getattr(s.instigator_data, "cursor", None),
        )
        for s in found
    }


@pytest.mark.parametrize("location", ["trading_assets.definitions", "trading_assets"])
def test_what_was_switched_off_stays_off(tmp_path: Path, location: str) -> None:
    """`up` named the location as the module; Dagster's commands with `workspace.yaml` as today."""
    found = kept(
        tmp_path,
        recorded("daily_snapshot", "SCHEDULE", "STOPPED", location),
        recorded("quality_check", "SCHEDULE", "STOPPED", location),
        recorded("gaps", "SENSOR", "STOPPED", location),
        recorded("alerts", "SENSOR", "DECLARED_IN_CODE", "trading_assets.definitions"),
    )
    assert found == {
        "daily_snapshot": ("SENSOR", "STOPPED", "trading_assets", None),
        "quality_check": ("SCHEDULE", "STOPPED", "trading_assets", None),
        "gaps": ("SENSOR", "STOPPED", "trading_assets", "where it was"),
    }, "what follows the code needs no record"


def test_what_was_decided_since_is_not_undone(tmp_path: Path) -> None:
    found = kept(
        tmp_path,
        recorded("gaps", "SENSOR", "STOPPED", "trading_assets.definitions"),
        recorded("gaps", "SENSOR", "RUNNING", "trading_assets"),
        recorded("somebody_elses", "SENSOR", "STOPPED", "another_location"),
    )
    assert found["gaps"][:3] == ("SENSOR", "RUNNING", "trading_assets")
    assert found["somebody_elses"][:3] == ("SENSOR", "STOPPED", "another_location"), "records of others are left alone"


def test_killed_in_between_nothing_that_was_switched_off_is_lost(tmp_path: Path) -> None:
    """The old record goes after the new one is there; the next opening does the rest."""
    settings = Settings(data_dir=tmp_path)  # type: ignore[call-arg]
    with dagster_instance(settings) as instance:
        instance.add_instigator_state(recorded("gaps", "SENSOR", "STOPPED", "trading_assets.definitions"))
        storage = instance._schedule_storage
        assert isinstance(storage, CompactScheduleStorage)
        file = tmp_path / "dagster" / "schedules" / "schedules.db"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(storage, "delete_instigator_state", interrupted)
            keep_switches(storage, file)
        assert {state.status.value for state in storage.all_instigator_state()} == {"STOPPED"}
    assert kept(tmp_path)["gaps"] == ("SENSOR", "STOPPED", "trading_assets", "where it was")


def test_two_processes_that_open_the_history_at_once_file_it_once(tmp_path: Path) -> None:
    """The one that comes later finds that what it read is gone."""
    settings = Settings(data_dir=tmp_path)  # type: ignore[call-arg]
    with dagster_instance(settings) as instance:
        for name in ("gaps", "alerts"):
            instance.add_instigator_state(recorded(name, "SENSOR", "STOPPED", "trading_assets.definitions"))
        storage = instance._schedule_storage
        assert isinstance(storage, CompactScheduleStorage)
        file, read = tmp_path / "dagster" / "schedules" / "schedules.db", storage.all_instigator_state()
        with pytest.MonkeyPatch.context() as patch:
            keep_switches(storage, file)
            patch.setattr(switches, "_outdated", lambda _: True)
            patch.setattr(storage, "all_instigator_state", lambda: read)
            keep_switches(storage, file)
    assert {name: found[1:3] for name, found in kept(tmp_path).items()} == {
        "gaps": ("STOPPED", "trading_assets"),
        "alerts": ("STOPPED", "trading_assets"),
    }


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_daemon_that_ran_meanwhile_decides_nothing(tmp_path: Path) -> None:
    """Started by Dagster's own command it records that everything follows the code."""
    found = kept(
        tmp_path,
        recorded("gaps", "SENSOR", "STOPPED", "trading_assets.definitions"),
        recorded("gaps", "SENSOR", "DECLARED_IN_CODE", "trading_assets"),
    )
    assert found["gaps"][:3] == ("SENSOR", "STOPPED", "trading_assets")
