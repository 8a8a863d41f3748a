"""Which gateway each symbol is asked through: rendezvous hashing (Thaler and Ravishankar, "A name-based mapping scheme
for rendezvous", 1996).

Every gateway gives every symbol a number that is the same in all processes, and the largest one wins. So all of a
symbol's requests go one way, shares are equal in the mean, and when a gateway goes only its own symbols move. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

from trading_assets.broker.requests import Request


def gateway_of(symbol: str, gateways: Collection[str]) -> str:
    """The name of the gateway that a symbol is asked through. `gateways` are the names of those that can be used, at
    least one, in any order."""
    return max(gateways, key=lambda name: (_number(name, symbol), name))


def by_gateway(requests: Iterable[Request], gateways: Collection[str]) -> Mapping[str, list[Request]]:
    """The requests of each gateway that has any, in the order given."""
    chosen: dict[str, str] = {}
    shares: dict[str, list[Request]] = {}
    for request in requests:
        if request.symbol not in chosen:
            chosen[request.symbol] = gateway_of(request.symbol, gateways)
        shares.setdefault(chosen[request.symbol], []).append(request)
    return shares


def _number(gateway: str, symbol: str) -> bytes:
    return hashlib.blake2b(f"{gateway}\0{symbol}".encode(), digest_size=8).digest()
