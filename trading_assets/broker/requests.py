"""Requests to the broker as frozen values.

Each request has a canonical `key` (equal keys ask the same question), a `pacing_class` and a `weight`.
Nothing here talks to a broker; the client turns these values into messages (`broker.client`), the journal
stores them (`as_record` / `from_record`), the planner makes them (`planning`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, ClassVar

from trading_assets.instrument import Instrument

SMALL_BAR_SIZES = frozenset({"1 secs", "5 secs", "10 secs", "15 secs", "30 secs"})
"""Bar sizes under the small-bar pacing rules (broker documentation, "Historical Data Limitations")."""

DIVIDENDS_TICK = "456"
"""Generic tick that asks for the past and expected dividends of a stock (broker documentation, "Tick Types")."""


class PacingClass(StrEnum):
    """What a request is counted against, beside the messages a second that all of them cost."""

    MESSAGE = "message"
    """Contract details, option parameters: the message rate only."""
    HISTORY = "history"
    """Bars of 1 min or more, schedules: one of the open historical requests."""
    SMALL_HISTORY = "small_history"
    """Bars of 30 s or less: an open request and the small-bar windows."""
    MARKET_DATA = "market_data"
    """Quotes: one market-data line until cancelled."""


@dataclass(frozen=True, slots=True)
class Request:
    """Base of all requests.

    `symbol` is the underlying the request is made for; `session` is the session it is made in (snapshots) or the
    last session it asks for (bars); `dataset` is the dataset its answer belongs to.
    """

    kind: ClassVar[str] = ""
    answers: ClassVar[str] = ""
    pacing_class: ClassVar[PacingClass] = PacingClass.MESSAGE

    instrument: Instrument
    session: date

    @property
    def symbol(self) -> str:
        """The underlying symbol."""
        return self.instrument.symbol

    @property
    def dataset(self) -> str:
        """The dataset the answer belongs to."""
        return type(self).answers

    @property
    def key(self) -> str:
        """Canonical text: two requests with one key ask the same question."""
        return f"{type(self).kind}|{self.instrument.key}|{self.session}"

    @property
    def pacing(self) -> PacingClass:
        """The pacing class of this very request."""
        return type(self).pacing_class

    @property
    def weight(self) -> int:
        """How many requests the broker counts it as in the small-bar windows."""
        return 1

    @property
    def contract_tick_key(self) -> str:
        """Contract, exchange and tick type: the unit of the broker's 6-in-2-seconds rule."""
        return f"{self.instrument.key}@{self.instrument.exchange}"

    def as_record(self) -> dict[str, Any]:
        """A JSON-able record from which `from_record` builds an equal request."""
        # `asdict` copies deeply: ten times the cost
        record = {field.name: getattr(self, field.name) for field in fields(self)}
        record["instrument"] = {field.name: getattr(self.instrument, field.name) for field in fields(self.instrument)}
        record["kind"] = type(self).kind
        for name, value in record.items():
            if isinstance(value, datetime):
                record[name] = value.astimezone(UTC).isoformat()
            elif isinstance(value, date):
                record[name] = value.isoformat()
            elif isinstance(value, tuple):
                record[name] = list(value)
        return record


@dataclass(frozen=True, slots=True)
class ContractDetailsRequest(Request):
    """Resolve an underlying (stock, ETF or index)."""

    kind: ClassVar[str] = "contract_details"
    answers: ClassVar[str] = "contracts"


@dataclass(frozen=True, slots=True)
class OptionParametersRequest(Request):
    """Expiries and strikes of an underlying, per exchange and trading class (`reqSecDefOptParams`)."""

    kind: ClassVar[str] = "option_parameters"
    answers: ClassVar[str] = "option_chains"


@dataclass(frozen=True, slots=True)
class OptionListingRequest(Request):
    """All option contracts of one expiry: contract details of a partial option contract.

    `instrument` carries symbol, `sec_type="OPT"`, exchange, currency and `last_trade`, no strike and no right.
    """

    kind: ClassVar[str] = "option_listing"
    answers: ClassVar[str] = "option_chains"


@dataclass(frozen=True, slots=True)
class QuoteRequest(Request):
    """One moment's quote of a contract: prices and sizes, for options greeks and open interest.

    Made as a market-data subscription that is cancelled as soon as everything asked for has come: generic ticks
    (open interest) are refused together with a snapshot (error 321).
    """

    kind: ClassVar[str] = "quote"
    answers: ClassVar[str] = "option_chains"
    pacing_class: ClassVar[PacingClass] = PacingClass.MARKET_DATA

    generic_ticks: str = ""

    @property
    def key(self) -> str:
        return f"quote|{self.instrument.key}|{self.generic_ticks}|{self.session}"


@dataclass(frozen=True, slots=True)
class BarsRequest(Request):
    """Bars of one contract from `first_session` to `session`, both included.

    `end` is the exclusive end instant (UTC) and `duration` the broker's words (`"5 D"`, `"2 Y"`); the answer may hold
    bars before `first_session`, which the decoder drops. A duration in seconds asks for a part of a session: then the
    end is part of the key.
    """

    kind: ClassVar[str] = "bars"

    bar_size: str = "1 day"
    what_to_show: str = "TRADES"
    use_rth: bool = True
    first_session: date = date.min
    end: datetime = field(default=datetime.min.replace(tzinfo=UTC))
    duration: str = ""

    @property
    def dataset(self) -> str:
        return "option_bars" if self.instrument.sec_type == "OPT" else "equity_bars"

    @property
    def key(self) -> str:
        hours = "rth" if self.use_rth else "all"
        part = f"|{self.end.astimezone(UTC):%Y%m%dT%H%M%S}" if self.is_window else ""
        span = f"{self.first_session}..{self.session}{part}"
        return f"bars|{self.instrument.key}|{self.bar_size}|{self.what_to_show}|{hours}|{span}"

    @property
    def is_window(self) -> bool:
        """Whether it asks for a part of one session: `1 secs` bars are."""
        return self.duration.endswith(" S")

    @property
    def pacing(self) -> PacingClass:
        return PacingClass.SMALL_HISTORY if self.bar_size in SMALL_BAR_SIZES else PacingClass.HISTORY

    @property
    def weight(self) -> int:
        return 2 if self.what_to_show == "BID_ASK" else 1

    @property
    def contract_tick_key(self) -> str:
        return f"{self.instrument.key}@{self.instrument.exchange}/{self.what_to_show}"


_KINDS: dict[str, type[Request]] = {
    cls.kind: cls
    for cls in (
        ContractDetailsRequest,
        OptionParametersRequest,
        OptionListingRequest,
        QuoteRequest,
        BarsRequest,
    )
}


def from_record(record: dict[str, Any]) -> Request:
    """The request of a record made by `Request.as_record`.

    Raises `KeyError` for a kind that no version of this module wrote.
    """
    values = dict(record)
    cls = _KINDS[values.pop("kind")]
    values["instrument"] = Instrument(**values["instrument"])
    for name in ("session", "first_session"):
        if name in values:
            values[name] = date.fromisoformat(values[name])
    if "end" in values:
        values["end"] = datetime.fromisoformat(values["end"])
    return cls(**values)
