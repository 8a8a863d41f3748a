"""Which expiries are listed, and which listed contracts are quoted and collected: the rules of `selection_rules`,
applied.

Pure functions of a listing. What is asked of the broker for the selected contracts belongs to `planning.chains`
(quotes) and `planning.bars` (bars).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trading_assets.broker.payloads import ParameterRecord
from trading_assets.instrument import AM_SETTLED, SHARES, is_adjusted_class, same_symbol
from trading_assets.planning.option_classes import ClassKey
from trading_assets.selection_rules import SelectionRules

if TYPE_CHECKING:
    import pandas as pd


def wanted_expiries(parameters: Iterable[ParameterRecord], rules: SelectionRules, session: date) -> list[str]:
    """The last trading days (`YYYYMMDD`, sorted) whose contracts are to be listed.

    The broker's parameters give last trading days. An AM-settled contract expires on the session after: of those
    classes a last trading day up to four calendar days short of `min_days_to_expiry` is listed too, and
    `select_contracts` decides by the expiry. An adjusted class (`ABC1`) is listed where the rules name its class of
    before (`ABC`): its contracts may be followed.
    """
    latest = session + timedelta(days=rules.max_days_to_expiry)
    wanted: set[str] = set()
    for record in _of_classes(parameters, rules):
        slack = 4 if record["trading_class"] in AM_SETTLED else 0
        earliest = max(session, session + timedelta(days=rules.min_days_to_expiry - slack))
        wanted.update(day for day in record["expirations"] if earliest <= parse_day(day) <= latest)
    return sorted(wanted)


def next_expiry(parameters: Iterable[ParameterRecord], rules: SelectionRules, session: date) -> date | None:
    """The first last trading day beyond the wanted ones, of the wanted trading classes; None where there is none."""
    latest = session + timedelta(days=rules.max_days_to_expiry)
    days = (parse_day(day) for record in _of_classes(parameters, rules) for day in record["expirations"])
    return min((day for day in days if day > latest), default=None)


def _of_classes(parameters: Iterable[ParameterRecord], rules: SelectionRules) -> Iterator[ParameterRecord]:
    wanted = rules.trading_classes
    return (record for record in parameters if wanted is None or _is_of(record, wanted))


def select_contracts(
    listing: pa.Table,
    spot: float | None,
    session: date,
    rules: SelectionRules,
    *,
    prices: Mapping[ClassKey, float | None] | None = None,
    followed: Collection[int] = (),
) -> set[int]:
    """The contract ids of the wanted contracts of one symbol's listing. Deterministic: the order of rows does not
    matter.

    `listing` has the columns con_id, expiry (date), last_trade (`YYYYMMDD`), strike (dollars), right, trading_class
    and, where known, open_interest (contracts; null is unknown). `spot` is the underlying's price in dollars (index
    points). Contracts whose last trading day lies before the session are never selected.

    `prices` are those of adjusted classes in place of the spot, in dollars a unit of their strikes (see
    `option_classes`; the listing then has `multiplier` too). A class whose price is None has no contract that a rule
    about the price selects. `followed` contracts are selected whatever the rules say, until they expire.

    Raises `ValueError` when the rules need a price and none is known.
    """
    import pandas as pd

    known = spot is not None and math.isfinite(spot) and spot > 0
    if listing.num_rows == 0:
        return set()
    kept = _alive(listing, followed, session)
    if rules.needs_spot and not known:
        raise ValueError(
            "The price of the underlying is not known: select by expiry and trading class only, or collect its price"
            " first."
        )
    price = float(spot) if known and spot is not None else math.nan
    names = ["con_id", "expiry", "last_trade", "strike", "right", "trading_class"]
    frame = listing.select(
        [*names, *(name for name in ("open_interest", "multiplier", "listed_class") if name in listing.column_names)]
    ).to_pandas()
    frame["price"] = _prices(frame, price, prices or {})
    days = (pd.to_datetime(frame["expiry"]) - pd.Timestamp(session)).dt.days
    keep = days.between(rules.min_days_to_expiry, rules.max_days_to_expiry) & (
        frame["last_trade"].astype(str) >= f"{session:%Y%m%d}"
    )
    keep &= frame["right"].isin(rules.rights)
    if rules.trading_classes is not None:
        keep &= _in_classes(frame, rules.trading_classes)
    if rules.min_open_interest is not None and "open_interest" in frame:
        keep &= frame["open_interest"].isna() | (frame["open_interest"] >= rules.min_open_interest)
    if rules.min_moneyness is not None:
        keep &= frame["strike"] >= rules.min_moneyness * frame["price"]
    if rules.max_moneyness is not None:
        keep &= frame["strike"] <= rules.max_moneyness * frame["price"]
    frame = frame[keep]
    if rules.strikes_around_spot is not None:
        frame = frame[_around(frame, rules.strikes_around_spot)]
    if rules.max_contracts is not None:
        frame = frame[frame["price"].notna()]
        distance = (frame["strike"] / frame["price"] - 1).abs()
        ordered = frame.assign(distance=distance).sort_values(["expiry", "distance", "strike", "right", "con_id"])
        frame = ordered.head(rules.max_contracts)
    return {int(con_id) for con_id in frame["con_id"]} | kept


def _is_of(record: ParameterRecord, classes: Collection[str]) -> bool:
    """Whether the class of the record is one of `classes`, or an adjusted one of them."""
    trading_class, multiplier = record["trading_class"], float(record["multiplier"] or SHARES)
    return _is_named(trading_class, classes) or (
        is_adjusted_class("", trading_class, multiplier) and trading_class.strip("0123456789") in classes
    )


def _is_named(trading_class: str, classes: Collection[str]) -> bool:
    """Whether a trading class is one of `classes`, whichever separator it is written with."""
    return any(same_symbol(trading_class, one) for one in classes)


def _in_classes(frame: pd.DataFrame, classes: Collection[str]) -> pd.Series:
    """Whether each row's class is one of `classes`: as the contract names it, or as the option parameters do."""
    names = {name: _is_named(name, classes) for name in frame["trading_class"].unique()}
    found = frame["trading_class"].map(names).astype(bool)
    if "listed_class" in frame:
        found |= frame["listed_class"].map(lambda name: isinstance(name, str) and _is_named(name, classes)).astype(bool)
    return found


def _alive(listing: pa.Table, con_ids: Collection[int], session: date) -> set[int]:
    """Those of the contracts that are listed and whose last trading day has not passed."""
    rows = listing.filter(
        pc.and_(
            pc.is_in(listing["con_id"], pa.array(sorted(con_ids), pa.int64())),
            pc.greater_equal(listing["last_trade"], f"{session:%Y%m%d}"),
        )
    )
    return set(rows["con_id"].to_pylist())


def _prices(frame: pd.DataFrame, spot: float, prices: Mapping[ClassKey, float | None]) -> np.ndarray:
    """The price that each row's strike is held against; NaN where it is not known."""
    if not prices:
        return np.full(len(frame), spot)
    keys = zip(frame["trading_class"], frame["multiplier"], strict=True)
    return np.array([prices.get(key, spot) for key in keys], dtype=float)


def _around(frame: pd.DataFrame, count: int) -> np.ndarray:
    """Whether each row's strike is among the `count` below or the `count` at or above the price of its class, by expiry
    and trading class (and multiplier, where it is given)."""
    above = frame["strike"] >= frame["price"]
    parts = [name for name in ("expiry", "trading_class", "multiplier") if name in frame]
    groups = [*(frame[name] for name in parts), above]
    rank_up = frame["strike"].groupby(groups).rank(method="dense", ascending=True)
    rank_down = frame["strike"].groupby(groups).rank(method="dense", ascending=False)
    near = np.where(above, rank_up, rank_down) <= count
    return np.asarray(near & frame["price"].notna())


def parse_day(text: str) -> date:
    """The date of the broker's `YYYYMMDD`.

    Raises `ValueError` for anything else.
    """
    if len(text) != 8 or not text.isdecimal():
        raise ValueError(f"{text!r} is not a day as the broker writes it (YYYYMMDD).")
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
