"""The tables of the broker side in the state database. All instants are epoch seconds (UTC, wall clock) as floats.

A module that needs a table of its own elsewhere registers it with `state.metadata` in the same way.
"""

from __future__ import annotations

import sqlalchemy as sa

from trading_assets.state.engine import metadata

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # only INTEGER PRIMARY KEY counts up by itself in SQLite

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False, doc="Canonical text of the question"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False, doc="Underlying"),
    sa.Column("con_id", sa.BigInteger, nullable=False, doc="0 where not known yet"),
    sa.Column("session", sa.Text, nullable=False, doc="YYYY-MM-DD"),
    sa.Column("record", sa.Text, nullable=False, doc="JSON of Request.as_record"),
    sa.Column("pacing_class", sa.Text, nullable=False),
    sa.Column("weight", sa.Integer, nullable=False),
    sa.Column("contract_tick_key", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False, doc="Journal that claimed it last"),
    sa.Column("run_id", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, doc="claimed, sent or done"),
    sa.Column("attempt", sa.Integer, nullable=False, default=0, doc="How often it was sent"),
    sa.Column("outcome", sa.Text, doc="OutcomeKind"),
    sa.Column("code", sa.Integer, doc="Broker code"),
    sa.Column("text", sa.Text, doc="Broker text"),
    sa.Column("rows", sa.Integer, doc="Rows in the answer"),
    sa.Column("claimed_at", sa.Double, nullable=False),
    sa.Column("sent_at", sa.Double, doc="Last send"),
    sa.Column("finished_at", sa.Double),
    sa.Column("duration", sa.Double, doc="Seconds from the last send to the end"),
    sa.Column("response", sa.LargeBinary, doc="Compressed payload until it is in the lake"),
    sa.Column("applied_at", sa.Double, doc="When the answer was in the lake"),
    sa.Column("answer_bytes", sa.BigInteger, doc="Bytes of the answer as JSON; kept when the response is dropped"),
    sa.Index("requests_by_key", "key"),
    sa.Index("requests_by_run", "run_id"),
    sa.Index("requests_by_time", "sent_at"),
    # Partial indexes: they hold only the few rows that are open or not applied, however long the journal grows.
    sa.Index(
        "requests_open", "state", sqlite_where=sa.text("state <> 'done'"), postgresql_where=sa.text("state <> 'done'")
    ),
    sa.Index(
        "requests_unapplied",
        "dataset",
        sqlite_where=sa.text("state = 'done' AND applied_at IS NULL"),
        postgresql_where=sa.text("state = 'done' AND applied_at IS NULL"),
    ),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("request_id", sa.BigInteger, nullable=False, unique=True, doc="Journal row of the answer"),
    sa.Column("question", sa.Text, nullable=False, doc="What was asked, without the span of sessions"),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("dataset", sa.Text, nullable=False),
    sa.Column("symbol", sa.Text, nullable=False, doc="Underlying"),
    sa.Column("con_id", sa.BigInteger, nullable=False, doc="0 where not known"),
    sa.Column("contract", sa.Text, nullable=False, doc="Local symbol of an option contract; empty where there is none"),
    sa.Column("last_trade", sa.Text, nullable=False, doc="YYYYMMDD of options and their listings; else empty"),
    sa.Column("bar_size", sa.Text, nullable=False, doc="Empty for snapshots"),
    sa.Column(
        "sessions",
        sa.Text,
        nullable=False,
        doc="JSON list: sessions that lack something because of it, and were not answered since",
    ),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column(
        "faults", sa.Text, nullable=False, doc="JSON list of the first faults: field, where, value, reason, session"
    ),
    sa.Column("fault_count", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, doc="Bad answers to this question in a row"),
    sa.Column("quarantined_at", sa.Double, nullable=False, doc="By the platform's clock"),
    sa.Column("retry_after", sa.Double, nullable=False, doc="When the question is due again, by the platform's clock"),
    sa.Column("last_day", sa.Text, doc="YYYY-MM-DD: after it the broker cannot be asked any more; null: always"),
    sa.Column("response", sa.LargeBinary, doc="The answer as the journal held it"),
    sa.Column("closed_at", sa.Double, doc="When a later answer took its place, by the platform's clock"),
    sa.Column("closed_by", sa.BigInteger, doc="Journal row of that answer"),
    sa.Index(
        "quarantine_open",
        "symbol",
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    ),
)

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False, doc="Host and process namespace"),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("birth", sa.Text, nullable=False, doc="Start of the process, distinguishes a reused pid"),
    sa.Column("heartbeat", sa.Double, nullable=False),
)

client_ids = sa.Table(
    "client_ids",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True, doc="host:port, or the name of a gateway"),
    sa.Column("client_id", sa.Integer, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
)

duties = sa.Table(
    "duties",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, doc="What one owner at a time does for all machines"),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False, doc="Its host name, for readers"),
)

breakers = sa.Table(
    "breakers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("opened_at", sa.Double, nullable=False),
    sa.Column("trial", sa.Text, nullable=False),
    sa.Column("trial_at", sa.Double, nullable=False),
)

pacing_rate = sa.Table(
    "pacing_rate",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("recent", sa.Text, nullable=False, doc="JSON: the latest message slots taken, in order"),
)

pacing_slots = sa.Table(
    "pacing_slots",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("resource", sa.Text, primary_key=True, doc="history or market_data"),
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("held", sa.Integer, nullable=False),
    sa.Column("wanted", sa.Integer, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
)

pacing_small = sa.Table(
    "pacing_small",
    metadata,
    sa.Column("id", _ID, primary_key=True, autoincrement=True),
    sa.Column("endpoint", sa.Text, nullable=False),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("contract_tick_key", sa.Text, nullable=False),
    sa.Column("weight", sa.Integer, nullable=False),
    sa.Index("pacing_small_by_time", "endpoint", "at"),
)

pacing_queue = sa.Table(
    "pacing_queue",
    metadata,
    sa.Column("endpoint", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, primary_key=True),
    sa.Column("since", sa.Double, nullable=False, doc="Since when it waits for a small-bar permit"),
)
