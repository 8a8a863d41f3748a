"""Faults over the wire: each does what the script says, and the simulator goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from ib_insync import Stock

from trading_assets.simulator import Faults, Simulator
from trading_assets_tests.simulator.wire import RawClient, connected, history, stock

AAA = Stock("AAA", "SMART", "USD")
DATA_HISTORY = {"on": "historical_data"}


def served(port: int, client_id: int = 9) -> bool:
    """Whether a new client is served."""
    with RawClient(port, client_id) as client:
        client.send(*history(1, stock()))
        return client.read_message(17)[1] == "1"


def test_drop_before_the_answer(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(faults=Faults([{**DATA_HISTORY, "nth": 2, "do": "drop_before"}]))
    with RawClient(tws.port) as client:
        client.send(*history(1, stock()))
        client.read_message(17)
        client.send(*history(2, stock()))
        with pytest.raises((EOFError, ConnectionError)):
            client.read_message(17)
    assert served(tws.port)
    assert tws.counters.faults == {"drop_before": 1}


def test_drop_in_the_middle_of_the_answer(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(faults=Faults([{**DATA_HISTORY, "do": "drop_during"}]))
    with RawClient(tws.port) as client:
        client.settle()
        client.send(*history(1, stock()))
        with pytest.raises((EOFError, ConnectionError)):
            client.read()
        assert client._buffer[4:8] == b"17\x001"
    assert served(tws.port)


def test_drop_after_the_answer(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(faults=Faults([{**DATA_HISTORY, "do": "drop_after"}]))
    with RawClient(tws.port) as client:
        client.send(*history(1, stock()))
        assert client.read_message(17)[1] == "1"
        assert client.closed()


def test_hang_keeps_the_request_open_until_cancelled(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(faults=Faults([{**DATA_HISTORY, "do": "hang"}]))
    with RawClient(tws.port) as client:
        client.send(*history(1, stock()))
        client.send(*history(2, stock()))
        assert client.read_message(17)[1] == "2"
        assert tws.counters.open_now["history"] == 1
        client.send(25, 1, 1)
        assert "query cancelled: 1" in client.read_error(1)[1]
        assert tws.counters.open_now["history"] == 0


def test_delay_lets_others_pass_and_stall_does_not(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(
        faults=Faults(
            [{**DATA_HISTORY, "do": "delay", "seconds": 0.2}, {**DATA_HISTORY, "nth": 3, "do": "stall", "seconds": 0.2}]
        )
    )
    with RawClient(tws.port) as client:
        client.send_many([history(1, stock()), history(2, stock())])
        assert [client.read_message(17)[1] for _ in range(2)] == ["2", "1"]
        client.send_many([history(3, stock()), history(4, stock())])
        assert [client.read_message(17)[1] for _ in range(2)] == ["3", "4"]


@pytest.mark.parametrize("fault", [{"do": "split", "bytes": 1}, {"do": "split"}, {"do": "merge"}])
def test_odd_segments_are_understood(simulate: Callable[..., Simulator], fault: dict[str, object]) -> None:
    tws = simulate(
        faults=Faults(
            [{"on": kind, "times": 0, **fault} for kind in ("historical_data", "contract_details", "market_data")]
        )
    )
    with connected(tws) as ib:
        assert len(ib.reqContractDetails(AAA)) == 1
        assert len(ib.reqHistoricalData(AAA, "", "5 D", "1 day", "TRADES", True)) == 5
        assert len(ib.reqHistoricalData(AAA, "", "1 D", "1 min", "TRADES", True)) == 270
        assert ib.reqTickers(AAA)[0].bid == 99.99


@pytest.mark.parametrize(
    ("do", "code", "text"),
    [
        ("pacing", 162, "Historical data request pacing violation"),
        ("validation", 321, "Error validating request.-'bM' : cause - "),
        ("too_many_open", 322, "Only 50 simultaneous API historical data requests allowed"),
        ("not_subscribed", 354, "Requested market data is not subscribed."),
        ("competing_session", 10197, "No market data during competing live session"),
        ("different_ip", 162, "Trading TWS session is connected from a different IP address"),
        ("timed_out", 162, "Request Timed Out"),
        ("no_security", 200, "No security definition"),
    ],
)
def test_errors_on_order(simulate: Callable[..., Simulator], do: str, code: int, text: str) -> None:
    tws = simulate(faults=Faults([{**DATA_HISTORY, "do": do}]))
    with RawClient(tws.port) as client:
        client.send(*history(1, stock()))
        got = client.read_error(1)
        assert got[0] == code
        assert text in got[1]
        client.send(*history(1, stock()))
        assert client.read_message(17)[1] == "1"


def test_connectivity_lost_and_restored(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.settle()
        tws.faults.add(on="historical_data", do="connectivity_lost", seconds=0.2)
        client.send(*history(1, stock()))
        assert client.read_error() == (1100, "Connectivity between IBKR and Trader Workstation has been lost.")
        code, text = client.read_error()
        assert (code, "data maintained" in text) == (1102, True)
        assert client.read_message(17)[1] == "1"


def test_connectivity_lost_with_its_data(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.settle()
        client.send(1, 11, 3, *stock(), 0, "", 0, 0, "")
        client.read_message(58)
        tws.faults.add(on="historical_data", do="connectivity_lost", seconds=0.2, data_lost=True)
        client.send(*history(1, stock()))
        assert [client.read_error()[0] for _ in range(2)] == [1100, 1101]
        assert tws.counters.open_now == {"history": 0, "lines": 0, "clients": 1}
        client.send(*history(1, stock()))
        assert client.read_message(17)[1] == "1"


def test_farms_down_and_up(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.settle()
        tws.faults.trigger("farm_down", seconds=0.2)
        assert [client.read_error()[0] for _ in range(2)] == [2103, 2105]
        client.send(*history(1, stock()))
        assert [client.read_error()[0] for _ in range(3)] == [2104, 2106, 2158]
        assert client.read_message(17)[1] == "1"


def test_the_nightly_reset_closes_all_and_refuses_for_a_while(tws: Simulator) -> None:
    with RawClient(tws.port, 1) as first, RawClient(tws.port, 2) as second:
        first.settle()
        second.settle()
        tws.faults.trigger("nightly_reset", seconds=0.5)
        assert first.closed()
        assert second.closed()
    with pytest.raises(ConnectionError):
        RawClient(tws.port, 1)
    again = threading.Event()

    def knock() -> None:
        while not again.is_set():
            try:
                with RawClient(tws.port, 1) as client:
                    client.settle()
                    again.set()
            except (ConnectionError, EOFError):
                again.wait(0.02)

    visitor = threading.Thread(target=knock)
    visitor.start()
    visitor.join(15)
    assert again.is_set()


def test_stopping_during_the_reset_frees_the_port(simulate: Callable[..., Simulator]) -> None:
    tws = simulate()
    port = tws.port
    with RawClient(port) as client:
        client.settle()
        tws.faults.trigger("nightly_reset", seconds=60)
        assert client.closed()
    tws.stop()
    assert served(simulate(port=port).port)


def test_duplicate_client_ids_on_order(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(faults=Faults([{"after_seconds": 0, "do": "duplicate_client_id", "connects": 2}]))
    for client_id in (1, 2):
        with RawClient(tws.port, client_id) as client:
            assert client.read_error()[0] == 326
            assert client.closed()
    assert served(tws.port)


def test_broadcasts_and_dropping_all(tws: Simulator) -> None:
    with RawClient(tws.port, 1) as first, RawClient(tws.port, 2) as second:
        first.settle()
        second.settle()
        tws.faults.trigger("broadcast", code=2110, text="Connectivity between Trader Workstation and server is broken.")
        assert first.read_error()[0] == second.read_error()[0] == 2110
        tws.drop_connections()
        assert first.closed()
        assert second.closed()
    assert tws.counters.connections["dropped"] == 2
