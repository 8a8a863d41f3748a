"""A position: the broker's report in the platform's terms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from trading_assets.broker.positions import Holding, masked
from trading_assets.collecting.naming import option_expiry

STOCK, OPTION = "STK", "OPT"


@dataclass(frozen=True, slots=True)
class Position:
    """A position of an account at the instant `at` (UTC).

    `quantity` in shares or contracts, negative when short. `average_cost` as TWS gives it: dollars a share, of an
    option a whole contract; None where it gives none. `multiplier` is 1 for stocks and NaN where TWS gives none.
    `expiry`, `strike` and `right` are those of an option, None where TWS gives none. The account is masked in what is
    printed.
    """

    account: str
    con_id: int
    symbol: str
    sec_type: str
    local_symbol: str
    trading_class: str
    expiry: date | None
    strike: float | None
    right: str | None
    multiplier: float
    currency: str
    quantity: float
    average_cost: float | None
    at: datetime
    last_trade: str = ""

    @property
    def is_option(self) -> bool:
        """Whether it is an option on a stock, fund or index."""
        return self.sec_type == OPTION and None not in (self.expiry, self.strike, self.right)

    @property
    def is_stock(self) -> bool:
        """Whether it is shares of a stock or fund."""
        return self.sec_type == STOCK

    @property
    def name(self) -> str:
        """How a table names the contract: `AAPL`, or `AAPL 2024-01-05 68 C`."""
        if self.is_option:
            return f"{self.symbol} {self.expiry} {self.strike:g} {self.right}"
        return self.symbol if self.is_stock else f"{self.local_symbol or self.symbol} ({self.sec_type})"

    @property
    def masked_account(self) -> str:
        """The account as tables, logs and the UI show it."""
        return masked(self.account)

    def __repr__(self) -> str:
        return f"<Position {self.masked_account} {self.quantity:g} {self.name}>"

    def as_dict(self) -> dict[str, Any]:
        """A JSON-able record, with the whole account number."""
        return {
            "account": self.account,
            "con_id": self.con_id,
            "symbol": self.symbol,
            "sec_type": self.sec_type,
            "local_symbol": self.local_symbol,
            "trading_class": self.trading_class,
            "expiry": self.expiry.isoformat() if self.expiry else None,
            "strike": self.strike,
            "right": self.right,
            "multiplier": None if math.isnan(self.multiplier) else self.multiplier,
            "currency": self.currency,
            "quantity": self.quantity,
            "average_cost": self.average_cost,
            "at": self.at.isoformat(),
        }


def position_of(holding: Holding, at: datetime) -> Position:
    """The position that a holding is."""
    terms = holding.instrument
    option = terms.sec_type == OPTION
    return Position(
        account=holding.account,
        con_id=terms.con_id,
        symbol=terms.symbol,
        sec_type=terms.sec_type,
        local_symbol=terms.local_symbol,
        trading_class=terms.trading_class,
        expiry=_expiry(terms.local_symbol, terms.last_trade) if option else None,
        strike=terms.strike if option and terms.strike > 0 else None,
        right=terms.right if option and terms.right in ("C", "P") else None,
        multiplier=_multiplier(terms.multiplier, terms.sec_type),
        currency=terms.currency,
        quantity=holding.quantity,
        average_cost=holding.average_cost,
        at=at,
        last_trade=terms.last_trade,
    )


def _expiry(local_symbol: str, last_trade: str) -> date | None:
    try:
        return option_expiry(local_symbol, last_trade)
    except ValueError:
        return None


def _multiplier(text: str, sec_type: str) -> float:
    """The multiplier as a number; 1 for shares, NaN where TWS gives none."""
    try:
        value = float(text) if text else math.nan
    except ValueError:
        value = math.nan
    if math.isfinite(value) and value > 0:
        return value
    return 1.0 if sec_type == STOCK else math.nan
