"""Which expiries are listed, and which listed contracts are quoted and collected.

Pure rules over a listing. What is asked of the broker for the selected contracts belongs to `planning.chains` (quotes)
and `planning.bars` (bars).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Self

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trading_assets.broker.payloads import ParameterRecord

if TYPE_CHECKING:
    import pandas as pd

AM_SETTLED = frozenset({"SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"})
"""Trading classes settled by the opening prices of the session after their last trading day. SPX is on record (limits.md);
the others are common knowledge, not checked against a live TWS. A class missing here costs at most a contract that
expires within four days of `min_days_to_expiry`."""


class SelectionRules(BaseModel):
    """Which contracts of an underlying are wanted. The defaults hold the liquid middle of the next six weeks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_days_to_expiry: int = Field(default=0, ge=0, description="Contracts that expire sooner are left out (calendar days from the session).")
    max_days_to_expiry: int = Field(default=45, ge=0, description="Contracts that expire later are left out (calendar days from the session).")
    strikes_around_spot: int | None = Field(
        default=10, ge=1, description="Strikes below and as many at or above the underlying's price, for each expiry and trading class; null: all."
    )
    min_moneyness: float | None = Field(
        default=None, gt=0, description="Smallest strike as a part of the underlying's price, e.g. 0.8; null: no bound."
    )
    max_moneyness: float | None = Field(
        default=None, gt=0, description="Largest strike as a part of the underlying's price, e.g. 1.2; null: no bound."
    )
    rights: tuple[str, ...] = Field(default=("C", "P"), min_length=1, description="C for calls, P for puts.")
    trading_classes: tuple[str, ...] | None = Field(default=None, min_length=1, description="Trading classes, e.g. SPXW; null: all.")
    min_open_interest: float | None = Field(
        default=None, ge=0, description="Contracts with less open interest are left out, where it is known; null: no bound."
    )
    max_contracts: int | None = Field(
        default=None,
        ge=1,
        description="At most so many contracts a symbol: the first to expire, of one expiry those nearest to the price; null: no cap.",
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.max_days_to_expiry < self.min_days_to_expiry:
            raise ValueError("max_days_to_expiry is smaller than min_days_to_expiry: no contract could be selected.")
        if self.min_moneyness is not None and self.max_moneyness is not None and self.max_moneyness < self.min_moneyness:
            raise ValueError("max_moneyness is smaller than min_moneyness: no contract could be selected.")
        if not set(self.rights) <= {"C", "P"}:
            raise ValueError(f"rights can hold C and P only, not {', '.join(sorted(set(self.rights) - {'C', 'P'}))}.")
        return self

    @property
    def needs_spot(self) -> bool:
        """Whether the rules can be applied only when the underlying's price is known."""
        return any(rule is not None for rule in (self.strikes_around_spot, self.min_moneyness, self.max_moneyness, self.max_contracts))


def wanted_expiries(parameters: Iterable[ParameterRecord], rules: SelectionRules, session: date) -> list[str]:
    """The last trading days (`YYYYMMDD`, sorted) whose contracts are to be listed.

    The broker's parameters give last trading days. An AM-settled contract expires on the session after: of those classes
    a last trading day up to four calendar days short of `min_days_to_expiry` is listed too, and `select_contracts`
    decides by the expiry.
    """
    latest = session + timedelta(days=rules.max_days_to_expiry)
    wanted: set[str] = set()
    for record in parameters:
        if rules.trading_classes is not None and record["trading_class"] not in rules.trading_classes:
            continue
        slack = 4 if record["trading_class"] in AM_SETTLED else 0
        earliest = max(session, session + timedelta(days=rules.min_days_to_expiry - slack))
        wanted.update(day for day in record["expirations"] if earliest <= parse_day(day) <= latest)
    return sorted(wanted)


def select_contracts(listing: pa.Table, spot: float | None, session: date, rules: SelectionRules) -> set[int]:
    """The contract ids of the wanted contracts of one symbol's listing. Deterministic: the order of rows does not matter.

    `listing` has the columns con_id, expiry (date), last_trade (`YYYYMMDD`), strike (dollars), right, trading_class and,
    where known, open_interest (contracts; null is unknown). `spot` is the underlying's price in dollars (index points).
    Contracts whose last trading day lies before the session are never selected.

    Raises `ValueError` when the rules need a price and none is known.
    """
    import pandas as pd

    known = spot is not None and math.isfinite(spot) and spot > 0
    if listing.num_rows == 0:
        return set()
    if rules.needs_spot and not known:
        raise ValueError("The price of the underlying is not known: select by expiry and trading class only, or collect its price first.")
    price = float(spot) if known and spot is not None else math.nan
    names = ["con_id", "expiry", "last_trade", "strike", "right", "trading_class"]
    frame = listing.select([*names, *(["open_interest"] if "open_interest" in listing.column_names else [])]).to_pandas()
    days = (pd.to_datetime(frame["expiry"]) - pd.Timestamp(session)).dt.days
    keep = days.between(rules.min_days_to_expiry, rules.max_days_to_expiry) & (frame["last_trade"].astype(str) >= f"{session:%Y%m%d}")
    keep &= frame["right"].isin(rules.rights)
    if rules.trading_classes is not None:
        keep &= frame["trading_class"].isin(rules.trading_classes)
    if rules.min_open_interest is not None and "open_interest" in frame:
        keep &= frame["open_interest"].isna() | (frame["open_interest"] >= rules.min_open_interest)
    if rules.min_moneyness is not None:
        keep &= frame["strike"] >= rules.min_moneyness * price
    if rules.max_moneyness is not None:
        keep &= frame["strike"] <= rules.max_moneyness * price
    frame = frame[keep]
    if rules.strikes_around_spot is not None:
        frame = frame[_around(frame, price, rules.strikes_around_spot)]
    if rules.max_contracts is not None:
        distance = (frame["strike"] / price - 1).abs()
        ordered = frame.assign(distance=distance).sort_values(["expiry", "distance", "strike", "right", "con_id"])
        frame = ordered.head(rules.max_contracts)
    return {int(con_id) for con_id in frame["con_id"]}


def _around(frame: pd.DataFrame, spot: float, count: int) -> np.ndarray:
    """Whether each row's strike is among the `count` below or the `count` at or above the spot, by expiry and trading class."""
    above = frame["strike"] >= spot
    groups = [frame["expiry"], frame["trading_class"], above]
    rank_up = frame["strike"].groupby(groups).rank(method="dense", ascending=True)
    rank_down = frame["strike"].groupby(groups).rank(method="dense", ascending=False)
    return np.asarray(np.where(above, rank_up, rank_down) <= count)


def parse_day(text: str) -> date:
    """The date of the broker's `YYYYMMDD`.

    Raises `ValueError` for anything else.
    """
    if len(text) != 8 or not text.isdecimal():
        raise ValueError(f"{text!r} is not a day as the broker writes it (YYYYMMDD).")
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))
