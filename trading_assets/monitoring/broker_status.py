"""The broker's part of the status: how it is reached, its circuit breaker, and the same of each gateway.

Read from the state database; `probe` makes one plain TCP connection to each port.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from trading_assets.broker.breaker_store import breaker_state
from trading_assets.broker.contact import DELAYED, last_contact
from trading_assets.broker.refusals import refusals_of
from trading_assets.monitoring.usage import pacing_budget
from trading_assets.reliability import Phase
from trading_assets.settings import Settings

PROBE_SECONDS = 2.0
"""How long the broker's port may take to accept a connection: it is on this machine or in the same network."""


def breaker_record(engine: sa.Engine, settings: Settings) -> dict[str, Any]:
    """`phase`, `failures` and `opened_at` (UTC; None while closed) of the circuit breaker, of several the worst."""
    state = breaker_state(engine, settings)
    opened = datetime.fromtimestamp(state.opened_at, UTC) if state.phase is not Phase.CLOSED else None
    return {"phase": str(state.phase), "failures": state.failures, "opened_at": opened}


def broker_record(settings: Settings, engine: sa.Engine, probe: bool) -> dict[str, Any]:
    """Setting, endpoint (None: a simulator is started inside each run), what was last known of it, and whether its port
    answers now. Of settings with gateways it is that of the only or first one."""
    place = settings.endpoint
    endpoint = f"{place[0]}:{place[1]}" if place is not None else None
    contact = last_contact(engine, settings.gateway_name or endpoint)
    error = _refused(*place) if probe and place is not None else None
    reachable = not error if probe and place is not None else contact.reachable if contact is not None else None
    return {
        "setting": str(settings.broker),
        "endpoint": endpoint,
        "reachable": reachable,
        "error": error or (contact.error if contact is not None and not reachable else ""),
        "identity": contact.identity if contact is not None else "",
        "market_data": contact.market_data if contact is not None else "",
        "delayed": contact.delayed if contact is not None else False,
        "last_contact": contact.as_dict() if contact is not None else None,
    }


def gateway_records(settings: Settings, engine: sa.Engine, probe: bool) -> list[dict[str, Any]]:
    """One record a gateway, in the order of the settings: `name`, the fields of `broker_record`, and its `breaker`,
    `pacing` and `refusals` (codes with which its login was refused data lately)."""
    return [
        {
            "name": one.gateway_name,
            **broker_record(one, engine, probe),
            "breaker": breaker_record(engine, one),
            "pacing": pacing_budget(engine, one),
            "refusals": [refusal.as_dict() for refusal in refusals_of(engine, str(one.gateway_name))],
        }
        for one in (settings.each_gateway() if settings.gateways else ())
    ]


def together(gateways: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The records of several gateways as one with the fields of `broker_record`: reachable when one of them is."""
    reached = [one["reachable"] for one in gateways]
    contacts = [one["last_contact"] for one in gateways if one["last_contact"] is not None]

    def all_of(name: str) -> str:
        return ", ".join(dict.fromkeys(one[name] for one in gateways if one[name]))

    return {
        "setting": gateways[0]["setting"],
        "endpoint": ", ".join(f"{one['name']} {one['endpoint']}" for one in gateways),
        "reachable": True if True in reached else False if all(one is False for one in reached) else None,
        "error": all_of("error"),
        "identity": all_of("identity"),
        "market_data": all_of("market_data"),
        "delayed": any(one["delayed"] for one in gateways),
        "last_contact": max(contacts, key=lambda one: one["at"], default=None),
    }


def broker_wrong(
    settings: Settings, broker: Mapping[str, Any], breaker: Mapping[str, Any], pinned: str | None, *, needed: bool
) -> list[str]:
    """What is wrong with the broker, or with the gateway whose record it is, in sentences. `pinned` is the identity of
    the lake; `needed`: whether there is a symbol to collect."""
    who = f"the gateway {broker['name']}" if "name" in broker else "the broker"
    of, wrong = f" of {who}" if "name" in broker else "", []
    start = f"T{who[1:]}"
    if breaker["phase"] != Phase.CLOSED:
        wrong.append(
            f"The circuit breaker{of} is {breaker['phase']}: {who} failed {breaker['failures']} times in a"
            f" row. See that it runs; the next trial is made {settings.recovery_timeout:.0f} s after the last."
        )
    if needed and broker["reachable"] is False:
        wrong.append(f"{start} cannot be reached: {broker['error']}. Start TWS or the Gateway, or check host and port.")
    if pinned and broker["identity"] and broker["identity"] != pinned:
        wrong.append(
            f"{start} at {broker['endpoint']} is {broker['identity']}, the lake belongs to {pinned}. Connect the"
            " right account."
        )
    if broker["delayed"] and settings.market_data == "live":
        wrong.append(
            f"{start}'s market data is {broker['market_data']}: subscribe to it, or set"
            " TRADING_ASSETS_MARKET_DATA=delayed for another lake."
        )
    return wrong


def different_subscriptions(gateways: Sequence[Mapping[str, Any]]) -> str:
    """A sentence when the logins of the gateways were given different market data; empty when nothing says so."""
    kinds = {one["market_data"] in DELAYED for one in gateways if one["market_data"]}
    codes = {tuple(refusal["code"] for refusal in one["refusals"]) for one in gateways if one["identity"]}
    if len(kinds) < 2 and len(codes) < 2:
        return ""
    return (
        "The logins of the gateways seem to have different market data subscriptions:"
        f" {'; '.join(map(_given, gateways))}. A symbol is asked through one gateway, whatever that login is subscribed"
        " to: give all logins the same subscriptions, or take a gateway out of TRADING_ASSETS_GATEWAYS."
    )


def _given(gateway: Mapping[str, Any]) -> str:
    refused = [
        f"refused with code {one['code']} ({one['requests']} request(s), last of {one['symbol']})"
        for one in gateway["refusals"]
    ]
    words = [gateway["market_data"] or "no quotes yet", *(refused or ["nothing refused"])]
    return f"{gateway['name']}: {', '.join(words)}"


def _refused(host: str, port: int) -> str:
    """Why the port does not accept a connection; empty when it does."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_SECONDS):
            return ""
    except OSError as error:
        return f"{host}:{port} does not accept a connection ({error.strerror or error})"
