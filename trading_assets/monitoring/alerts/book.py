"""The book of alerts: which are open, since when, who has taken notice. What a change sets off is in `reconcile`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from trading_assets.arguments import DATABASE_ID, LIMIT
from trading_assets.errors import InvalidRequest
from trading_assets.monitoring.alerts.alert_tables import alerts
from trading_assets.monitoring.alerts.kinds import AlertSeverity, AlertType, Issue, parse_type
from trading_assets.monitoring.alerts.reconcile import Changes, reconcile
from trading_assets.monitoring.alerts.routing import AlertRules
from trading_assets.monitoring.alerts.silences import Silences, set_silence
from trading_assets.remedies import worded
from trading_assets.settings import Settings
from trading_assets.state import read_state
from trading_assets.state.records import StateRecords, instant


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as the book has it. Instants are UTC; `silenced_until` is null when nothing silences it now."""

    id: int
    alert_type: AlertType
    subject: str
    severity: AlertSeverity
    reason: str
    remedy: str
    details: Mapping[str, Any]
    opened_at: datetime
    last_seen_at: datetime
    last_sent_at: datetime | None
    cleared_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    silenced_until: datetime | None

    @property
    def key(self) -> tuple[str, str]:
        """Type and subject."""
        return self.alert_type.value, self.subject

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "alert_type": self.alert_type.value, "severity": self.severity.value}


class Alerts(StateRecords):
    """The alerts in the state database of `settings`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings.state_url)
        self._settings = settings
        self._rules = AlertRules(settings)

    def reconcile(
        self, issues: Iterable[Issue], *, types: Collection[AlertType], now: datetime, headline: str = ""
    ) -> Changes:
        """Bring the book in line with all issues of these types that hold at `now`.

        New ones open, known ones are refreshed and sent again when a reminder is due, those that no longer hold clear.
        Alerts of other types stay as they are. The messages stand in the outbox when this returns, in the same
        transaction: call `deliver` to send them. `headline` is a sentence put above the messages of alerts that open.

        Several processes may do this at once: they take turns, and an alert opens once. Raises `ValueError` for a
        issue of a type that is not among `types`.
        """
        wanted = _by_key(issues)
        if strange := sorted({issue.alert_type for issue in wanted.values()} - set(types)):
            raise ValueError(
                f"An issue of type {strange[0]} was given, and only {', '.join(sorted(types))} were looked at."
            )
        with self._writing() as connection:
            return reconcile(connection, wanted, types, self._rules.policies(connection), now.timestamp(), headline)

    def open(self) -> list[Alert]:
        """The alerts that are open, the gravest and oldest first."""
        found = self._read(alerts.c.cleared_at.is_(None))
        return sorted(found, key=lambda alert: (alert.severity.rank, alert.opened_at, alert.id))

    def history(self, limit: int = 200) -> list[Alert]:
        """Open and cleared ones, the newest first."""
        return self._read(sa.true(), limit=LIMIT.whole(limit, "limit"))

    def acknowledge(self, target: int | tuple[AlertType, str | None], *, by: str, now: datetime) -> list[Alert]:
        """Somebody takes notice: no more reminders, only that the alert cleared is sent.

        `target` is an id, or a type and a subject (None: every subject). Returns the open alerts it concerned; none
        when there are none.
        """
        named = (
            _named(parse_type(target[0]), target[1])
            if isinstance(target, tuple)
            else alerts.c.id == DATABASE_ID.whole(target, "target")
        )
        with self._writing() as connection:
            ids = list(connection.execute(sa.select(alerts.c.id).where(named, alerts.c.cleared_at.is_(None))).scalars())
            values = {"acknowledged_at": now.timestamp(), "acknowledged_by": by}
            connection.execute(
                alerts.update().where(alerts.c.id.in_(ids), alerts.c.acknowledged_at.is_(None)).values(**values)
            )
        return self._read(alerts.c.id.in_(ids))

    def silence(self, alert_type: AlertType, subject: str | None, *, until: datetime, by: str) -> None:
        """Send nothing of a type (subject None), or of one subject of it, until then. Alerts that are still open at the
        end are sent at the next look after it.

        It holds for alerts that open later as well. An `until` that has passed ends a silence.
        """
        kind = parse_type(alert_type)
        if until.tzinfo is None:
            raise InvalidRequest(f"until is {until}, without a time zone: give an instant, for example in UTC.")
        with self._writing() as connection:
            set_silence(connection, kind.value, subject or "", until.timestamp(), by)

    def _read(self, where: sa.ColumnElement[bool], limit: int | None = None) -> list[Alert]:
        query = sa.select(alerts).where(where).order_by(alerts.c.opened_at.desc(), alerts.c.id.desc()).limit(limit)
        with read_state(self._url) as connection:
            silences, rows = Silences.read(connection), connection.execute(query).all()
        now = self._settings.clock().timestamp()
        return [
            _alert(row, until if (until := silences.until(row.alert_type, row.subject)) > now else None) for row in rows
        ]


def _by_key(issues: Iterable[Issue]) -> dict[tuple[str, str], Issue]:
    """One issue a type and subject; of several, the reasons stand one after the other and the first remedy counts."""
    found: dict[tuple[str, str], Issue] = {}
    for issue in issues:
        first = found.get(issue.key)
        if first is not None and issue.reason not in first.reason:
            issue = replace(first, reason=f"{first.reason} {issue.reason}", details={**issue.details, **first.details})
        elif first is not None:
            continue
        found[issue.key] = issue
    return found


def _named(alert_type: AlertType, subject: str | None) -> sa.ColumnElement[bool]:
    of_type = alerts.c.alert_type == alert_type.value
    return of_type if subject is None else of_type & (alerts.c.subject == subject)


def _alert(row: sa.Row[Any], silenced_until: float | None) -> Alert:
    return Alert(
        id=row.id,
        alert_type=AlertType(row.alert_type),
        subject=row.subject,
        severity=AlertSeverity(row.severity),
        reason=worded(row.reason),
        remedy=worded(row.remedy),
        details=json.loads(row.details),
        opened_at=datetime.fromtimestamp(row.opened_at, UTC),
        last_seen_at=datetime.fromtimestamp(row.last_seen_at, UTC),
        last_sent_at=instant(row.last_sent_at),
        cleared_at=instant(row.cleared_at),
        acknowledged_at=instant(row.acknowledged_at),
        acknowledged_by=row.acknowledged_by,
        silenced_until=instant(silenced_until),
    )
