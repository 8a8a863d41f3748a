"""Trading classes that a corporate action has adjusted, the price that their strikes are held against, and the
contracts that stay selected through the action.

A usual class delivers `multiplier` shares of its symbol, so that its strikes lie around the price of a share. An
adjusted one (`ABC1`, `2ABC`, an unusual multiplier, a ladder of strikes far off the price) delivers something else: ten
shares in place of a hundred, shares of two companies, shares and cash. TWS does not say what. Its own quotes do: strike
plus call less put is the price of what is delivered.

Pure functions of listings and stored quotes. The same for whole spans of the lake is `repositories.option_classes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.instrument import LADDER_OFF, PARITY_PAIRS, PRICE_JUMP, SHARES, is_adjusted_class

ClassKey = tuple[str, float]
"""Trading class and multiplier: the contracts of one underlying that deliver the same."""


def adjusted_classes(symbol: str, chain: pa.Table, spot: float | None) -> set[ClassKey]:
    """The adjusted classes among the rows of one symbol's chain (columns trading_class, multiplier, strike).

    A class is adjusted by its name; by a multiplier other than 100 beside a class that has 100; or when the spot lies
    far outside of all its strikes.
    """
    found = chain.group_by(["trading_class", "multiplier"]).aggregate([("strike", "min"), ("strike", "max")])
    groups = found.to_pylist()
    named = {_key(row) for row in groups if is_adjusted_class(symbol, *_key(row))}
    usual = any(row["multiplier"] == SHARES for row in groups if _key(row) not in named)
    odd = {_key(row) for row in groups if usual and row["multiplier"] != SHARES and not _is_mini(row)}
    off = {
        _key(row)
        for row in groups
        if spot and not row["strike_min"] / LADDER_OFF <= spot <= row["strike_max"] * LADDER_OFF
    }
    return named | odd | off


def class_prices(symbol: str, chain: pa.Table, last: pa.Table, spot: float | None) -> dict[ClassKey, float | None]:
    """The adjusted classes of a symbol's chain, each with the price of what it delivers, in dollars a unit of its
    strikes; None where that is not known.

    `last` holds the rows of the symbol's last chain with quotes: the price is that which call and put of the same
    contracts (by con_id) implied there, else the underlying's of then where their class was usual; times what became
    of their strikes, and times the move of the underlying where the class was the same then.
    """
    keys = adjusted_classes(symbol, chain, spot)
    if not keys:
        return {}
    spot_then = _spot(last)
    then = {row["con_id"]: row for row in last.select(_TERMS).to_pylist()}
    adjusted_then = adjusted_classes(symbol, last, spot_then)
    prices: dict[ClassKey, float | None] = {}
    for key in keys:
        mine = _of_class(chain, key).select(["con_id", "strike"]).to_pylist()
        pairs = [(row["strike"], then[row["con_id"]]) for row in mine if row["con_id"] in then]
        before = {_key(row) for _, row in pairs}
        price = implied_price(row for _, row in pairs)
        if price is None and pairs and not before & adjusted_then:
            price = spot_then
        if price is not None:
            price *= float(np.median([strike / row["strike"] for strike, row in pairs]))
        if price is not None and before == {key} and spot and spot_then and not jumped(spot_then, spot):
            price *= spot / spot_then
        prices[key] = price
    return prices


def implied_price(rows: Iterable[Mapping[str, Any]]) -> float | None:
    """The median of strike + call - put over the pairs nearest the money of each expiry; None with fewer than
    `PARITY_PAIRS` pairs. `rows` have expiry, strike, right, bid and ask."""
    sides: dict[tuple[Any, float], dict[str, float]] = {}
    for row in rows:
        bid, ask = row["bid"], row["ask"]
        if bid and ask and 0 < bid <= ask:
            sides.setdefault((row["expiry"], row["strike"]), {})[row["right"]] = (bid + ask) / 2
    implied: dict[Any, list[tuple[float, float]]] = {}
    for (expiry, strike), side in sides.items():
        if len(side) == 2:
            gap = side["C"] - side["P"]
            implied.setdefault(expiry, []).append((abs(gap), strike + gap))
    near = [price for found in implied.values() for _, price in sorted(found)[: 2 * PARITY_PAIRS]]
    return float(np.median(near)) if len(near) >= PARITY_PAIRS else None


def followed_contracts(
    chain: pa.Table, history: Iterable[Mapping[str, Any]], adjusted: Iterable[ClassKey], spot: float | None
) -> set[int]:
    """The contracts of a chain that were selected before and that a corporate action has changed since, which stay
    selected.

    `history` are the selections of earlier chains (con_id, session, trading_class, multiplier, strike, and `spot`, the
    price of the underlying in that chain or None). Changed are contracts of an adjusted class, those whose strike,
    class or multiplier was another then, and those over whose price a jump of the underlying went (`PRICE_JUMP`).
    """
    rows, keys = list(history), set(adjusted)
    now = {row["con_id"]: row for row in chain.select(["con_id", *_CLASS, "strike"]).to_pylist()}
    spots = sorted({row["session"]: row["spot"] for row in rows if row["spot"]}.items())
    steps = pairwise([*spots, *([(None, spot)] if spot else [])])
    jumps = [session for (session, before), (_, after) in steps if jumped(before, after)]
    last_jump = max(jumps, default=None)
    return {
        row["con_id"]
        for row in rows
        if (mine := now.get(row["con_id"])) is not None
        and (
            _key(mine) in keys
            or any(mine[name] != row[name] for name in (*_CLASS, "strike"))
            or (last_jump is not None and row["session"] <= last_jump)
        )
    }


def jumped(before: float, after: float) -> bool:
    """Whether two prices of an underlying are of different bases."""
    return not 1 / PRICE_JUMP < after / before < PRICE_JUMP


_CLASS = ("trading_class", "multiplier")
_TERMS = ["con_id", *_CLASS, "expiry", "strike", "right", "bid", "ask"]


def _key(row: Mapping[str, Any]) -> ClassKey:
    return row["trading_class"], row["multiplier"]


def _is_mini(row: Mapping[str, Any]) -> bool:
    return not is_adjusted_class("", row["trading_class"], row["multiplier"]) and row["trading_class"][-1:].isdigit()


def _of_class(chain: pa.Table, key: ClassKey) -> pa.Table:
    return chain.filter(pc.and_(pc.equal(chain["trading_class"], key[0]), pc.equal(chain["multiplier"], key[1])))


def _spot(chain: pa.Table) -> float | None:
    known = [price for price in chain["underlying_price"].to_pylist() if price and math.isfinite(price) and price > 0]
    return float(np.median(known)) if known else None
