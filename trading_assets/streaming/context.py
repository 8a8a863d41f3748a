"""What the streams of a recorder share, and what they are told of their surroundings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from trading_assets.sessions import Clock
from trading_assets.streaming.days import Days
from trading_assets.streaming.outlet import Outlet
from trading_assets.streaming.replay_clock import ReplayClock

Release = Callable[[str, int, bool], None]
"""Called with a stream's kind and a request id under which nothing more is taken, and whether the broker must be told
so."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """That a stream may be down since `began`; it is if nothing comes of it until `due` (loop time)."""

    due: float
    began: datetime
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Context:
    """What all streams of a recorder share. Without `allow_delayed` (a lake of live data) the first delayed value ends
    a stream. `retry_seconds`: until a stream is asked for again whose silence has a cause that may pass.
    `image_seconds`: within which a new subscription brings the whole quote. `in_reset()`: whether the broker resets its
    servers now. `replay`: the clock, where it follows the market's time."""

    outlet: Outlet
    clock: Clock
    days: Days
    release: Release
    retry_seconds: float
    image_seconds: float
    allow_delayed: bool
    in_reset: Callable[[], bool]
    replay: ReplayClock | None = None
