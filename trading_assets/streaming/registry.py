"""What recorder and clients know of each other, in the state database: who wants which streams, which process records,
and how its streams are.

A client that wants streams writes that here and reads the store; the recorder looks here twice a second. What an owner
wants lapses with it (`state.owners`): at once when its process is gone from this host.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from trading_assets.state import connect_state, database_now, read_state, read_transaction, write_transaction
from trading_assets.state.owners import Owner, live_owners
from trading_assets.streaming.health import StreamHealth, StreamState, Subscription
from trading_assets.streaming.tables import recorder, subscriptions

SILENT_SECONDS = 10.0
"""A running recorder says each second how its streams are; after this many seconds without a word it hangs."""


@dataclass(frozen=True, slots=True)
class RecorderState:
    """What is known of the recorder of a lake. `age` is how many seconds ago it last said how its streams are (None:
    never), knowing what was wanted at `seen_at` (epoch seconds); `reason` says why the last one ended, where that was
    an error."""

    running: bool
    pid: int | None
    host: str
    started_at: datetime | None
    reason: str
    age: float | None
    seen_at: float | None
    streams: tuple[StreamHealth, ...]

    @property
    def seen_now(self) -> frozenset[int]:
        """The contracts whose quotes are streamed and recorded now: the newest row of each is its present quote,
        however long ago that changed."""
        if not self.running or self.age is None or self.age > SILENT_SECONDS:
            return frozenset()
        return frozenset(
            one.con_id
            for one in self.streams
            if one.kind == "quote" and one.state is StreamState.LIVE and not one.unrecorded
        )


NO_RECORDER = RecorderState(False, None, "", None, "", None, None, ())
"""The state of a lake that was never streamed into."""


class LiveRegistry:
    """The tables of streaming at the state database `url`, for one process: its subscriptions and its lease are the
    owner's. Nothing is written, and no database made, before `want` or `take`.

    `changed_at` is when what this owner wants last changed, `looked_at` when it last looked what all want; epoch
    seconds, by the database's clock.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.changed_at = self.looked_at = 0.0

    @cached_property
    def _engine(self) -> sa.Engine:
        """The database, made on first use."""
        return connect_state(self._url)

    @cached_property
    def owner(self) -> Owner:
        """This process as an owner."""
        return Owner(self._engine)

    @property
    def _opened(self) -> bool:
        return "_engine" in self.__dict__

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        """Who only looks makes no database."""
        return read_transaction(self._engine) if self._opened else read_state(self._url)

    def close(self) -> None:
        """Give back what this owner wants and holds."""
        if "owner" not in self.__dict__:  # it never wanted and never held anything
            return
        try:
            with write_transaction(self._engine, durable=False) as connection:
                connection.execute(subscriptions.delete().where(subscriptions.c.owner == self.owner.name))
            self.release()
        finally:
            self.owner.close()  # what an owner that has gone wants does not count

    def want(self, wanted: Iterable[Subscription]) -> None:
        """Replace what this owner wants; nothing is written where that is wanted already."""
        now = {one.symbol: one.options for one in wanted}
        me = self.owner.ensure() if now else self.owner.name
        mine = subscriptions.c.owner == me
        with read_transaction(self._engine) as connection:
            stored = {row.symbol: row.options for row in connection.execute(sa.select(subscriptions).where(mine))}
        if stored == now:
            return
        with write_transaction(self._engine, durable=False) as connection:
            self.changed_at = database_now(connection)
            connection.execute(subscriptions.delete().where(mine))
            if now:
                rows = [{"owner": me, "symbol": symbol, "options": options} for symbol, options in now.items()]
                connection.execute(subscriptions.insert(), rows)

    def wanted(self) -> list[Subscription]:
        """What all live owners together want, by symbol: of options the largest number."""
        with self._reading() as connection:
            looked_at = database_now(connection)
            found, dead = subscribed(connection)
        self.looked_at = looked_at
        if dead and self._opened:
            self._forget(dead)
        return found

    def take(self) -> bool:
        """Take the lease of the lake's recorder; False when a live owner holds it."""
        me = self.owner.ensure()
        with write_transaction(self._engine, durable=False) as connection:
            row = connection.execute(sa.select(recorder.c.owner, recorder.c.ended_at)).one_or_none()
            if row is not None and row.ended_at is None and row.owner != me and row.owner in live_owners(connection):
                return False
            held = {
                "owner": me,
                "pid": os.getpid(),
                "host": socket.gethostname(),
                "started_at": database_now(connection),
                "ended_at": None,
                "reason": "",
                "published_at": None,
                "seen_at": None,
                "streams": "[]",
            }
            connection.execute(recorder.delete())
            connection.execute(recorder.insert().values(one=1, **held))
        return True

    def release(self, reason: str = "") -> None:
        """Give the lease back, if this owner has it. `reason` is the sentence that clients are shown of an error."""
        held = (recorder.c.owner == self.owner.name) & recorder.c.ended_at.is_(None)
        with write_transaction(self._engine, durable=False) as connection:
            connection.execute(recorder.update().where(held).values(ended_at=database_now(connection), reason=reason))

    def publish(self, streams: Sequence[StreamHealth], seen_at: float | None = None) -> bool:
        """Say how the streams are; False when this owner does not hold the lease any more. What was wanted at `seen_at`
        (default: now) is among them."""
        document = json.dumps([stream.as_dict() for stream in streams])
        held = (recorder.c.owner == self.owner.name) & recorder.c.ended_at.is_(None)
        with write_transaction(self._engine, durable=False) as connection:
            now = database_now(connection)
            values = {"published_at": now, "seen_at": now if seen_at is None else seen_at, "streams": document}
            return bool(connection.execute(recorder.update().where(held).values(**values)).rowcount)

    def state(self) -> RecorderState:
        """What is known of the recorder."""
        with self._reading() as connection:
            return recorder_state(connection)

    def _forget(self, dead: set[str]) -> None:
        """Delete what dead owners wanted. One that was taken for dead and lives says again what it wants."""
        with write_transaction(self._engine, durable=False) as connection:
            still = dead - live_owners(connection)
            connection.execute(subscriptions.delete().where(subscriptions.c.owner.in_(still)))


def subscribed(connection: sa.Connection) -> tuple[list[Subscription], set[str]]:
    """What all live owners together want, by symbol: of options the largest number. And the owners that are dead."""
    rows = connection.execute(sa.select(subscriptions)).all()
    alive = live_owners(connection) if rows else set()
    together: dict[str, int] = {}
    for row in rows:
        if row.owner in alive:
            together[row.symbol] = max(together.get(row.symbol, 0), row.options)
    wanted = [Subscription(symbol, options) for symbol, options in sorted(together.items())]
    return wanted, {row.owner for row in rows} - alive


def recorder_state(connection: sa.Connection) -> RecorderState:
    """What is known of the recorder, read on a connection of the state database."""
    row = connection.execute(sa.select(recorder)).one_or_none()
    if row is None:
        return NO_RECORDER
    running = row.ended_at is None and row.owner in live_owners(connection)
    age = max(0.0, database_now(connection) - row.published_at) if row.published_at is not None else None
    return RecorderState(
        running=running,
        pid=row.pid if running else None,
        host=row.host,
        started_at=datetime.fromtimestamp(row.started_at, UTC),
        reason=row.reason or ("" if running or row.ended_at is not None else _KILLED),
        age=age,
        seen_at=row.seen_at,
        streams=tuple(_health(record) for record in json.loads(row.streams)),
    )


_KILLED = "The recorder's process was killed."


def _health(record: Mapping[str, Any]) -> StreamHealth:
    instants = {
        name: datetime.fromisoformat(record[name]) if record[name] else None for name in ("since", "last_update")
    }
    return StreamHealth(**{**record, **instants, "state": StreamState(record["state"])})
