"""Quotes, snapshots, real-time bars and option calculations over the wire."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from ib_insync import Option, Stock

from trading_assets.simulator import Simulator
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.simulator.wire import RawClient, connected, library_until, stock

AAA = Stock("AAA", "SMART", "USD")
CALL = Option("AAA", "20240621", 100.0, "C", "SMART")
SUNDAY = datetime(2024, 6, 2, 12, 0, tzinfo=UTC)
NO_BID = Option("AAA", "20240621", 105.0, "P", "SMART")


def quote(req_id: int, contract: tuple[object, ...], generic: str = "", snapshot: int = 0) -> tuple[object, ...]:
    return (1, 11, req_id, *contract, 0, generic, snapshot, 0, "")


@pytest.mark.parametrize("version", [157, 176, 178])
def test_a_snapshot_of_an_option(simulate: Callable[..., Simulator], version: int) -> None:
    tws = simulate(server_version=version)
    with connected(tws) as ib:
        call, put = ib.reqTickers(CALL, NO_BID)
    assert (call.bid, call.bidSize, call.ask, call.askSize, call.volume, call.close) == (2.4, 11, 2.6, 12, 5, 2.2)
    assert (put.bid, put.bidSize) == (-1, 0)
    assert call.modelGreeks is not None
    assert (call.modelGreeks.impliedVol, call.modelGreeks.delta, call.modelGreeks.vega, call.modelGreeks.undPrice) == (
        0.25,
        0.5,
        0.1,
        100.0,
    )
    assert call.bidGreeks is not None
    assert (call.bidGreeks.impliedVol, call.bidGreeks.delta) == (0.24, None)
    assert tws.counters.open_now["lines"] == 0


def test_generic_ticks(tws: Simulator) -> None:
    with connected(tws) as ib:
        call = ib.reqMktData(CALL, "100,101,106")
        underlying = ib.reqMktData(AAA, "100,101,104,105,106")
        library_until(lambda: underlying.impliedVolatility == 0.25 and call.callOpenInterest == 77)
        assert (call.putOpenInterest, underlying.callOpenInterest, underlying.putOpenInterest) == (0, 1000, 2000)
        assert (underlying.callVolume, underlying.putVolume, underlying.histVolatility, underlying.avOptionVolume) == (
            10,
            20,
            0.2,
            30,
        )


def test_a_stream_sends_what_changed(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.send(*quote(3, stock()))
        assert client.read_until(lambda f: f[:4] == ["1", "6", "3", "4"])[4] == "100"
        client.read_until(lambda f: f[:4] == ["45", "6", "3", "49"])
        tws.clock.advance(5)
        changed = [client.read() for _ in range(4)]
        assert [f[3] for f in changed if f[0] == "1"] == ["1", "2", "4"]
        assert tws.counters.open_now["lines"] == 1
        client.send(2, 2, 3)
        client.send(2, 2, 3)
        assert client.read_error(3) == (300, "Can't find EId with tickerId:3")
        assert tws.counters.open_now["lines"] == 0


def test_an_index_has_no_bid_and_no_ask(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.send(*quote(3, (3, "IDX", "IND", "", 0, "", "", "CBOE", "", "USD", "", ""), snapshot=1))
        ticks: list[list[str]] = []
        while (fields := client.read())[0] != "57":
            ticks.append(fields)
    assert not [tick for tick in ticks if tick[0] == "1" and tick[3] in ("1", "2")]


@pytest.mark.parametrize(
    ("wanted", "now", "told"),
    [(1, NOW, "1"), (2, NOW, "1"), (3, NOW, "3"), (4, NOW, "3"), (2, SUNDAY, "2"), (4, SUNDAY, "4")],
)
def test_market_data_types(simulate: Callable[..., Simulator], wanted: int, now: datetime, told: str) -> None:
    with RawClient(simulate(now=now).port) as client:
        client.settle()
        client.send(59, 1, wanted)
        client.send(*quote(3, stock()))
        assert client.read_message(58) == ["58", "1", "3", told]
        assert client.read_message(1)[3] == ("66" if told in "34" else "1")


def test_frozen_data_becomes_live_at_the_open(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(now=datetime(2024, 6, 3, 13, 29, tzinfo=UTC))
    with RawClient(tws.port) as client:
        client.settle()
        client.send(59, 1, 2)
        client.send(*quote(3, stock()))
        assert client.read_message(58)[3] == "2"
        client.read_until(lambda fields: fields[:4] == ["45", "6", "3", "49"])
        tws.clock.set(datetime(2024, 6, 3, 13, 30, 1, tzinfo=UTC))
        assert client.read() == ["58", "1", "3", "1"]
        tws.clock.set(datetime(2024, 6, 3, 20, 0, tzinfo=UTC))
        assert client.read_message(58)[3] == "2"


def test_delayed_data_when_live_is_not_subscribed(simulate: Callable[..., Simulator]) -> None:
    with RawClient(simulate(live_data=False).port) as client:
        client.settle()
        client.send(*quote(3, stock()))
        code, text = client.read_error(3)
        assert code == 354
        assert "Delayed market data is available." in text
        client.send(59, 1, 3)
        client.send(*quote(4, stock(), "100,101,106"))
        assert [client.read_error(4)[0] for _ in range(2)] == [10167, 2187]
        ids = {client.read_message(2)[3] for _ in range(6)}
        assert {"69", "70", "71", "74", "27", "28"} == ids


def test_refusals(simulate: Callable[..., Simulator]) -> None:
    with RawClient(simulate(refuse={"BBB"}).port) as client:
        client.send(*quote(3, stock("BBB")))
        code, text = client.read_error(3)
        assert (code, text[:42]) == (354, "Requested market data is not subscribed. D")
        client.send(*quote(4, stock(), "101", snapshot=1))
        code, text = client.read_error(4)
        assert (code, "not applicable to generic ticks" in text) == (321, True)
        client.send(*quote(5, stock("NOSUCH")))
        assert client.read_error(5)[0] == 200
        client.send(50, 3, 6, *stock("BBB"), 5, "TRADES", 1, "")
        assert client.read_error(6)[0] == 420
        client.send(50, 3, 7, *stock(), 10, "TRADES", 1, "")
        assert client.read_error(7)[0] == 321


@pytest.mark.parametrize("show", ["TRADES", "MIDPOINT", "BID", "ASK"])
def test_realtime_bars_follow_the_clock(tws: Simulator, show: str) -> None:
    with RawClient(tws.port) as client:
        client.send(50, 3, 6, *stock(), 5, show, 1, "")
        first = int(client.read_message(50)[3])
        assert first == int(NOW.timestamp()) - 5
        tws.clock.advance(10)
        assert [int(client.read_message(50)[3]) for _ in range(2)] == [first + 5, first + 10]
        client.send(51, 1, 6)
        client.send(51, 1, 6)
        assert client.read_error(6)[0] == 300


def test_realtime_bars_in_the_library(tws: Simulator) -> None:
    with connected(tws) as ib:
        bars = ib.reqRealTimeBars(AAA, 5, "TRADES", True)
        library_until(lambda: len(bars) > 0)
        ib.cancelRealTimeBars(bars)


def test_option_calculations_are_each_other_s_inverse(tws: Simulator) -> None:
    with connected(tws) as ib:
        priced = ib.calculateOptionPrice(CALL, 0.3, 101.0)
        assert priced is not None
        solved = ib.calculateImpliedVolatility(CALL, priced.optPrice, 101.0)
    assert solved is not None
    assert solved.impliedVol == pytest.approx(0.3, abs=1e-6)
    assert solved.delta == pytest.approx(priced.delta)
