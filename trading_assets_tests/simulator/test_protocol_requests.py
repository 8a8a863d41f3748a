"""Requests as the client libraries write them are read to the same values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ib_insync import Contract, ExecutionFilter
from ib_insync.client import Client

from trading_assets.simulator import requests
from trading_assets.simulator.decoding import decode
from trading_assets.simulator.market import ContractQuery
from trading_assets.simulator.protocol import MalformedRequest
from trading_assets_tests.simulator.test_protocol_encoding import Recorder

VERSIONS = st.sampled_from([157, 176, 178])
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
ids = st.integers(0, 2**31 - 2)
contracts = st.builds(
    Contract, conId=ids, symbol=words, secType=st.sampled_from(["STK", "OPT", "IND", "BAG"]),
    lastTradeDateOrContractMonth=words,
    strike=st.floats(0, 1e6), right=st.sampled_from(["", "C", "P"]), multiplier=words, exchange=words,
    primaryExchange=words, currency=words,
    localSymbol=words, tradingClass=words, includeExpired=st.booleans(),
)  # fmt: skip


class Writer(Client):
    """The library's own encoder, writing into a list."""

    def __init__(self, version: int) -> None:
        super().__init__(Recorder())
        self._serverVersion = version
        self.connState = Client.CONNECTED
        self.payloads: list[bytes] = []

    def sendMsg(self, msg: str) -> None:
        self.payloads.append(msg.encode())


def read(version: int, method: str, *args: Any) -> Any:
    """What the simulator reads when the library's `method` is called with `args`."""
    writer = Writer(version)
    getattr(writer, method)(*args)
    (payload,) = writer.payloads
    return decode(payload, version)


def query(contract: Contract, *, expired: bool = False) -> ContractQuery:
    return ContractQuery(
        contract.conId, contract.symbol, contract.secType, contract.lastTradeDateOrContractMonth, contract.strike,
        contract.right,
        contract.multiplier, contract.exchange, contract.primaryExchange, contract.currency, contract.localSymbol,
        contract.tradingClass,
        expired and contract.includeExpired,
    )  # fmt: skip


@given(VERSIONS, ids, contracts, words, words, words, words, st.booleans(), st.sampled_from([1, 2]), st.booleans())
def test_historical_data(
    version: int,
    req_id: int,
    contract: Contract,
    end: str,
    duration: str,
    size: str,
    show: str,
    rth: bool,
    form: int,
    live: bool,
) -> None:
    got = read(version, "reqHistoricalData", req_id, contract, end, duration, size, show, rth, form, live, [])
    assert got == requests.HistoricalData(
        "historical_data", req_id, query(contract, expired=True), end, size, duration, rth, show, form, live
    )


@given(VERSIONS, ids, contracts)
def test_contract_details(version: int, req_id: int, contract: Contract) -> None:
    got = read(version, "reqContractDetails", req_id, contract)
    assert got == requests.ContractRequest("contract_details", req_id, query(contract, expired=True))


@given(VERSIONS, ids, contracts, st.lists(st.sampled_from(["100", "101", "106"]), max_size=3), st.booleans())
def test_market_data(version: int, req_id: int, contract: Contract, generic: list[str], snapshot: bool) -> None:
    got = read(version, "reqMktData", req_id, contract, ",".join(generic), snapshot, False, [])
    assert got == requests.MarketData("market_data", req_id, query(contract), tuple(generic), snapshot)


@given(VERSIONS, ids, contracts, words, st.booleans())
def test_other_contract_requests(version: int, req_id: int, contract: Contract, show: str, rth: bool) -> None:
    asked, expired = query(contract), query(contract, expired=True)
    got = read(version, "reqHeadTimeStamp", req_id, contract, show, rth, 2)
    assert got == requests.HeadTimestamp("head_timestamp", req_id, expired, rth, show, 2)
    got = read(version, "reqRealTimeBars", req_id, contract, 5, show, rth, [])
    assert got == requests.RealTimeBars("realtime_bars", req_id, asked, 5, show, rth)
    got = read(version, "reqHistoricalTicks", req_id, contract, "", "20240603-15:00:00", 100, show, rth, False, [])
    assert got == requests.HistoricalTicks("historical_ticks", req_id, expired, "", "20240603-15:00:00", 100, show, rth)
    got = read(version, "calculateImpliedVolatility", req_id, contract, 2.5, 100.0, [])
    assert got == requests.OptionCalculation("implied_volatility", req_id, asked, 2.5, 100.0)


@pytest.mark.parametrize(
    ("method", "args", "kind", "req_id", "said"),
    [
        ("reqSecDefOptParams", (7, "AAA", "", "STK", 1), "option_parameters", 7, ("AAA", "", "STK", 1)),
        ("reqMatchingSymbols", (7, "AA"), "matching_symbols", 7, ("AA",)),
        ("reqAccountSummary", (7, "All", "NetLiquidation"), "account_summary", 7, ("All", "NetLiquidation")),
        ("reqAccountUpdates", (True, "A1"), "account_updates", -1, ("1", "A1")),
        ("reqAccountUpdatesMulti", (7, "A1", "", False), "account_updates_multi", 7, ("A1", "", "0")),
        ("reqMarketDataType", (3,), "market_data_type", -1, ("3",)),
        ("reqMarketRule", (26,), "market_rule", -1, ("26",)),
        ("reqExecutions", (7, ExecutionFilter()), "executions", 7, ()),
        ("reqCurrentTime", (), "current_time", -1, ()),
        ("reqPositions", (), "positions", -1, ()),
        ("reqOpenOrders", (), "open_orders", -1, ()),
        ("reqAllOpenOrders", (), "open_orders", -1, ()),
        ("reqCompletedOrders", (False,), "completed_orders", -1, ("0",)),
        ("reqManagedAccts", (), "managed_accounts", -1, ()),
        ("reqIds", (1,), "ids", -1, ()),
        ("startApi", (), "start_api", -1, ("-1", "")),
        ("cancelHistoricalData", (7,), "cancel_historical_data", 7, None),
        ("cancelHeadTimeStamp", (7,), "cancel_head_timestamp", 7, None),
        ("cancelMktData", (7,), "cancel_market_data", 7, None),
        ("cancelRealTimeBars", (7,), "cancel_realtime_bars", 7, None),
        ("cancelAccountSummary", (7,), "cancel_account_summary", 7, None),
        ("cancelAccountUpdatesMulti", (7,), "cancel_account_updates_multi", 7, None),
        ("cancelCalculateImpliedVolatility", (7,), "cancel_implied_volatility", 7, None),
        ("cancelCalculateOptionPrice", (7,), "cancel_option_price", 7, None),
        ("cancelPositions", (), "cancel_positions", -1, ()),
    ],
)
def test_requests_of_a_few_words(
    method: str, args: tuple[Any, ...], kind: str, req_id: int, said: tuple[Any, ...] | None
) -> None:
    got = read(178, method, *args)
    assert (got.kind, got.req_id) == (kind, req_id)
    if said is None:
        assert isinstance(got, requests.Cancel)
        assert f"cancel_{got.target}" == kind
    elif isinstance(got, requests.OptionParametersRequest):
        assert (got.symbol, got.exchange, got.sec_type, got.con_id) == said
    else:
        assert got.words == said


def test_unknown_messages_and_broken_fields() -> None:
    assert decode(b"999\x001\x00", 178).kind == "unknown"
    with pytest.raises(MalformedRequest) as raised:
        decode(b"87\x0012\x00one\x00", 178)
    assert raised.value.req_id == 12


def test_a_contract_in_words_names_what_is_set() -> None:
    assert (
        requests.describe(ContractQuery(con_id=5, symbol="AAA", sec_type="OPT", strike=95.0, right="C"))
        == "5:AAA OPT 95 C"
    )
    assert requests.describe(ContractQuery(symbol="AAA", sec_type="STK", exchange="SMART")) == "AAA STK SMART"
