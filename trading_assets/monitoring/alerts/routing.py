"""Which channel gets which alert: rules in the state database, so that a rule added in a notebook holds for the daemon
too.

A type without a rule goes to the log with its default severity. Several rules of one type are several channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from trading_assets.arguments import ALERT_HOURS
from trading_assets.errors import InvalidRequest
from trading_assets.monitoring.alerts.alert_tables import alert_rules
from trading_assets.monitoring.alerts.kinds import KINDS, AlertSeverity, AlertType, parse_severity, parse_type
from trading_assets.settings import Settings
from trading_assets.state import read_state
from trading_assets.state.records import StateRecords

LOG_CHANNEL = "log"
"""The channel that is always there: the Python logger `trading_assets.alerts`."""


@dataclass(frozen=True, slots=True)
class AlertRule:
    """Alerts of this type, with this severity, go to this channel (a name of `alert_channels` in the settings, or
    `log`).

    One that stays open is sent again after `remind_after`; None is the setting `alert_remind_hours`.
    """

    alert_type: AlertType
    severity: AlertSeverity
    notification_channel: str = LOG_CHANNEL
    remind_after: timedelta | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "alert_type", parse_type(self.alert_type))
        object.__setattr__(self, "severity", parse_severity(self.severity, self.alert_type))
        # A URL carries a password and the rule is shown to everybody: refused without repeating it.
        if (
            "://" in self.notification_channel
            or not self.notification_channel.strip()
            or len(self.notification_channel) > 80
        ):
            raise InvalidRequest(
                "notification_channel is the name of a channel. Put its URL into the setting alert_channels "
                "(TRADING_ASSETS_ALERT_CHANNELS) under a name, and give that name here."
            )
        if self.remind_after is not None:
            ALERT_HOURS.real(self.remind_after.total_seconds() / 3600, "remind_after")

    def as_dict(self) -> dict[str, Any]:
        """Plain values; `remind_hours` is null where the setting holds."""
        return {
            "alert_type": self.alert_type.value,
            "severity": self.severity.value,
            "channel": self.notification_channel,
            "remind_hours": self.remind_after.total_seconds() / 3600 if self.remind_after else None,
        }


@dataclass(frozen=True, slots=True)
class Policy:
    """What the rules of one type come to: the gravest severity, all channels, the shortest time to the next reminder
    (seconds)."""

    severity: AlertSeverity
    channels: tuple[str, ...]
    remind_after: float


class AlertRules(StateRecords):
    """The rules of the state database of `settings`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.state_url)
        self._remind_after = settings.alert_remind_hours * 3600

    def add(self, rule: AlertRule) -> None:
        """Add a rule; it takes the place of the one of the same type and channel."""
        key = (alert_rules.c.alert_type == rule.alert_type.value) & (alert_rules.c.channel == rule.notification_channel)
        seconds = rule.remind_after.total_seconds() if rule.remind_after else None
        with self._writing() as connection:
            connection.execute(alert_rules.delete().where(key))
            connection.execute(
                alert_rules.insert().values(
                    alert_type=rule.alert_type.value,
                    channel=rule.notification_channel,
                    severity=rule.severity.value,
                    remind_after=seconds,
                )
            )

    def remove(self, alert_type: AlertType, channel: str) -> bool:
        """Remove a rule; whether there was one."""
        key = (alert_rules.c.alert_type == parse_type(alert_type).value) & (alert_rules.c.channel == channel)
        with self._writing() as connection:
            return bool(connection.execute(alert_rules.delete().where(key)).rowcount)

    def all(self) -> list[AlertRule]:
        """Every rule in force, by type and channel; a type without one has its default."""
        with read_state(self._url) as connection:
            stored = _stored(connection)
        return [rule for kind in AlertType for rule in stored.get(kind) or [_default(kind)]]

    def policies(self, connection: sa.Connection) -> Mapping[AlertType, Policy]:
        """What holds for each type, read inside the caller's transaction."""
        stored = _stored(connection)
        return {kind: self._policy(stored.get(kind) or [_default(kind)]) for kind in AlertType}

    def _policy(self, rules: list[AlertRule]) -> Policy:
        waits = [rule.remind_after.total_seconds() if rule.remind_after else self._remind_after for rule in rules]
        severity = min((rule.severity for rule in rules), key=lambda each: each.rank)
        return Policy(severity, tuple(rule.notification_channel for rule in rules), min(waits))


def _default(alert_type: AlertType) -> AlertRule:
    return AlertRule(alert_type, KINDS[alert_type].severity)


def _stored(connection: sa.Connection) -> dict[AlertType, list[AlertRule]]:
    found: dict[AlertType, list[AlertRule]] = {}
    for row in connection.execute(sa.select(alert_rules).order_by(alert_rules.c.alert_type, alert_rules.c.channel)):
        wait = timedelta(seconds=row.remind_after) if row.remind_after is not None else None
        kind = AlertType(row.alert_type)
        found.setdefault(kind, []).append(AlertRule(kind, AlertSeverity(row.severity), row.channel, wait))
    return found
