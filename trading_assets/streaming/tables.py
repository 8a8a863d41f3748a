"""The tables of streaming in the state database. All instants are epoch seconds (UTC, wall clock) as floats."""

from __future__ import annotations

import sqlalchemy as sa

from trading_assets.state import metadata

subscriptions = sa.Table(
    "live_subscriptions",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True, doc="Who wants it; one that is dead wants nothing"),
    sa.Column("symbol", sa.Text, primary_key=True, doc="Underlying"),
    sa.Column("options", sa.Integer, nullable=False, doc="How many of its options, nearest the money first"),
)

recorder = sa.Table(
    "live_recorder",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True, doc="Always 1: there is one recorder a lake"),
    sa.Column("owner", sa.Text, nullable=False, doc="Who holds the lease; one that is dead holds nothing"),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("ended_at", sa.Double, doc="When it gave the lease back; null while it runs, and when it was killed"),
    sa.Column("reason", sa.Text, nullable=False, server_default="", doc="Why it ended, when that was an error"),
    sa.Column("published_at", sa.Double, doc="When it last said how its streams are"),
    sa.Column("seen_at", sa.Double, doc="What was wanted then is in what it last said"),
    sa.Column("streams", sa.Text, nullable=False, server_default="[]", doc="JSON list of StreamHealth.as_dict"),
)
