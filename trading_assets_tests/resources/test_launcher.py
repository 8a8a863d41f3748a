"""A queued run gets one process, however many daemons take it from the queue, and whatever executes it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster import DagsterRunStatus, DefaultRunLauncher, serialize_value
from dagster._core.launcher.base import LaunchRunContext
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster_postgres.utils import DagsterPostgresException
from pydantic import ValidationError

from trading_assets.monitoring.run_claims import claim, run_claims_table
from trading_assets.resources.celery_launcher import CeleryLauncher
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.launcher import LaunchOnce, StartedOnce
from trading_assets.resources.run_owners import START_TIMEOUT
from trading_assets.resources.run_workers import QUEUE_TAG, is_worked_on, live_workers, take, worker_of
from trading_assets.settings import Settings, wrong_value
from trading_assets.state import connect_state, outages
from trading_assets.state.owners import Owner
from trading_assets.state.tables import owners
from trading_assets_tests.workers.known import enter, known_run

DAEMONS = 4

OUTAGE = sa.exc.OperationalError("SELECT 1", {}, OSError("server closed the connection"))

UNAVAILABLE = DagsterPostgresException("too many retries for DB connection")


@pytest.fixture(scope="module")
def records() -> Iterator[dg.DagsterInstance]:
    """Dagster's records of runs."""
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Runs that Dagster's own launcher was told to start a process for; no process is started."""
    found: list[str] = []
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(tmp_path / "lake"))
    monkeypatch.setattr(
        DefaultRunLauncher, "launch_run", lambda self, context: found.append(context.dagster_run.run_id)
    )
    return found


def forget_claims(settings: Settings) -> None:
    """All claims are over."""
    with connect_state(settings.state_url).begin() as connection:
        connection.execute(run_claims_table.delete())


def context() -> Any:
    return LaunchRunContext(dg.DagsterRun(job_name="snapshot", run_id=make_new_run_id()), workspace=None)


def test_daemons_at_the_same_moment_start_one_process(started: list[str]) -> None:
    barrier, run = Barrier(DAEMONS), context()

    def launch() -> None:
        barrier.wait()
        LaunchOnce().launch_run(run)

    with ThreadPoolExecutor(DAEMONS) as pool:
        for done in [pool.submit(launch) for _ in range(DAEMONS)]:
            done.result()
    assert started == [run.dagster_run.run_id]
    LaunchOnce().launch_run(another := context())
    assert started == [run.dagster_run.run_id, another.dagster_run.run_id]


def test_a_run_that_could_not_be_started_may_be_started_again(
    started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: DefaultRunLauncher, context: LaunchRunContext) -> None:
        raise dg.DagsterInvariantViolationError("no code server")

    run = context()
    with monkeypatch.context() as patched:
        patched.setattr(DefaultRunLauncher, "launch_run", fails)
        with pytest.raises(dg.DagsterInvariantViolationError):
            LaunchOnce().launch_run(run)
    LaunchOnce().launch_run(run)
    assert started == [run.dagster_run.run_id]


# --- a database that does not answer ----------------------------------------------------------------------------------

NOBODY = "postgresql+psycopg2://postgres@127.0.0.1:1/none"


ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("archive"), "__repository__"), "snapshot")


@pytest.fixture(scope="module")
def queue_records() -> Iterator[dg.DagsterInstance]:
    """Dagster's records of runs, with the launcher of the settings."""
    launcher = {"module": "trading_assets.resources.launcher", "class": "LaunchOnce"}
    with dg.instance_for_test(overrides={"run_launcher": launcher}) as instance:
        yield instance


@pytest.fixture
def take_from_queue(queue_records: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> TakeFromQueue:
    """Dagster's daemon, which takes one run from its queue."""
    monkeypatch.setattr(outages, "OUTAGE_SECONDS", 0.0)
    monkeypatch.setattr(outages, "REPEAT_SECONDS", 0.0)
    return TakeFromQueue(queue_records)


class TakeFromQueue:
    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def queued(self) -> str:
        """A run in the queue; its id."""
        run = self.instance.add_run(
            dg.DagsterRun("snapshot", make_new_run_id(), status=DagsterRunStatus.QUEUED, remote_job_origin=ORIGIN)
        )
        self.instance.report_dagster_event(dg.DagsterEvent.job_enqueue(run), run_id=run.run_id)
        return run.run_id

    def __call__(self, run_id: str) -> DagsterRunStatus:
        """The state of the run after the daemon has taken it from the queue."""
        with WorkspaceProcessContext(self.instance, EmptyWorkspaceTarget()) as process:
            workspace, run = process.create_request_context(), self.instance.get_run_by_id(run_id)
            daemon = QueuedRunCoordinatorDaemon(1)
            daemon._dequeue_run(self.instance, workspace, run, self.instance.get_concurrency_config(), None)
        return self.instance.get_run_by_id(run_id).status

    def said(self, run_id: str) -> str:
        """What is recorded of the run."""
        return " ".join(entry.message for entry in self.instance.all_logs(run_id))


def test_a_run_that_cannot_be_claimed_goes_back_into_the_queue_and_is_started_once_later(
    started: list[str], take_from_queue: TakeFromQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = take_from_queue.queued()
    with monkeypatch.context() as outage:
        outage.setenv("TRADING_ASSETS_DATABASE_URL", NOBODY)
        assert take_from_queue(run_id) is DagsterRunStatus.QUEUED
    assert "goes back into the queue: a database does not answer" in take_from_queue.said(run_id)
    assert not started
    assert take_from_queue(run_id) is DagsterRunStatus.STARTING
    assert started == [run_id]


def test_a_run_that_another_daemon_took_too_does_not_go_back_into_the_queue(
    started: list[str], take_from_queue: TakeFromQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = take_from_queue.queued()
    taken = dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_STARTING.value, job_name="snapshot")
    take_from_queue.instance.event_log_storage.store_event(
        dg.EventLogEntry(None, 10, "", run_id, time.time(), None, "snapshot", taken)
    )
    monkeypatch.setenv("TRADING_ASSETS_DATABASE_URL", NOBODY)
    assert take_from_queue(run_id) is DagsterRunStatus.STARTING, "not failed: the other one starts it"


def test_a_run_that_is_cancelled_while_its_claim_waits_is_not_started(
    started: list[str], take_from_queue: TakeFromQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, attempts = take_from_queue.queued(), []

    def claims(*given: Any) -> bool:
        attempts.append(given)
        if len(attempts) == 1:
            take_from_queue.instance.report_run_canceling(take_from_queue.instance.get_run_by_id(run_id))
            raise OUTAGE
        return claim(*given)

    monkeypatch.setattr(outages, "OUTAGE_SECONDS", 60.0)
    monkeypatch.setattr("trading_assets.resources.launcher.claim", claims)
    assert take_from_queue(run_id) is DagsterRunStatus.CANCELING
    assert len(attempts) == 2 and not started


def test_a_claim_whose_answer_was_lost_is_held_and_the_run_started(
    started: list[str], take_from_queue: TakeFromQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, answers = take_from_queue.queued(), []

    def claims(*given: Any) -> bool:
        answers.append(claim(*given))
        if len(answers) == 1:
            raise OUTAGE
        return answers[-1]

    monkeypatch.setattr(outages, "OUTAGE_SECONDS", 60.0)
    monkeypatch.setattr("trading_assets.resources.launcher.claim", claims)
    assert take_from_queue(run_id) is DagsterRunStatus.STARTING
    assert answers == [True, True] and started == [run_id]


def test_a_run_whose_launcher_cannot_use_the_history_goes_back_into_the_queue(
    started: list[str], take_from_queue: TakeFromQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = take_from_queue.queued()

    def fails(self: DefaultRunLauncher, context: LaunchRunContext) -> None:
        raise UNAVAILABLE

    with monkeypatch.context() as outage:
        outage.setattr(DefaultRunLauncher, "launch_run", fails)
        assert take_from_queue(run_id) is DagsterRunStatus.QUEUED
    assert take_from_queue(run_id) is DagsterRunStatus.STARTING and started == [run_id]


def test_a_claim_that_cannot_be_given_back_does_not_hide_the_error_of_the_launcher(
    started: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: DefaultRunLauncher, context: LaunchRunContext) -> None:
        raise dg.DagsterInvariantViolationError("no code server")

    def unavailable(*_: Any) -> None:
        raise OUTAGE

    monkeypatch.setattr(DefaultRunLauncher, "launch_run", fails)
    monkeypatch.setattr("trading_assets.resources.launcher.release", unavailable)
    with pytest.raises(dg.DagsterInvariantViolationError, match="no code server"):
        LaunchOnce().launch_run(context())


def test_the_instance_of_a_data_folder_starts_runs_once(tmp_path: Path) -> None:
    with dagster_instance(Settings(**{"data_dir": tmp_path})) as instance:
        assert isinstance(instance.run_launcher, LaunchOnce)


# --- the launcher of the settings -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_settings_choose_the_launcher_and_no_secret_is_in_the_reference_nor_in_what_is_said(
    tmp_path: Path, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # nobody listens there any more
    settings = Settings(
        launcher="celery",
        celery_broker=f"redis://:hunter2@127.0.0.1:{port}/0",
        database_url=postgresql,
        dagster_database_url=postgresql,
        data_dir=tmp_path,
    )
    enter(monkeypatch, settings)
    with dagster_instance(settings) as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, CeleryLauncher) and isinstance(launcher, StartedOnce)
        assert launcher.supports_resume_run and launcher.supports_check_run_worker_health
        assert instance.run_monitoring_start_timeout_seconds == launcher.start_timeout
        assert "hunter2" not in serialize_value(instance.get_ref())
        run = known_run(instance)
        launcher.launch_run(LaunchRunContext(run, workspace=None))
        waits = instance.get_run_by_id(run.run_id)
        said = " ".join(entry.message for entry in instance.all_logs(run.run_id))
    assert waits.status is DagsterRunStatus.STARTING and waits.tags[QUEUE_TAG] == run.run_id, "not failed: it waits"
    assert "does not answer" in said
    assert f"redis://:**@127.0.0.1:{port}/0" in said and "hunter2" not in said
    assert "hunter2" not in (tmp_path / "dagster" / "dagster.yaml").read_text() and "hunter2" not in repr(settings)


def test_what_is_wrong_with_the_settings_of_a_launcher_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server, on_a_server = "postgresql+psycopg2://archive:hunter2@here/archive", "history on a PostgreSQL server: set"
    queue = {"launcher": "celery", "celery_broker": "redis://:hunter2@here:6379/0"}
    Settings(**queue, database_url=server, dagster_database_url=server)
    for given, words in (
        ({"launcher": "celery"}, "TRADING_ASSETS_CELERY_BROKER is not set"),
        ({"celery_broker": "amqp://archive:hunter2@here//"}, "no URL of a Redis server"),
        ({"celery_broker": "redis://:hunter2@here:port/0"}, "no URL of a Redis server"),
        ({"celery_broker": "redis:///0"}, "no URL of a Redis server"),
        ({"launcher": "elsewhere"}, "'process', 'celery' or 'kubernetes'"),
        ({"launcher": "kubernetes"}, on_a_server),
        ({"launcher": "kubernetes", "dagster_database_url": server}, on_a_server),
        (queue, on_a_server),
        ({**queue, "database_url": server}, on_a_server),
        ({**queue, "database_url": "sqlite:///state.sqlite", "dagster_database_url": server}, on_a_server),
    ):
        with pytest.raises(ValidationError) as wrong:
            Settings(**given)
        said = wrong_value(wrong.value)
        assert words in said and "hunter2" not in said


# --- who takes a run --------------------------------------------------------------------------------------------------


def test_one_worker_takes_a_run_and_another_when_that_is_not_heard_of(
    records: dg.DagsterInstance, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    first, second = (Owner(connect_state(settings.state_url), f"worker-{name}") for name in ("first", "second"))
    run = known_run(records)
    assert is_worked_on(settings, run) is None
    first.ensure()
    second.ensure()
    assert take(records, settings, run.run_id, first.name) is not None
    forget_claims(settings)
    taken = records.get_run_by_id(run.run_id)
    assert worker_of(taken) == first.name and is_worked_on(settings, taken) is True
    assert take(records, settings, run.run_id, second.name) is None, "a message that came twice"
    assert worker_of(taken._replace(run_id=make_new_run_id())) is None, "the tag of a repeated run"
    with connect_state(settings.state_url).begin() as connection:  # its process has not begun, nor ended
        lost = owners.c.owner == f"run-{run.run_id}"
        connection.execute(owners.update().where(lost).values(heartbeat=owners.c.heartbeat - START_TIMEOUT))
    assert is_worked_on(settings, taken) is False, "a worker that lives does not keep it alive"
    first.close()
    assert live_workers(settings) == {second.name}
    assert take(records, settings, run.run_id, second.name) is not None
    second.close()


def test_a_run_that_began_ended_or_was_cancelled_is_not_taken(records: dg.DagsterInstance, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    for status in (DagsterRunStatus.STARTED, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELING):
        assert take(records, settings, known_run(records, status).run_id, "worker-1") is None
    assert take(records, settings, make_new_run_id(), "worker-1") is None
    begun = known_run(records, DagsterRunStatus.STARTED)
    assert take(records, settings, begun.run_id, "worker-1", attempt=1) is not None, "it is resumed"
