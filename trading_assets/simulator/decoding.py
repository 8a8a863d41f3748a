"""From the payload of a frame to a request: the field order of every message a client sends, by server version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from trading_assets.simulator.market import ContractQuery
from trading_assets.simulator.protocol import ISSUER_ID, FieldReader, In
from trading_assets.simulator.requests import (
    ApiRequest,
    Cancel,
    ContractRequest,
    HeadTimestamp,
    HistoricalData,
    HistoricalTicks,
    MarketData,
    OptionCalculation,
    OptionParametersRequest,
    RealTimeBars,
    Words,
)


def _historical_data(fields: FieldReader, version: int) -> ApiRequest:
    req_id, contract, expired = fields.request_id(), fields.contract(), fields.flag()
    end, bar_size, duration, use_rth, show, form = (
        fields.text(),
        fields.text(),
        fields.text(),
        fields.flag(),
        fields.text(),
        fields.integer(),
    )
    _skip_combo_legs(fields, contract)
    return HistoricalData(
        "historical_data",
        req_id,
        replace(contract, include_expired=expired),
        end,
        bar_size,
        duration,
        use_rth,
        show,
        form,
        fields.flag(),
    )


def _skip_combo_legs(fields: FieldReader, contract: ContractQuery) -> None:
    if contract.sec_type == "BAG":
        fields.skip(4 * fields.integer())


def _head_timestamp(fields: FieldReader, version: int) -> ApiRequest:
    req_id, contract, expired = fields.request_id(), fields.contract(), fields.flag()
    use_rth, show, form = fields.flag(), fields.text(), fields.integer()
    return HeadTimestamp("head_timestamp", req_id, replace(contract, include_expired=expired), use_rth, show, form)


def _historical_ticks(fields: FieldReader, version: int) -> ApiRequest:
    req_id, contract, expired = fields.request_id(), fields.contract(), fields.flag()
    start, end, count, show, use_rth = fields.text(), fields.text(), fields.integer(), fields.text(), fields.flag()
    return HistoricalTicks(
        "historical_ticks", req_id, replace(contract, include_expired=expired), start, end, count, show, use_rth
    )


def _market_data(fields: FieldReader, version: int) -> ApiRequest:
    fields.skip()
    req_id, contract = fields.request_id(), fields.contract()
    _skip_combo_legs(fields, contract)
    if fields.flag():
        fields.skip(3)
    ticks = tuple(tick.strip() for tick in fields.text().split(",") if tick.strip())
    return MarketData("market_data", req_id, contract, ticks, fields.flag())


def _realtime_bars(fields: FieldReader, version: int) -> ApiRequest:
    fields.skip()
    return RealTimeBars(
        "realtime_bars", fields.request_id(), fields.contract(), fields.integer(), fields.text(), fields.flag()
    )


def _contract_details(fields: FieldReader, version: int) -> ApiRequest:
    fields.skip()
    req_id, contract, expired = fields.request_id(), fields.contract(), fields.flag()
    fields.skip(2)
    if version >= ISSUER_ID:
        fields.optional()
    return ContractRequest("contract_details", req_id, replace(contract, include_expired=expired))


def _option_parameters(fields: FieldReader, version: int) -> ApiRequest:
    req_id = fields.request_id()
    return OptionParametersRequest(
        "option_parameters", req_id, fields.text(), fields.text(), fields.text(), fields.integer()
    )


def _calculation(kind: str) -> Callable[[FieldReader, int], ApiRequest]:
    def decode_calculation(fields: FieldReader, version: int) -> ApiRequest:
        fields.skip()
        return OptionCalculation(kind, fields.request_id(), fields.contract(), fields.decimal(), fields.decimal())

    return decode_calculation


def _words(
    kind: str, count: int, *, versioned: bool = True, with_id: bool = False
) -> Callable[[FieldReader, int], ApiRequest]:
    def decode_words(fields: FieldReader, version: int) -> ApiRequest:
        if versioned:
            fields.skip()
        req_id = fields.request_id() if with_id else -1
        return Words(kind, req_id, tuple(fields.optional() for _ in range(count)))

    return decode_words


def _cancel(kind: str, *, versioned: bool = True) -> Callable[[FieldReader, int], ApiRequest]:
    def decode_cancel(fields: FieldReader, version: int) -> ApiRequest:
        if versioned:
            fields.skip()
        return Cancel(f"cancel_{kind}", fields.request_id())

    return decode_cancel


_DECODERS: dict[int, Callable[[FieldReader, int], ApiRequest]] = {
    In.MARKET_DATA: _market_data,
    In.CANCEL_MARKET_DATA: _cancel("market_data"),
    In.PLACE_ORDER: _words("place_order", 0, versioned=False, with_id=True),
    In.CANCEL_ORDER: _words("cancel_order", 0, with_id=True),
    In.OPEN_ORDERS: _words("open_orders", 0),
    In.ACCOUNT_UPDATES: _words("account_updates", 2),
    In.EXECUTIONS: _words("executions", 0, with_id=True),
    In.IDS: _words("ids", 0),
    In.CONTRACT_DETAILS: _contract_details,
    In.SERVER_LOG_LEVEL: _words("server_log_level", 1),
    In.AUTO_OPEN_ORDERS: _words("auto_open_orders", 1),
    In.ALL_OPEN_ORDERS: _words("open_orders", 0),
    In.MANAGED_ACCOUNTS: _words("managed_accounts", 0),
    In.HISTORICAL_DATA: _historical_data,
    In.CANCEL_HISTORICAL_DATA: _cancel("historical_data"),
    In.CURRENT_TIME: _words("current_time", 0),
    In.REALTIME_BARS: _realtime_bars,
    In.CANCEL_REALTIME_BARS: _cancel("realtime_bars"),
    In.IMPLIED_VOLATILITY: _calculation("implied_volatility"),
    In.OPTION_PRICE: _calculation("option_price"),
    In.CANCEL_IMPLIED_VOLATILITY: _cancel("implied_volatility"),
    In.CANCEL_OPTION_PRICE: _cancel("option_price"),
    In.GLOBAL_CANCEL: _words("global_cancel", 0),
    In.MARKET_DATA_TYPE: _words("market_data_type", 1),
    In.POSITIONS: _words("positions", 0),
    In.ACCOUNT_SUMMARY: _words("account_summary", 2, with_id=True),
    In.CANCEL_ACCOUNT_SUMMARY: _cancel("account_summary"),
    In.CANCEL_POSITIONS: _words("cancel_positions", 0),
    In.START_API: _words("start_api", 2),
    In.ACCOUNT_UPDATES_MULTI: _words("account_updates_multi", 3, with_id=True),
    In.CANCEL_ACCOUNT_UPDATES_MULTI: _cancel("account_updates_multi"),
    In.OPTION_PARAMETERS: _option_parameters,
    In.MATCHING_SYMBOLS: _words("matching_symbols", 1, versioned=False, with_id=True),
    In.HEAD_TIMESTAMP: _head_timestamp,
    In.CANCEL_HEAD_TIMESTAMP: _cancel("head_timestamp", versioned=False),
    In.MARKET_RULE: _words("market_rule", 1, versioned=False),
    In.HISTORICAL_TICKS: _historical_ticks,
    In.COMPLETED_ORDERS: _words("completed_orders", 1, versioned=False),
}


def decode(payload: bytes, version: int) -> ApiRequest:
    """The request in a payload.

    Raises `MalformedRequest` for a field that cannot be read; a message id that is not known gives kind `unknown`.
    """
    fields = FieldReader(payload)
    message_id = fields.integer()
    decoder = _DECODERS.get(message_id)
    if decoder is None:
        return Words("unknown", -1, (str(message_id),))
    return decoder(fields, version)
