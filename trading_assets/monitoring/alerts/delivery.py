"""Delivery: takes messages from the outbox, sends them, marks them sent.

A message is claimed, sent, and marked, in that order. A delivery is an owner in the state database (`state.owners`),
whose claim ends with it. Killed before it was sent, a message is sent by the next delivery; killed in the moment
between the channel's answer and the mark, it is sent a second time (see docs/alerts.md). No other way leads to a second
sending: two deliveries at once never hold the same message.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from trading_assets.monitoring import channels
from trading_assets.monitoring.alerts.alert_tables import alert_messages, alerts
from trading_assets.monitoring.alerts.kinds import AlertSeverity
from trading_assets.monitoring.alerts.silences import Silences
from trading_assets.monitoring.alerts.texts import Event
from trading_assets.settings import Settings
from trading_assets.state import connect_state, database_now, read_transaction, write_transaction
from trading_assets.state.owners import Owner, live_owners

logger = logging.getLogger("trading_assets.alerts")

CLAIM_LEASE = 300.0
"""Seconds (wall clock) after which a message whose owner lives but does not come back is free again. Sending takes
some ten at most."""

FIRST_RETRY = 30.0
"""Seconds from the first failure of a message to its second attempt; doubled with each further one."""

LONGEST_RETRY = 1800.0
"""Seconds between attempts at most: a channel that works again is used within half an hour."""

GIVE_UP_AFTER = 72 * 3600.0
"""Seconds a message is tried for: a weekend and a day. What is still open then comes again as a reminder."""

PATIENCE = 30.0
"""Seconds (wall clock) after which a delivery begins no further message: it runs inside sensors, which Dagster ends
after 60 s."""


@dataclass
class Delivered:
    """What one delivery did: messages sent, failed (they are tried again) and given up, and the errors, without
    secrets."""

    sent: int = 0
    failed: int = 0
    abandoned: int = 0
    errors: list[str] = field(default_factory=list)


def deliver(settings: Settings, now: datetime | None = None) -> Delivered:
    """Send what is due in the outbox at `now` (default: the platform's clock).

    A channel that fails is left alone for the rest of this delivery and tried again later; it raises nothing. May run
    in several processes at once.
    """
    done, failing = Delivered(), set[str]()
    begin = time.monotonic()
    with _Sender(settings, (now or settings.clock()).timestamp()) as sender:
        done.abandoned = sender.give_up()
        while time.monotonic() - begin < PATIENCE and (message := sender.claim(failing)) is not None:
            severity = AlertSeverity(message.severity)
            try:
                channels.send(settings, message.channel, message.title, _numbered(message), severity)
            except channels.ChannelFailed as error:
                sender.failed(message, str(error))
                failing.add(message.channel)
                done.failed += 1
                done.errors.append(str(error))
                logger.warning("%s The message %r is tried again.", error, message.title)
            else:
                sender.sent(message)
                done.sent += 1
    return done


class _Sender(AbstractContextManager["_Sender"]):
    """One delivery: it holds at most one message at a time. `now` is in epoch seconds."""

    def __init__(self, settings: Settings, now: float) -> None:
        self._engine = connect_state(settings.state_url)
        self._now = now
        self._channels = channels.known_channels(settings)
        self._me = Owner(self._engine)

    def __exit__(self, *_: object) -> None:
        self._me.close()

    def claim(self, failing: set[str]) -> sa.Row[Any] | None:
        """The oldest message that is due, is not being sent by anybody, whose alert is not silenced, and whose channel
        exists and is not `failing`; now it is this sender's. None when there is none."""
        with read_transaction(self._engine) as connection:
            if connection.execute(_UNSENT.limit(1)).first() is None:
                return None
        me = self._me.ensure()
        with write_transaction(self._engine) as connection:
            silences, wall, behind = Silences.read(connection), database_now(connection), set[tuple[int, str]]()
            alive = live_owners(connection)
            for row in connection.execute(_UNSENT).all():
                subjects = {(alert_id, row.channel) for alert_id in json.loads(row.alert_ids)}
                free = row.claimed_by not in alive or wall - row.claimed_at > CLAIM_LEASE
                if free and row.channel not in self._channels:
                    self._record_unknown_channel(connection, row)
                elif (
                    free
                    and row.next_attempt_at <= self._now
                    and row.channel not in failing
                    and not subjects & behind
                    and silences.until(row.alert_type, row.subject if len(subjects) == 1 else "") <= self._now
                ):
                    mine = {"claimed_by": me, "claimed_at": wall, "attempts": row.attempts + 1}
                    connection.execute(alert_messages.update().where(alert_messages.c.id == row.id).values(**mine))
                    return row
                # messages of an alert are sent in their order: never that it cleared before that it opened
                behind |= subjects
        return None

    def sent(self, message: sa.Row[Any]) -> None:
        """The channel has taken it."""
        with write_transaction(self._engine) as connection:
            free = {"claimed_by": None, "claimed_at": None, "error": None}
            connection.execute(self._mine(message).values(sent_at=self._now, **free))
            if message.event != Event.CLEARED.value:
                # Reminders count from the moment somebody could read it.
                reported = alerts.c.id.in_(json.loads(message.alert_ids)) & (alerts.c.last_sent_at < self._now)
                connection.execute(alerts.update().where(reported).values(last_sent_at=self._now))

    def failed(self, message: sa.Row[Any], error: str) -> None:
        """The channel did not take it: later again."""
        wait = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(message.attempts, 10))
        free = {"claimed_by": None, "claimed_at": None}
        with write_transaction(self._engine) as connection:
            connection.execute(self._mine(message).values(next_attempt_at=self._now + wait, error=error, **free))

    def give_up(self) -> int:
        """Take messages that are too old out of the outbox; how many."""
        unsent = alert_messages.c.sent_at.is_(None) & alert_messages.c.abandoned_at.is_(None)
        too_old = (
            unsent & (alert_messages.c.created_at < self._now - GIVE_UP_AFTER) & alert_messages.c.error.is_not(None)
        )
        with write_transaction(self._engine) as connection:
            return connection.execute(alert_messages.update().where(too_old).values(abandoned_at=self._now)).rowcount

    def _mine(self, message: sa.Row[Any]) -> sa.Update:
        # Also when the lease has run out meanwhile: the channel's answer is what counts.
        return alert_messages.update().where(alert_messages.c.id == message.id, alert_messages.c.sent_at.is_(None))

    def _record_unknown_channel(self, connection: sa.Connection, row: sa.Row[Any]) -> None:
        error = (
            f"There is no channel {row.channel!r} in the setting alert_channels. The message is sent when there is one."
        )
        if row.error != error:
            logger.warning("%s It is: %s", error, row.title)
            connection.execute(alert_messages.update().where(alert_messages.c.id == row.id).values(error=error))


_UNSENT = (
    sa.select(alert_messages, alerts.c.alert_type, alerts.c.subject)
    .join(alerts, alerts.c.id == alert_messages.c.alert_id)
    .where(alert_messages.c.sent_at.is_(None), alert_messages.c.abandoned_at.is_(None))
    .order_by(alert_messages.c.id)
)


def _numbered(message: sa.Row[Any]) -> str:
    """The body with a number by which a reader recognises a repeated message."""
    return f"{message.body}\n(message {message.id})"
