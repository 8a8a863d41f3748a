"""A contract in the broker's words: what requests carry and the universe keeps."""

from __future__ import annotations

from dataclasses import dataclass

OPTION_BAR_SIZE = "8 hours"
"""The bar size that options are collected in. They have no daily bars at the broker (code 162, "No data of type
EODChart"): one bar of 8 hours is a whole session, and `1 day` bars are made from it."""

AM_SETTLED = frozenset({"SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"})
"""Trading classes settled by the opening prices of the session after their last trading day. SPX is on record
(limits.md); the others are common knowledge, not checked against a live TWS. A class missing here costs at most a
contract that expires within four days of `min_days_to_expiry`; the time to settlement of a contract is right all the
same where its last trading day is known."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """A contract as the broker's requests carry it. Unset fields are empty or zero.

    `last_trade` is the broker's `lastTradeDateOrContractMonth` (`YYYYMMDD`); for AM-settled index options that is
    the day before the expiry. `strike` is in dollars (index points for index options).
    """

    symbol: str
    sec_type: str = "STK"
    exchange: str = "SMART"
    currency: str = "USD"
    primary_exchange: str = ""
    con_id: int = 0
    last_trade: str = ""
    strike: float = 0.0
    right: str = ""
    multiplier: str = ""
    local_symbol: str = ""
    trading_class: str = ""

    @property
    def key(self) -> str:
        """The contract id where known, else the words that describe the contract."""
        if self.con_id:
            return str(self.con_id)
        words = (self.symbol, self.sec_type, self.exchange, self.currency, self.primary_exchange, self.last_trade)
        strike = f"{self.strike:g}" if self.strike else ""
        return "/".join((*words, strike, self.right, self.trading_class)).rstrip("/")
