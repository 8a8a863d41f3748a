"""Who works on the state database: owners, their heartbeats, and when one counts as dead.

An owner is one `Journal` object of one process. What it has claimed (requests, pacing slots, a client id) is free again
when it is dead: at once when its process is known to have ended (`state.processes`), else when its heartbeat is too
old.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import uuid

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


class Owner:
    """This process as an owner: registered on first use, its heart beating in a thread of its own until `close`."""

    def __init__(self, engine: sa.Engine, name: str | None = None) -> None:
        self.name = name or f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.engine = engine
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def ensure(self) -> str:
        """Register and start the heartbeat if that is not done yet; the owner's name."""
        with self._lock:
            if self._thread is None:
                self._beat()
                self._stop.clear()
                self._thread = threading.Thread(target=self._beat_on, name=f"heartbeat-{self.name}", daemon=True)
                self._thread.start()
        return self.name

    def close(self) -> None:
        """Stop the heartbeat and give back every lease. Journalled answers stay."""
        if self._stopped():
            with write_transaction(self.engine, durable=False) as connection:
                forget(connection, [self.name])

    def lapse(self) -> None:
        """Stop the heartbeat and count as alive for another `OWNER_TIMEOUT`, whatever becomes of the process: the work
        is done, and its end may not be recorded yet."""
        if self._stopped():
            with write_transaction(self.engine, durable=False) as connection:
                last = {"birth": "", "heartbeat": database_now(connection)}
                connection.execute(owners.update().where(owners.c.owner == self.name).values(**last))

    def _stopped(self) -> bool:
        """Stop the heartbeat; whether there was one."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return False
        self._stop.set()
        thread.join()
        return True

    def _beat_on(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            try:
                self._beat()
            except sa.exc.SQLAlchemyError:  # a heart that stopped here would let the owner be taken for dead
                logger.warning("The state database took no heartbeat; the next one is due soon.", exc_info=True)

    def _beat(self) -> None:
        with write_transaction(self.engine, durable=False) as connection:
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
