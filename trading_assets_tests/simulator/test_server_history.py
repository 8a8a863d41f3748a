"""Historical answers over the wire, through the real client library and by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
from ib_insync import Contract, Index, Option, Stock

from trading_assets.simulator import Simulator
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.simulator.wire import NO_CONTRACT, RawClient, connected, history, library_until, stock

AAA = Stock("AAA", "SMART", "USD")
CALL = Option("AAA", "20240621", 100.0, "C", "SMART")


@pytest.mark.parametrize("version", [157, 176, 178])
def test_daily_bars_by_version(simulate: Callable[..., Simulator], version: int) -> None:
    with connected(simulate(server_version=version)) as ib:
        bars = ib.reqHistoricalData(AAA, "", "5 D", "1 day", "TRADES", True)
    assert [bar.date for bar in bars] == [
        date(2024, 5, 28),
        date(2024, 5, 29),
        date(2024, 5, 30),
        date(2024, 5, 31),
        date(2024, 6, 3),
    ]
    assert (bars[0].volume, bars[0].barCount) == (1200.0, 12)


@pytest.mark.parametrize(("version", "form"), [(178, 1), (178, 2), (157, 2)])
def test_intraday_times(simulate: Callable[..., Simulator], version: int, form: int) -> None:
    with connected(simulate(server_version=version)) as ib:
        bars = ib.reqHistoricalData(AAA, "20240531-20:00:00", "1 D", "30 mins", "TRADES", True, formatDate=form)
    times = [bar.date.astimezone(UTC) for bar in bars if isinstance(bar.date, datetime)]
    assert times[0] == datetime(2024, 5, 31, 13, 30, tzinfo=UTC)
    assert len(times) == 13


def test_old_clients_get_local_times_without_a_zone(simulate: Callable[..., Simulator]) -> None:
    with RawClient(simulate(server_version=157).port) as client:
        client.send(*history(9, stock(), end="20240531-20:00:00", duration="1 D", bar_size="1 hour"))
        fields = client.read_message(17)
    assert fields[3] == "20240531  16:00:00"
    assert fields[5] == "20240531  09:30:00"
    assert fields[10] == "1200"


SIZES = ("1 secs", "5 secs", "30 secs", "1 min", "3 mins", "20 mins", "4 hours", "8 hours", "1 day", "1W", "1M")
SHOWN = ("TRADES", "MIDPOINT", "BID", "ASK", "BID_ASK", "ADJUSTED_LAST")
REFUSED = {("1W", "ADJUSTED_LAST"), ("1M", "ADJUSTED_LAST")}  # by the gateway, see test_protocol_validation


@pytest.mark.parametrize(
    ("size", "show"), [(size, show) for show in SHOWN for size in SIZES if (size, show) not in REFUSED]
)
def test_every_bar_size_and_kind(simulate: Callable[..., Simulator], size: str, show: str) -> None:
    with connected(simulate()) as ib:
        bars = ib.reqHistoricalData(AAA, "", "600 S" if size.endswith("secs") else "3 M", size, show, True)
    assert bars
    traded = show in ("TRADES", "ADJUSTED_LAST")
    assert {(bar.volume, bar.barCount) for bar in bars} == ({(1200.0, 12)} if traded else {(-1.0, -1)})


def test_all_hours_and_regular_hours(tws: Simulator) -> None:
    with connected(tws) as ib:
        regular, extended = (
            ib.reqHistoricalData(AAA, "20240531-23:59:00", "1 D", "1 hour", "TRADES", rth) for rth in (True, False)
        )
        option = ib.reqHistoricalData(CALL, "20240531-23:59:00", "1 D", "1 hour", "TRADES", False)
    assert (len(regular), len(extended)) == (7, 16)
    assert len(option) == 7  # TWS gives options regular hours whatever was asked


def test_a_half_day(tws: Simulator) -> None:
    with connected(tws) as ib:
        bars = ib.reqHistoricalData(AAA, "20231124-23:00:00", "1 D", "30 mins", "TRADES", True)
    assert len(bars) == 7


def test_schedule(tws: Simulator) -> None:
    with connected(tws) as ib:
        schedule = ib.reqHistoricalSchedule(AAA, 5, "20240603-23:59:59")
    assert [session.refDate for session in schedule.sessions] == [
        "20240528",
        "20240529",
        "20240530",
        "20240531",
        "20240603",
    ]
    assert schedule.sessions[0].startDateTime == "20240528-09:30:00"
    assert schedule.timeZone == "US/Eastern"


@pytest.mark.parametrize(
    ("contract", "words", "code", "text"),
    [
        (stock("NOSUCH"), {}, 200, "No security definition has been found for the request"),
        (NO_CONTRACT, {}, 200, "ambiguous"),
        (stock("TWIN"), {}, 200, "The contract description specified for TWIN is ambiguous"),
        (
            stock("QUIET"),
            {},
            162,
            "Historical Market Data Service error message:HMDS query returned no data: QUIET@SMART Trades",
        ),
        (stock(), {"show": "FEE_RATE"}, 162, "HMDS query returned no data: AAA@SMART Fee_rate"),
        (stock("BBB"), {"end": "20200603-20:00:00"}, 162, "HMDS query returned no data: BBB@SMART Trades"),
        ((3, *NO_CONTRACT[1:]), {"show": "BID"}, 162, "No historical market data for IDX/IND@CBOE"),
        ((106, *NO_CONTRACT[1:]), {}, 162, "No data of type EODChart is available for the exchange 'BEST'"),
        ((100, *NO_CONTRACT[1:]), {"bar_size": "8 hours"}, 200, "No security definition"),
        (stock("XYZ"), {}, 200, "No security definition"),
        ((1, *stock("BBB")[1:]), {}, 478, "received by contract id: requested symbol BBB, in contract AAA;"),
        (stock("BBB"), {"duration": "13 M"}, 321, "12 months"),
        (stock(), {"form": "soon"}, 320, "Error reading request."),
        (stock(), {"bar_size": "1 min", "duration": "20 Y"}, 162, "Request Timed Out"),
    ],
)
def test_refusals(tws: Simulator, contract: tuple[object, ...], words: dict[str, str], code: int, text: str) -> None:
    with RawClient(tws.port) as client:
        client.send(*history(7, contract, **words))  # type: ignore[arg-type]
        got = client.read_error(7)
    assert got[0] == code
    assert text in got[1]
    assert tws.counters.errors == {code: 1}


def test_symbols_the_account_may_not_see(simulate: Callable[..., Simulator]) -> None:
    with RawClient(simulate(refuse={"AAA"}).port) as client:
        client.send(*history(7, stock()))
        assert client.read_error(7) == (
            162,
            "Historical Market Data Service error message:No market data permissions for ISLAND STK.",
        )


def test_an_end_date_without_zone_is_warned_about_and_served(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.send(*history(7, stock(), end="20240531 16:00:00"))
        assert client.read_error(7)[0] == 2174
        assert client.read_message(17)[1] == "7"


def test_cancelling(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(latency=60.0)
    with RawClient(tws.port) as client:
        client.send(*history(7, stock()))
        client.send(25, 1, 7)
        assert client.read_error(7) == (
            162,
            "Historical Market Data Service error message:API historical data query cancelled: 7",
        )
        client.send(25, 1, 7)
        assert client.read_error(7) == (366, "No historical data query found for ticker id:7")
        assert tws.counters.open_now["history"] == 0


def test_a_request_id_in_use(simulate: Callable[..., Simulator]) -> None:
    with RawClient(simulate(latency=60.0).port) as client:
        client.send_many([history(7, stock()), history(7, stock("BBB"))])
        assert client.read_error(7) == (322, "Error processing request.-'bX' : cause - Duplicate ticker id")


def test_keep_up_to_date_follows_the_clock(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.send(*history(7, stock(), bar_size="1 min", duration="600 S", live=1))
        first = client.read_message(17)
        assert first[4] == "10"
        tws.clock.advance(timedelta(seconds=61))
        updates = [client.read_message(90) for _ in range(2)]
        assert [update[3] for update in updates] == ["20240603 14:00:00 US/Eastern", "20240603 14:01:00 US/Eastern"]
        close, high, low = (float(value) for value in updates[0][5:8])
        assert low < close < high
        assert tws.counters.open_now["history"] == 1


def test_keep_up_to_date_in_the_library(tws: Simulator) -> None:
    with connected(tws) as ib:
        bars = ib.reqHistoricalData(AAA, "", "600 S", "1 min", "TRADES", True, keepUpToDate=True)
        count = len(bars)
        tws.clock.advance(120)
        library_until(lambda: len(bars) > count)


def test_head_timestamp_keeps_its_slot_until_cancelled(tws: Simulator) -> None:
    with RawClient(tws.port) as client:
        client.send(87, 5, *stock(), 0, 1, "TRADES", 1)
        assert client.read_message(88) == ["88", "5", "20220103-14:30:00"]
        client.send(87, 6, *stock("QUIET"), 0, 1, "TRADES", 2)
        assert client.read_error(6) == (162, "Historical Market Data Service error message:No head time stamp")
        assert tws.counters.open_now["history"] == 1
        client.send(90, 5)
        client.send(49, 1)
        client.read_message(49)
        assert tws.counters.open_now["history"] == 0


@pytest.mark.parametrize("show", ["TRADES", "BID_ASK", "MIDPOINT"])
def test_historical_ticks(tws: Simulator, show: str) -> None:
    with connected(tws) as ib:
        forward = ib.reqHistoricalTicks(AAA, "20240531-15:00:00", "", 10, show, True)
        back = ib.reqHistoricalTicks(AAA, "", "20240531-15:00:00", 10, show, True)
    assert [tick.time for tick in forward] == [datetime(2024, 5, 31, 15, n, tzinfo=UTC) for n in range(10)]
    assert [tick.time for tick in back] == [datetime(2024, 5, 31, 14, 50 + n, tzinfo=UTC) for n in range(10)]


def test_indices_and_contract_ids_alone(tws: Simulator) -> None:
    with connected(tws) as ib:
        assert len(ib.reqHistoricalData(Index("IDX", "CBOE"), "", "3 D", "1 day", "TRADES", True)) == 3
        assert len(ib.reqHistoricalData(Contract(conId=1, exchange="SMART"), "", "3 D", "1 day", "TRADES", True)) == 3


def test_nothing_later_than_the_clock(simulate: Callable[..., Simulator]) -> None:
    with connected(simulate(now=NOW)) as ib:
        bars = ib.reqHistoricalData(AAA, "20240610-20:00:00", "10 D", "1 hour", "TRADES", True)
    assert max(bar.date for bar in bars) <= NOW


def test_round_lots(simulate: Callable[..., Simulator]) -> None:
    with connected(simulate(volume_unit="round_lots")) as ib:
        assert ib.reqHistoricalData(AAA, "", "1 D", "1 day", "TRADES", True)[0].volume == 12.0
        assert ib.reqHistoricalData(CALL, "", "1 D", "8 hours", "TRADES", True)[0].volume == 1200.0


def test_a_failure_of_the_simulator_is_told_and_counted() -> None:
    from trading_assets_tests.simulator.tiny_market import TinyMarket

    with Simulator(TinyMarket(), now=NOW) as tws, RawClient(tws.port) as client:
        client.send(*history(7, stock("BROKEN")))
        code, text = client.read_error(7)
        assert code == 320
        assert "this market is broken" in text
        client.send(*history(8, stock()))
        assert client.read_message(17)[1] == "8"
        assert len(tws.counters.internal_errors) == 1
