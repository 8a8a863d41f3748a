"""Queued runs on two Celery workers, on machines of their own: each run is executed once, on both, and a killed one is
repeated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterRunStatus

from trading_assets.resources.run_queue import RunQueue
from trading_assets.serving import worker
from trading_assets.settings import Settings
from trading_assets_tests.workers.desk import PATIENCE, Desk, processes
from trading_assets_tests.workers.known import enter
from trading_assets_tests.workers.redis_server import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def desk(tmp_path: Path, queue_server: RedisServer, postgresql: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    settings = Settings(
        data_dir=tmp_path / "lake",
        database_url=postgresql,
        dagster_database_url=postgresql,
        launcher="celery",
        celery_broker=queue_server.url,
    )
    enter(monkeypatch, settings)
    found = Desk(tmp_path, settings)
    yield found
    found.end()


def test_runs_are_shared_and_started_once_and_a_killed_one_is_repeated(desk: Desk) -> None:
    for _ in range(2):
        desk.start_daemon()
    east, west = desk.start_machine("east", "--runs", "1"), desk.start_machine("west", "--runs", "1")
    runs = desk.queue(4)
    desk.wait(lambda: len(east.began) == len(west.began) == 1, "each machine begins one")
    desk.until.touch()
    for run in runs:
        desk.ended(run)
    assert {desk.machine_of(run) for run in runs} == {"east", "west"}

    # A machine whose run is killed takes work again: the other one is gone.
    west.stop()
    gate = desk.folder / "gate"
    (run,) = desk.queue(until=gate)
    desk.begun(run)
    desk.kill_process_of(run)
    lost = desk.ended(run, DagsterRunStatus.FAILURE)
    again = desk.repetition(lost.run_id)
    desk.begun(again)
    gate.touch()
    desk.ended(again)
    runs += [run, again]
    assert desk.machine_of(run) == desk.machine_of(again) == "east"
    assert [desk.processes_of(run) for run in runs] == [1] * len(runs), "two daemons"
    assert len(desk.runs()) == len(runs)


def test_a_cancelled_run_ends_and_a_worker_that_is_stopped_lets_its_run_end(desk: Desk) -> None:
    desk.start_daemon()
    east = desk.start_machine("east", "--runs", "1")
    first, waiting = desk.queue(2)
    desk.begun(first)
    desk.wait(lambda: desk.run(waiting).status is DagsterRunStatus.STARTING, "the second waits for the worker")
    with desk.instance() as instance:
        assert instance.run_launcher.terminate(first) and instance.run_launcher.terminate(waiting)
    desk.ended(first, DagsterRunStatus.CANCELED)
    desk.ended(waiting, DagsterRunStatus.CANCELED)
    assert desk.processes_of(waiting) == 0
    (last,) = desk.queue()
    desk.begun(last)
    with desk.instance() as instance:
        assert not instance.run_launcher.terminate(first), "it has ended"
    desk.until.touch()
    east.stop()
    assert desk.run(last).status is DagsterRunStatus.SUCCESS, desk.words("the worker ended before its run")


def test_a_run_that_redis_lost_is_sent_again_and_the_worker_has_connected_again(
    desk: Desk, queue_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    east = desk.start_machine("east", "--runs", "1")
    desk.start_daemon()
    first, lost = desk.queue(2)
    desk.begun(first)
    desk.wait(lambda: desk.run(lost).status is DagsterRunStatus.STARTING, "the second waits for the worker")
    queue_server.kill()
    queue_server.start()
    monkeypatch.setattr(worker, "LOST_SECONDS", 0.0)
    queue = RunQueue(desk.settings)
    with desk.instance() as instance:
        found = [list(worker.lost_runs(instance, desk.settings, queue)) for _ in range(2)]
    assert found == [[lost], []], "two workers look"
    queue.send(lost)
    desk.until.touch()
    for run in (first, lost):
        desk.ended(run)
    assert east.began == [first, lost]
    assert [desk.processes_of(run) for run in (first, lost)] == [1, 1]


def test_a_worker_that_is_killed_takes_the_process_of_its_run_with_it_and_another_repeats_the_run(desk: Desk) -> None:
    desk.start_daemon()
    here = desk.start_worker_here()
    (run,) = desk.queue()
    desk.begun(run)
    here.kill()
    desk.ended(run, DagsterRunStatus.FAILURE)
    desk.wait(lambda: not [command for _, command in processes() if run in command], "its process ends")
    desk.start_machine("east", "--runs", "1")
    again = desk.repetition(run)
    desk.until.touch()
    desk.ended(again)
    assert desk.machine_of(again) == "east" and desk.processes_of(run) == desk.processes_of(again) == 1


def test_a_second_signal_interrupts_the_runs_of_a_worker(desk: Desk) -> None:
    desk.start_daemon()
    here = desk.start_worker_here()
    (run,) = desk.queue()
    desk.begun(run)
    here.terminate()
    desk.wait(lambda: "once more interrupts them" in (desk.folder / "here.log").read_text(), "it waits for its run")
    assert desk.run(run).status is DagsterRunStatus.STARTED
    here.terminate()
    assert here.wait(PATIENCE) == 0
    desk.ended(run, DagsterRunStatus.FAILURE)
    assert desk.repetition(run)
