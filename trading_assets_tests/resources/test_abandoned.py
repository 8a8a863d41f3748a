"""Runs of dead processes are ended; those that only carry a dead process's mark are not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster import DagsterRunStatus
from dagster._core.utils import make_new_run_id

from trading_assets.resources.abandoned import PROCESS_TAG, end_abandoned_runs, process_mark
from trading_assets.resources.archive import ArchiveResource
from trading_assets.state.owners import this_host


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


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


def test_a_run_of_a_dead_process_is_ended_and_one_of_a_living_process_is_not(
    instance: dg.DagsterInstance, dead_mark: str
) -> None:
    dead = add_run(instance, DagsterRunStatus.STARTED, dead_mark)
    add_run(instance, DagsterRunStatus.STARTED, process_mark())
    assert end_abandoned_runs(instance) == [dead.run_id]


def test_a_repeated_run_is_not_taken_for_its_dead_parent(instance: dg.DagsterInstance, dead_mark: str) -> None:
    """Dagster copies the tags of a failed run to its next try, the mark of the process that failed among them."""
    parent = add_run(instance, DagsterRunStatus.FAILURE, dead_mark)
    again = add_run(instance, DagsterRunStatus.STARTING, dead_mark, parent)
    assert end_abandoned_runs(instance) == []
    assert instance.get_run_by_id(again.run_id).status is DagsterRunStatus.STARTING


def test_a_repeated_run_says_which_process_works_on_it(instance: dg.DagsterInstance, dead_mark: str) -> None:
    @dg.op
    def work(archive: ArchiveResource) -> None:
        archive.settings()

    @dg.job(resource_defs={"archive": ArchiveResource()})
    def working() -> None:
        work()

    result = working.execute_in_process(instance=instance, tags={PROCESS_TAG: dead_mark})
    assert instance.get_run_by_id(result.run_id).tags[PROCESS_TAG] == process_mark()
