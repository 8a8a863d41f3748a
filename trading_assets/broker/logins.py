"""Two gateways that reach one login are refused: each would use the limits of the broker as if they were its own.

What is compared:
- The addresses, before a connection is made: host names that resolve to one address and port.
- The accounts that TWS names at connect, together with the client ids. TWS refuses a client id that another client of
  it has (error 326). Equal accounts alone say little: two users of one account are two logins. But a gateway with the
  same accounts, at which an id is in use that we have at the other one, is the same TWS reached another way: by a
  forwarded port, by a second address of the machine. So a gateway is first asked with an id that is leased at another.

All of it goes through the state database, so that two processes are compared as well. Account numbers are not kept,
only their digest.
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from trading_assets.errors import BrokerNotConfigured
from trading_assets.settings import Gateway
from trading_assets.state import database_now, metadata, write_transaction
from trading_assets.state.owners import release_dead_owners
from trading_assets.state.tables import client_ids

RECENT = 60.0
"""Seconds for which a client id that was found in use counts: two processes that connect at once both see it."""

gateway_logins = sa.Table(
    "gateway_logins",
    metadata,
    sa.Column("name", sa.Text, primary_key=True, doc="Name of the gateway"),
    sa.Column("accounts", sa.Text, nullable=False, doc="Digest of the accounts that TWS named at the last connect"),
    sa.Column("ids_in_use", sa.Text, nullable=False, doc="JSON list: client ids that were refused at the last connect"),
    sa.Column("at", sa.Double, nullable=False, doc="Epoch seconds, by the clock of the state database"),
)


def address_of(gateway: Gateway, gateways: Sequence[Gateway]) -> tuple[str, int]:
    """Host and port of a gateway. Raises `BrokerNotConfigured` when another of `gateways` has the same address by
    another name."""
    for other in gateways:
        if other.name != gateway.name and other.port == gateway.port and _resolved(other) & _resolved(gateway):
            raise BrokerNotConfigured(
                f"The gateways {gateway.name} ({gateway.host}) and {other.name} ({other.host}) are one address with"
                f" port {gateway.port}. Nothing was requested. Take one of them out of TRADING_ASSETS_GATEWAYS."
            )
    return gateway.host, gateway.port


def refuse_shared_login(
    engine: sa.Engine, gateway: Gateway, client_id: int, in_use: Collection[int], accounts: Collection[str]
) -> None:
    """Raise `BrokerNotConfigured` when the gateway, connected as `client_id` after the ids `in_use` were refused, is
    one that this or another process uses by another name. `accounts` are those that TWS has named."""
    digest = hashlib.sha256("\n".join(sorted(accounts)).encode()).hexdigest()
    place = f"{gateway.host}:{gateway.port}"
    with write_transaction(engine, durable=False) as connection:
        release_dead_owners(connection)
        now = database_now(connection)
        leased = {(row.endpoint, row.client_id) for row in connection.execute(sa.select(client_ids))}
        if any(endpoint == place for endpoint, _ in leased):
            raise BrokerNotConfigured(
                f"{place} is in use by a process whose settings do not name it as a gateway ({gateway.name}), so its"
                " requests are not counted here. Nothing was requested. Start that process anew with the same"
                " TRADING_ASSETS_GATEWAYS."
            )
        known = gateway_logins.c
        others = connection.execute(
            sa.select(gateway_logins).where(known.accounts == digest, known.name != gateway.name).order_by(known.name)
        ).all()
        for other in others:
            found_there = client_id in json.loads(other.ids_in_use) and now - other.at < RECENT
            if found_there or any((other.name, one) in leased for one in in_use):
                raise BrokerNotConfigured(
                    f"The gateways {gateway.name} ({place}) and {other.name} reach one TWS: the same accounts, and a"
                    " client id of the one is in use at the other. Nothing was requested. Take one of them out of"
                    " TRADING_ASSETS_GATEWAYS. If they are two TWS, another program has that id: give it one outside"
                    " of TRADING_ASSETS_IB_CLIENT_IDS."
                )
        connection.execute(gateway_logins.delete().where(known.name == gateway.name))
        connection.execute(
            gateway_logins.insert().values(
                name=gateway.name, accounts=digest, ids_in_use=json.dumps(sorted(in_use)), at=now
            )
        )


def _resolved(gateway: Gateway) -> set[str]:
    """The addresses of a host; its name where it cannot be resolved, for connecting will say so."""
    try:
        found = socket.getaddrinfo(gateway.host, gateway.port, type=socket.SOCK_STREAM)
    except OSError:
        return {gateway.host.lower()}
    return {str(address[0]) for *_, address in found}
