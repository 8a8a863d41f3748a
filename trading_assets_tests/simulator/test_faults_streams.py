"""Faults on running streams: what a client is told, what falls silent, and what goes on afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from trading_assets.simulator import Faults, Simulator
from trading_assets_tests.simulator.tiny_market import OPTIONS
from trading_assets_tests.simulator.wire import RawClient, history, stock

AAA, BBB, OPTION = 3, 4, 5
CALL = next(row for row in OPTIONS if row.last_trade == "20240621" and row.strike == 95 and row.right == "C")


def quote(req_id: int, contract: tuple[object, ...]) -> tuple[object, ...]:
    """The fields of reqMktData."""
    return (1, 11, req_id, *contract, 0, "", 0, 0, "")


def bars(req_id: int, contract: tuple[object, ...]) -> tuple[object, ...]:
    """The fields of reqRealTimeBars."""
    return (50, 3, req_id, *contract, 5, "TRADES", 1, "")


def option() -> tuple[object, ...]:
    """The contract block of an option."""
    return (CALL.con_id, "AAA", "OPT", "20240621", 95.0, "C", "100", "SMART", "", "USD", "", "AAA")


def streaming(client: RawClient, *requests: tuple[object, ...]) -> RawClient:
    """Begin streams, and read until each has had its first ticks."""
    client.settle()
    for request in requests:
        client.send(*request)
        begun(client, int(str(request[2])))
    return client


def begun(client: RawClient, req_id: int) -> None:
    """Read the first ticks of a stream; the tick for halts is the last of a stock's."""
    client.read_until(lambda fields: fields[:4] == ["45", "6", str(req_id), "49"])


def move(tws: Simulator, client: RawClient, last: int) -> set[int]:
    """Move the clock; the streams that had ticks before the last one of stream `last`."""
    tws.clock.advance(1)
    seen: set[int] = set()
    while True:
        fields = client.read()
        if fields[0] in ("1", "2", "45", "46", "21"):
            position = 1 if fields[0] == "21" else 2
            seen.add(int(fields[position]))
            if fields[:4] == ["46", "6", str(last), "45"]:
                return seen


def under_way(client: RawClient) -> None:
    """Wait until the simulator has taken the faults that were triggered: it takes them before it answers."""
    client.send(49, 1)
    client.read_message(49)


def test_mute_is_silent_while_the_socket_answers(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()), quote(BBB, stock("BBB")))
        assert move(tws, client, BBB) == {AAA, BBB}
        tws.faults.trigger("mute", contract="AAA", seconds=None)
        under_way(client)
        assert move(tws, client, BBB) == {BBB}
        client.send(*quote(6, stock()))  # a new stream is accepted, and silent
        assert move(tws, client, BBB) == {BBB}
        assert tws.counters.open_now["lines"] == 3
        tws.faults.end("mute")
        begun(client, 6)
        assert move(tws, client, BBB) >= {AAA, BBB}


def test_a_mute_that_streams_do_not_survive(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()), quote(BBB, stock("BBB")))
        tws.faults.trigger("mute", contract="AAA", seconds=None, resume=False)
        under_way(client)
        tws.faults.end("mute", "AAA")
        under_way(client)
        assert move(tws, client, BBB) == {BBB}
        client.send(*quote(7, stock()))
        begun(client, 7)


def test_a_script_mutes_the_second_stream(simulate: Callable[..., Simulator], tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    script.write_text(json.dumps([{"on": "market_data", "nth": 2, "do": "mute", "contract": "AAA", "seconds": None}]))
    tws = simulate(faults=script)
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()))
        client.send(*quote(6, stock()))
        client.send(*quote(BBB, stock("BBB")))
        begun(client, BBB)
        assert move(tws, client, BBB) == {BBB}
        assert tws.counters.faults == {"mute": 1}
        assert tws.counters.open_now["lines"] == 3


@pytest.mark.parametrize("resume", [False, True])
def test_a_competing_session_on_running_streams(tws: Simulator, resume: bool) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()), quote(BBB, stock("BBB")))
        tws.faults.trigger("competing_session", contract="AAA", seconds=None, resume=resume)
        assert client.read_error(AAA) == (10197, "No market data during competing live session")
        assert move(tws, client, BBB) == {BBB}
        client.send(*quote(6, stock()))
        assert client.read_error(6)[0] == 10197
        client.send(*bars(8, stock()))
        assert client.read_error(8)[0] == 10197
        assert tws.counters.open_now["lines"] == 2
        tws.faults.end("competing_session")
        under_way(client)
        client.send(*quote(7, stock()))
        begun(client, 7)
        assert (AAA in move(tws, client, BBB)) is resume


def test_a_competing_session_ends_by_itself(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(faults=Faults([{"after_seconds": 0.3, "do": "competing_session", "seconds": 0.1, "resume": True}]))
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()))
        assert client.read_error(AAA)[0] == 10197
        tws.clock.advance(1)
        client.read_until(lambda fields: fields[:4] == ["46", "6", str(AAA), "45"])


def test_a_farm_silences_its_own_streams_only(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(OPTION, option()), quote(AAA, stock()))
        tws.faults.trigger("farm_down", farm="usfarm", seconds=None)
        assert client.read_error() == (2103, "Market data farm connection is broken:usfarm")
        tws.clock.advance(1)
        client.send(*history(9, stock()))
        assert client.read_until(lambda fields: fields[0] in ("1", "17"))[0] == "17"
        tws.faults.end("farm_down")
        assert client.read_error() == (2104, "Market data farm connection is OK:usfarm")
        assert AAA in move(tws, client, AAA)


def test_all_farms_silence_streams_that_may_stay_silent(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()))
        tws.faults.trigger("farm_down", seconds=0.05, resume=False)
        assert [client.read_error()[0] for _ in range(5)] == [2103, 2105, 2104, 2106, 2158]
        client.send(*quote(BBB, stock("BBB")))
        begun(client, BBB)
        assert move(tws, client, BBB) == {BBB}


@pytest.mark.parametrize("resume", [True, False])
def test_connectivity_that_comes_back_with_or_without_the_streams(tws: Simulator, resume: bool) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()))
        tws.faults.trigger("connectivity_lost", seconds=None, resume=resume)
        assert client.read_error()[0] == 1100
        tws.faults.end("connectivity_lost")
        assert client.read_error()[0] == 1102
        client.send(*quote(BBB, stock("BBB")))
        begun(client, BBB)
        assert (AAA in move(tws, client, BBB)) is resume
        assert tws.counters.open_now["lines"] == 2


def test_a_halt_freezes_the_quote_and_says_so(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()), quote(BBB, stock("BBB")))
        tws.faults.trigger("halt", contract="AAA STK", seconds=None)
        assert client.read_until(lambda fields: fields[:4] == ["45", "6", str(AAA), "49"])[4] == "1"
        assert move(tws, client, BBB) == {BBB}
        client.send(*bars(8, stock()))
        assert client.read_message(50)[2] == "8"
        tws.clock.advance(5)
        flat = client.read_message(50)
        assert len(set(flat[4:8])) == 1
        tws.faults.end("halt")
        assert client.read_until(lambda fields: fields[:4] == ["45", "6", str(AAA), "49"])[4] == "0"


@pytest.mark.parametrize("announce", [True, False])
def test_delayed_ticks_in_the_middle_of_a_stream(tws: Simulator, announce: bool) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()), quote(BBB, stock("BBB")))
        assert move(tws, client, BBB) == {AAA, BBB}
        tws.faults.trigger("delayed", contract="AAA", seconds=None, announce=announce)
        first = client.read_until(lambda fields: fields[0] in ("1", "58"))
        assert (first[0] == "58" and first[3] == "3") is announce
        price = client.read_message(1) if announce else first
        assert price[2:4] == [str(AAA), "66"]
        client.send(*quote(6, stock()))
        assert client.read_error(6)[0] == 354
        tws.faults.end("delayed")
        back = client.read_until(lambda fields: fields[0] == "58" or (fields[0] == "1" and fields[3] == "1"))
        assert (back[0] == "58") is announce


@pytest.mark.parametrize(("do", "code"), [("bars_disconnected", 10182), ("bars_bust", 10225)])
def test_errors_that_end_running_bars(tws: Simulator, do: str, code: int) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()))
        client.send(*bars(8, stock()))
        client.read_message(50)
        tws.faults.trigger(do)
        assert client.read_error(8)[0] == code
        assert tws.counters.open_now["lines"] == 1  # the quote goes on
        tws.clock.advance(5)
        client.send(*bars(9, stock()))
        assert client.read_message(50)[2] == "9"


def test_an_error_of_choice_ends_a_stream(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        streaming(client, quote(AAA, stock()), quote(BBB, stock("BBB")))
        tws.faults.trigger("stream_error", contract="AAA", code=354, text="Requested market data is not subscribed.")
        assert client.read_error(AAA)[0] == 354
        assert tws.counters.open_now["lines"] == 1
        assert move(tws, client, BBB) == {BBB}


def test_bars_missed_in_an_outage_are_lost(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.settle()
        client.send(*bars(8, stock()))
        first = int(client.read_message(50)[3])
        tws.faults.trigger("connectivity_lost", seconds=None)
        assert client.read_error()[0] == 1100
        tws.clock.advance(20)
        under_way(client)
        tws.faults.end("connectivity_lost")
        assert client.read_error()[0] == 1102
        tws.clock.advance(5)
        assert int(client.read_message(50)[3]) == first + 25
