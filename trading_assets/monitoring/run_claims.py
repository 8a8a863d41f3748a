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
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("at", sa.Double, nullable=False, doc="Epoch seconds"),
    sa.Column("claimed_by", sa.Text, doc="Whose claim it is, where the claimant repeats it"),
)


def claim(state_url: str, key: str, claimant: str | None = None) -> bool:
    """Whether the caller may start the run of `key` now: nobody else claimed it within `CLAIM_SECONDS`. With a claimant
    it is safe to repeat: where the answer to a commit is lost, the claim is there."""
    engine = connect_state(state_url)
    row = run_claims_table.c.key == key
    with write_transaction(engine) as connection:
        now = database_now(connection)
        held = connection.execute(sa.select(run_claims_table).where(row)).one_or_none()
        ours = held is not None and claimant is not None and held.claimed_by == claimant
        # abs: a clock set back must not hold a claim for ever
        if held is not None and not ours and abs(now - held.at) < CLAIM_SECONDS:
            return False
        if held is None:
            connection.execute(run_claims_table.delete().where(run_claims_table.c.at < now - FORGOTTEN_SECONDS))
            connection.execute(run_claims_table.insert().values(key=key, at=now, claimed_by=claimant))
        else:
            connection.execute(run_claims_table.update().where(row).values(at=now, claimed_by=claimant))
        return True


def release(state_url: str, key: str) -> None:
    """Give a claim back: what it was made for did not happen."""
    with write_transaction(connect_state(state_url)) as connection:
        connection.execute(run_claims_table.delete().where(run_claims_table.c.key == key))
