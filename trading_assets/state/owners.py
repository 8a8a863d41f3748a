"""Who works on the state database: owners, their heartbeats, and when one counts as dead.

An owner is one `Journal` object of one process. What it has claimed (requests, pacing slots, a client id) is free again
when it is dead: at once when its process is known to have ended (`state.processes`), else when its heartbeat is too
old.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

import sqlalchemy as sa

from trading_assets.state.engine import database_now, write_transaction
from trading_assets.state.processes import has_ended, process_birth, this_host
from trading_assets.state.tables import client_ids, duties, owners, pacing_queue, pacing_slots

logger = logging.getLogger(__name__)

HEARTBEAT = 10.0
"""Seconds between heartbeats."""

WORKER = "worker-"
"""How the names of owners begin that execute runs of Dagster (`trading-assets worker`)."""

OWNER_TIMEOUT = 90.0
"""Seconds without a heartbeat after which an owner on another host is dead: a stalled disk or a short loss of the
network is not death. Larger than `state.BUSY_TIMEOUT` and two heartbeats, so that an owner that waits for the database
is never taken for dead; short enough that the runs of a machine that died are on another one within three minutes."""


_process_ends = threading.Event()
_repeats: WeakSet[threading.Thread] = WeakSet()


@atexit.register
def _end_repeats() -> None:
    """What a process holds is free when it has ended: nothing is repeated any more. A thread that lives on while the
    interpreter ends would keep it from taking modules down."""
    _process_ends.set()
    for thread in list(_repeats):
        thread.join(1.0)


class Owner:
    """This process as an owner: registered on first use, its heart beating in a thread of its own until `close`.

    `after_beat` is called in that thread after each heartbeat; a `SQLAlchemyError` that it raises is logged.
    """

    def __init__(
        self, engine: sa.Engine, name: str | None = None, *, after_beat: Callable[[], None] | None = None
    ) -> None:
        self.name = name or f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.engine = engine
        self._after_beat = after_beat
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._registered = False
        self._due: Callable[[sa.Connection], None] | None = None
        self._repeating: threading.Thread | None = None

    def ensure(self) -> str:
        """Register and start the heartbeat if that is not done yet; the owner's name."""
        with self._lock:
            if self._thread is None:
                again, self._registered, self._due = self._registered, True, None
                self._beat(afresh=again)
                self._stop.clear()
                self._thread = threading.Thread(target=self._beat_on, name=f"heartbeat-{self.name}", daemon=True)
                self._thread.start()
        return self.name

    def close(self) -> None:
        """Stop the heartbeat and give back every lease. Journalled answers stay. While the database fails that is
        repeated in a thread: an owner whose process goes on would count as alive for as long."""
        self._end(lambda connection: forget(connection, [self.name]))

    def lapse(self) -> None:
        """Stop the heartbeat and count as alive for another `OWNER_TIMEOUT`, whatever becomes of the process: the work
        is done, and its end may not be recorded yet. Repeated as `close`."""

        def last_beat(connection: sa.Connection) -> None:
            nobody = {"host": "", "pid": 0, "birth": "", "heartbeat": database_now(connection)}
            connection.execute(owners.update().where(owners.c.owner == self.name).values(**nobody))

        self._end(last_beat)

    def _end(self, change: Callable[[sa.Connection], None]) -> None:
        """Stop the heartbeat and make the change, now or as soon as the database can be written."""
        with self._lock:
            if not self._registered:
                return
            self._stop.set()
            if self._thread is not None:
                self._thread.join()
                self._thread = None
            self._due = change
            try:
                self._make_due_change()
            except sa.exc.SQLAlchemyError as error:
                why = str(error).partition("\n")[0]
                logger.warning("The state database did not take the end of %s (%s): repeated.", self.name, why)
                if self._repeating is None:
                    self._repeating = threading.Thread(target=self._repeat, name=f"end-{self.name}", daemon=True)
                    self._repeating.start()
                    _repeats.add(self._repeating)

    def _repeat(self) -> None:
        try:
            while not _process_ends.wait(HEARTBEAT):
                with self._lock, suppress(sa.exc.SQLAlchemyError):
                    self._make_due_change()
                    self._repeating = None
                    return
        except BaseException:
            self._repeating = None
            raise

    def _make_due_change(self) -> None:
        if self._due is not None:  # none: the owner is used again
            with write_transaction(self.engine, durable=False) as connection:
                self._due(connection)
            self._registered, self._due = False, None

    def _beat_on(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            try:
                self._beat()
                if self._after_beat is not None:
                    self._after_beat()
            except sa.exc.SQLAlchemyError:  # a heart that stopped here would let the owner be taken for dead
                logger.warning("The state database took no heartbeat; the next one is due soon.", exc_info=True)

    def _beat(self, *, afresh: bool = False) -> None:
        """Write the heartbeat; `afresh` after an end that the database did not take: what was held then is free."""
        with write_transaction(self.engine, durable=False) as connection:
            if afresh:
                forget(connection, [self.name])
            row = {
                "host": this_host(),
                "pid": os.getpid(),
                "birth": process_birth(os.getpid()) or "",
                "heartbeat": database_now(connection),
            }
            updated = connection.execute(owners.update().where(owners.c.owner == self.name).values(**row))
            if not updated.rowcount:
                connection.execute(owners.insert().values(owner=self.name, **row))


def dead_owners(connection: sa.Connection, timeout: float | None = None) -> set[str]:
    """Names of registered owners that are dead; of another host, those without a heartbeat for `timeout` seconds
    (default: `OWNER_TIMEOUT`)."""
    now, limit = database_now(connection), OWNER_TIMEOUT if timeout is None else timeout
    dead = set()
    for row in connection.execute(sa.select(owners)):
        ended = has_ended(row.host, row.pid, row.birth)
        if ended or (ended is None and now - row.heartbeat > limit):
            dead.add(row.owner)
    return dead


def live_owners(connection: sa.Connection, timeout: float | None = None) -> set[str]:
    """Names of owners that live (`timeout` as above). An owner that is not registered has gone and counts as dead."""
    return set(connection.execute(sa.select(owners.c.owner)).scalars()) - dead_owners(connection, timeout)


def release_dead_owners(connection: sa.Connection) -> None:
    """Take the leases of dead owners away. Their requests are taken over when somebody wants them."""
    dead = dead_owners(connection)
    if dead:
        forget(connection, sorted(dead))


def forget(connection: sa.Connection, names: list[str]) -> None:
    """Delete the leases and the registration of owners."""
    for table in (pacing_slots, pacing_queue, client_ids, duties, owners):
        connection.execute(table.delete().where(table.c.owner.in_(names)))


def lease_client_id(
    engine: sa.Engine, owner: str, endpoint: str, ids: tuple[int, int], avoid: set[int], *, compare: bool = False
) -> int | None:
    """The lowest client id of the range (both ends included) that no live owner has at that endpoint and that is not in
    `avoid`. With `compare` an id that is leased at another endpoint comes first, so that two endpoints of one TWS are
    found out, and any other is drawn by chance, so that no other program is likely to have it.

    None when all are taken. An id this owner held there before is given back.
    """
    with write_transaction(engine, durable=False) as connection:
        release_dead_owners(connection)
        connection.execute(client_ids.delete().where(client_ids.c.endpoint == endpoint, client_ids.c.owner == owner))
        leases = connection.execute(sa.select(client_ids.c.endpoint, client_ids.c.client_id)).all()
        taken = {row.client_id for row in leases if row.endpoint == endpoint}
        candidates = list(range(ids[0], ids[1] + 1))
        if compare:
            elsewhere = {row.client_id for row in leases} - taken
            random.Random(owner).shuffle(candidates)
            candidates.sort(key=lambda candidate: candidate not in elsewhere)
        for candidate in candidates:
            if candidate not in taken and candidate not in avoid:
                connection.execute(client_ids.insert().values(endpoint=endpoint, client_id=candidate, owner=owner))
                return candidate
    return None
