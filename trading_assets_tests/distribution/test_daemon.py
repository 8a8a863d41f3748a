"""The real daemon, killed while it submits parts: the next one submits the rest, and no part twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dagster import RunsFilter

from trading_assets.automation.run_dedup import KEY_TAG
from trading_assets.distribution import DISTRIBUTION_TAG, GATEWAY_TAG, WORK_TAG
from trading_assets.jobs.distribution import (
    DistributionStatus,
    distribute_work,
    distribution_status,
    repeat_parts,
    stop_distribution,
)
from trading_assets.resources.instance import dagster_home, dagster_instance
from trading_assets.settings import Settings
from trading_assets.universe import Universe
from trading_assets_tests.lakes import PLAIN, PLAIN_NOW, copy_of
from trading_assets_tests.observing import eventually

ROOT = Path(__file__).resolve().parents[2]

SETTINGS_OF_WORKERS = re.search(r"```yaml\n(concurrency:.*?)```", (ROOT / "docs/scaling.md").read_text("utf-8"), re.S)


@contextmanager
def daemon(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's daemon on the data folder, in a process group of its own that is killed in the end."""
    environment = {**settings.child_environment(), "DAGSTER_HOME": str(dagster_home(settings)), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(ROOT / "workspace.yaml")]
    with (settings.data_dir.parent / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=settings.data_dir.parent, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A lake with bars and no greeks, and an empty universe: nothing but the parts is started. No run leaves the
    queue."""
    found = Settings(data_dir=copy_of(PLAIN, tmp_path / "lake"), now=PLAIN_NOW, ib_port=1)  # type: ignore[call-arg]
    Universe(found.state_url).remove(["AAPL", "SPY"])
    (dagster_home(found) / "dagster.yaml").write_text("concurrency: {runs: {max_concurrent_runs: 0}}\n", "utf-8")
    return found


@pytest.mark.slow
def test_a_daemon_that_is_killed_while_it_submits_is_followed_by_another(settings: Settings) -> None:
    given = {"symbols_per_part": 1, "sessions_per_part": 1}
    planned = distribute_work("greeks", ["AAPL", "SPY"], "2023-12-20", "2024-01-02", settings=settings, **given)
    name = planned.name

    def status() -> DistributionStatus:
        return distribution_status(name, settings=settings)

    with daemon(settings):
        eventually(lambda: status().counts["queued"] >= 2, between_looks=0.5)
    assert status().counts["missing"] > 0, "it was killed too late"
    with daemon(settings):
        eventually(lambda: status().counts["queued"] == len(status().parts), between_looks=1)
        eventually(lambda: not status().submitting, between_looks=1)
    with dagster_instance(settings) as instance:
        runs = instance.get_runs(RunsFilter(tags={DISTRIBUTION_TAG: name}))
    assert Counter(run.tags[KEY_TAG] for run in runs) == {
        f"{name} {number}": 1 for number in range(1, len(planned.parts) + 1)
    }
    assert stop_distribution(name, settings=settings) == len(planned.parts)
    assert status().counts["failed"] == repeat_parts(name, settings=settings) == len(planned.parts)
    assert status().submitting


@pytest.mark.slow
def test_the_settings_of_the_docs_for_workers_are_those_of_dagster(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)  # type: ignore[call-arg]
    assert SETTINGS_OF_WORKERS is not None
    (dagster_home(settings) / "dagster.yaml").write_text(SETTINGS_OF_WORKERS[1], "utf-8")
    with dagster_instance(settings) as instance:
        found = instance.get_concurrency_config()
    assert found.run_queue_config is not None
    limits = {limit["key"]: limit["limit"] for limit in found.run_queue_config.tag_concurrency_limits}
    assert limits == {DISTRIBUTION_TAG: 20, WORK_TAG: 4, GATEWAY_TAG: 1}
    assert found.run_queue_config.max_concurrent_runs == 30 and found.pool_config.default_pool_limit == 5
