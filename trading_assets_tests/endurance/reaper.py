"""A simulator's faults that kill a process while it waits for an answer. Not a test."""

from __future__ import annotations

import os
import signal
import threading

from trading_assets.simulator import Faults
from trading_assets.simulator.faults import FaultRule
from trading_assets.simulator.requests import DATA_KINDS, ApiRequest

KNOWN_WITHIN = 10.0
"""Seconds within which the process id must be told once the process asks: its start is answered before it can
connect."""


class Reaper(Faults):
    """Sends SIGKILL to the process it is told of when its n-th request for data arrives, before that is answered."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 0
        self._pid = 0
        self._told = threading.Event()
        self.struck = ""

    def arm(self, nth: int) -> None:
        """Kill at the n-th request from now on; `victim` says whom."""
        self._left, self.struck = nth, ""
        self._told.clear()

    def victim(self, pid: int) -> None:
        """The process to kill."""
        self._pid = pid
        self._told.set()

    def strike(self, request: ApiRequest) -> list[FaultRule]:
        """The server's: a request has arrived."""
        if self._left and request.kind in DATA_KINDS:
            self._left -= 1
            if not self._left:
                assert self._told.wait(KNOWN_WITHIN)
                self.struck = f"{request.kind} {request.subject}"
                os.kill(self._pid, signal.SIGKILL)
        return super().strike(request)
