"""What one process at a time does for all machines that share a state database: who has taken it, and when another one
may."""

from __future__ import annotations

import socket

import sqlalchemy as sa

from trading_assets.state.engine import write_transaction
from trading_assets.state.owners import Owner, live_owners
from trading_assets.state.tables import duties


def take_duty(owner: Owner, name: str, timeout: float) -> str | None:
    """Take the duty, or keep it: None, and the owner has it until it is closed. Else the host name of the owner that
    has it.

    An owner whose process has ended, or that was not heard of for `timeout` seconds, has it no more. Whoever lost it so
    learns that from the next call. Raises `sqlalchemy.exc.SQLAlchemyError` when the database does not answer.
    """
    me = owner.ensure()
    mine = {"owner": me, "host": socket.gethostname()}
    with write_transaction(owner.engine, durable=False) as connection:
        row = connection.execute(sa.select(duties).where(duties.c.name == name)).one_or_none()
        if row is None:
            connection.execute(duties.insert().values(name=name, **mine))
        elif row.owner != me:
            if row.owner in live_owners(connection, timeout):
                return str(row.host)
            connection.execute(duties.update().where(duties.c.name == name).values(**mine))
    return None
