"""Looks at the account as rows of `position_snapshots`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from trading_assets.repositories.schemas import ALL_SYMBOLS, POSITION_SNAPSHOTS
from trading_assets.trading.valuing import GREEKS, PositionGreeks

_VALUES = ("mark", "underlying_price", "implied_volatility", *GREEKS, "unrealized_pnl")
_TERMS = ("account", "con_id", "symbol", "sec_type", "local_symbol", "trading_class", "expiry", "strike", "right")


def snapshot_rows(
    accounts: Sequence[str], positions: Sequence[PositionGreeks], *, at: datetime, session: date
) -> pa.Table:
    """Rows of `position_snapshots` of one look at `at` (UTC): one a position, and one with con_id 0 for each account
    that holds nothing."""
    empty = [account for account in accounts if account not in {one.position.account for one in positions}]
    fixed = {"session": session, "at": at, "collected_at": at, "request_id": 0}
    rows = [fixed | _row(one) for one in positions] + [fixed | _nothing(account) for account in empty]
    return pa.Table.from_pylist(rows, schema=POSITION_SNAPSHOTS.schema)


def _row(one: PositionGreeks) -> dict[str, Any]:
    position = one.position
    return {
        **{name: getattr(position, name) for name in _TERMS},
        **{name: _known(getattr(one, name)) for name in _VALUES},
        "multiplier": _known(position.multiplier),
        "currency": position.currency,
        "quantity": position.quantity,
        "average_cost": position.average_cost,
        "mark_source": None if one.source is None else one.source.value,
        "mark_age": _known(one.age),
        "model": one.model,
        "null_reason": one.null_reason,
    }


def _nothing(account: str) -> dict[str, Any]:
    texts = dict.fromkeys(("sec_type", "local_symbol", "trading_class", "currency"), "")
    return {"account": account, "con_id": 0, "symbol": ALL_SYMBOLS, "quantity": 0.0, **texts}


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
