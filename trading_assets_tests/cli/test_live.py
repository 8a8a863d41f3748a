"""The command `live` without a recorder: its arguments, and an output that is read slowly."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trading_assets.cli import live
from trading_assets.cli.app import run
from trading_assets.streaming import LiveDataManager, callbacks
from trading_assets.streaming.health import StreamState
from trading_assets_tests.observing import eventually
from trading_assets_tests.streaming.test_manager import Recording, update

KEPT = 5


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    found = Recording(tmp_path / "lake")
    yield found
    found.close()


class SlowOutput(io.StringIO):
    """An output that takes nothing until it is `read`, and then has no reader any more."""

    def __init__(self) -> None:
        super().__init__()
        self.read = threading.Event()
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        self.read.wait(300)
        return super().write(text)


def test_what_waits_for_a_slow_reader_is_bounded_and_what_is_lost_is_counted(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "QUEUED", KEPT)
    monkeypatch.setattr(callbacks, "WAITING_MOST", KEPT)
    output = SlowOutput()
    monkeypatch.setattr(sys, "stdout", output)
    recording.publish(AAPL=StreamState.LIVE)
    with LiveDataManager(recording.settings) as manager:
        printing = threading.Thread(
            target=live._print_lines, args=(manager, lambda: manager.start_streaming("AAPL", timeout=0), None)
        )
        printing.start()
        eventually(lambda: manager._keeper.wanted, between_looks=0.01)
        for seq in range(40):
            recording.write(update(seq))
        eventually(lambda: manager.monitor_stream_health().callbacks[0].lost >= 40 - 3 * KEPT, between_looks=0.01)
        output.error = OSError()
        output.read.set()
        printing.join(30)
        assert not printing.is_alive()


@pytest.mark.parametrize("more", [["AAPL"], ["--options", "4"], ["--seconds", "3"]])
def test_the_status_is_about_all_streams(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], more: list[str]
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(recording.settings.data_dir))
    assert run(["live", "--status", *more]) == 2
    assert "--status shows all streams" in capsys.readouterr().err


def test_without_a_symbol_and_an_active_one(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRADING_ASSETS_DATA_DIR", str(recording.settings.data_dir))
    assert run(["live"]) == 2
    assert capsys.readouterr().err.startswith("error: No symbol is given and the universe is empty: name at least one")
