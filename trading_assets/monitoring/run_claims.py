"""Who asked for a run, or started its process, last: one row a key in the state database, so that two daemons do not
both.

A claim is short-lived. It bridges the moments between the decision to start a run and the run's own record, which is
what counts afterwards; whoever claims and dies in between is replaced at the next tick.
"""

from __future__ import annotations

import sqlalchemy as sa

from trading_assets.state import connect_state, database_now, metadata, write_transaction

CLAIM_SECONDS = 120.0
"""How long a claim holds. Dagster's daemon records a run within seconds of the tick that asked for it, and gives a tick
60 s."""

FORGOTTEN_SECONDS = 86_400.0
"""After this a claim's row goes."""

run_claims_table = sa.Table(
    "asked_runs",
    metadata,
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("at", sa.Double, nullable=False, doc="Epoch seconds"),
)


def claim(state_url: str, key: str) -> bool:
    """Whether the caller may start the run of `key` now: nobody else claimed it within `CLAIM_SECONDS`."""
    engine = connect_state(state_url)
    row = run_claims_table.c.key == key
    with write_transaction(engine) as connection:
        now = database_now(connection)
        at = connection.execute(sa.select(run_claims_table.c.at).where(row)).scalar_one_or_none()
        if at is not None and abs(now - at) < CLAIM_SECONDS:  # abs: a clock set back must not hold a claim for ever
            return False
        if at is None:
            connection.execute(run_claims_table.delete().where(run_claims_table.c.at < now - FORGOTTEN_SECONDS))
            connection.execute(run_claims_table.insert().values(key=key, at=now))
        else:
            connection.execute(run_claims_table.update().where(row).values(at=now))
        return True


def release(state_url: str, key: str) -> None:
    """Give a claim back: what it was made for did not happen."""
    with write_transaction(connect_state(state_url)) as connection:
        connection.execute(run_claims_table.delete().where(run_claims_table.c.key == key))
