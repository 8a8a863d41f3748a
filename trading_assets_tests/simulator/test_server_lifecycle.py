"""Connecting, accounts, the handle, the clock, the counters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ib_insync import IB

import trading_assets
from trading_assets.simulator import SimulatedAccount, SimulatedPosition, Simulator
from trading_assets.simulator.clock import SimulatorClock
from trading_assets.simulator.market import ContractQuery
from trading_assets_tests.simulator.tiny_market import NOW, TinyMarket
from trading_assets_tests.simulator.wire import RawClient, connected, history, stock


@pytest.mark.parametrize("cap", [157, 176, 178])
@pytest.mark.parametrize(("offered", "client_max"), [("v100..157", 157), ("v157..178", 178), ("v100..226", 226)])
def test_the_version_is_the_lesser_of_both(
    simulate: Callable[..., Simulator], cap: int, offered: str, client_max: int
) -> None:
    with RawClient(simulate(server_version=cap).port, version=offered) as client:
        assert int(client.version) == min(cap, client_max)
        assert client.connected == "20240603 14:00:00 EDT"


def test_nothing_is_sent_between_version_and_start(tws: Simulator) -> None:
    with RawClient(tws.port, start=False) as client:
        client.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.read()
        client.socket.settimeout(10)
        client.send(71, 2, 5, "")
        assert client.read() == ["15", "1", "SIM-TINY-1"]
        assert client.read() == ["9", "1", "1"]
        assert [client.read_error()[0] for _ in range(3)] == [2104, 2106, 2158]


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\n\r\n", b"API\0\x00\x00\x00\x05hello", b"API\0\xff\xff\xff\xff"])
def test_foreign_clients_are_closed_out(tws: Simulator, first: bytes) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", tws.port), 10) as foreign:
        foreign.sendall(first)
        assert foreign.recv(1000) == b""


def test_requests_before_start_close_the_connection(tws: Simulator) -> None:
    with RawClient(tws.port, start=False) as client:
        client.send(49, 1)
        assert client.closed()


def test_a_client_id_in_use(tws: Simulator) -> None:
    with RawClient(tws.port, 5) as first, RawClient(tws.port, 5) as second:
        first.settle()
        assert second.read_error() == (
            326,
            "Unable to connect as the client id is already in use. Retry with a unique client id.",
        )
        assert second.closed()
        first.close()
        with RawClient(tws.port, 6) as other:
            other.settle()
    assert tws.counters.connections["refused"] == 1


def test_a_client_id_is_free_again_after_its_client_left(tws: Simulator) -> None:
    for _ in range(3):
        with connected(tws, 7):
            pass
    assert tws.counters.connections["started"] == 3


def test_connect_finds_all_it_waits_for(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(accounts=["SIM-A", "SIM-B"])
    with connected(tws, 0) as ib:
        assert ib.managedAccounts() == ["SIM-A", "SIM-B"]
        assert ib.client.getReqId() >= 1
        assert abs((ib.reqCurrentTime() - NOW).total_seconds()) < 1
        assert ib.reqOpenOrders() == ib.reqAllOpenOrders() == []
        assert ib.reqCompletedOrders(False) == []
        assert ib.fills() == ib.reqExecutions() == []
        summary = {(row.account, row.tag): row.value for row in ib.accountSummary()}
        assert summary[("SIM-B", "NetLiquidation")] == "1000000"
        assert {value.account for value in ib.accountValues()} == {"SIM-A", "SIM-B"}


def test_positions_and_portfolio(simulate: Callable[..., Simulator]) -> None:
    positions = (
        SimulatedPosition(ContractQuery(con_id=1), 100, 90.0),
        SimulatedPosition(ContractQuery(con_id=108), -2, 240.0),
    )
    tws = simulate(accounts=[SimulatedAccount("SIM-P", 5000.0, positions)])
    with connected(tws) as ib:
        held = {position.contract.conId: position for position in ib.positions()}
        assert (held[1].position, held[1].avgCost, held[108].contract.strike) == (100, 90.0, 100.0)
        portfolio = {item.contract.conId: item for item in ib.portfolio()}
        assert (portfolio[1].marketPrice, portfolio[1].marketValue, portfolio[1].unrealizedPNL) == (
            100.0,
            10000.0,
            1000.0,
        )
        assert portfolio[108].marketValue == pytest.approx(-2 * 2.2 * 100)


def test_orders_are_rejected_and_unknown_messages_named(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.settle()
        client.send(3, 11, *stock())
        assert client.read_error(11)[0] == 201
        client.send(999, 1)
        assert client.read_error() == (505, "Fatal Error: Unknown message id.: 999")
        client.send(14, 1, 5)
        client.send(58, 1)
        client.send(49, 1)
        assert client.read_message(49)[2] == str(int(NOW.timestamp()))


def test_counters_know_each_request(tws: Simulator) -> None:
    with RawClient(tws.port, 4) as client:
        for req_id in (1, 2):
            client.send(*history(req_id, stock()))
            client.read_message(17)
        client.send(*history(3, stock("BBB")))
        client.read_message(17)
    counters = tws.counters
    entries = counters.of("historical_data")
    assert [(entry.client_id, entry.req_id, entry.subject) for entry in entries] == [
        (4, 1, "AAA STK SMART"), (4, 2, "AAA STK SMART"), (4, 3, "BBB STK SMART"),
    ]  # fmt: skip
    assert entries[0].detail == "1 day|TRADES|rth|5 D|"
    assert counters.repeated("historical_data") == {"historical_data|AAA STK SMART|1 day|TRADES|rth|5 D|": 2}
    assert counters.requests["historical_data"] == counters.answers["historical_data"] == 3
    assert counters.open_max["history"] == 1
    json.dumps(counters.as_json())
    tws.reset_counters()
    assert tws.counters.requests == {}


def test_closing_a_client_gives_back_what_it_used(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(latency=60.0)
    with RawClient(tws.port, 4) as client:
        client.send_many([history(i, stock()) for i in range(1, 11)])
        client.send(49, 1)
        client.read_message(49)
        assert tws.counters.open_now["history"] == 10
    with RawClient(tws.port, 4) as client:
        client.settle()
        assert tws.counters.open_now["history"] == 0


def test_the_handle(simulate: Callable[..., Simulator]) -> None:
    tws = simulate()
    line = tws.ready_line()
    assert line == {
        "host": "127.0.0.1",
        "port": tws.port,
        "server_version": 178,
        "market": "tiny:1",
        "now": NOW.isoformat(),
    }
    with pytest.raises(RuntimeError, match="running already"):
        tws.start()
    with pytest.raises(OSError):
        Simulator(TinyMarket(), port=tws.port).start()
    tws.stop()
    tws.stop()
    with pytest.raises(RuntimeError, match="not started"):
        _ = tws.port
    tws.start()
    with RawClient(tws.port) as client:
        client.settle()


@pytest.mark.parametrize(
    "wrong", [{"server_version": 160}, {"latency": "slow"}, {"latency": -1}, {"now": datetime(2024, 6, 3)}]
)
def test_impossible_settings(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Simulator(TinyMarket(), **wrong)  # type: ignore[arg-type]


def test_the_clock() -> None:
    clock, moved = SimulatorClock(NOW), []
    clock.subscribe(lambda: moved.append(clock.now()))
    clock.advance(1.5)
    clock.advance(timedelta(minutes=1))
    assert moved == [NOW + timedelta(seconds=1.5), NOW + timedelta(seconds=61.5)]
    clock.set(None)
    assert clock.is_live
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 60
    with pytest.raises(ValueError, match="cannot be advanced"):
        clock.advance(1)


def test_a_library_client_survives_a_restart(tws: Simulator) -> None:
    ib = IB()
    ib.connect("127.0.0.1", tws.port, clientId=3)
    port = tws.port
    tws.stop()
    restarted = Simulator(TinyMarket(), now=NOW, port=port)
    with restarted:
        ib.disconnect()
        ib.connect("127.0.0.1", port, clientId=3)
        assert ib.isConnected()
        ib.disconnect()


def test_serving_until_a_signal() -> None:
    program = (
        "from trading_assets.simulator import Simulator, serve\n"
        "from trading_assets_tests.simulator.tiny_market import TinyMarket, NOW\n"
        "serve(Simulator(TinyMarket(), now=NOW))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(trading_assets.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with RawClient(ready["port"]) as client:
            client.settle()
        process.send_signal(signal.SIGTERM)
        counters = json.loads(process.stdout.readline())["counters"]
        assert process.wait(300) == 0
    assert counters["connections"]["started"] == 1
    assert counters["violations"]["count"] == 0
