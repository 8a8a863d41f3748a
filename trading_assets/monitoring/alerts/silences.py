"""Silences: until when nothing is sent about a type of alert, or of one subject of it. They hold for alerts that open
later, too."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from trading_assets.monitoring.alerts.alert_tables import alert_silences


@dataclass(frozen=True, slots=True)
class Silences:
    """Ends of the silences, epoch seconds, by type and subject (empty: all of the type)."""

    ends: dict[tuple[str, str], float]

    @classmethod
    def read(cls, connection: sa.Connection) -> Silences:
        """All silences, also those that are over."""
        rows = connection.execute(sa.select(alert_silences))
        return cls({(row.alert_type, row.subject): row.until for row in rows})

    def until(self, alert_type: str, subject: str) -> float:
        """When the latest silence that covers the alert ends or ended; 0 when there never was one."""
        return max(self.ends.get((alert_type, ""), 0.0), self.ends.get((alert_type, subject), 0.0))


def set_silence(connection: sa.Connection, alert_type: str, subject: str, until: float, by: str) -> None:
    """Silence until then; takes the place of a silence of the same type and subject."""
    key = (alert_silences.c.alert_type == alert_type) & (alert_silences.c.subject == subject)
    connection.execute(alert_silences.delete().where(key))
    connection.execute(
        alert_silences.insert().values(alert_type=alert_type, subject=subject, until=until, silenced_by=by)
    )
