"""Profit and loss between two looks, explained by the greeks of the first.

For the quantity held at the first look, in dollars, with dS the move of the underlying, dV that of the volatility in
points and dT the days between the two marks:

    pnl      = units x (mark after - mark before)
    delta    = units x delta x dS        gamma = units x gamma x dS^2 / 2
    vega     = units x vega x dV         theta = units x theta x dT
    residual = pnl - delta - gamma - vega - theta

What was traded in between is not in the messages and not in here: `quantity_after` says that there was something.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trading_assets.broker.positions import masked
from trading_assets.errors import InvalidRequest
from trading_assets.repositories.catalog import query

PARTS = ("delta", "gamma", "vega", "theta")

_LOOKS = """
    looks as (select distinct account, "at" from position_snapshots where $account is null or account = $account),
    lasts as (select account, max("at") as last from looks where $last is null or "at" <= $last group by account),
    pairs as (select lasts.account, last, max("at") as first from lasts join looks
                on looks.account = lasts.account and looks."at" < last and ($first is null or looks."at" <= $first)
              group by lasts.account, last)"""

_HELD = f"""
    with {_LOOKS}
    select b.account, b.con_id, b.symbol, b.sec_type, b.local_symbol, b.currency, first as since, last as "at",
           b.quantity, coalesce(a.quantity, 0) as quantity_after, b.quantity * b.multiplier as units,
           b.mark as mark_before, a.mark as mark_after,
           b.underlying_price as spot_before, a.underlying_price as spot_after,
           b.implied_volatility as volatility_before, a.implied_volatility as volatility_after,
           b.delta, b.gamma, b.vega, b.theta, b.mark_age as age_before, a.mark_age as age_after
    from pairs join position_snapshots b on b.account = pairs.account and b."at" = first and b.con_id <> 0
    left join position_snapshots a on a.account = pairs.account and a."at" = last and a.con_id = b.con_id
    order by b.symbol, b.sec_type <> 'STK', b.expiry, b.strike, b."right", b.account"""

COLUMNS = [
    *("account", "con_id", "symbol", "local_symbol", "currency", "since", "at", "quantity", "quantity_after"),
    *("pnl", *PARTS, "residual", "null_reason"),
]

GONE, NOT_VALUED = "gone", "not_valued"
"""Why a row has no numbers: the position is not held any more; mark, greeks or volatility lack at one of the looks."""


def explained_frame(
    data_dir: Path, first: datetime | None = None, last: datetime | None = None, account: str | None = None
) -> pd.DataFrame:
    """One row a position of the first look of each account (`COLUMNS`; dollars, of the whole position; instants in
    UTC), null with `null_reason` where it cannot be said.

    `last`: the newest look of an account not after it (None: the newest); `first`: the newest look before that and not
    after `first` (None: the look before). An account with one look has no row. Raises `InvalidRequest` for an instant
    without a time zone and for an account that no look has.
    """
    check_account(data_dir, account)
    for name, value in (("first", first), ("last", last)):
        if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
            raise InvalidRequest(f"{name} is {value!r}: give an instant with a time zone, for example in UTC.")
    rows = query(data_dir, _HELD, {"first": first, "last": last, "account": account}).to_pandas()
    frame = rows.assign(**_parts(rows))
    return frame[COLUMNS]


def check_account(data_dir: Path, account: str | None) -> None:
    """Raise `InvalidRequest` for an account that no stored look has."""
    if account is None:
        return
    known = query(data_dir, "select distinct account from position_snapshots order by account")["account"].to_pylist()
    if account not in known:
        has = f"The looks are at {', '.join(map(masked, known))}" if known else "There is no look yet"
        raise InvalidRequest(
            f"No stored look has the account {masked(account)}. {has}: give an account that was looked at, or none for"
            " all."
        )


def explained_totals(frame: pd.DataFrame) -> pd.DataFrame:
    """The sums a currency, with `positions` and how many of them the sums are `lacking`."""
    sums = frame.groupby("currency")[["pnl", *PARTS, "residual"]].sum(min_count=1)
    counts = frame.groupby("currency")["pnl"].agg(positions="size", lacking=lambda pnl: int(pnl.isna().sum()))
    return sums.join(counts).reset_index()


def _parts(rows: pd.DataFrame) -> dict[str, Any]:
    stock = (rows["sec_type"] == "STK").to_numpy()
    numbers = {name: rows[name].to_numpy(dtype=float, na_value=np.nan) for name in rows.columns if name in _NUMBERS}
    spot = numbers["spot_after"] - numbers["spot_before"]
    points = 100 * (numbers["volatility_after"] - numbers["volatility_before"])
    points[stock] = 0.0
    looks = (rows["at"] - rows["since"]).dt.total_seconds().to_numpy(dtype=float)
    days = (looks - numbers["age_after"] + numbers["age_before"]) / 86_400
    units = numbers["units"]
    parts = {
        "delta": units * numbers["delta"] * spot,
        "gamma": units * numbers["gamma"] * spot**2 / 2,
        "vega": units * numbers["vega"] * points,
        "theta": units * numbers["theta"] * days,
    }
    pnl = units * (numbers["mark_after"] - numbers["mark_before"])
    residual = pnl - sum(parts.values())
    known = np.isfinite(residual)
    made = {"pnl": pnl, **parts, "residual": residual}
    reason = np.where(rows["quantity_after"].to_numpy(dtype=float) == 0, GONE, NOT_VALUED).astype(object)
    reason[known] = None
    return {name: np.where(known, values + 0.0, np.nan) for name, values in made.items()} | {"null_reason": reason}


_NUMBERS = frozenset(
    {
        *("units", "mark_before", "mark_after", "spot_before", "spot_after", "volatility_before", "volatility_after"),
        *("delta", "gamma", "vega", "theta", "age_before", "age_after"),
    }
)
