"""The recorder's process, run in a thread: the lease, who wants what, when it ends, and what it says when it cannot
work."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from trading_assets.serving import live_reports
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.simulator.load import FIRST_SIZE
from trading_assets.streaming import LiveDataManager, process
from trading_assets.streaming.health import Subscription
from trading_assets.streaming.launch import log_file
from trading_assets.streaming.process import RecorderProcess, broker_of
from trading_assets.streaming.registry import LiveRegistry, RecorderState
from trading_assets.streaming.store import latest_quotes
from trading_assets.streaming.updates import QuoteUpdate
from trading_assets.universe import Universe
from trading_assets_tests.observing import eventually
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.streaming.recording import settings_of

Simulate = Callable[..., Simulator]


@contextmanager
def recorder(settings: Settings, *, universe: bool = False) -> Iterator[tuple[RecorderProcess, list[int]]]:
    """A recorder at work, and its exit code once it has ended."""
    running, codes = RecorderProcess(settings, universe=universe), list[int]()
    thread = threading.Thread(target=lambda: codes.append(running.run()), daemon=True)
    thread.start()
    try:
        yield running, codes
    finally:
        running.end()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(process, "LEASE_SECONDS", 0.05)


def test_it_records_what_clients_want_and_ends_when_nobody_wants_anything(
    lake: Path, simulate: Simulate, quick: None
) -> None:
    settings = settings_of(lake, simulate())
    with LiveDataManager(settings) as first, LiveDataManager(settings) as second, ExitStack() as stack:
        first._keeper.add({"AAA": 2})
        _, codes = stack.enter_context(recorder(settings))
        status = first.start_streaming("AAA", options=2)
        assert status.ok, status
        assert [(stream.contract, stream.kind) for stream in status.streams] == [
            ("AAA", "quote"),
            ("AAA", "bar"),
            ("AAA 2024-06-21 100 C", "quote"),
            ("AAA 2024-06-21 100 P", "quote"),
        ]
        assert {one.symbol for one in second.start_streaming(["BBB", "NOPE"]).streams} == {"BBB", "NOPE"}
        (problem,) = second.monitor_stream_health().problems
        assert "trading-assets setup NOPE" in problem, "the others go on"
        assert second.monitor_stream_health().recorder.pid == status.recorder.pid
        quote = eventually(lambda: first.latest("AAA"), between_looks=0.01)
        assert quote == latest_quotes(lake, con_ids=[1])[1] and quote.symbol == "AAA"
        first.stop_streaming()
        assert second.monitor_stream_health().recorder.running
        second.stop_streaming()
        eventually(lambda: codes == [0], between_looks=0.01)
        assert not second.monitor_stream_health().recorder.running
        assert second.monitor_stream_health().ok, "nothing is wanted: nothing is wrong"


def test_another_one_is_not_needed(lake: Path, simulate: Simulate, quick: None) -> None:
    tws = simulate()
    settings = settings_of(lake, tws)
    wanting = LiveRegistry(settings.state_url)
    wanting.want([Subscription("AAA")])
    with recorder(settings):
        eventually(lambda: wanting.state().age is not None, between_looks=0.01)
        assert RecorderProcess(settings).run() == 0
        assert wanting.state().running
    assert tws.counters.connections["accepted"] == 1
    wanting.close()


def test_that_of_up_waits_for_the_lease_and_streams_the_universe(lake: Path, simulate: Simulate, quick: None) -> None:
    settings = settings_of(lake, simulate(), live_options=2)
    Universe(settings.state_url).add(["AAA"], now=NOW)
    other = LiveRegistry(settings.state_url)
    assert other.take()
    with recorder(settings, universe=True) as (_, codes):
        eventually(lambda: other.wanted() == [Subscription("AAA", 2)], between_looks=0.01)
        assert other.state().running and codes == [], "what it wants is recorded by the one that has the lease"
        other.release()
        eventually(lambda: len(other.state().streams) == 4, between_looks=0.01)
        Universe(settings.state_url).add(["BBB"], now=NOW)
        eventually(lambda: {one.symbol for one in other.state().streams} == {"AAA", "BBB"}, between_looks=0.01)
    assert codes == [0] and other.wanted() == []
    other.close()


def test_a_lake_of_another_account_is_said(lake: Path, simulate: Simulate, quick: None) -> None:
    tws = simulate(accounts=["U1234567"])
    settings = settings_of(lake, tws)
    wanting = LiveRegistry(settings.state_url)
    wanting.want([Subscription("AAA")])
    with recorder(settings) as (_, codes):
        eventually(lambda: codes == [1], between_looks=0.01)
    reason = wanting.state().reason
    assert "account" in reason and reason.endswith("."), reason
    with LiveDataManager(settings) as manager:
        manager._keeper._wanted["AAA"] = 0
        assert manager.monitor_stream_health().problems == (f"No recorder is running: nothing is recorded. {reason}",)
    wanting.close()


def test_the_last_report_knows_why_it_ended(
    lake: Path, simulate: Simulate, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reports after it: the lease must be given back before."""
    settings = settings_of(lake, simulate(accounts=["U1234567"]))
    found: list[RecorderState] = []

    @contextmanager
    def watched(settings: Settings) -> Iterator[None]:
        yield
        found.append(LiveRegistry(settings.state_url).state())

    monkeypatch.setattr(process, "reporting", watched)
    wanting = LiveRegistry(settings.state_url)
    wanting.want([Subscription("AAA")])
    with recorder(settings) as (_, codes):
        eventually(lambda: codes == [1], between_looks=0.01)
    wanting.close()
    assert not found[0].running and "account" in found[0].reason


def test_a_state_database_that_fails_changes_nothing(lake: Path, simulate: Simulate, quick: None) -> None:
    settings = settings_of(lake, simulate())
    wanting = LiveRegistry(settings.state_url)
    wanting.want([Subscription("AAA")])
    with recorder(settings) as (running, codes):
        eventually(lambda: wanting.state().streams, between_looks=0.01)
        with wanting._engine.begin() as connection:
            connection.exec_driver_sql("alter table live_subscriptions rename to elsewhere")
        assert [one.symbol for one in running._wanted()] == ["AAA"]
        with wanting._engine.begin() as connection:
            connection.exec_driver_sql("alter table elsewhere rename to live_subscriptions")
        assert codes == []
    assert codes == [0]
    wanting.close()


def test_a_slow_dagster_changes_nothing(
    lake: Path, simulate: Simulate, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a report hangs in Dagster's storage, every update of the stream is recorded, and the health is said."""
    reported, answered = threading.Event(), threading.Event()

    class Slow:
        """A Dagster that takes an event and does not return."""

        def report_runless_asset_event(self, event: object) -> None:
            reported.set()
            answered.wait(300)

    @contextmanager
    def slow(settings: Settings, *, captures: bool = True) -> Iterator[Slow]:
        yield Slow()

    @contextmanager
    def reporting_here(settings: Settings) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=live_reports.serve, args=(settings, ended), daemon=True)
        thread.start()
        yield
        answered.set()
        ended.set()
        thread.join(30)

    monkeypatch.setattr(live_reports, "dagster_instance", slow)
    monkeypatch.setattr(live_reports, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(process, "reporting", reporting_here)
    tws = simulate()
    tws.clock.run(1)
    settings = settings_of(lake, tws)
    with LiveDataManager(settings) as manager:
        manager._keeper.add({"AAA": 0})
        with recorder(settings):
            assert manager.start_streaming("AAA").ok and reported.wait(300)
            seen: list[QuoteUpdate] = []
            manager.on_quote(seen.append)
            before = tws.counters.load_messages.get(1, 0)
            tws.set_message_rate(2_000)
            eventually(lambda: tws.counters.load_messages.get(1, 0) - before > 1_000, between_looks=0.01)
            tws.set_message_rate(0)
            sent = tws.counters.load_messages[1] - before
            eventually(lambda: len(numbered(seen)) == sent, between_looks=0.01)
            assert not answered.is_set() and numbered(seen) == list(range(sent)), "each once, in order"
            health = manager.monitor_stream_health()
            assert health.ok and health.recorder.age is not None and health.recorder.age < 5


def numbered(updates: list[QuoteUpdate]) -> list[int]:
    """The running numbers of the simulator's messages behind updates: sizes that changed."""
    found, before = list[int](), (0.0, 0.0)
    for update in updates:
        sizes = (update.bid_size or 0.0, update.ask_size or 0.0)
        found += [int(size) - FIRST_SIZE for size, old in zip(sizes, before, strict=True) if size != old]
        before = sizes
    return [number for number in found if number >= 0]


HANGING = """
import sys, threading, time
from trading_assets.settings import Settings
from trading_assets.streaming import process, recorder
async def hang(self, stop):
    time.sleep(3600)
recorder.Recorder.run = hang
process.HANGS_SECONDS = 0.2
sys.exit(process.main(["--log-to-file"]))
"""


def test_one_whose_event_loop_hangs_ends_its_process(lake: Path, simulate: Simulate) -> None:
    settings = settings_of(lake, simulate())
    wanting = LiveRegistry(settings.state_url)
    wanting.want([Subscription("AAA")])
    done = subprocess.run(
        [sys.executable, "-c", HANGING], env=settings.child_environment(), capture_output=True, timeout=300, check=False
    )
    assert done.returncode == process.HANGING
    assert "has not said for 0 seconds how its streams are" in log_file(lake).read_text()
    assert not wanting.state().running and wanting.take(), "another one can work at once"
    wanting.close()


def test_without_a_broker_the_simulator_inside_has_a_clock_that_runs(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, now=NOW)  # type: ignore[call-arg]
    with broker_of(settings) as (connected, clock):
        assert connected.endpoint is not None
        before = clock()
        eventually(lambda: clock() > before, between_looks=0.001)
        assert NOW <= before < NOW + timedelta(minutes=5)
