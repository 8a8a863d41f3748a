"""A contract in the broker's words: what requests carry and the universe keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass

OPTION_BAR_SIZE = "8 hours"
"""The bar size that options are collected in. They have no daily bars at the broker (code 162, "No data of type
EODChart"): one bar of 8 hours is a whole session, and `1 day` bars are made from it."""

AM_SETTLED = frozenset({"SPX", "NDX", "RUT", "DJX", "VIX", "VIXW"})
"""Trading classes settled by the opening prices of the session after their last trading day. SPX is on record
(limits.md); the others are common knowledge, not checked against a live TWS. A class missing here costs at most a
contract that expires within four days of `min_days_to_expiry`; the time to settlement of a contract is right all the
same where its last trading day is known."""

SHARES = 100.0
"""The usual multiplier of an option: what a contract delivers, in shares."""

ADJUSTED_CLASS = "[0-9]+[A-Z]+|[A-Z]+[0-9]+"
"""The names of trading classes that a corporate action has adjusted: the class of before with a digit behind it (OCC)
or in front of it (`ABC1`, `2ABC`). The classes of mini options (`AAPL7`, 10 shares) are named alike and are usual."""

MINI_DIGIT, MINI_SHARES = "7", 10.0

LADDER_OFF = 1.5
"""A class of which the underlying's price lies this many times above or below all strikes is adjusted too."""

PRICE_JUMP = 1.5
"""A price of the underlying that is this many times (or this part of) that of the chain before is of another basis: a
split. A move of a market of that size keeps the contracts of before selected too, which costs their quotes."""

LARGEST_SCALE = 100.0
"""Units of the underlying that an adjusted contract delivers for a unit of its multiplier, at most: 1.5 after a split
of 3:2 that leaves strike and multiplier as they are. Terms of the exchange are far below."""

DELTA_ROUNDING = 0.01
"""Part by which a delta that the broker's model computed may exceed the largest possible one."""

PARITY_PAIRS = 3
"""Fewest strikes with a call and a put whose quotes say what a class delivers."""


def is_adjusted_class(symbol: str, trading_class: str, multiplier: float) -> bool:
    """Whether the name of a trading class says that a corporate action has adjusted its contracts: they deliver
    something else than `multiplier` shares of the symbol. The weekly and afternoon classes of indices (SPXW, NDXP) and
    the symbol's own class are usual."""
    own = re.sub("[^A-Z0-9]", "", symbol.partition("@")[0])
    mini = trading_class.endswith(MINI_DIGIT) and multiplier == MINI_SHARES
    return trading_class != own and not mini and re.fullmatch(ADJUSTED_CLASS, trading_class) is not None


def largest_delta(symbol: str, trading_class: str, multiplier: float) -> float:
    """The largest possible size of a contract's delta, in dollars a dollar of the underlying, by what its terms tell.

    1 of a usual class. A contract of an adjusted one delivers more or fewer units of the underlying than its multiplier
    (150 shares at a multiplier of 100: up to 1.5), and its terms do not say how many: then the bound is
    `LARGEST_SCALE`. An adjusted class has the name of one, or a multiplier that is neither 100 nor that of a mini.
    Where quotes tell what it delivers, the bound is that (`repositories.option_classes.largest_delta_sql`).
    """
    mini = multiplier == MINI_SHARES and trading_class.endswith(MINI_DIGIT)
    adjusted = is_adjusted_class(symbol, trading_class, multiplier) or (multiplier != SHARES and not mini)
    return LARGEST_SCALE if adjusted else 1.0


def same_symbol(one: str, other: str) -> bool:
    """Whether two symbols or trading classes are the same but for the separator of the share class: `BRK B`, `BRK.B`,
    `BRK/B`, `BRKB`."""
    return one == other or one.translate(_SEPARATORS) == other.translate(_SEPARATORS)


_SEPARATORS = str.maketrans("", "", " ./")


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
