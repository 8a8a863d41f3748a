"""The live recorder as a service of `up --live`: it runs in session hours, and is started again when it dies."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from trading_assets.sessions import Clock, SessionCalendar

BEFORE_OPEN = timedelta(minutes=5)
"""Its streams are answered when the session opens."""

AFTER_CLOSE = timedelta(minutes=20)
"""Options on indices trade until 16:15."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
"""Seconds between two starts: the first, doubled each time a recorder dies soon, up to the longest."""

LIVED = 300.0
"""Seconds after which a recorder that dies is started again without a pause."""


class RecorderService:
    """Keeps the recorder running while `clock` is within session hours. `start` starts its process, `say` gets a
    sentence for each thing that happens to it."""

    def __init__(
        self,
        start: Callable[[], subprocess.Popen[str]],
        calendar: SessionCalendar,
        clock: Clock,
        say: Callable[[str], None],
    ) -> None:
        self._start = start
        self._calendar = calendar
        self._clock = clock
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._started = self._next = 0.0
        self._pause = FIRST_PAUSE
        self._ending = False

    def look(self) -> None:
        """Start or end the recorder, as the hour demands; call it again and again."""
        wanted = in_session_hours(self._calendar, self._clock())
        if self._process is None:
            if wanted and time.monotonic() >= self._next:
                self._begin()
            return
        if self._process.poll() is not None:
            self._died(self._process.returncode, wanted=wanted)
            self._process = None
        elif not wanted and not self._ending:
            self._say("The session is over: the live recorder ends.")
            self._ending = True
            self._process.terminate()

    def _begin(self) -> None:
        self._started = time.monotonic()
        try:
            self._process = self._start()
        except OSError as error:  # no room for another process just now; the other services go on
            self._next = self._started + self._pause
            self._say(f"The live recorder could not be started ({error.strerror}): tried again in {self._pause:g} s.")
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            self._say("Live recorder started.")

    def _died(self, code: int, *, wanted: bool) -> None:
        now = time.monotonic()
        if self._ending:
            self._ending, self._pause = False, FIRST_PAUSE
            return
        self._pause = FIRST_PAUSE if now - self._started > LIVED else self._pause
        self._next = now + self._pause
        if wanted:
            self._say(
                f"The live recorder ended by itself (exit code {code}): it is started again in {self._pause:g} s."
            )
        self._pause = min(2 * self._pause, LONGEST_PAUSE)


def in_session_hours(calendar: SessionCalendar, now: datetime) -> bool:
    """Whether streams are wanted: from shortly before the open of a session to shortly after its close."""
    session = calendar.current(now + BEFORE_OPEN)
    return now < calendar.closes_at(session) + AFTER_CLOSE
