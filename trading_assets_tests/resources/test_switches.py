"""What was switched off under an earlier version is off under this one: Dagster's records as that version wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dagster._serdes import deserialize_value

from trading_assets.resources.dagster_private import InstigatorState
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings

SENSOR = {
    "__class__": "SensorInstigatorData", "cursor": "where it was", "last_run_key": None, "last_sensor_start_timestamp": 1795676902.0,
    "last_tick_start_timestamp": 1795677157.3, "last_tick_success_timestamp": 1795677157.5, "last_tick_timestamp": 1795677157.3,
    "min_interval": 60, "sensor_type": {"__enum__": "SensorType.STANDARD"},
}  # fmt: skip
SCHEDULE = {
    "__class__": "ScheduleInstigatorData", "cron_schedule": "*/5 * * * *", "last_iteration_timestamp": 1795676901.9,
    "start_timestamp": 1795676901.9,
}  # fmt: skip


def recorded(name: str, kind: str, status: str, location: str) -> InstigatorState:
    """The record of a schedule or sensor as earlier versions had it written, by `up` or by Dagster's own commands."""
    server: dict[str, Any] = {
        "__class__": "GrpcServerRepositoryLocationOrigin", "additional_metadata": {"module_name": "trading_assets.definitions"},
        "host": "localhost", "location_name": location, "port": None, "socket": "/tmp/trading-assets-vo10yh3l/code",
    }  # fmt: skip
    repository = {"__class__": "ExternalRepositoryOrigin", "repository_location_origin": server, "repository_name": "__repository__"}
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
