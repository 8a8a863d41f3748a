"""The broker's limits over the wire: refused with the real codes, and counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from trading_assets.simulator import Limits, Simulator
from trading_assets_tests.simulator.wire import RawClient, history, stock

SLOW = 60.0
"""Seconds of latency that no test waits for: requests stay open."""

UNHURRIED = Limits(messages_per_second=10_000)
"""The broker's limits without the message rate, for tests of another limit."""


def test_the_fifty_first_open_historical_request(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(latency=SLOW, limits=UNHURRIED)
    with RawClient(tws.port) as client:
        client.settle()
        client.send_many([history(i, stock()) for i in range(1, 53)])
        assert client.read_error(51) == (
            322,
            "Error processing request.-'bX' : cause - Only 50 simultaneous API historical data requests allowed",
        )
        assert client.read_error(52)[0] == 322
        client.send(25, 1, 1)
        assert client.read_error(1)[0] == 162
        client.send_many([history(53, stock()), (49, 1)])
        client.read_message(49)
    counters = tws.counters
    assert (counters.open_max["history"], [v.rule for v in counters.violations]) == (50, ["history", "history"])


def test_a_slot_is_free_when_its_answer_arrives(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=Limits(messages_per_second=10_000, open_history=1))
    with RawClient(tws.port) as client:
        for req_id in range(1, 200):
            client.send(*history(req_id, stock()))
            client.read_message(17)
    assert not tws.counters.violations


def test_slots_are_shared_by_all_clients(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(latency=SLOW, limits=Limits(messages_per_second=10_000, open_history=2))
    with RawClient(tws.port, 1) as first, RawClient(tws.port, 2) as second:
        first.send_many([history(1, stock()), history(2, stock()), (49, 1)])
        first.read_message(49)
        second.send(*history(1, stock()))
        assert second.read_error(1)[0] == 322


def test_small_bars(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=UNHURRIED)
    with RawClient(tws.port) as client:
        client.send(*history(1, stock(), bar_size="30 secs", duration="600 S"))
        client.read_message(17)
        client.send(*history(2, stock(), bar_size="30 secs", duration="600 S"))
        assert client.read_error(2) == (
            162,
            "Historical Market Data Service error message:Historical data request pacing violation",
        )
        client.send_many([history(i, stock("BBB"), bar_size="5 secs", duration=f"{i} S") for i in range(100, 106)])
        assert client.read_error(105)[0] == 162
        client.send(*history(3, stock(), bar_size="1 min", duration="600 S"))
        client.read_message(17)
        client.send(*history(4, stock(), bar_size="1 min", duration="600 S"))
        client.read_message(17)
    assert [violation.rule for violation in tws.counters.violations] == ["small_bars", "small_bars"]


def test_sixty_small_bar_requests_in_ten_minutes(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=Limits(messages_per_second=10_000, small_bar_burst=1000))
    with RawClient(tws.port) as client:
        for i in range(60):
            client.send(*history(i, stock(), bar_size="5 secs", duration=f"{100 + i} S"))
            client.read_message(17)
        client.send(*history(60, stock(), bar_size="5 secs", duration="999 S"))
        assert client.read_error(60)[0] == 162
    assert "61 requests within 600 s" in tws.counters.violations[0].text


def test_head_timestamps_count_as_small_bars_and_hold_slots(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=Limits(messages_per_second=10_000, open_history=1))
    with RawClient(tws.port) as client:
        client.send(87, 5, *stock(), 0, 1, "TRADES", 1)
        client.read_message(88)
        client.send(*history(6, stock()))
        assert client.read_error(6)[0] == 322
        client.send(90, 5)
        client.send(87, 7, *stock(), 0, 1, "TRADES", 1)
        assert client.read_error(7)[0] == 162
    assert [violation.rule for violation in tws.counters.violations] == ["history", "small_bars"]


def test_market_data_lines(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=UNHURRIED)
    with RawClient(tws.port) as client:
        client.send_many([(1, 11, i, *stock(), 0, "", 0, 0, "") for i in range(101)])
        assert client.read_error(100) == (101, "Max number of tickers has been reached")
        client.send_many(
            [(2, 2, 1), (50, 3, 200, *stock(), 5, "TRADES", 1, ""), (1, 11, 201, *stock(), 0, "", 0, 0, "")]
        )
        assert client.read_error(201)[0] == 101
    counters = tws.counters
    assert (counters.open_max["lines"], {violation.rule for violation in counters.violations}) == (100, {"lines"})


def test_snapshots_give_their_line_back(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=Limits(messages_per_second=10_000, market_data_lines=1))
    with RawClient(tws.port) as client:
        for i in range(5):
            client.send(1, 11, i, *stock(), 0, "", 1, 0, "")
            client.read_message(57)
    assert not tws.counters.violations


def test_real_time_bars(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=UNHURRIED)
    with RawClient(tws.port) as client:
        for i in range(61):
            client.send_many([(50, 3, i, *stock(), 5, "TRADES", 1, ""), (51, 1, i)])
        assert client.read_error(60) == (420, "Invalid Real-time Query:Historical data request pacing violation")
    assert [violation.rule for violation in tws.counters.violations] == ["realtime_bars"]


def test_the_thirty_third_client(tws: Simulator) -> None:
    clients = [RawClient(tws.port, i, start=False) for i in range(32)]
    try:
        with pytest.raises((EOFError, ConnectionError)):
            RawClient(tws.port, 33)
    finally:
        for client in clients:
            client.close()
    assert [violation.rule for violation in tws.counters.violations] == ["clients"]


def _flood(client: RawClient, count: int) -> None:
    client.send_many([(49, 1)] * count)


def test_too_many_messages_a_second_are_refused(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.settle()
        _flood(client, 60)
        code, text = client.read_error()
        assert code == 100
        assert text.startswith("Max rate of messages per second has been exceeded:max=50 rec=51 (1)")
    counters = tws.counters
    assert {violation.rule for violation in counters.violations} == {"messages"}
    assert counters.requests["current_time"] == 49  # startApi was the first of the fifty


def test_the_third_strike_disconnects(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=Limits(messages_per_second=3, strikes=1))
    with RawClient(tws.port) as client:
        client.settle()
        _flood(client, 10)
        assert client.read_error()[0] == 100
        assert client.closed()
    assert tws.counters.connections["dropped"] == 1


@pytest.mark.parametrize("asked_by", ["setting", "client"])
def test_or_paced(simulate: Callable[..., Simulator], asked_by: str) -> None:
    limits = Limits(messages_per_second=20, on_message_rate="pace" if asked_by == "setting" else "reject")
    tws = simulate(limits=limits)
    with RawClient(tws.port, options="+PACEAPI" if asked_by == "client" else "") as client:
        client.settle()
        _flood(client, 30)
        for _ in range(30):
            client.read_message(49)
    counters = tws.counters
    assert counters.messages_paced > 0
    assert counters.requests["current_time"] == 30
    assert bool(counters.violations) == (asked_by == "setting")


def test_a_client_within_the_rate_is_never_reproached(tws: Simulator) -> None:
    """ib_insync throttles itself to 45 messages a second."""
    from trading_assets_tests.simulator.wire import connected

    with connected(tws) as ib:
        for _ in range(60):
            ib.client.reqCurrentTime()
        ib.waitOnUpdate(2)
        ib.reqCurrentTime()
    assert not tws.counters.violations


def test_a_stall_of_the_simulator_is_not_held_against_its_client(tws: Simulator) -> None:
    """Two bursts of 40, a second apart, are within the rate, even if the simulator reads both at one moment."""
    with RawClient(tws.port) as client:
        client.settle()
        assert tws._loop is not None
        stalled = threading.Event()

        def stall() -> None:
            stalled.set()
            time.sleep(1.3)

        time.sleep(1.0)  # the greeting's own messages leave the window
        tws._loop.call_soon_threadsafe(stall)
        stalled.wait()
        _flood(client, 40)
        time.sleep(1.05)
        _flood(client, 40)
        for _ in range(80):
            client.read_message(49)
    assert not tws.counters.violations


def test_symbol_searches_are_slowed(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=Limits(matching_symbols_interval=0.05))
    with RawClient(tws.port) as client:
        client.send_many([(81, 1, "A"), (81, 2, "B")])
        assert [client.read_message(79)[1] for _ in range(2)] == ["1", "2"]
    assert [violation.rule for violation in tws.counters.violations] == ["matching_symbols"]


def test_without_limits_everything_is_served_and_still_counted(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(limits=False)
    with RawClient(tws.port) as client:
        client.send_many([history(i, stock(), bar_size="5 secs", duration="600 S") for i in range(100)])
        for _ in range(100):
            client.read_message(17)
    counters = tws.counters
    assert counters.answers["historical_data"] == 100
    assert {"messages", "small_bars"} <= {violation.rule for violation in counters.violations}
