"""What TWS says about the way from the broker's servers to it, and what that means for the streams.

Only what is certain is acted upon: lost connectivity concerns every stream, a broken data farm those that it may serve,
and what comes back goes on by itself unless it stays silent.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from datetime import datetime
from enum import Enum

from trading_assets.broker.client import CONNECTIVITY_LOST
from trading_assets.broker.codes import is_warning, lookup
from trading_assets.sessions import Clock
from trading_assets.streaming.context import Suspicion
from trading_assets.streaming.health import StreamState
from trading_assets.streaming.stream import FINAL, Stream
from trading_assets.streaming.subjects import Subject
from trading_assets.streaming.updates import GapReason

logger = logging.getLogger("trading_assets.streaming")

DATA_LOST, DATA_KEPT = 1101, 1102
FARM_BROKEN, FARM_OK = 2103, 2104

IN_FLIGHT_SECONDS = 1.0
"""Seconds after a farm broke in which updates may still come that were under way."""

RESUME_SECONDS = 5.0
"""Seconds that a stream may stay silent after what it comes from is up again, before it is asked for again."""


class Upstream:
    """The state of connectivity and data farms, and the streams that hang on them."""

    def __init__(
        self, streams: Callable[[], Iterable[Stream]], clock: Clock, *, resume_seconds: float = RESUME_SECONDS
    ) -> None:
        self._streams = streams
        self._clock = clock
        self._resume = resume_seconds
        self._time = asyncio.get_running_loop().time
        self._farms: dict[str, str] = {}
        self.lost = ""
        """What TWS said when it lost its servers; empty while it has them."""

    def renew(self) -> None:
        """A session begins: nothing is known of what is behind it."""
        self.lost = ""
        self._farms.clear()

    def on_down(self, text: str) -> None:
        """The connection to TWS is lost: nothing that was asked for goes on."""
        self.renew()
        for stream in self._streams():
            stream.blocked_until = -math.inf
            stream.let_go(cancel=False)
            if stream.state not in FINAL and stream.state is not StreamState.SHED:
                stream.lose(StreamState.DOWN, GapReason.DISCONNECTED, text=text)
            stream.ask_again()

    def stood_still(self, began: datetime, seconds: float) -> None:
        """This process has not run for so long, since `began`: what is delivered now is late, or was lost."""
        text = f"The recorder stood still for {seconds:.0f} s: its machine was suspended, or too busy."
        for stream in self._running() if not self.lost else ():
            stream.lose(StreamState.DOWN, GapReason.DISCONNECTED, text=text, began=began)
            stream.blocked_until = math.inf
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
            stream.blocked_until = math.inf
            stream.lose(StreamState.DOWN, GapReason.UPSTREAM_LOST, code=code, text=text)

    def _restored(self, *, again: bool) -> None:
        """TWS has its servers again. What it says of them after that is new."""
        self.renew()
        for stream in self._running():
            stream.blocked_until = -math.inf
            if again:
                stream.let_go(cancel=False)
                stream.ask_again()
            else:
                stream.resume(self._time() + self._resume)

    def _farm_broken(self, farm: str, text: str) -> None:
        self._farms[farm] = text
        if self.lost:
            return
        now, at = self._time(), self._clock()
        for stream in self._running():
            serves = farm_serves(farm, stream.subject)
            if serves is Serves.YES:
                stream.blocked_until = now + IN_FLIGHT_SECONDS
                stream.lose(StreamState.DOWN, GapReason.FARM_DOWN, code=FARM_BROKEN, text=text)
            elif serves is Serves.MAYBE:
                stream.suspect(Suspicion(now + self._resume, at, FARM_BROKEN, text))

    def _farm_ok(self, farm: str) -> None:
        if self._farms.pop(farm, None) is None or self.lost:
            return
        for stream in self._running():
            still_down = any(farm_serves(other, stream.subject) is Serves.YES for other in self._farms)
            if farm_serves(farm, stream.subject) is not Serves.NO and not still_down:
                stream.resume(self._time() + self._resume)

    def _running(self) -> list[Stream]:
        return [stream for stream in self._streams() if stream.req_id is not None and stream.state not in FINAL]


def _farm(text: str) -> str:
    """The farm that a status is about: `usfarm` in `Market data farm connection is broken:usfarm`."""
    return text.rpartition(":")[2].strip().lower()


class Serves(Enum):
    """Whether a stream comes from a farm."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


def farm_serves(farm: str, subject: Subject) -> Serves:
    """Whether a stream comes from a farm, by the farm's name: the broker does not say which farm serves a contract.

    US stocks and indices come from `usfarm` and its likes (`usfarm.nj`). US options have a farm of their own (`usopt`),
    but some logins get them from `usfarm`. Other regions and currencies are no concern of ours.
    """
    if farm.startswith("usopt"):
        return Serves.NO if subject.is_underlying else Serves.YES
    if farm.startswith("usfarm"):
        return Serves.YES if subject.is_underlying else Serves.MAYBE
    return Serves.NO if farm.startswith(_ELSEWHERE) else Serves.MAYBE


_ELSEWHERE = ("eufarm", "hfarm", "jfarm", "cashfarm", "usfuture", "usbond", "secdef", "ushmds", "euhmds")
