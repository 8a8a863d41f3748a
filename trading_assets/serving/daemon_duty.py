"""Which machine's daemon works, where several run `up` on one history in a database: one of them; the others wait.

Dagster supports one daemon. The duty is taken in the state database (`state.duties`). When the machine that has it
stops or dies, the daemon of another one starts, ends the runs that died with it, and starts them again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from trading_assets.state import connect_state
from trading_assets.state.duties import take_duty
from trading_assets.state.owners import Owner

DUTY = "daemon"

TAKEN_OVER_AFTER = 45.0
"""Seconds without a heartbeat after which another machine's daemon starts. Less than `OWNER_TIMEOUT`, when the runs of
a dead machine may be started again, so that the daemon is ready by then; two daemons for a moment do no harm, each run
is started once."""

LOOK_SECONDS = 5.0
"""Seconds between two looks at who has the duty."""

ANSWER_SECONDS = 1.0
"""Seconds for which a look waits for the state database. It is asked in a thread of its own: whoever watches the
services must hear a signal meanwhile, and a thread that waits in the database's driver hears none."""

GIVE_BACK_SECONDS = 5.0
"""Seconds for which the end waits until the duty is given back."""

T = TypeVar("T")


class DaemonDuty:
    """Keeps the daemon running while this machine has the duty. `start` starts its process, `stop` ends it, `say` gets
    a sentence for each change."""

    def __init__(
        self,
        state_url: str,
        start: Callable[[], object],
        stop: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self._owner = Owner(connect_state(state_url))
        self._start = start
        self._stop = stop
        self._say = say
        self._next = 0.0
        self._asked: Future[str | None] | None = None
        self._working = False
        self._waits_for = ""

    def look(self) -> None:
        """Start or end the daemon, as the duty is; call it again and again. A database that does not answer now is
        waited for at the next calls."""
        if self._asked is None:
            if time.monotonic() < self._next:
                return
            self._next = time.monotonic() + LOOK_SECONDS
            self._asked = _in_thread(partial(take_duty, self._owner, DUTY, TAKEN_OVER_AFTER))
        wait([self._asked], ANSWER_SECONDS)
        if not self._asked.done():
            return
        asked, self._asked = self._asked, None
        try:
            other = asked.result()
        except sa.exc.SQLAlchemyError:  # nobody can take it meanwhile; the daemon's own looks say what is wrong
            return
        if other is None and not self._working:
            self._start()
            if self._waits_for:
                self._say(f"The daemon works on this machine now: that of {self._waits_for} has stopped.")
        elif other is not None and self._working:
            self._stop()
            self._say(f"This machine was not heard of: the daemon of {other} has taken over, this one waits.")
        elif other is not None and other != self._waits_for:
            self._say(f"The daemon of {other} works: this one waits, and takes over when that one stops or dies.")
        self._working, self._waits_for = other is None, other or ""

    def end(self) -> None:
        """End the daemon, and give the duty back: another machine need not wait for it to be missed."""
        if self._working:
            self._stop()
        closing = _in_thread(self._owner.close)
        wait([closing], GIVE_BACK_SECONDS)
        if closing.done():
            with suppress(sa.exc.SQLAlchemyError):  # it is missed, then
                closing.result()


def _in_thread(work: Callable[[], T]) -> Future[T]:
    """The future of a call in a thread that the end of the process does not wait for."""
    future: Future[T] = Future()

    def call() -> None:
        try:
            future.set_result(work())
        except sa.exc.SQLAlchemyError as error:
            future.set_exception(error)
        except BaseException as error:  # a fault of the program: shown here, and raised where the answer is read
            future.set_exception(error)
            raise

    threading.Thread(target=call, name="daemon-duty", daemon=True).start()
    return future
