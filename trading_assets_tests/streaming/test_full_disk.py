"""A recorder with its real store, on a disk that is really full: a file system of a few megabytes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from trading_assets.repositories.live.reading import live_table
from trading_assets.repositories.live_schema import LIVE_GAPS, LIVE_QUOTES
from trading_assets.simulator import Simulator
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.store import LiveWriter
from trading_assets_tests.streaming.recording import ListWriter, recording, run
from trading_assets_tests.streaming.test_recorder import OPTION
from trading_assets_tests.streaming.tiny_lake import SESSION


class StoredToo(ListWriter):
    """Keeps what it is given in lists, and has it written by the writer of the store."""

    def __init__(self, stored: LiveWriter) -> None:
        self._stored = stored
        super().__init__(next_seq=stored.next_seq)

    def append(self, quotes: Any = (), bars: Any = (), gaps: Any = ()) -> None:
        super().append(quotes, bars, gaps)
        self._stored.append(quotes, bars, gaps)

    def take_lost(self) -> list[Any]:
        self.fault, self.backlog = self._stored.fault, self._stored.backlog
        return self._stored.take_lost()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root only, where the container allows it")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Take all room that is left."""
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(os.urandom(4096))


def test_what_could_not_be_written_is_a_gap_and_streaming_goes_on(
    filled_lake: Path, small_disk: Path, simulate: Callable[..., Simulator]
) -> None:
    """The state database lies on the same disk; what is there streams on, and all is recorded again once there is
    room."""
    lake = Path(shutil.copytree(filled_lake, small_disk / "lake"))
    tws = simulate()
    stored = LiveWriter(lake, clock=tws.clock.now)
    writer = StoredToo(stored)

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 1), writer=writer) as one:
            await one.until_live("AAA", OPTION)
            await one.step(1, 108)
            stored.flush()
            asked = one.asked()
            fill(small_disk / "filler")
            while not (health := one.of("AAA")).unrecorded:
                await one.step(1, 108)
            assert "No space left on device" in health.unrecorded and health.state is StreamState.LIVE
            await one.step(1, 108)
            (small_disk / "filler").unlink()
            await one.until(lambda: (tws.clock.advance(5), not one.of("AAA").unrecorded)[1])
            await one.step(1, 108)
            assert one.asked() == asked, "no stream was begun again"

    run(work())
    stored.close()
    written = {row["seq"]: row for row in live_table(lake, LIVE_QUOTES, SESSION).to_pylist()}
    lost = [row for row in writer.quotes if row.seq not in written]
    assert lost and len(written) + len(lost) == len(writer.quotes)
    gaps = [row for row in live_table(lake, LIVE_GAPS, SESSION).to_pylist() if row["reason"] == "not_recorded"]
    for con_id in (1, 108):
        instants = [row.received_at for row in lost if row.con_id == con_id]
        (gap,) = [row for row in gaps if row["con_id"] == con_id and "-q" in row["stream_id"]]
        assert (gap["began"], gap["ended"]) == (min(instants), max(instants))
        assert "No space left on device" in gap["text"]
