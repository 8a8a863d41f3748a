"""What a client does while it wants streams: it starts a recorder when none runs, and not more often than makes
sense."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trading_assets.settings import Settings
from trading_assets.streaming import keeping
from trading_assets.streaming.health import Subscription
from trading_assets.streaming.keeping import Keeper
from trading_assets.streaming.registry import LiveRegistry
from trading_assets_tests.observing import eventually


class Starts:
    """Starts processes that end at once, as a recorder does that cannot work."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    def __call__(self, settings: Settings) -> subprocess.Popen[bytes]:
        self.processes.append(subprocess.Popen([sys.executable, "-S", "-c", ""], stdin=subprocess.DEVNULL))
        return self.processes[-1]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)  # type: ignore[call-arg]


def test_a_recorder_is_started_when_something_is_wanted_and_none_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(keeping, "FIRST_PAUSE", 0.05)
    starts = Starts()
    other = LiveRegistry(settings.state_url)
    assert other.take()
    keeper = Keeper(settings, LiveRegistry(settings.state_url), starts)
    keeper.add({"AAPL": 4})
    eventually(lambda: other.wanted() == [Subscription("AAPL", 4)])
    assert starts.processes == [], "one runs"
    other.release()
    eventually(lambda: len(starts.processes) >= 3)
    assert all(process.returncode is not None for process in starts.processes[:-1]), "never two at once"
    assert other.take()
    keeper.drop(None)
    assert other.wanted() == []
    keeper.close()
    other.close()
    for process in starts.processes:
        process.wait()


def test_what_is_wanted_is_said_again_after_the_owner_was_taken_for_dead(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LOOK_SECONDS", 0.01)
    other, own = LiveRegistry(settings.state_url), LiveRegistry(settings.state_url)
    assert other.take()
    keeper = Keeper(settings, own, Starts())
    keeper.add({"AAPL": 4, "MSFT": 0})
    other._forget({own.owner.name})
    assert other.wanted() == [Subscription("AAPL", 4), Subscription("MSFT", 0)], "it lives: nothing is taken away"
    own.want([])
    eventually(lambda: len(other.wanted()) == 2)
    keeper.drop(["AAPL"])
    assert other.wanted() == [Subscription("MSFT", 0)]
    keeper.close()
    assert other.wanted() == []
    other.close()


def test_a_recorder_that_could_not_be_started_is_started_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A machine may have no room for another process just now."""
    monkeypatch.setattr(keeping, "LOOK_SECONDS", 0.01)
    starts, failed = Starts(), list[str]()

    def start(settings: Settings) -> subprocess.Popen[bytes]:
        if not failed:
            failed.append("once")
            raise BlockingIOError("Resource temporarily unavailable")
        return starts(settings)

    keeper = Keeper(settings, LiveRegistry(settings.state_url), start)
    keeper.add({"AAPL": 0})
    eventually(lambda: starts.processes, between_looks=0.01)
    assert "it is tried again" in caplog.text
    keeper.close()
    for process in starts.processes:
        process.wait()
