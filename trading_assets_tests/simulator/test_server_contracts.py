"""Contract details, option parameters, symbol search and market rules over the wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from ib_insync import Contract, Index, Option, Stock

from trading_assets.simulator import Simulator
from trading_assets_tests.simulator.wire import RawClient, connected, stock


@pytest.mark.parametrize("version", [157, 176, 178])
def test_one_stock(simulate: Callable[..., Simulator], version: int) -> None:
    with connected(simulate(server_version=version)) as ib:
        (details,) = ib.reqContractDetails(Stock("AAA", "SMART", "USD"))
    assert (details.contract.conId, details.contract.primaryExchange, details.longName) == (
        1,
        "NASDAQ",
        "AAA CORPORATION",
    )
    assert details.stockType == "COMMON"
    assert details.tradingHours.startswith("20240603:0400-20240603:2000;")
    assert details.liquidHours.startswith("20240603:0930-20240603:1600;")
    assert details.liquidHours.endswith("20240608:CLOSED")


@pytest.mark.parametrize("version", [157, 176, 178])
def test_all_options_of_an_expiry(simulate: Callable[..., Simulator], version: int) -> None:
    with connected(simulate(server_version=version)) as ib:
        rows = ib.reqContractDetails(Option("AAA", "20240621", exchange="SMART"))
    assert {(row.contract.strike, row.contract.right) for row in rows} == {
        (strike, right) for strike in (95, 100, 105) for right in "CP"
    }
    assert {(row.contract.lastTradeDateOrContractMonth, row.lastTradeTime) for row in rows} == {
        ("20240621", "16:00:00")
    }
    assert {(row.underConId, row.underSymbol, row.realExpirationDate, row.contract.multiplier) for row in rows} == {
        (1, "AAA", "20240621", "100")
    }


def test_half_days_in_the_hours(simulate: Callable[..., Simulator]) -> None:
    with connected(simulate(now=datetime(2023, 11, 22, 15, 0, tzinfo=UTC))) as ib:
        (details,) = ib.reqContractDetails(Index("IDX", "CBOE"))
    assert "20231123:CLOSED;20231124:0930-20231124:1300" in details.liquidHours
    assert details.longName == "Índice de prueba"


@pytest.mark.parametrize(
    ("contract", "code"),
    [
        (stock("NOSUCH"), 200),
        ((0, "AAA", "OPT", "20240517", 100.0, "C", "", "SMART", "", "USD", "", ""), 200),
        ((0, "AAA", *[""] * 10), 321),
    ],
)
def test_refusals(tws: Simulator, contract: tuple[object, ...], code: int) -> None:
    with RawClient(tws.port) as client:
        client.send(9, 8, 4, *contract, 0, "", "", "")
        assert client.read_error(4)[0] == code


def test_expired_contracts_when_asked_for(tws: Simulator) -> None:
    with connected(tws) as ib:
        rows = ib.reqContractDetails(
            Contract(secType="OPT", symbol="AAA", lastTradeDateOrContractMonth="20240517", includeExpired=True)
        )
    assert len(rows) == 6


def test_qualifying(tws: Simulator) -> None:
    with connected(tws) as ib:
        option = Option("AAA", "20240719", 95.0, "P", "SMART")
        assert ib.qualifyContracts(Stock("BBB", "SMART", "USD"), option)[1] is option
    assert option.localSymbol == "AAA   240719P00095000"


def test_option_parameters(tws: Simulator) -> None:
    with connected(tws) as ib:
        rows = ib.reqSecDefOptParams("AAA", "", "STK", 1)
        none = ib.reqSecDefOptParams("BBB", "", "STK", 2)
    assert [(row.exchange, row.tradingClass, row.expirations, row.strikes) for row in rows] == [
        (exchange, "AAA", ["20240621", "20240719"], [95.0, 100.0, 105.0]) for exchange in ("SMART", "CBOE")
    ]
    assert none == []


def test_option_parameters_need_a_contract_id(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.send(78, 4, "AAA", "", "STK", 0)
        assert client.read_error(4) == (321, "Error validating request.-'bM' : cause - Invalid contract id")


def test_symbol_search_and_market_rules(tws: Simulator) -> None:
    with connected(tws) as ib:
        found = ib.reqMatchingSymbols("b")
        increments = ib.reqMarketRule(32)
    assert found is not None
    assert [(row.contract.symbol, row.derivativeSecTypes) for row in found] == [("BBB", ["OPT"]), ("BROKEN", ["OPT"])]
    assert [(step.lowEdge, step.increment) for step in increments] == [(0.0, 0.01), (3.0, 0.05)]
