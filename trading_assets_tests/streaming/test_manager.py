"""`LiveDataManager` at the seam to the recorder: what it wants, what it is handed, what it says. The recorder here is a
lease and a writer that this process holds; `test_live.py` has the whole."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import pytest

from trading_assets.errors import InvalidRequest
from trading_assets.settings import Settings
from trading_assets.streaming import LiveDataManager
from trading_assets.streaming.health import StreamHealth, StreamState, Subscription
from trading_assets.streaming.registry import LiveRegistry, RecorderState
from trading_assets.streaming.status import status_of
from trading_assets.streaming.store import LiveWriter
from trading_assets.streaming.updates import QuoteUpdate
from trading_assets_tests.coroutines import run_coroutine
from trading_assets_tests.observing import eventually
from trading_assets_tests.scenarios.desk import at
from trading_assets_tests.streaming.live_rows import quote

NOW = datetime(2024, 6, 14, 14, 30, tzinfo=UTC)


def update(seq: int, symbol: str = "AAPL") -> QuoteUpdate:
    """The update of that number; the bid says which."""
    return quote(seq, {"AAPL": 265598, "MSFT": 272093}[symbol], symbol=symbol)


class Recording:
    """A lake into which this process records, and whose streams are as it says."""

    def __init__(self, data_dir: Path) -> None:
        self.settings = Settings(data_dir=data_dir, now=NOW)  # type: ignore[call-arg]
        self.registry = LiveRegistry(self.settings.state_url)
        assert self.registry.take()
        self.writer = LiveWriter(data_dir)

    def write(self, *updates: QuoteUpdate) -> None:
        self.writer.append(updates)
        self.writer.flush()

    def publish(self, *, seen_at: float = inf, **states: StreamState) -> None:
        """Say how streams are, and that everything that will be wanted is among them."""
        self.registry.publish([health(symbol, state) for symbol, state in states.items()], seen_at)

    def close(self) -> None:
        self.writer.close()
        self.registry.close()


def health(symbol: str, state: StreamState) -> StreamHealth:
    return StreamHealth(f"{symbol}-1", 1, symbol, symbol, "quote", state, NOW, NOW)


RUNNING = RecorderState(
    True, 1, "here", NOW, "", 0.0, 0.0,
    (health("AAPL", StreamState.LIVE), replace(health("AAPL", StreamState.WAITING), kind="bar")),
)  # fmt: skip
"""A recorder with a live stream of quotes, and one of bars that has not answered."""


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    found = Recording(tmp_path / "lake")
    yield found
    found.close()


@pytest.fixture
def manager(recording: Recording) -> Iterator[LiveDataManager]:
    with LiveDataManager(recording.settings) as found:
        yield found


def test_a_bad_symbol_is_refused_and_the_others_are_wanted(recording: Recording, manager: LiveDataManager) -> None:
    recording.publish(AAPL=StreamState.LIVE, MSFT=StreamState.LIVE)
    status = manager.start_streaming(["aapl", "", "A/B", 5, "MSFT"], options=3)  # type: ignore[list-item]
    assert recording.registry.wanted() == [Subscription("AAPL", 3), Subscription("MSFT", 3)]
    assert [stream.symbol for stream in status.streams] == ["AAPL", "MSFT"]
    assert not status.ok and len(status.problems) == 3
    assert "'A/B' is not a US stock, ETF or index symbol." in status.problems[1]
    manager.stop_streaming("MSFT")
    assert recording.registry.wanted() == [Subscription("AAPL", 3)]
    manager.stop_streaming()
    assert recording.registry.wanted() == []
    assert manager.monitor_stream_health().problems == (), "what was refused is wanted no more either"


@pytest.mark.parametrize("symbols", [5, b"AAPL", {"AAPL": 1}, None])
def test_what_is_no_list_of_symbols_is_refused(manager: LiveDataManager, symbols: object) -> None:
    with pytest.raises(InvalidRequest):
        manager.start_streaming(symbols)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"options": -1}, {"options": 1.5}, {"timeout": -1}, {"timeout": "x"}])
def test_wrong_numbers_are_refused(manager: LiveDataManager, wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        manager.start_streaming("AAPL", **wrong)  # type: ignore[arg-type]


def test_the_start_returns_once_each_stream_is_answered(recording: Recording, manager: LiveDataManager) -> None:
    recording.publish(AAPL=StreamState.WAITING, MSFT=StreamState.LIVE)
    status = manager.start_streaming(["AAPL", "MSFT"], timeout=0.3)
    assert not status.ok, "it waited no longer than it was told to"
    assert "AAPL, quote: waiting since 14:30:00 UTC. The broker has not answered yet." in status.problems
    recording.publish(AAPL=StreamState.REFUSED, MSFT=StreamState.LIVE)
    status = manager.start_streaming(["AAPL", "MSFT"], timeout=300)
    assert [str(stream.state) for stream in status.streams] == ["refused", "live"]
    recording.publish(AAPL=StreamState.LIVE, MSFT=StreamState.SHED)
    assert manager.start_streaming(["AAPL"]).ok, "a line given up for something more useful is as intended"


def test_bars_of_a_closed_market_are_not_waited_for(recording: Recording, manager: LiveDataManager) -> None:
    bars = replace(health("AAPL", StreamState.WAITING), kind="bar")
    for state, ok in ((StreamState.LIVE, False), (StreamState.FROZEN, True)):
        recording.registry.publish([health("AAPL", state), bars], inf)
        assert manager.start_streaming("AAPL", timeout=0.2).ok is ok
    early = status_of(at("2024-06-14T09:26-04:00"), RUNNING, [Subscription("AAPL")], {})
    assert early.ok, "quotes are live before the open, and bars begin with it"
    assert not status_of(at("2024-06-14T09:31-04:00"), RUNNING, [Subscription("AAPL")], {}).ok


def test_the_start_does_not_believe_what_was_said_before(recording: Recording, manager: LiveDataManager) -> None:
    """A recorder that has just been told to stream AAPL no more still says for a moment that it does."""
    recording.publish(seen_at=1.0, AAPL=StreamState.LIVE)
    begun = time.monotonic()
    manager.start_streaming("AAPL", timeout=0.3)
    assert time.monotonic() - begun > 0.3
    recording.publish(AAPL=StreamState.LIVE)
    assert manager.start_streaming("AAPL", timeout=300).ok


def test_callbacks_get_the_updates_of_the_symbols_that_were_started(
    recording: Recording, manager: LiveDataManager
) -> None:
    recording.publish(AAPL=StreamState.LIVE)
    recording.write(update(0))
    seen: list[QuoteUpdate] = []
    everything: list[QuoteUpdate] = []
    with LiveDataManager(recording.settings) as onlooker:
        onlooker.on_quote(everything.append)
        end = manager.on_quote(seen.append)
        manager.start_streaming("AAPL")
        recording.write(update(1), update(2, "MSFT"), update(3))
        eventually(lambda: len(everything) == 3 and len(seen) == 2, between_looks=0.01)
        assert seen == [update(1), update(3)], "as written, and nothing from before"
        end()
        recording.write(update(4))
        eventually(lambda: len(everything) == 4, between_looks=0.01)
    assert len(seen) == 2
    assert manager.monitor_stream_health().callbacks == ()


def test_a_raising_callback_is_said_by_the_health(recording: Recording, manager: LiveDataManager) -> None:
    recording.publish(AAPL=StreamState.LIVE)
    manager.start_streaming("AAPL")
    manager.on_quote(lambda one: one.halted / 0)  # type: ignore[operator]
    recording.write(update(1), update(2))
    eventually(lambda: manager.monitor_stream_health().callbacks[0].failed == 2, between_looks=0.01)
    (said,) = manager.monitor_stream_health().problems
    assert "raised 2 time(s), last ZeroDivisionError" in said and said.endswith("The recording is not affected.")


def test_quotes_are_iterated_in_a_running_event_loop(recording: Recording, manager: LiveDataManager) -> None:
    recording.publish(AAPL=StreamState.LIVE)

    async def first(count: int) -> list[int]:
        manager.start_streaming("AAPL")
        found: list[int] = []
        stream = manager.quotes()
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        recording.write(*(update(seq) for seq in range(1, count + 1)))
        found.append((await waiting).seq)
        async for one in stream:
            found.append(one.seq)
            if len(found) == count:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    assert run_coroutine(asyncio.wait_for(first(50), 30)) == list(range(1, 51))
    assert manager.monitor_stream_health().callbacks == ()


def test_a_recorder_that_says_nothing_more_is_a_problem(recording: Recording, manager: LiveDataManager) -> None:
    recording.publish(AAPL=StreamState.LIVE)
    assert manager.start_streaming("AAPL").ok
    engine = recording.registry._engine
    with engine.begin() as connection:
        connection.exec_driver_sql("update live_recorder set published_at = published_at - 60")
    status = manager.monitor_stream_health()
    assert not status.ok and "has not reported for 60 seconds" in status.problems[0]


def test_the_status_is_a_table_and_a_record(recording: Recording, manager: LiveDataManager) -> None:
    recording.publish(AAPL=StreamState.LIVE, MSFT=StreamState.DOWN)
    status = manager.start_streaming(["AAPL", "MSFT"])
    lines = str(status).splitlines()
    assert lines[0].endswith("Streams: 1 live, 1 down.")
    assert lines[1].split()[:3] == ["AAPL", "quote", "live"]
    assert lines[-1].startswith("! MSFT, quote: down since 14:30:00 UTC. The connection to the broker is down")
    document = status.as_dict()
    assert document["ok"] is False and document["states"] == {"live": 1, "down": 1}
    assert document["streams"][0]["contract"] == "AAPL" and document["recorder"]["running"] is True


def test_what_a_forgotten_manager_wants_lapses(recording: Recording) -> None:
    recording.publish(AAPL=StreamState.LIVE)
    manager = LiveDataManager(recording.settings)
    manager.start_streaming("AAPL")
    assert recording.registry.wanted()
    del manager
    gc.collect()
    assert recording.registry.wanted() == []


def test_after_the_stop_no_updates_of_others_come(
    recording: Recording, manager: LiveDataManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.publish(AAPL=StreamState.LIVE)
    seen: list[QuoteUpdate] = []
    everything: list[QuoteUpdate] = []
    with LiveDataManager(recording.settings) as onlooker:
        manager.on_quote(seen.append)
        onlooker.on_quote(everything.append)
        manager.start_streaming("AAPL")
        manager.stop_streaming()
        polled, follows = list[int](), manager._keeper.follows
        monkeypatch.setattr(manager._keeper, "follows", lambda symbol: polled.append(1) or follows(symbol))
        recording.write(update(1), update(2, "MSFT"))
        eventually(lambda: len(everything) == len(polled) == 2, between_looks=0.01)
        manager.start_streaming("MSFT", timeout=0)
        recording.write(update(3, "MSFT"))
        eventually(lambda: seen, between_looks=0.01)
    assert seen == [update(3, "MSFT")]


def test_a_closed_manager_says_so_and_ends_its_iterations(recording: Recording) -> None:
    manager = LiveDataManager(recording.settings)

    async def iterate() -> list[QuoteUpdate]:
        asyncio.get_running_loop().call_later(0.05, manager.close)
        return [one async for one in manager.quotes()]

    assert run_coroutine(asyncio.wait_for(iterate(), 10)) == []
    for call in (lambda: manager.start_streaming("AAPL"), lambda: manager.on_quote(print)):
        with pytest.raises(InvalidRequest, match="was closed: make a new one"):
            call()
    assert recording.registry.wanted() == []
