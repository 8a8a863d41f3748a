"""Greeks of the prices that a quote shows (bid, ask, last, model), of many options on one underlying at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trading_assets.pricing import black_scholes
from trading_assets.simulator.market import Greeks

Floats = NDArray[np.float64]


def greeks_by_side(
    spot: float,
    strike: Floats,
    years: Floats,
    right: NDArray[np.str_],
    prices: Mapping[str, Floats],
    *,
    rate: float = 0.0,
    volatility: Mapping[str, Floats] | None = None,
) -> list[dict[str, Greeks]]:
    """Greeks of each option by the sides of `prices` (dollars a share), in the broker's units.

    The volatility of a side is the one in `volatility`, else the one that its price implies. A side without a price
    (NaN) is left out; one whose price implies no volatility has its price only.
    """
    known: Mapping[str, Any] = volatility or {}
    implied = np.stack(
        [
            known[side] if side in known else black_scholes.implied_volatility(price, spot, strike, years, right, rate)
            for side, price in prices.items()
        ]
    )
    computed = black_scholes.greeks(spot, strike, years, np.nan_to_num(implied), right, rate)
    figures = np.stack((implied, computed.delta, computed.gamma, computed.vega, computed.theta), axis=-1).tolist()
    found: list[dict[str, Greeks]] = [{} for _ in strike]
    for side, rows in zip(prices, figures, strict=True):
        for sides, price, row in zip(found, prices[side].tolist(), rows, strict=True):
            if price != price:
                continue
            if row[0] != row[0]:
                sides[side] = Greeks(price=price, underlying_price=spot)
            else:
                sides[side] = Greeks(row[0], row[1], price, 0.0, row[2], row[3], row[4], spot)
    return found
