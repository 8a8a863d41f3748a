"""Redis or PostgreSQL does not answer for a while: runs wait, and none is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from celery.concurrency.thread import TaskPool
from celery.worker.consumer import Consumer
from dagster import DagsterRunStatus
from dagster._core.launcher.base import LaunchRunContext
from dagster_postgres.utils import DagsterPostgresException

from trading_assets.errors import ServiceFailed
from trading_assets.resources import run_owners
from trading_assets.resources.celery_launcher import CeleryLauncher
from trading_assets.resources.instance import dagster_instance
from trading_assets.resources.run_queue import RunQueue
from trading_assets.resources.run_workers import QUEUE_TAG
from trading_assets.serving import worker
from trading_assets.settings import Settings
from trading_assets.state import connect_state
from trading_assets_tests.workers.known import enter, known_run
from trading_assets_tests.workers.redis_server import RedisServer

HOURS = 1

UNAVAILABLE = DagsterPostgresException("too many retries for DB connection")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    found = Settings(data_dir=tmp_path / "lake", celery_broker="redis://127.0.0.1:1/0")
    connect_state(found.state_url)
    enter(monkeypatch, found)
    return found


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(settings) as found:
        yield found


@pytest.mark.slow
def test_a_run_that_redis_did_not_take_waits_and_is_sent_when_it_answers(
    instance: dg.DagsterInstance, settings: Settings, queue_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOST_SECONDS", 0.0)
    reachable = settings.model_copy(update={"celery_broker": queue_server.url})
    launcher, queue = CeleryLauncher(reachable), RunQueue(reachable)
    launcher.register_instance(instance)
    run = known_run(instance)
    queue_server.kill()
    launcher.launch_run(LaunchRunContext(run, workspace=None))
    with pytest.raises(ServiceFailed):
        list(worker.lost_runs(instance, reachable, queue))
    waits = instance.get_run_by_id(run.run_id)
    assert waits.status is DagsterRunStatus.STARTING and waits.tags[QUEUE_TAG] == run.run_id
    queue_server.start()
    assert list(worker.lost_runs(instance, reachable, queue)) == [run.run_id]
    queue.send(run.run_id)
    assert queue.waiting() == 1


@pytest.mark.slow
def test_a_run_whose_daemon_was_killed_before_it_sent_it_is_sent(
    instance: dg.DagsterInstance, settings: Settings, queue_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOST_SECONDS", 0.0)
    reachable = settings.model_copy(update={"celery_broker": queue_server.url})
    never_sent, repeated, begun = (known_run(instance) for _ in range(3))
    instance.add_run_tags(repeated.run_id, {QUEUE_TAG: never_sent.run_id})  # of the run that it repeats
    instance.add_run_tags(begun.run_id, run_owners.begin(reachable, begun.run_id))  # a process on this machine
    try:
        found = list(worker.lost_runs(instance, reachable, RunQueue(reachable)))
    finally:
        run_owners.leave(begun.run_id)
    assert set(found) == {never_sent.run_id, repeated.run_id}


@pytest.mark.slow
def test_runs_that_redis_did_not_take_again_are_sent_at_the_next_look(
    instance: dg.DagsterInstance, settings: Settings, queue_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only when the claim of who found them is over."""
    monkeypatch.setattr(worker, "LOST_SECONDS", 0.0)
    lost = {known_run(instance).run_id for _ in range(3)}
    said: list[str] = []
    works = worker.Worker(settings.model_copy(update={"celery_broker": queue_server.url}), 1, said.append)
    works._instance = instance
    send, failures = works._queue.send, [ServiceFailed("Redis does not answer.")]

    def unreliable(run_id: str) -> None:
        if failures:
            raise failures.pop()
        send(run_id)
        if works._queue.waiting_runs() == lost:
            works._done.set()

    monkeypatch.setattr(works._queue, "send", unreliable)
    works._send_lost_again()
    assert len(said) == 3 and works._queue.waiting() == 3


@pytest.mark.slow
def test_a_run_that_redis_lost_is_found_while_others_wait_in_the_queue(
    instance: dg.DagsterInstance, settings: Settings, queue_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOST_SECONDS", 0.0)
    reachable = settings.model_copy(update={"celery_broker": queue_server.url})
    queue = RunQueue(reachable)
    lost, waits = (known_run(instance) for _ in range(2))
    queue.send(waits.run_id)
    with queue_server.client() as client:
        client.lpush(queue.name, "no message", "[]", '{"headers": []}')
    assert list(worker.lost_runs(instance, reachable, queue)) == [lost.run_id]
    queue.send(lost.run_id)
    assert queue.waiting_runs() == {waits.run_id, lost.run_id}
    monkeypatch.setattr(worker, "claim", lambda *_: True)  # the one of the first look is over
    assert list(worker.lost_runs(instance, reachable, queue)) == []


@pytest.mark.slow
def test_what_redis_refuses_is_said(settings: Settings, queue_server: RedisServer) -> None:
    queue = RunQueue(settings.model_copy(update={"celery_broker": queue_server.url}))
    with queue_server.client() as client:
        client.config_set("maxmemory", 1)
        with pytest.raises(ServiceFailed, match=r"refused or lost.*maxmemory"):
            queue.send("run")
        client.config_set("maxmemory", 0)
        client.set(queue.name, "no list")
    with pytest.raises(ServiceFailed, match=r"refused or lost.*WRONGTYPE") as failed:
        queue.waiting()
    assert "redis://:**@" in str(failed.value)


def test_a_run_is_in_the_queue_and_not_failed_while_the_state_and_the_history_do_not_answer(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher, sent = CeleryLauncher(settings), []
    launcher.register_instance(instance)
    monkeypatch.setattr(launcher._queue, "send", lambda run_id, attempt: sent.append(run_id))

    def silent(*_: Any, **__: Any) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, OSError("server closed the connection"))

    def unavailable(*_: Any, **__: Any) -> None:
        raise UNAVAILABLE

    claimed, reported, tagged = (known_run(instance) for _ in range(3))
    with monkeypatch.context() as outage:
        outage.setattr("trading_assets.resources.launcher.claim", silent)
        outage.setattr("trading_assets.resources.launcher.release", silent)
        outage.setattr("trading_assets.resources.celery_launcher.live_workers", silent)
        launcher.launch_run(LaunchRunContext(claimed, workspace=None))
        assert "The run waits for a worker." in instance.all_logs(claimed.run_id)[-1].message
        outage.setattr(instance, "report_engine_event", unavailable)
        launcher.launch_run(LaunchRunContext(reported, workspace=None))
        outage.setattr(instance, "add_run_tags", unavailable)
        launcher.launch_run(LaunchRunContext(tagged, workspace=None))
    assert sent == [claimed.run_id, reported.run_id], "the third is sent by a worker"
    assert {instance.get_run_by_id(run.run_id).status for run in (claimed, reported, tagged)} == {
        DagsterRunStatus.STARTING
    }


def test_a_worker_keeps_a_message_whose_run_it_cannot_take_yet(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.01)
    run, said, asked = known_run(instance), [], []
    add_run_tags = instance.add_run_tags

    def answer(run_id: str, tags: dict[str, str]) -> None:
        asked.append(run_id)
        if len(asked) < 3:  # it is claimed in the state database, and does not say so yet
            raise UNAVAILABLE
        add_run_tags(run_id, tags)

    monkeypatch.setattr(instance, "add_run_tags", answer)
    works = worker.Worker(settings, 1, said.append)
    works._instance = instance
    monkeypatch.setattr(works, "_start", lambda run, attempt: subprocess.Popen([sys.executable, "-c", ""]))
    works._execute(run.run_id, 0)
    assert len(asked) > 2 and [f"Run {run.run_id}" in sentence for sentence in said] == [True, True]


def test_a_worker_waits_for_redis_however_long_it_does_not_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LongEnough(Exception):
        pass

    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if sum(waited) > HOURS * 3600:
            raise LongEnough

    monkeypatch.setattr("kombu.utils.functional.sleep", wait)  # between two attempts to connect
    thread = SimpleNamespace(use_eventloop=False)
    consumer = Consumer(print, app=RunQueue(settings).app, pool=TaskPool(limit=1), controller=thread)
    with pytest.raises(LongEnough):
        consumer.connection_for_read()


def test_a_worker_keeps_its_run_while_the_history_does_not_answer(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOOK_SECONDS", 0.01)
    run, said, asked = known_run(instance), [], []
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    answers = instance.get_run_by_id

    def answer(run_id: str) -> dg.DagsterRun | None:
        asked.append(run_id)
        if len(asked) == 1 or len(asked) > 6:  # it is taken; the server is back
            return answers(run_id)
        if len(asked) == 4:
            assert process.poll() is None and instance.get_run_record_by_id(run_id) is not None
            process.kill()
            process.wait()
        raise UNAVAILABLE

    monkeypatch.setattr(instance, "get_run_by_id", answer)
    works = worker.Worker(settings, 1, said.append)
    works._instance = instance
    monkeypatch.setattr(works, "_start", lambda run, attempt: process)
    works._execute(run.run_id, 0)
    assert len(asked) > 6 and "ended: FAILURE" in said[-1]
    assert answers(run.run_id).status is DagsterRunStatus.FAILURE


def test_a_worker_whose_runs_are_interrupted_does_not_wait_for_the_history(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = worker.Worker(settings, 1, print)
    works._instance, works._interrupted = instance, True

    def unavailable(run_id: str) -> None:
        raise UNAVAILABLE

    monkeypatch.setattr(instance, "get_run_by_id", unavailable)
    with pytest.raises(DagsterPostgresException):
        works._settled(known_run(instance).run_id, 1)


def test_lost_runs_are_looked_for_again_after_the_history_was_unavailable(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LOST_SECONDS", 0.0)
    works = worker.Worker(settings, 1, print)
    works._instance = instance
    looks: list[int] = []

    def lost(*_: Any) -> list[str]:
        looks.append(len(looks))
        if len(looks) == 1:
            raise UNAVAILABLE
        works._done.set()
        return []

    monkeypatch.setattr(worker, "lost_runs", lost)
    works._send_lost_again()
    assert looks == [0, 1]
