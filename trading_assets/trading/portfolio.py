"""Sums over positions: what they move together, and what they are worth when the market has moved.

A position of which something is not known is left out of a sum, and the sum says how many it lacks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from trading_assets.errors import InvalidRequest
from trading_assets.pricing import american, black_scholes
from trading_assets.pricing.conventions import MIN_VOLATILITY, Floats
from trading_assets.pricing.exercise import ExerciseStyle
from trading_assets.trading.valuing import PositionGreeks

MEASURES = ("shares", "dollar_delta", "gamma_1pct", "vega", "theta")


def exposure(greeks: PositionGreeks) -> dict[str, float]:
    """What one position moves (`MEASURES`), NaN where it is not known."""
    units, spot = greeks.units, greeks.underlying_price
    return {
        "shares": units * greeks.delta,
        "dollar_delta": units * greeks.delta * spot,
        "gamma_1pct": units * greeks.gamma * spot * spot / 100,
        "vega": units * greeks.vega,
        "theta": units * greeks.theta,
    }


def portfolio_frame(positions: Iterable[PositionGreeks]) -> pd.DataFrame:
    """By currency, underlying and expiry (`expiry` is None for shares and for what no model prices):

    | column | |
    | --- | --- |
    | `shares` | delta in shares |
    | `dollar_delta` | delta in dollars: gain if the underlying doubled along its tangent |
    | `gamma_1pct` | by how much the delta changes when the underlying moves 1 %, in dollars at the price of the mark |
    | `vega` | dollars a volatility point |
    | `theta` | dollars a calendar day |
    | `positions`, `lacking` | positions in the row; how many of them the sums lack |

    A sum of nothing is NaN.
    """
    groups: dict[tuple[str, str, date | None], list[PositionGreeks]] = {}
    for one in positions:
        groups.setdefault((one.position.currency, one.position.symbol, one.position.expiry), []).append(one)
    rows = [
        {"currency": currency, "symbol": symbol, "expiry": expiry, **_sums(exposure(one) for one in members)}
        for (currency, symbol, expiry), members in sorted(groups.items(), key=_place)
    ]
    names = ["currency", "symbol", "expiry", *MEASURES, "positions", "lacking"]
    frame = pd.DataFrame(rows, columns=names)
    frame["expiry"] = pd.Series([row["expiry"] for row in rows], dtype=object)
    return frame


def totals(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a portfolio added up over expiries: one row a currency and underlying."""
    added = frame.groupby(["currency", "symbol"], sort=True)
    sums = added[list(MEASURES)].sum(min_count=1)
    return sums.join(added[["positions", "lacking"]].sum()).reset_index()


def checked_moves(spot: Iterable[float], volatility: Iterable[float]) -> tuple[list[float], list[float]]:
    """The moves of a scenario as numbers. Raises `InvalidRequest` for what is no number, and for moves that take a
    price to zero or below."""
    return _moves("spot", spot, -1.0), _moves("volatility", volatility, None)


def scenario_frame(
    positions: Sequence[PositionGreeks], spot: Iterable[float], volatility: Iterable[float]
) -> pd.DataFrame:
    """What the positions gain when every underlying moves by a part of its price (`spot`, 0.05 is 5 % up) and every
    volatility by points per 1.00 (`volatility`, 0.01 is one point up), at the instants of their marks.

    One row a currency and pair: `currency`, `spot`, `volatility`, `value` (dollars after the move), `pnl` (value less
    the value without a move), `positions` and `lacking`. Each option is priced anew with its model; nothing is
    approximated by greeks. Raises `InvalidRequest` as `checked_moves`.
    """
    spots, shifts = checked_moves(spot, volatility)
    pairs = np.array([(0.0, 0.0), *((move, shift) for move in spots for shift in shifts)])
    groups: dict[str, list[PositionGreeks]] = {} if positions else {"USD": []}
    for one in positions:
        groups.setdefault(one.position.currency, []).append(one)
    return pd.concat([_repriced_frame(*group, pairs) for group in sorted(groups.items())], ignore_index=True)


def _repriced_frame(currency: str, positions: Sequence[PositionGreeks], pairs: Floats) -> pd.DataFrame:
    """The rows of one currency; the first of `pairs` is no move."""
    known = [one for one in positions if _can_be_repriced(one)]
    values = np.full(len(pairs), math.nan if positions and not known else 0.0)
    for one in known:
        values += one.units * _repriced(one, pairs[:, 0], pairs[:, 1])
    moves = {"currency": currency, "spot": pairs[1:, 0], "volatility": pairs[1:, 1]}
    gains = {"value": values[1:], "pnl": values[1:] - values[0]}
    return pd.DataFrame({**moves, **gains, "positions": len(positions), "lacking": len(positions) - len(known)})


def _can_be_repriced(greeks: PositionGreeks) -> bool:
    if not math.isfinite(greeks.units):
        return False
    if greeks.position.is_stock:
        return math.isfinite(greeks.mark)
    return greeks.pricing is not None and math.isfinite(greeks.implied_volatility)


def _repriced(greeks: PositionGreeks, move: Floats, shift: Floats) -> Floats:
    """The price of one share or of one unit of the option after each pair of moves."""
    if greeks.position.is_stock:
        return greeks.mark * (1 + move)
    pricing, position = greeks.pricing, greeks.position
    assert pricing is not None
    volatility = np.maximum(greeks.implied_volatility + shift, MIN_VOLATILITY)
    spot = greeks.underlying_price * pricing.scale * (1 + move)
    terms = (spot, position.strike, pricing.years, volatility, position.right, pricing.rate, pricing.dividend_yield)
    if pricing.style is ExerciseStyle.EUROPEAN:
        return np.asarray(black_scholes.price(*terms))
    return np.asarray(american.price(*terms, pricing.schedule))


def _moves(name: str, given: Iterable[float], least: float | None) -> list[float]:
    try:
        moves = [float(move) for move in given]
    except (TypeError, ValueError):
        raise InvalidRequest(
            f"{name} is {given!r:.60}, and a list of numbers is wanted, for example [-0.1, 0, 0.1]."
        ) from None
    wrong = [move for move in moves if not math.isfinite(move) or (least is not None and move <= least)]
    if wrong or not moves:
        raise InvalidRequest(
            f"{name} is {given!r:.60}: give at least one number, each finite"
            + (f" and above {least:g} (a price cannot fall by more than all of it)." if least is not None else ".")
        )
    return moves


def _sums(exposures: Iterable[dict[str, float]]) -> dict[str, float]:
    table = np.array([[each[name] for name in MEASURES] for each in exposures])
    whole = np.isfinite(table).all(axis=1)
    sums = table[whole].sum(axis=0) if whole.any() else np.full(len(MEASURES), math.nan)
    return dict(zip(MEASURES, sums.tolist(), strict=True)) | {
        "positions": len(table),
        "lacking": int((~whole).sum()),
    }


def _place(group: tuple[tuple[str, str, date | None], Any]) -> tuple[str, str, date]:
    currency, symbol, expiry = group[0]
    return currency, symbol, expiry or date.min
