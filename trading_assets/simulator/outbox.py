"""What goes out to one client, in order, and the ways a fault may distort it.

While anything holds the outbox (a stall, a split answer on its way), later frames wait behind it.
"""

from __future__ import annotations

import asyncio

from trading_assets.simulator.counters import Counters

SPLIT_PIECES = 64
"""Most small segments of a split answer; the rest follows in one. Enough to cut every length and field at odd
places."""
SPLIT_PAUSE = 0.001
"""Seconds between segments, so that the client's socket sees them apart."""


class Outbox:
    """Writes frames to a transport."""

    def __init__(self, transport: asyncio.Transport, counters: Counters) -> None:
        self.transport = transport
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._written: list[bytes] = []
        self._holds = 0
        self._splitting = asyncio.Lock()  # the segments of two split answers must not mix
        self._waiting: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def closing(self) -> bool:
        """Whether the connection is being closed."""
        return self.transport.is_closing()

    def send(self, *frames: bytes) -> None:
        """Write frames, or queue them behind a hold.

        What is sent in one turn of the event loop leaves in one write: a write costs more than a small answer itself.
        """
        self._counters.sent(len(frames))
        if self.closing:
            return
        if self._holds:
            self._waiting += frames
            return
        if not self._written:
            self._loop.call_soon(self._flush)
        self._written += frames

    def _flush(self) -> None:
        written, self._written = self._written, []
        if written and not self.closing:
            self.transport.write(b"".join(written))

    def send_half(self, frame: bytes) -> None:
        """Write the first half of a frame, whatever is held."""
        self._flush()
        if not self.closing:
            self.transport.write(frame[: max(len(frame) // 2, 1)])

    def close(self) -> None:
        """Close after what was written is sent; what is held is lost."""
        self._waiting.clear()
        self._flush()
        self.transport.close()

    def distort(self, how: str, frames: list[bytes], seconds: float, size: int) -> None:
        """Send frames as a fault wants: `stall` and `merge` hold everything for `seconds`, `split` cuts into segments
        of `size` bytes."""
        self._flush()
        self._holds += 1
        if how == "split":
            self._counters.sent(len(frames))
            self._start(self._split(b"".join(frames), size))
        else:
            self.send(*frames)
            self._start(self._hold(seconds))

    def _start(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _split(self, data: bytes, size: int) -> None:
        small = data[: size * SPLIT_PIECES]
        async with self._splitting:
            for start in range(0, len(small), size):
                if self.closing:
                    return
                self.transport.write(small[start : start + size])
                await asyncio.sleep(SPLIT_PAUSE)
            if not self.closing and len(data) > len(small):
                self.transport.write(data[len(small) :])
        self._let_go()

    async def _hold(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._let_go()

    def _let_go(self) -> None:
        self._holds -= 1
        if not self._holds and self._waiting and not self.closing:
            self.transport.write(b"".join(self._waiting))
        if not self._holds:
            self._waiting.clear()
