"""Requests of a client as frozen values, one class per shape of question.

`kind` is the word that counters, fault scripts and logs use. `decoding` makes these values from the wire; `history`,
`contracts`, `marketdata` and `account` answer them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trading_assets.simulator.market import ContractQuery, ListedContract


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request. `req_id` is -1 for requests without an id; `detail` is what tells two of one contract apart."""

    kind: str
    req_id: int = -1

    @property
    def subject(self) -> str:
        """The contract it asks for, in words; empty for requests without one."""
        return ""

    @property
    def detail(self) -> str:
        """The rest of the question, in words."""
        return ""


@dataclass(frozen=True, slots=True)
class Cancel(ApiRequest):
    """Withdraws the request of the same id; `kind` is `cancel_` and the kind it withdraws."""

    @property
    def target(self) -> str:
        """The kind that is withdrawn."""
        return self.kind.removeprefix("cancel_")


@dataclass(frozen=True, slots=True)
class Words(ApiRequest):
    """A request whose arguments are a few plain texts."""

    words: tuple[str, ...] = ()

    @property
    def detail(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class ContractRequest(ApiRequest):
    """A request about one contract. `known` is the contract that its id means, where it names the id alone."""

    contract: ContractQuery = field(default_factory=ContractQuery)
    known: ListedContract | None = field(default=None, kw_only=True, compare=False)

    @property
    def subject(self) -> str:
        return describe(self.contract, self.known)


@dataclass(frozen=True, slots=True)
class HistoricalData(ContractRequest):
    """Bars or the schedule. Texts stand as the client sent them; `validation` judges them."""

    end: str = ""
    bar_size: str = ""
    duration: str = ""
    use_rth: bool = True
    what_to_show: str = ""
    format_date: int = 1
    keep_up_to_date: bool = False

    @property
    def detail(self) -> str:
        hours = "rth" if self.use_rth else "all"
        live = " live" if self.keep_up_to_date else ""
        return f"{self.bar_size}|{self.what_to_show}|{hours}|{self.duration}|{self.end}{live}"


@dataclass(frozen=True, slots=True)
class HeadTimestamp(ContractRequest):
    """The start of the oldest bar."""

    use_rth: bool = True
    what_to_show: str = ""
    format_date: int = 1

    @property
    def detail(self) -> str:
        return f"{self.what_to_show}|{'rth' if self.use_rth else 'all'}"


@dataclass(frozen=True, slots=True)
class HistoricalTicks(ContractRequest):
    """Ticks forward from `start` or back from `end`."""

    start: str = ""
    end: str = ""
    count: int = 0
    what_to_show: str = ""
    use_rth: bool = True

    @property
    def detail(self) -> str:
        return f"{self.what_to_show}|{self.start}..{self.end}|{self.count}"


@dataclass(frozen=True, slots=True)
class MarketData(ContractRequest):
    """A quote stream, or one snapshot."""

    generic_ticks: tuple[str, ...] = ()
    snapshot: bool = False

    @property
    def detail(self) -> str:
        return "snapshot" if self.snapshot else ",".join(self.generic_ticks)


@dataclass(frozen=True, slots=True)
class RealTimeBars(ContractRequest):
    """Five-second bars as they end."""

    bar_seconds: int = 5
    what_to_show: str = ""
    use_rth: bool = True

    @property
    def detail(self) -> str:
        return f"{self.what_to_show}|{'rth' if self.use_rth else 'all'}"


@dataclass(frozen=True, slots=True)
class OptionCalculation(ContractRequest):
    """Implied volatility of a price, or price of a volatility (`value`), at an underlying price."""

    value: float = 0.0
    under_price: float = 0.0


@dataclass(frozen=True, slots=True)
class OptionParametersRequest(ApiRequest):
    """Expiries and strikes of an underlying."""

    symbol: str = ""
    exchange: str = ""
    sec_type: str = ""
    con_id: int = 0

    @property
    def subject(self) -> str:
        return f"{self.con_id}:{self.symbol} {self.sec_type}"


def describe(query: ContractQuery, known: ListedContract | None = None) -> str:
    """A contract in words, set fields only, for logs and counters: `265598:AAPL STK SMART`. The words are those of the
    query, or of the contract that its id means."""
    terms = known or query
    strike = f"{terms.strike:g}" if terms.strike else ""
    words = (
        terms.symbol,
        terms.sec_type,
        terms.last_trade,
        strike,
        terms.right,
        terms.trading_class,
        terms.local_symbol,
        query.exchange,
    )
    told = " ".join(word for word in words if word)
    return f"{query.con_id}:{told}" if query.con_id else told


KINDS = frozenset(
    {
        "market_data", "contract_details", "historical_data", "realtime_bars", "implied_volatility", "option_price",
        "option_parameters",
        "matching_symbols", "head_timestamp", "historical_ticks", "open_orders", "completed_orders", "executions",
        "positions",
        "account_updates", "account_updates_multi", "account_summary", "managed_accounts", "current_time",
        "market_rule", "market_data_type",
        "ids", "auto_open_orders", "start_api", "place_order",
    }
)  # fmt: skip
"""Kinds that fault scripts may name."""

DATA_KINDS = frozenset(
    {
        "market_data", "contract_details", "historical_data", "realtime_bars", "option_parameters", "matching_symbols",
        "head_timestamp",
        "historical_ticks",
    }
)  # fmt: skip
"""Kinds that ask for data: what the fault scripts' `after_requests` counts, and what a lost connectivity leaves
unanswered."""
