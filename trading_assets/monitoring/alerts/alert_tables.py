"""The tables of the alerts in the state database. Instants are epoch seconds of the platform's clock, unless said
otherwise."""

from __future__ import annotations

import sqlalchemy as sa

from trading_assets.state import metadata
from trading_assets.state.records import ID

_OPEN = sa.text("cleared_at IS NULL")
_UNSENT = sa.text("sent_at IS NULL AND abandoned_at IS NULL")

alert_rules = sa.Table(
    "alert_rules",
    metadata,
    sa.Column("alert_type", sa.Text, primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True, doc="Name of the channel; its URL is in the settings, never here"),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("remind_after", sa.Double, doc="Seconds; null: the setting alert_remind_hours"),
)

alert_silences = sa.Table(
    "alert_silences",
    metadata,
    sa.Column("alert_type", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True, doc="Empty: every subject of the type"),
    sa.Column("until", sa.Double, nullable=False),
    sa.Column("silenced_by", sa.Text, nullable=False),
)

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", ID, primary_key=True, autoincrement=True),
    sa.Column("alert_type", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("remedy", sa.Text, nullable=False),
    sa.Column("details", sa.Text, nullable=False, doc="JSON object"),
    sa.Column("opened_at", sa.Double, nullable=False),
    sa.Column("last_seen_at", sa.Double, nullable=False),
    sa.Column(
        "last_sent_at",
        sa.Double,
        doc="When a message about it was last sent or put into the outbox; null: never, it is silenced",
    ),
    sa.Column("told", sa.Integer, nullable=False, doc="How often it was put into the outbox: numbers the reminders"),
    sa.Column("cleared_at", sa.Double),
    sa.Column("acknowledged_at", sa.Double),
    sa.Column("acknowledged_by", sa.Text),
    # Whatever happens, one condition is one open alert.
    sa.Index("alerts_open", "alert_type", "subject", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    sa.Index("alerts_by_time", "opened_at"),
)

alert_messages = sa.Table(
    "alert_messages",
    metadata,
    sa.Column("id", ID, primary_key=True, autoincrement=True),
    sa.Column("alert_id", ID, nullable=False, doc="The alert; of a message on many, the first of them"),
    sa.Column("alert_ids", sa.Text, nullable=False, doc="JSON list: every alert in the message"),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("event", sa.Text, nullable=False, doc="opened, reminder or cleared"),
    sa.Column("number", sa.Integer, nullable=False, doc="How many messages about the alert came before"),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", sa.Double, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", sa.Double, nullable=False),
    sa.Column("claimed_by", sa.Text, doc="The owner that is sending it now, see state.owners"),
    sa.Column("claimed_at", sa.Double, doc="By the clock all processes share, see state.database_now"),
    sa.Column("sent_at", sa.Double),
    sa.Column("abandoned_at", sa.Double, doc="When its channel had failed for too long"),
    sa.Column("error", sa.Text, doc="Why the last attempt failed, without secrets"),
    sa.UniqueConstraint("alert_id", "channel", "event", "number", name="alert_messages_once"),
    sa.Index("alert_messages_unsent", "next_attempt_at", sqlite_where=_UNSENT, postgresql_where=_UNSENT),
)
