"""Runs of dead processes are ended; those that only carry a dead process's mark are not. On other machines, and in a
process that goes on to other runs, the heartbeat of the run's owner tells."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.utils import make_new_run_id

from trading_assets.collecting.archive import Archive
from trading_assets.resources import run_owners
from trading_assets.resources.abandoned import PROCESS_TAG, end_abandoned_runs, process_mark
from trading_assets.resources.archive import ArchiveResource
from trading_assets.resources.run_owners import OWNER_TAG, START_TIMEOUT
from trading_assets.settings import Settings
from trading_assets.state import connect_state, owners
from trading_assets.state.owners import OWNER_TIMEOUT, dead_owners, live_owners
from trading_assets.state.processes import this_host
from trading_assets.state.tables import owners as owners_table

ELSEWHERE = "another#0123456789.pid 4711 1"
"""The mark of a process on another machine."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a lake."""
    found = Settings(data_dir=tmp_path)
    connect_state(found.state_url)
    return found


@pytest.fixture
def dead_mark() -> str:
    """The mark of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return f"{this_host()} {process.pid} 1"


def add_run(
    instance: dg.DagsterInstance, status: DagsterRunStatus, mark: str, parent: dg.DagsterRun | None = None
) -> dg.DagsterRun:
    links = {} if parent is None else {"parent_run_id": parent.run_id, "root_run_id": parent.run_id}
    return instance.add_run(
        dg.DagsterRun(job_name="snapshot", run_id=make_new_run_id(), status=status, tags={PROCESS_TAG: mark}, **links)
    )


def begin(instance: dg.DagsterInstance, settings: Settings, mark: str) -> dg.DagsterRun:
    """A run that has begun, with an owner in the state database."""
    run = add_run(instance, DagsterRunStatus.STARTED, mark)
    instance.add_run_tags(run.run_id, run_owners.begin(settings, run.run_id))
    return run


def heard_of(settings: Settings, seconds_ago: float) -> None:
    """All owners were last heard of so long ago, on another machine."""
    with connect_state(settings.state_url).begin() as connection:
        before = owners_table.c.heartbeat - seconds_ago
        connection.execute(owners_table.update().values(host="another#0123456789.pid", heartbeat=before))


def test_a_run_of_a_dead_process_is_ended_and_one_of_a_living_process_is_not(
    instance: dg.DagsterInstance, settings: Settings, dead_mark: str
) -> None:
    dead = add_run(instance, DagsterRunStatus.STARTED, dead_mark)
    add_run(instance, DagsterRunStatus.STARTED, process_mark())
    assert end_abandoned_runs(instance, settings) == [dead.run_id]


def test_a_repeated_run_is_not_taken_for_its_dead_parent(
    instance: dg.DagsterInstance, settings: Settings, dead_mark: str
) -> None:
    """Dagster copies the tags of a failed run to its next try, those of the process that failed among them."""
    parent = add_run(instance, DagsterRunStatus.FAILURE, dead_mark)
    again = add_run(instance, DagsterRunStatus.STARTING, dead_mark, parent)
    instance.add_run_tags(again.run_id, {OWNER_TAG: f"lake run-{parent.run_id}"})
    assert end_abandoned_runs(instance, settings) == []
    assert instance.get_run_by_id(again.run_id).status is DagsterRunStatus.STARTING


def test_a_repeated_run_says_which_process_works_on_it(
    instance: dg.DagsterInstance, settings: Settings, dead_mark: str
) -> None:
    alive: list[set[str]] = []

    @dg.op
    def work(archive: ArchiveResource) -> None:
        with connect_state(archive.settings().state_url).connect() as connection:
            alive.append(live_owners(connection))

    @dg.job(resource_defs={"archive": ArchiveResource.holding({"data_dir": settings.data_dir})()})
    def working() -> None:
        work()

    result = working.execute_in_process(instance=instance, tags={PROCESS_TAG: dead_mark})
    tags = instance.get_run_by_id(result.run_id).tags
    assert tags[PROCESS_TAG] == process_mark()
    assert tags[OWNER_TAG].endswith(f" run-{result.run_id}") and alive == [{f"run-{result.run_id}"}]
    heard_of(settings, OWNER_TIMEOUT)
    with connect_state(settings.state_url).connect() as connection:
        assert dead_owners(connection) == {f"run-{result.run_id}"}, "its heart beats no more"


def test_a_run_of_another_machine_is_ended_when_it_is_not_heard_of_any_more(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    run = begin(instance, settings, ELSEWHERE)
    heard_of(settings, OWNER_TIMEOUT / 2)
    assert end_abandoned_runs(instance, settings) == []
    heard_of(settings, OWNER_TIMEOUT / 2)
    assert end_abandoned_runs(instance, settings) == [run.run_id]
    assert instance.get_run_by_id(run.run_id).status is DagsterRunStatus.FAILURE
    run_owners.leave(run.run_id)


def test_a_run_whose_process_never_began_is_ended(
    instance: dg.DagsterInstance, settings: Settings, dead_mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine died between the start of the process and the process's first words."""
    parent = add_run(instance, DagsterRunStatus.FAILURE, dead_mark)
    slow, lost = (add_run(instance, DagsterRunStatus.STARTING, dead_mark, parent) for _ in range(2))
    for run in (slow, lost):
        instance.add_run_tags(run.run_id, run_owners.start(settings, run.run_id))
    monkeypatch.setattr(owners, "OWNER_TIMEOUT", OWNER_TIMEOUT - START_TIMEOUT + 1)  # as if that were in a second
    assert end_abandoned_runs(instance, settings) == []
    instance.add_run_tags(slow.run_id, run_owners.begin(settings, slow.run_id))
    monkeypatch.setattr(owners, "OWNER_TIMEOUT", OWNER_TIMEOUT - START_TIMEOUT - 1)
    assert end_abandoned_runs(instance, settings) == [lost.run_id]
    run_owners.leave(slow.run_id)


def test_a_run_that_opens_no_archive_is_worked_on_however_long_it_takes(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's own assets beside ours: nobody's heartbeat tells of them."""
    started = dg.DagsterRun(job_name="own", run_id=make_new_run_id(), status=DagsterRunStatus.STARTED)
    run = instance.add_run(started)
    instance.add_run_tags(run.run_id, run_owners.start(settings, run.run_id))
    monkeypatch.setattr(owners, "OWNER_TIMEOUT", OWNER_TIMEOUT - START_TIMEOUT - 1)  # as if its time were over
    assert end_abandoned_runs(instance, settings) == []
    assert instance.get_run_by_id(run.run_id).status is DagsterRunStatus.STARTED


def test_a_process_that_goes_on_to_other_runs_does_not_keep_a_lost_one_alive(
    instance: dg.DagsterInstance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "HEARTBEAT", 0.01)
    lost, present = (begin(instance, settings, process_mark()) for _ in range(2))
    run_owners.leave(lost.run_id)
    assert end_abandoned_runs(instance, settings) == [], "its end may still be on its way into the history"
    monkeypatch.setattr(owners, "OWNER_TIMEOUT", 0.0)
    assert end_abandoned_runs(instance, settings) == [lost.run_id]
    run_owners.leave(present.run_id)


def test_a_run_of_another_lake_is_left_alone(instance: dg.DagsterInstance, settings: Settings, tmp_path: Path) -> None:
    """Two lakes may share an instance of Dagster's: the owner is in the state database of the run's own lake."""
    (tmp_path / "other").mkdir()
    other = Settings(data_dir=tmp_path / "other")
    run = begin(instance, other, ELSEWHERE)
    assert end_abandoned_runs(instance, settings) == []
    heard_of(other, OWNER_TIMEOUT)
    assert end_abandoned_runs(instance, other) == [run.run_id]
    run_owners.leave(run.run_id)


def test_a_run_whose_archive_cannot_be_closed_is_no_longer_worked_on(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its heart would beat for as long as the process that goes on to other runs."""

    def broken(_: Archive) -> None:
        raise OSError("the disk is gone")

    @dg.op(required_resource_keys={"archive"})
    def work(context) -> None:  # type: ignore[no-untyped-def]  # Dagster reads the annotation
        context.resources.archive.open()
        assert hearts(context.run.run_id)

    def hearts(run_id: str) -> list[str]:
        return [one.name for one in threading.enumerate() if one.name == f"heartbeat-run-{run_id}"]

    @dg.job(resource_defs={"archive": ArchiveResource()})
    def working() -> None:
        work()

    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(settings.data_dir))
    monkeypatch.setattr(Archive, "close", broken)
    run = working.execute_in_process(instance=instance, raise_on_error=False)
    assert run.success and not hearts(run.run_id)
