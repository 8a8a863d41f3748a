"""What `status` tells of the daemon: one that once worked on the data folder and is silent is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.utils import make_new_run_id
from dagster._daemon.types import DaemonHeartbeat

from trading_assets.cli import running as running_module
from trading_assets.cli.app import run
from trading_assets.cli.running import DAEMON_SILENCE, running
from trading_assets.cli.status import NO_DAEMON
from trading_assets.definitions import build_defs
from trading_assets.launcher_settings import LauncherKind
from trading_assets.monitoring.hours import SCHEDULES, SENSORS
from trading_assets.resources.instance import dagster_instance
from trading_assets.settings import Settings, system_clock
from trading_assets.state import connect_state
from trading_assets.state.owners import WORKER, Owner
from trading_assets_tests.cli.conftest import Output, document


def test_a_folder_without_a_daemon_says_so_and_is_well(folder: Path, capsys: Output) -> None:
    with dagster_instance(Settings()) as instance:
        assert run(["status", "--no-probe"]) == 0, "an archive may be driven by hand"
        assert "No daemon has worked on this folder yet: trading-assets up" in capsys.readouterr().out
        assert run(["status", "--no-probe", "--json"]) == 0
        found = document(capsys)
        assert found["daemon"] is None
        assert {row["status"] for row in found["schedules"]} == {"on"}
        beat = system_clock()
        instance.add_daemon_heartbeat(DaemonHeartbeat(beat.timestamp(), "SENSOR", "one", []))
    run(["status", "--no-probe"])
    said = capsys.readouterr().out
    assert "No daemon" not in said
    assert f"last sign of life {beat:%Y-%m-%d %H:%M} UTC" in said


def silent(capsys: Output) -> list[str]:
    run(["status", "--no-probe", "--json"])
    return [sentence for sentence in document(capsys)["wrong"] if "daemon" in sentence]


@pytest.mark.parametrize(("age", "named"), [(timedelta(0), False), (2 * DAEMON_SILENCE, True)])
def test_a_daemon_is_missed_where_one_worked_and_is_silent(
    folder: Path, capsys: Output, age: timedelta, named: bool
) -> None:
    with dagster_instance(Settings()) as instance:
        assert silent(capsys) == [], "no daemon ever ran here"
        instance.add_daemon_heartbeat(DaemonHeartbeat((system_clock() - age).timestamp(), "SCHEDULER", "one", []))
    found = silent(capsys)
    assert bool(found) is named
    assert not named or "trading-assets up" in found[0]


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5000])


def overwritten(file: Path) -> None:
    file.write_bytes(b"garbage" * 1000)


def emptied(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("name", ["history/runs.db", "schedules/schedules.db"])
@pytest.mark.parametrize("harm", [cut_off, overwritten, emptied])
def test_damaged_databases_of_dagster_are_one_sentence(
    folder: Path, capsys: Output, name: str, harm: Callable[[Path], None]
) -> None:
    with dagster_instance(Settings()):
        pass
    harm(folder / "dagster" / name)
    assert run(["status", "--no-probe"]) == 1
    said = capsys.readouterr().out
    assert (
        f"wrong Dagster's databases under {folder / 'dagster'} cannot be read" in said
        and "move that folder away" in said
    )
    assert "not known" in said and NO_DAEMON not in said
    assert run(["status", "--no-probe", "--json"]) == 1
    assert document(capsys)["queue"] == {}


def test_a_damaged_record_of_dagster_is_one_sentence(folder: Path, capsys: Output) -> None:
    with dagster_instance(Settings()) as instance:
        origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all"), "gaps")
        instance.add_instigator_state(InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, None))
    for body in ("[]", "{}", "gar", "null"):
        with closing(sqlite3.connect(folder / "dagster" / "schedules" / "schedules.db")) as database:
            database.execute("update instigators set instigator_body = ?", (body,))
            database.commit()
        assert run(["status", "--no-probe"]) == 1
        assert "a record in them is damaged" in capsys.readouterr().out


def test_locked_databases_of_dagster_are_one_sentence(
    folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_module, "BUSY_SECONDS", 0.1)
    with dagster_instance(Settings()):
        pass
    with closing(sqlite3.connect(folder / "dagster" / "history" / "runs.db")) as database:
        database.execute("pragma locking_mode = exclusive")
        database.execute("begin exclusive")
        database.execute("create table held (one)")
        assert run(["status", "--no-probe"]) == 1
    assert "database is locked" in capsys.readouterr().out


@pytest.mark.parametrize("gone", ["history", "schedules"])
def test_databases_that_are_not_made_yet_are_nothing_wrong(folder: Path, capsys: Output, gone: str) -> None:
    with dagster_instance(Settings()):
        pass
    shutil.rmtree(folder / "dagster" / gone)
    assert run(["status", "--no-probe"]) == 0
    assert "0 runs queued, 0 running" in capsys.readouterr().out


def test_the_names_are_those_of_the_definitions() -> None:
    repository = build_defs().get_repository_def()
    assert sorted(schedule.name for schedule in repository.schedule_defs) == list(SCHEDULES)
    assert sorted(sensor.name for sensor in repository.sensor_defs) == list(SENSORS)
    assert all(
        definition.default_status.value == "RUNNING"
        for definition in [*repository.schedule_defs, *repository.sensor_defs]
    ), "on by default"


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest) -> str | None:
    """The URL of Dagster's history where it is on a server."""
    return request.getfixturevalue("history") if request.param == "postgresql" else None


def test_what_is_read_from_the_tables_is_what_dagster_says(
    server: str | None, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables are Dagster's own: with a version that moves them this fails, not `status`."""
    if server is not None:
        monkeypatch.setenv("TRADING_ASSETS_DAGSTER_DATABASE_URL", server)
    settings = Settings()
    with dagster_instance(settings) as instance:
        every_hour = ScheduleInstigatorData("0 * * * *")
        for name, kind, status, data in (
            ("gaps", InstigatorType.SENSOR, "RUNNING", None),
            ("daily_bars", InstigatorType.SCHEDULE, "STOPPED", every_hour),
        ):
            origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "all"), name)
            instance.add_instigator_state(InstigatorState(origin, kind, InstigatorStatus(status), data))
            told_by = {"selector_id": origin.get_selector().get_id()}
            instance.create_tick(
                TickData(origin.get_id(), name, kind, TickStatus.SUCCESS, 100.0, run_ids=["one"], **told_by)
            )
            instance.create_tick(
                TickData(
                    origin.get_id(), name, kind, TickStatus.SKIPPED, 200.0, skip_reason="Nothing\nis due.", **told_by
                )
            )
        for status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.SUCCESS):
            instance.add_run(dg.DagsterRun(job_name="snapshot", run_id=make_new_run_id(), status=status))
        instance.add_daemon_heartbeat(DaemonHeartbeat(1000.0, "SENSOR", "one", []))
        found = running(settings)
        told = {
            state.instigator_name: instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            for state in instance.all_instigator_state()
        }
    assert found.queue == {"queued": 1, "running": 1}
    assert found.daemon == datetime.fromtimestamp(1000, UTC)
    rows = {row["name"]: row for row in found.schedules}
    assert {name: rows[name]["status"] for name in ("gaps", "daily_bars", "alerts")} == {
        "gaps": "on",
        "daily_bars": "off",
        "alerts": "on",
    }
    for name, (tick,) in told.items():
        assert (rows[name]["last_tick"].timestamp(), rows[name]["result"]) == (
            tick.timestamp,
            tick.status.value.lower(),
        )
        assert rows[name]["reason"] == "Nothing is due."


def test_a_history_on_a_server_that_is_not_there_is_one_sentence(
    folder: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DAGSTER_DATABASE_URL", "postgresql+psycopg2://me:hunter2@127.0.0.1:1/archive")
    assert run(["status", "--no-probe"]) == 1
    said = capsys.readouterr().out
    assert "Dagster's history in postgresql+psycopg2://127.0.0.1:1/archive cannot be used" in " ".join(said.split())
    assert "hunter2" not in said


def test_runs_that_wait_for_a_worker_are_named_while_none_is_alive(folder: Path) -> None:
    settings = Settings().model_copy(update={"launcher": LauncherKind.CELERY})
    with dagster_instance(Settings()) as instance:
        assert running(settings).wrong == []
        instance.add_run(
            dg.DagsterRun(job_name="daily_bars", run_id=make_new_run_id(), status=dg.DagsterRunStatus.STARTING)
        )
        (said,) = running(settings).wrong
        assert said.startswith("No worker is running, and 1 run waits for one: start trading-assets worker")
        assert running(Settings()).wrong == [], "this machine executes its runs itself"
        with closing(Owner(connect_state(settings.state_url), f"{WORKER}one")) as worker:
            worker.ensure()
            assert running(settings).wrong == []
