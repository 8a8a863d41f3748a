"""Several processes on one journal and one TWS: nothing asked twice, nothing lost, no limit exceeded, also when one is
killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest

from trading_assets.broker.broker import Broker
from trading_assets.broker.journal import Journal
from trading_assets.simulator import Simulator
from trading_assets.state.owners import lease_client_id
from trading_assets_tests.broker.collecting import (
    QUICK,
    collect,
    collect_until_killed,
    open_journal,
    questions,
    settings_of,
)
from trading_assets_tests.observing import arrived

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CONTEXT = multiprocessing.get_context("spawn")
PATIENCE = 300.0
"""Seconds to wait for a process that must answer; it only ends a test that has failed."""


def begin(function: Callable[..., None], *arguments: Any) -> tuple[SpawnProcess, Connection]:
    """Start a process with a pipe to it as its last argument."""
    here, there = CONTEXT.Pipe()
    process = CONTEXT.Process(target=function, args=(*arguments, there), daemon=True)
    process.start()
    there.close()
    return process, here


def hear(pipe: Connection) -> Any:
    """The next message of a process."""
    assert pipe.poll(PATIENCE), "the process said nothing"
    return pipe.recv()


@pytest.mark.parametrize("processes", [2, 4])
def test_overlapping_work_is_shared(processes: int, simulate: Callable[..., Simulator], tmp_path: Path) -> None:
    collect_together(processes, simulate(latency=0.1), tmp_path, None)


def test_overlapping_work_is_shared_on_postgresql(
    simulate: Callable[..., Simulator], tmp_path: Path, postgresql: str
) -> None:
    collect_together(2, simulate(latency=0.1), tmp_path, postgresql)


def collect_together(processes: int, simulator: Simulator, folder: Path, database_url: str | None) -> None:
    """Processes whose work overlaps by two thirds: each question is asked once, and all get all answers."""
    start = CONTEXT.Barrier(processes)
    spans = [(12 * i, 12 * i + 36) for i in range(processes)]
    running = [begin(collect, folder, simulator.port, first, last, start, database_url) for first, last in spans]
    answers = [hear(pipe) for _, pipe in running]
    for process, _ in running:
        process.join(PATIENCE)

    distinct = questions(spans[-1][1])
    counters = simulator.counters
    assert not counters.repeated("historical_data")
    assert counters.requests["historical_data"] == len(distinct) == sum(sent for _, sent, _ in answers)
    assert not counters.violations
    assert counters.connections.get("refused", 0) == 0, "two processes came with one client id"
    for (first, last), (payloads, _, _) in zip(spans, answers, strict=True):
        assert set(payloads) == {request.key for request in questions(last)[first:]}
        assert all(payload["bars"] for payload in payloads.values())
    assert sum(reused for *_, reused in answers) == 36 * processes - len(distinct)


def test_two_processes_get_equal_shares(simulate: Callable[..., Simulator], tmp_path: Path) -> None:
    """While both have work, neither is starved of messages."""
    simulator = simulate()
    start = CONTEXT.Barrier(2)
    running = [begin(collect, tmp_path, simulator.port, 72 * i, 72 * i + 72, start, None) for i in range(2)]
    for _, pipe in running:
        hear(pipe)
    for process, _ in running:
        process.join(PATIENCE)
    senders = [entry.client_id for entry in simulator.counters.of("historical_data")]
    both = max(senders.index(client_id) for client_id in set(senders))  # one of them may begin later on a busy machine
    shares = Counter(senders[both : both + 48])
    assert len(shares) == 2
    assert min(shares.values()) >= 12
    assert not simulator.counters.violations


@pytest.mark.parametrize("after", [1, 20])
def test_kill_9_loses_nothing_and_repeats_nothing_that_was_answered(
    after: int, simulate: Callable[..., Simulator], tmp_path: Path
) -> None:
    simulator = simulate(latency=0.2)
    count = 60
    process, pipe = begin(collect_until_killed, tmp_path, simulator.port, count)
    journalled = [hear(pipe) for _ in range(after)]
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(PATIENCE)
    while pipe.poll():
        try:
            journalled.append(pipe.recv())
        except EOFError:
            break

    settings = settings_of(tmp_path, simulator.port)
    journal = Journal(settings.state_url)
    recovered = {result.request.key: result.payload for result in journal.unapplied(["option_bars"])}
    arrived(simulator)
    asked_before = simulator.counters.of("historical_data")
    with Broker(settings, journal, waits=QUICK) as broker:
        results = broker.run(questions(count), planned_at=datetime.now(UTC))
        sent, reused = broker.sent, broker.reused
    journal.close()

    assert max(journalled) <= len(recovered)
    assert all(result.payload["bars"] for result in results)
    assert (sent, reused) == (count - len(recovered), len(recovered))
    asked = Counter(entry.key for entry in simulator.counters.of("historical_data"))
    in_flight = len(asked_before) - len(recovered)
    assert sum(n - 1 for n in asked.values()) <= in_flight
    assert not simulator.counters.violations


def test_processes_create_the_database_at_once(tmp_path: Path) -> None:
    start = CONTEXT.Barrier(4)
    running = [begin(open_journal, tmp_path, start) for _ in range(4)]
    claims = [hear(pipe) for _, pipe in running]
    for process, _ in running:
        process.join(PATIENCE)
    assert sorted(tuple(states) for states in claims) == [("send",) * 5] + [("wait",) * 5] * 3


def test_client_ids_are_leased_to_one_each_and_come_back(tmp_path: Path) -> None:
    first, second = (Journal(f"sqlite:///{tmp_path / 'state.db'}") for _ in range(2))
    names = [journal.owner.ensure() for journal in (first, second)]

    def lease(name: str, avoid: set[int] | None = None) -> int | None:
        return lease_client_id(first.engine, name, "here:7497", (50, 51), avoid or set())

    assert [lease(name) for name in names] == [50, 51]
    assert lease_client_id(first.engine, names[1], "there:7497", (50, 51), set()) == 50
    assert lease(names[0], {50}) is None
    first.close()
    assert lease(names[1]) == 50
    second.close()
