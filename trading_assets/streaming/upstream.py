"""What TWS says about the way from the broker's servers to it, and what that means for the streams.

Only what is certain is acted upon: lost connectivity concerns every stream, a broken data farm those that it may serve,
and what comes back goes on by itself unless it stays silent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from trading_assets.broker.client import CONNECTIVITY_LOST
from trading_assets.broker.codes import is_warning, lookup
from trading_assets.streaming.health import StreamState
from trading_assets.streaming.stream import FINAL, Stream
from trading_assets.streaming.updates import GapReason

logger = logging.getLogger("trading_assets.streaming")

DATA_LOST, DATA_KEPT = 1101, 1102
FARM_BROKEN, FARM_OK = 2103, 2104

RESUME_SECONDS = 5.0
"""Seconds that a stream may stay silent after what it comes from is up again, before it is asked for again."""


class Upstream:
    """The state of connectivity and data farms, and the streams that hang on them."""

    def __init__(self, streams: Callable[[], Iterable[Stream]], *, resume_seconds: float = RESUME_SECONDS) -> None:
        self._streams = streams
        self._resume = resume_seconds
        self._time = asyncio.get_running_loop().time
        self._farms: dict[str, str] = {}
        self.lost = ""
        """What TWS said when it lost its servers; empty while it has them."""

    def on_down(self, text: str) -> None:
        """The connection to TWS is lost: nothing that was asked for goes on."""
        self.lost = ""
        self._farms.clear()
        for stream in self._streams():
            stream.blocked = False
            stream.let_go(cancel=False)
            if stream.state not in FINAL and stream.state is not StreamState.SHED:
                stream.lose(StreamState.DOWN, GapReason.DISCONNECTED, text=text)
            stream.ask_again()

    def on_status(self, code: int, text: str) -> None:
        """A message that belongs to no request."""
        if code in CONNECTIVITY_LOST:
            self._connectivity_lost(code, text)
        elif code == DATA_LOST:
            self._restored(again=True)
        elif code == DATA_KEPT:
            self._restored(again=False)
        elif code == FARM_BROKEN:
            self._farm_broken(_farm(text), text)
        elif code == FARM_OK:
            self._farm_ok(_farm(text))
        elif not is_warning(code, text):
            row = lookup(code, text)
            logger.warning("TWS: %s %s %s", code, text, row.remedy if row else "")

    def _connectivity_lost(self, code: int, text: str) -> None:
        self.lost = text
        for stream in self._running():
            stream.blocked = True
            stream.lose(StreamState.DOWN, GapReason.UPSTREAM_LOST, code=code, text=text)

    def _restored(self, *, again: bool) -> None:
        """TWS has its servers again. What it says of them after that is new."""
        self.lost = ""
        self._farms.clear()
        for stream in self._running():
            stream.blocked = False
            if again:
                stream.let_go(cancel=False)
                stream.ask_again()
            else:
                stream.resume(self._time() + self._resume)

    def _farm_broken(self, farm: str, text: str) -> None:
        self._farms[farm] = text
        for stream in self._running():
            if may_serve(farm, stream) and not self.lost:
                stream.blocked = True
                stream.lose(StreamState.DOWN, GapReason.FARM_DOWN, code=FARM_BROKEN, text=text)

    def _farm_ok(self, farm: str) -> None:
        if self._farms.pop(farm, None) is None:
            return
        for stream in self._running():
            still_down = any(may_serve(other, stream) for other in self._farms)
            if may_serve(farm, stream) and not still_down and not self.lost:
                stream.resume(self._time() + self._resume)

    def _running(self) -> list[Stream]:
        return [stream for stream in self._streams() if stream.req_id is not None and stream.state not in FINAL]


def _farm(text: str) -> str:
    """The farm that a status is about: `usfarm` in `Market data farm connection is broken:usfarm`."""
    return text.rpartition(":")[2].strip().lower()


def may_serve(farm: str, stream: Stream) -> bool:
    """Whether a farm may be the one that a stream comes from, by its name: US options have farms of their own
    (`usopt`), and so have futures, currencies and other regions. A name that says nothing may be any."""
    if not farm.startswith("us"):
        return not farm.startswith(_ELSEWHERE)
    if "opt" in farm:
        return not stream.subject.is_underlying
    return not any(word in farm for word in ("fut", "bond"))


_ELSEWHERE = ("eu", "hfarm", "jfarm", "cash", "fut", "apac", "sec")
