"""Three client libraries run the whole message list against the simulator without one logged error."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.wrapper import EWrapper

from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets_tests.leaving_out import leave_out
from trading_assets_tests.simulator import message_list
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.simulator.wire import READ_SECONDS, logged_errors

NO_RATE = {"limits": False}
"""The message list is fast; limits have tests of their own."""


@pytest.mark.parametrize("version", [157, 176, 178])
def test_ib_insync(simulate: Callable[..., Simulator], version: int) -> None:
    tws = simulate(server_version=version, **NO_RATE)
    assert message_list.run(tws.port, "AAA", 5) == []


def test_ib_insync_on_the_generated_market() -> None:
    with Simulator(GeneratedMarket(), now=NOW, limits=False) as tws:
        assert message_list.run(tws.port, "AAPL", 5) == []
        assert not tws.counters.internal_errors


@pytest.mark.slow
def test_ib_async_in_its_own_environment(simulate: Callable[..., Simulator]) -> None:
    python = os.environ.get("TRADING_ASSETS_IB_ASYNC_PYTHON")
    if not python:
        leave_out(
            "ib_async needs an environment of its own: set TRADING_ASSETS_IB_ASYNC_PYTHON to a Python that has it (make"
            " slow does)"
        )
    script = Path(message_list.__file__)
    done = subprocess.run(
        [python, str(script), "--port", str(simulate(**NO_RATE).port)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ib_async: well" in done.stdout


class Official(EWrapper, EClient):
    """The official client; every callback goes into a queue as (name, arguments)."""

    CALLBACKS = (
        "nextValidId", "managedAccounts", "currentTime", "contractDetails", "contractDetailsEnd",
        "securityDefinitionOptionParameter",
        "securityDefinitionOptionParameterEnd", "historicalData", "historicalDataEnd", "historicalDataUpdate",
        "headTimestamp", "tickPrice",
        "tickSize", "tickString", "tickGeneric", "tickOptionComputation", "tickSnapshotEnd", "tickReqParams",
        "marketDataType", "realtimeBar",
        "symbolSamples", "historicalTicks", "historicalTicksBidAsk", "historicalTicksLast", "position", "positionEnd",
        "updateAccountValue",
        "updatePortfolio", "updateAccountTime", "accountDownloadEnd", "accountUpdateMulti", "accountUpdateMultiEnd",
        "accountSummary",
        "accountSummaryEnd", "execDetailsEnd", "openOrderEnd", "completedOrdersEnd", "marketRule", "error",
    )  # fmt: skip

    def __init__(self) -> None:
        EClient.__init__(self, self)
        self.came: queue.Queue[tuple[str, tuple[Any, ...]]] = queue.Queue()
        for name in self.CALLBACKS:
            setattr(self, name, self._keep(name))

    def _keep(self, name: str) -> Callable[..., None]:
        return lambda *args: self.came.put((name, args))

    def until(self, end: str) -> list[tuple[str, tuple[Any, ...]]]:
        """All callbacks up to and including the first named `end`."""
        got: list[tuple[str, tuple[Any, ...]]] = []
        while not got or got[-1][0] != end:
            name, args = self.came.get(timeout=READ_SECONDS)
            if name == "error" and args[1] < 2100:
                raise AssertionError(args)
            if name != "error":
                got.append((name, args))
        return got


@contextmanager
def official(port: int) -> Iterator[Official]:
    app = Official()
    app.connect("127.0.0.1", port, 31)
    thread = threading.Thread(target=app.run, daemon=True)
    thread.start()
    try:
        app.until("nextValidId")
        yield app
    finally:
        app.disconnect()
        thread.join(READ_SECONDS)


def _contract(**words: Any) -> Contract:
    contract = Contract()
    for name, value in {"symbol": "AAA", "secType": "STK", "exchange": "SMART", "currency": "USD", **words}.items():
        setattr(contract, name, value)
    return contract


@pytest.mark.parametrize("version", [157, 178])
def test_ibapi(simulate: Callable[..., Simulator], version: int) -> None:
    tws = simulate(server_version=version, **NO_RATE)
    stock, option = _contract(), _contract(secType="OPT", lastTradeDateOrContractMonth="20240621")
    call = _contract(secType="OPT", lastTradeDateOrContractMonth="20240621", strike=100.0, right="C")
    with logged_errors() as lines, official(tws.port) as app:
        assert app.serverVersion() == 157
        _account(app)
        app.reqContractDetails(1, stock)
        (_, (_, details)), _ = app.until("contractDetailsEnd")
        assert (details.contract.conId, details.longName) == (1, "AAA CORPORATION")
        app.reqContractDetails(2, option)
        rows = app.until("contractDetailsEnd")[:-1]
        assert {row[1][1].contract.lastTradeDateOrContractMonth for row in rows} == {"20240621"}
        assert {row[1][1].lastTradeTime for row in rows} == {"16:00:00"}
        app.reqSecDefOptParams(3, "AAA", "", "STK", 1)
        parameters = app.until("securityDefinitionOptionParameterEnd")
        assert parameters[0][1][1:] == ("SMART", 1, "AAA", "100", {"20240621", "20240719"}, {95.0, 100.0, 105.0})
        app.reqMatchingSymbols(4, "A")
        app.until("symbolSamples")
        app.reqMarketRule(26)
        app.until("marketRule")
        _history(app, stock, call)
        _quotes(app, stock, call)
    assert not lines


def _account(app: Official) -> None:
    app.reqManagedAccts()
    assert app.until("managedAccounts")[-1][1] == ("SIM-TINY-1",)
    for ask, end in (
        (app.reqCurrentTime, "currentTime"), (app.reqPositions, "positionEnd"), (app.reqOpenOrders, "openOrderEnd"),
        (app.reqAllOpenOrders, "openOrderEnd"), (lambda: app.reqCompletedOrders(False), "completedOrdersEnd"),
        (lambda: app.reqExecutions(9, ExecutionFilter()), "execDetailsEnd"), (lambda: app.reqIds(1), "nextValidId"),
        (lambda: app.reqAccountUpdates(True, ""), "accountDownloadEnd"),
        (lambda: app.reqAccountSummary(9, "All", "NetLiquidation"), "accountSummaryEnd"),
        (lambda: app.reqAccountUpdatesMulti(9, "SIM-TINY-1", "", True), "accountUpdateMultiEnd"),
    ):  # fmt: skip
        ask()
        app.until(end)
    app.cancelPositions()
    app.cancelAccountSummary(9)
    app.reqAccountUpdates(False, "")


def _history(app: Official, stock: Contract, call: Contract) -> None:
    for req_id, (contract, size, show) in enumerate(
        [
            (stock, "1 day", "TRADES"),
            (stock, "1 hour", "BID_ASK"),
            (stock, "1 min", "MIDPOINT"),
            (call, "8 hours", "TRADES"),
        ],
        start=10,
    ):
        app.reqHistoricalData(req_id, contract, "", "2 D", size, show, 1, 1, False, [])
        bars = app.until("historicalDataEnd")[:-1]
        assert bars
        assert bars[0][1][1].volume == (1200 if show == "TRADES" else -1)
    app.reqHeadTimeStamp(20, stock, "TRADES", 1, 1)
    assert app.until("headTimestamp")[-1][1] == (20, "20220103-14:30:00")
    app.cancelHeadTimeStamp(20)
    for show, end in (
        ("TRADES", "historicalTicksLast"),
        ("BID_ASK", "historicalTicksBidAsk"),
        ("MIDPOINT", "historicalTicks"),
    ):
        app.reqHistoricalTicks(21, stock, "", "20240531 15:00:00 UTC", 5, show, 1, True, [])
        assert len(app.until(end)[-1][1][1]) == 5
    app.reqRealTimeBars(22, stock, 5, "TRADES", True, [])
    assert app.until("realtimeBar")[-1][1][0] == 22
    app.cancelRealTimeBars(22)


def _quotes(app: Official, stock: Contract, call: Contract) -> None:
    app.reqMarketDataType(1)
    app.reqMktData(30, call, "", True, False, [])
    ticks = app.until("tickSnapshotEnd")
    assert {name for name, _ in ticks} >= {
        "tickPrice",
        "tickSize",
        "tickOptionComputation",
        "tickReqParams",
        "marketDataType",
    }
    app.reqMktData(31, stock, "100,101,104,106", False, False, [])
    assert any(
        args == (31, 24, 0.25)
        for _, args in app.until("tickGeneric") + app.until("tickGeneric") + app.until("tickGeneric")
    )
    app.cancelMktData(31)
    app.calculateOptionPrice(32, call, 0.3, 100.0, [])
    price = app.until("tickOptionComputation")[-1][1][5]
    app.calculateImpliedVolatility(33, call, price, 100.0, [])
    assert app.until("tickOptionComputation")[-1][1][3] == pytest.approx(0.3, abs=1e-6)
