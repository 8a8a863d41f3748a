"""What the simulator's server asks of a market: the seam between the wire protocol and the data.

A market answers as of an instant `now` (UTC) and never reveals anything later. It knows nothing of messages,
sockets or limits; the server (`simulator.server`) knows nothing of where data comes from. Two markets exist:
`simulator.generated` and `simulator.recorded`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol, runtime_checkable


class MarketRefusal(Exception):
    """The market refuses a question with a broker code and text, as TWS would."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class ListedContract:
    """A contract the market lists: what a `contractData` message needs.

    `expiry` is the calendar expiry; `last_trade` (`YYYYMMDD`) what the broker shows, one session before it for
    AM-settled index options. `last_trade_time` is `HH:MM:SS` New York. Strikes in dollars, `right` "C", "P" or "".
    """

    con_id: int
    symbol: str
    sec_type: str
    exchange: str
    primary_exchange: str
    currency: str
    local_symbol: str
    trading_class: str
    long_name: str
    min_tick: float = 0.01
    multiplier: str = ""
    last_trade: str = ""
    last_trade_time: str = ""
    expiry: date | None = None
    strike: float = 0.0
    right: str = ""
    under_con_id: int = 0
    under_sec_type: str = ""
    industry: str = ""
    category: str = ""
    subcategory: str = ""
    stock_type: str = ""
    market_name: str = ""
    time_zone_id: str = "US/Eastern"
    valid_exchanges: str = "SMART"


@dataclass(frozen=True, slots=True)
class ContractQuery:
    """The contract block of a request, unset fields empty or zero."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    last_trade: str = ""
    strike: float = 0.0
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""
    include_expired: bool = False


@dataclass(frozen=True, slots=True)
class OptionParameters:
    """One `securityDefinitionOptionParameter` message. `expirations` are `YYYYMMDD` last trading days."""

    exchange: str
    underlying_con_id: int
    trading_class: str
    multiplier: str
    expirations: tuple[str, ...]
    strikes: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar. `start` is its start instant (UTC); for daily and larger bars `session` names it on the wire.

    Prices in dollars; `volume` in shares or contracts; `wap` and `count` are -1 for quotes (MIDPOINT, BID, ASK).
    For BID_ASK: open = average bid, high = max ask, low = min bid, close = average ask.
    """

    start: datetime
    session: date
    open: float
    high: float
    low: float
    close: float
    volume: float
    wap: float
    count: int


@dataclass(frozen=True, slots=True)
class Greeks:
    """Broker units: volatility per 1.00, vega per volatility point, theta per day. None = not computed."""

    implied_volatility: float | None = None
    delta: float | None = None
    price: float | None = None
    pv_dividend: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None
    underlying_price: float | None = None


@dataclass(frozen=True, slots=True)
class Dividends:
    """Cash dividends of a stock, dollars a share of today: the sums of the past and the next twelve months, the next
    ex-date and its amount. Nothing at all for a stock that pays none."""

    past_year: float = 0.0
    next_year: float = 0.0
    next_date: date | None = None
    next_amount: float = 0.0


@dataclass(frozen=True, slots=True)
class MarketQuote:
    """A contract's state at one instant. None where the market has no such value (then no tick is sent for it).

    A missing bid is `bid=None, bid_size=0`: the server sends -1 with size 0, as TWS does.
    """

    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    bid_size: float = 0
    ask_size: float = 0
    last_size: float | None = None
    high: float | None = None
    low: float | None = None
    open: float | None = None
    close: float | None = None
    volume: float | None = None
    call_open_interest: float | None = None
    put_open_interest: float | None = None
    call_volume: float | None = None
    put_volume: float | None = None
    implied_volatility: float | None = None
    historical_volatility: float | None = None
    halted: bool = False
    last_time: datetime | None = None
    dividends: Dividends | None = None
    """None where nothing is known of them."""
    greeks: dict[str, Greeks] = field(default_factory=dict)
    """By side: "bid", "ask", "last", "model"."""


class Market(Protocol):
    """The questions. All instants are aware and UTC; `now` bounds every answer."""

    name: str
    """"generated" or "recorded"."""

    identity: str
    """Short stable text that names the data (seed, or a digest of the recorded folder); part of the account name."""

    def contracts(self, query: ContractQuery, now: datetime) -> list[ListedContract]:
        """All listed (not expired at `now`, unless `include_expired` and known) contracts that fit the query.

        Unset fields match everything; exchange SMART (or empty) matches every contract. Empty list: unknown.
        """

    def by_id(self, con_id: int) -> ListedContract | None:
        """The contract of an id, expired or not; None if the market has none. May be asked from another thread than the
        other questions, while one of them is being answered."""

    def option_parameters(self, symbol: str, sec_type: str, con_id: int, now: datetime) -> list[OptionParameters]:
        """Expiries and strikes listed at `now` per exchange and trading class."""

    def bars(
        self,
        contract: ListedContract,
        bar_size: str,
        what_to_show: str,
        start: datetime,
        end: datetime,
        use_rth: bool,
        now: datetime,
    ) -> list[Bar]:
        """Bars that start in [`start`, `end`) and have begun at `now`, in order; empty: HMDS returned no data.

        The bar in progress at `now` holds what is known so far. Split adjusted as of `now` (ADJUSTED_LAST: dividends
        too). Options have no bars of a day or more here (the server refuses them before asking). Raises
        `MarketRefusal`.
        """

    def head_timestamp(
        self, contract: ListedContract, what_to_show: str, use_rth: bool, now: datetime
    ) -> datetime | None:
        """The start of the oldest bar, None if there is none."""

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        """The state of a contract at `now`: the last known one when the market is closed."""

    def search(self, pattern: str, now: datetime) -> list[ListedContract]:
        """Underlyings whose symbol or name begins with the pattern, at most 16."""


@runtime_checkable
class StreamingMarket(Protocol):
    """What a market may offer for running streams; for one that does not, `quote` and `bars` are asked instead."""

    def quotes(self, contracts: Sequence[ListedContract], now: datetime) -> list[MarketQuote]:
        """The states of several contracts as running streams show them, computed together.

        Like `quote`, but a market that replays whole minutes shows the one in progress as it goes on.
        """

    def quote_changes(self, after: datetime, until: datetime) -> list[datetime]:
        """The instants in (`after`, `until`], in order, at which a stream has to look so that it misses no state.

        A market that changes all the time names the last one only.
        """

    def five_second_bars(
        self, contract: ListedContract, what_to_show: str, start: datetime, end: datetime, use_rth: bool, now: datetime
    ) -> list[Bar]:
        """As `Market.bars` for bars of 5 seconds."""
