"""One step of the book, inside one transaction: from the issues that hold now to alerts that open, are sent again, or
clear.

The messages go into the outbox in the same transaction. What does not belong here: reading the book, sending.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from trading_assets.monitoring.alerts import outbox
from trading_assets.monitoring.alerts.alert_tables import alerts
from trading_assets.monitoring.alerts.kinds import AlertSeverity, AlertType, Issue
from trading_assets.monitoring.alerts.routing import Policy
from trading_assets.monitoring.alerts.silences import Silences
from trading_assets.monitoring.alerts.texts import AlertEntry, Event

Key = tuple[str, str]
"""Type and subject of an alert."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one reconcile did: the alerts that opened, those that were put into the outbox again, and those that
    cleared."""

    opened: tuple[Key, ...] = ()
    reminded: tuple[Key, ...] = ()
    cleared: tuple[Key, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.opened or self.reminded or self.cleared)


def reconcile(
    connection: sa.Connection,
    wanted: Mapping[Key, Issue],
    types: Collection[AlertType],
    policies: Mapping[AlertType, Policy],
    now: float,
    headline: str = "",
) -> Changes:
    """Bring the alerts of `types` in line with `wanted`. `now` is in epoch seconds; the caller's transaction excludes
    other writers."""
    before = _open_rows(connection, types)
    known = {(row.alert_type, row.subject): row for row in before}
    for key, issue in wanted.items():
        if key not in known:
            _open(connection, issue, policies[issue.alert_type], now)
        elif (values := _values(issue, policies[issue.alert_type])) != {
            name: getattr(known[key], name) for name in values
        }:
            connection.execute(alerts.update().where(alerts.c.id == known[key].id).values(**values))
    gone = [row for key, row in known.items() if key not in wanted]
    connection.execute(alerts.update().where(alerts.c.id.in_([row.id for row in gone])).values(cleared_at=now))
    connection.execute(alerts.update().where(_open_of(types)).values(last_seen_at=now))

    notifier = _Notifier(connection, policies, now, headline)
    after = _open_rows(connection, types)
    opened = [row for row in after if (row.alert_type, row.subject) not in known]
    stayed = [row for row in after if (row.alert_type, row.subject) in known]
    notifier.opened(opened)
    reminded = notifier.reminded(stayed)
    notifier.cleared(gone)
    return Changes(_keys(opened), _keys(reminded), _keys(gone))


class _Notifier:
    """Decides which channels get which rows, and puts it into the outbox."""

    def __init__(
        self, connection: sa.Connection, policies: Mapping[AlertType, Policy], now: float, headline: str
    ) -> None:
        self._connection = connection
        self._policies = policies
        self._now = now
        self._headline = headline
        self._silences = Silences.read(connection)

    def opened(self, rows: Iterable[sa.Row[Any]]) -> None:
        """Send what opened, unless it is silenced: that is sent when the silence ends."""
        reported = [row for row in rows if not self._silent(row)]
        self._put(Event.OPENED, reported, dict.fromkeys(self._channels(reported), reported))

    def reminded(self, rows: Iterable[sa.Row[Any]]) -> list[sa.Row[Any]]:
        """Send a reminder of what is open for long, in the channels that have sent what they were given before. Returns
        what was sent again."""
        due = [row for row in rows if self._due(row)]
        waiting = outbox.waiting(self._connection) if due else set()
        by_channel = {
            channel: [row for row in due if (row.id, channel) not in waiting] for channel in self._channels(due)
        }
        reached = {
            row.id
            for row in due
            if any(
                row in reported and channel in self._policy(row).channels for channel, reported in by_channel.items()
            )
        }
        reported = [row for row in due if row.id in reached]
        self._put(Event.REMINDER, reported, by_channel)
        return reported

    def cleared(self, rows: Iterable[sa.Row[Any]]) -> None:
        """Send that it is over, where it was sent that it began."""
        reported = [row for row in rows if row.told]
        self._put(Event.CLEARED, reported, dict.fromkeys(self._channels(reported), reported))

    def _put(self, event: Event, rows: list[sa.Row[Any]], by_channel: Mapping[str, list[sa.Row[Any]]]) -> None:
        for channel, reported in by_channel.items():
            heard = [_entry(row) for row in reported if channel in self._policy(row).channels]
            outbox.put(
                self._connection, event, heard, channel, self._now, self._headline if event is Event.OPENED else ""
            )
        if event is not Event.CLEARED:
            ids = [row.id for row in rows]
            self._connection.execute(
                alerts.update().where(alerts.c.id.in_(ids)).values(last_sent_at=self._now, told=alerts.c.told + 1)
            )

    def _due(self, row: sa.Row[Any]) -> bool:
        if row.acknowledged_at is not None or self._silent(row):
            return False
        if row.last_sent_at is None or self._silences.until(row.alert_type, row.subject) > row.last_sent_at:
            return True  # a silence has ended since it was sent last
        return bool(row.last_sent_at + self._policy(row).remind_after <= self._now)

    def _silent(self, row: sa.Row[Any]) -> bool:
        return self._silences.until(row.alert_type, row.subject) > self._now

    def _policy(self, row: sa.Row[Any]) -> Policy:
        return self._policies[AlertType(row.alert_type)]

    def _channels(self, rows: Iterable[sa.Row[Any]]) -> list[str]:
        return list(dict.fromkeys(channel for row in rows for channel in self._policy(row).channels))


def _open_of(types: Collection[AlertType]) -> sa.ColumnElement[bool]:
    return alerts.c.alert_type.in_([kind.value for kind in types]) & alerts.c.cleared_at.is_(None)


def _open_rows(connection: sa.Connection, types: Collection[AlertType]) -> list[sa.Row[Any]]:
    return list(connection.execute(sa.select(alerts).where(_open_of(types)).order_by(alerts.c.id)).all())


def _open(connection: sa.Connection, issue: Issue, policy: Policy, now: float) -> None:
    row = {
        "alert_type": issue.alert_type.value,
        "subject": issue.subject,
        "opened_at": now,
        "last_seen_at": now,
        "told": 0,
    }
    connection.execute(alerts.insert().values(**row, **_values(issue, policy)))


def _values(issue: Issue, policy: Policy) -> dict[str, str]:
    return {
        "severity": policy.severity.value,
        "reason": issue.reason,
        "remedy": issue.advice,
        "details": json.dumps(dict(issue.details), default=str),
    }


def _entry(row: sa.Row[Any]) -> AlertEntry:
    kind, severity = AlertType(row.alert_type), AlertSeverity(row.severity)
    return AlertEntry(row.id, kind, row.subject, severity, row.reason, row.remedy, row.details, row.opened_at, row.told)


def _keys(rows: Iterable[sa.Row[Any]]) -> tuple[Key, ...]:
    return tuple((row.alert_type, row.subject) for row in rows)
