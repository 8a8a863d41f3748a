"""Requests as messages: which call of the library's client a request becomes, its timeout, its collector, and how it is
withdrawn."""

from __future__ import annotations

from datetime import UTC, datetime

from trading_assets.broker.collectors import BarsCollector, Collector, ContractCollector, ParameterCollector
from trading_assets.broker.library import Contract, WireClient, contract_of
from trading_assets.broker.quotes import QuoteCollector
from trading_assets.broker.requests import (
    BarsRequest,
    ContractDetailsRequest,
    OptionListingRequest,
    OptionParametersRequest,
    QuoteRequest,
    Request,
)
from trading_assets.instrument import Instrument
from trading_assets.sessions import Clock
from trading_assets.settings import Settings

EPOCH_SECONDS = 2
"""`formatDate`: times of intraday bars as epoch seconds. The other form carries the zone of TWS or of the
instrument."""

REALTIME_BAR_SECONDS = 5
"""The only size of real-time bars."""

REALTIME_BARS_SHOW = "TRADES"
"""What the real-time bars are made of."""

ROUTE = "SMART"
"""Where a request about a known contract goes when its instrument names no exchange."""

_NO_END = datetime.min.replace(tzinfo=UTC)


def collector_of(request: Request, settings: Settings, clock: Clock, *, in_reset_window: bool) -> Collector:
    """The collector of a request's answer. Must be made on the client's event loop."""
    match request:
        case ContractDetailsRequest() | OptionListingRequest():
            return ContractCollector(request, settings.contract_timeout, clock, in_reset_window)
        case OptionParametersRequest():
            return ParameterCollector(request, settings.contract_timeout, clock, in_reset_window)
        case BarsRequest():
            return BarsCollector(request, settings.history_timeout, clock, in_reset_window)
        case QuoteRequest():
            delayed = settings.market_data == "delayed"
            return QuoteCollector(
                request,
                settings.quote_timeout,
                clock,
                in_reset_window,
                generic_ticks=request.generic_ticks,
                allow_delayed=delayed,
                quiet_time=settings.quote_quiet_time,
            )
    raise TypeError(f"The client has no message for a request of kind {type(request).kind!r}.")


def send(client: WireClient, req_id: int, request: Request) -> None:
    """Write the message of a request. Raises `ConnectionError` without a connection."""
    contract = _contract(request.instrument)
    match request:
        case ContractDetailsRequest() | OptionListingRequest():
            client.reqContractDetails(req_id, contract)
        case OptionParametersRequest():
            instrument = request.instrument
            client.reqSecDefOptParams(req_id, instrument.symbol, "", instrument.sec_type, instrument.con_id)
        case BarsRequest():
            shown = request.what_to_show, request.use_rth, EPOCH_SECONDS
            client.reqHistoricalData(
                req_id, contract, end_text(request), request.duration, request.bar_size, *shown, False, []
            )
        case QuoteRequest():
            client.reqMktData(req_id, contract, request.generic_ticks, False, False, [])


def needs_cancel(request: Request, collector: Collector) -> bool:
    """Whether an ended request must still be withdrawn at the broker: it holds a line or one of the open requests."""
    match request:
        case QuoteRequest():
            return not collector.refused  # a subscription goes on until it is cancelled
        case BarsRequest():
            return collector.given_up
    return False  # contract details cannot be withdrawn at these protocol versions


def cancel(client: WireClient, req_id: int, request: Request) -> None:
    """Withdraw a request at the broker."""
    match request:
        case QuoteRequest():
            client.cancelMktData(req_id)
        case BarsRequest():
            client.cancelHistoricalData(req_id)


def start_quotes(client: WireClient, req_id: int, instrument: Instrument, generic_ticks: str) -> None:
    """Begin a stream of quotes. Raises `ConnectionError` without a connection."""
    client.reqMktData(req_id, _contract(instrument), generic_ticks, False, False, [])


def start_bars(client: WireClient, req_id: int, instrument: Instrument) -> None:
    """Begin a stream of five-second bars of trades in regular hours. Raises `ConnectionError` without a connection."""
    client.reqRealTimeBars(req_id, _contract(instrument), REALTIME_BAR_SECONDS, REALTIME_BARS_SHOW, True, [])


def end_text(request: BarsRequest) -> str:
    """The end of a history request: explicit UTC; empty (now) where none is set or allowed (ADJUSTED_LAST takes no
    end)."""
    if request.end == _NO_END or request.what_to_show == "ADJUSTED_LAST":
        return ""
    return request.end.astimezone(UTC).strftime("%Y%m%d-%H:%M:%S")


def _contract(instrument: Instrument) -> Contract:
    """The contract of a request: its words, or its id and the route alone where the id is known.

    TWS compares every term that comes with an id and refuses the request (478) when its own parameters word one
    differently than its contract details do: the last trading day, the trading class, the symbol.
    """
    if instrument.con_id:
        instrument = Instrument(
            "", sec_type="", exchange=instrument.exchange or ROUTE, currency="", con_id=instrument.con_id
        )
    return contract_of(instrument)
