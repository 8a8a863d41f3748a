"""Live data as a user has it: the guide's snippet in a script and in a running event loop, the command, and a recorder
that is killed. The recorder is a process of its own, at a simulated TWS whose market moves."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from trading_assets.cli.app import run
from trading_assets.collecting.archive import Archive
from trading_assets.collecting.steps.contracts import collect_contracts
from trading_assets.repositories import connect
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.state.processes import process_birth
from trading_assets.streaming import LiveDataManager
from trading_assets.streaming.registry import LiveRegistry
from trading_assets_tests.coroutines import run_coroutine
from trading_assets_tests.observing import eventually
from trading_assets_tests.scenarios.desk import at
from trading_assets_tests.test_guide import LIVE, blocks

NOW = at("2024-06-14T10:00-04:00")

(SNIPPET,) = [code for heading, code in blocks() if heading == LIVE]


@dataclass
class Streaming:
    """A lake that knows AAPL and GOOGL, and the simulator it streams from."""

    settings: Settings
    tws: Simulator

    @property
    def recorder(self) -> int:
        """The process of the recorder; 0 when none runs."""
        return LiveRegistry(self.settings.state_url).state().pid or 0

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with connect(self.settings.data_dir, live=True) as lake:
            return lake.sql(sql).fetchall()


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streaming]:
    """One for the tests of this module; recorders that run at the end are ended."""
    with Simulator(GeneratedMarket(seed=42), now=NOW, speed=1.0, limits=False) as tws:
        folder = tmp_path_factory.mktemp("live") / "lake"
        settings = Settings(data_dir=folder, ib_port=tws.port, now=NOW, enforce_pacing=False)  # type: ignore[call-arg]
        with Archive(settings) as archive:
            archive.write(collect_contracts(archive, archive.universe.resolve(["AAPL", "GOOGL"]), NOW.date()))
        found = Streaming(settings, tws)
        yield found
        if pid := found.recorder:
            os.kill(pid, signal.SIGTERM)
            eventually(lambda: gone(pid))
        assert not found.recorder
        assert not tws.counters.internal_errors and not tws.counters.violations


def gone(pid: int) -> bool:
    """Whether the process has ended; a child of ours is buried."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return process_birth(pid) is None


@pytest.fixture(autouse=True)
def environment(streaming: Streaming, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in streaming.settings.environment().items():
        monkeypatch.setenv(name, value)


def command(*arguments: str) -> tuple[int, str]:
    """Run a command line in this process: its exit code and what it printed."""
    with redirect_stdout(io.StringIO()) as printed:
        code = run([*arguments])
    return code, printed.getvalue()


def test_the_guide_in_a_running_event_loop(streaming: Streaming) -> None:
    """As in a notebook: nothing but the snippet, then the updates as they come."""
    names: dict[str, Any] = {"__name__": "notebook"}

    async def notebook() -> list[str]:
        exec(compile(SNIPPET, "guide.md", "exec"), names)
        manager = names["live_manager"]
        status = await asyncio.to_thread(
            eventually, lambda: (found := manager.monitor_stream_health()).ok and found
        )  # the snippet has waited 30 s for the recorder's process; a busy machine may need longer
        assert status.states == {"live": 4}, status
        seen = []
        async for update in manager.quotes():
            seen.append(update.symbol)
            if len(set(seen)) == 2:
                return seen
        raise AssertionError

    try:
        assert set(run_coroutine(asyncio.wait_for(notebook(), 300))) == {"AAPL", "GOOGL"}
        assert names["live_manager"].latest("AAPL").bid < names["live_manager"].latest("AAPL").ask
    finally:
        names["live_manager"].close()


def test_the_guide_as_a_script(streaming: Streaming) -> None:
    """Beside a manager of this process: one recorder and one connection for both."""
    with LiveDataManager() as other:
        assert other.start_streaming("AAPL", timeout=300).ok
        recorder = streaming.recorder
        accepted = streaming.tws.counters.connections["accepted"]
        script = f"{SNIPPET}\nprint(live_manager.monitor_stream_health())\n"
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=streaming.settings.child_environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        assert lines[0].startswith(f"Recorder: process {recorder} on ") and lines[0].endswith("Streams: 4 live.")
        assert [line.split()[:3] for line in lines[1:]] == [
            [symbol, kind, "live"] for symbol, kind in
            (("AAPL", "quote"), ("GOOGL", "quote"), ("AAPL", "bar"), ("GOOGL", "bar"))
        ]  # fmt: skip
        assert streaming.tws.counters.connections["accepted"] == accepted
        registry = LiveRegistry(streaming.settings.state_url)
        eventually(lambda: [one.symbol for one in registry.wanted()] == ["AAPL"], between_looks=0.01)


def test_the_command_shows_updates_and_health(streaming: Streaming) -> None:
    with LiveDataManager() as keeper:
        assert keeper.start_streaming("AAPL", timeout=300).ok
        look_at_updates(streaming)
    code, printed = command("live", "--status", "--json")
    document = json.loads(printed)
    assert code == 0 and document["ok"] is True, "nothing is wanted now, and nothing is wrong"
    assert document["recorder"]["pid"] == streaming.recorder > 0


def look_at_updates(streaming: Streaming) -> None:
    """What the command prints of a stream that is live."""
    code, printed = command("live", "AAPL", "--json", "--seconds", "2")
    documents = [json.loads(line) for line in printed.splitlines()]
    quotes = [one["quote"] for one in documents if "quote" in one]
    assert code == 0
    assert {quote["symbol"] for quote in quotes} == {"AAPL"}
    assert len({quote["seq"] for quote in quotes}) == len(quotes) > 0
    assert [one["status"] for one in documents if "status" in one][-1]["states"] == {"live": 2}
    stored = {row[0] for row in streaming.rows("select seq from live_quotes")}
    assert {quote["seq"] for quote in quotes} <= stored
    refusal = "MSFT is not streamed: the lake has no contract of it."
    code, printed = eventually(
        lambda: refusal in (shown := command("live", "AAPL", "MSFT", "--seconds", "2"))[1] and shown
    )
    assert code == 1
    lines = printed.splitlines()
    (row,) = [line.split() for line in lines if line.startswith("AAPL  ") and "quote" in line][:1]
    assert row[1:3] == ["quote", "live"] and float(row[3].replace(",", "")) > 0


@pytest.mark.slow
def test_a_killed_recorder_is_replaced_and_the_gap_recorded(streaming: Streaming) -> None:
    with LiveDataManager() as manager:
        status = manager.start_streaming("AAPL", timeout=300)
        assert status.ok and status.recorder.pid is not None
        seen: list[int] = []
        manager.on_quote(lambda update: seen.append(update.seq))
        eventually(lambda: seen, between_looks=0.01)
        os.kill(status.recorder.pid, signal.SIGKILL)
        killed = eventually(
            lambda: not (found := manager.monitor_stream_health()).recorder.running and found, between_looks=0.001
        )
        assert not killed.ok and killed.states == {"down": 2}
        assert killed.problems == ("No recorder is running: nothing is recorded. The recorder's process was killed.",)
        after = eventually(lambda: (found := manager.monitor_stream_health()).ok and found)
        assert after.recorder.pid not in (None, status.recorder.pid)
        last = seen[-1]
        eventually(lambda: seen[-1] > last, between_looks=0.01)
        assert len(set(seen)) == len(seen), "the follower goes on with the new recorder, and nothing comes twice"
    gaps = streaming.rows("select distinct symbol, reason from live_gaps where reason = 'recorder_died'")
    assert ("AAPL", "recorder_died") in gaps
