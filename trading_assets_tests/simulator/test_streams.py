"""Running streams: a clock that runs, several updates a second, quotes computed together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from trading_assets.pricing.dividends import expected_dividends
from trading_assets.simulator import Simulator, ticks
from trading_assets.simulator.clock import SimulatorClock
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.load import FIRST_SIZE
from trading_assets.simulator.market import ContractQuery, Dividends, ListedContract, MarketQuote
from trading_assets_tests.simulator.tiny_market import NOW
from trading_assets_tests.simulator.wire import RawClient, stock

OPEN = datetime(2024, 6, 3, 18, 0, tzinfo=UTC)


def quote(req_id: int, contract: tuple[object, ...], generic: str = "") -> tuple[object, ...]:
    """The fields of reqMktData."""
    return (1, 11, req_id, *contract, 0, generic, 0, 0, "")


def bars(req_id: int, contract: tuple[object, ...], show: str = "TRADES") -> tuple[object, ...]:
    """The fields of reqRealTimeBars."""
    return (50, 3, req_id, *contract, 5, show, 1, "")


def test_a_clock_that_runs() -> None:
    clock = SimulatorClock(NOW)
    assert clock.speed == 0
    before = time.monotonic()
    clock.run(1000)
    shown = clock.now()
    elapsed = time.monotonic() - before
    assert timedelta() <= shown - NOW <= timedelta(seconds=1000 * elapsed)
    clock.advance(3600)
    assert clock.now() >= NOW + timedelta(hours=1)
    clock.pin()
    assert clock.speed == 0
    assert clock.now() == clock.now()
    with pytest.raises(ValueError, match="positive speed"):
        clock.run(0)
    with pytest.raises(ValueError, match="live clock"):
        SimulatorClock().run(2)
    with pytest.raises(ValueError, match="instant to start from"):
        Simulator(GeneratedMarket(), speed=2)


def test_bars_of_a_fast_clock_have_no_holes(simulate: Callable[..., Simulator]) -> None:
    tws = simulate(speed=600)
    with RawClient(tws.port) as client:
        client.send(*bars(6, stock()))
        starts = [int(client.read_message(50)[3]) for _ in range(60)]
    assert [later - earlier for earlier, later in pairwise(starts)] == [5] * 59


def test_several_updates_a_second_of_a_stock_and_its_options() -> None:
    market = GeneratedMarket(seed=42)
    expiry = market.option_parameters("AAPL", "STK", 0, OPEN)[0].expirations[2]
    option = market.contracts(ContractQuery(symbol="AAPL", sec_type="OPT", last_trade=expiry), OPEN)[0]
    with Simulator(market, now=OPEN, speed=1) as tws, RawClient(tws.port) as client:
        client.send(*quote(3, stock("AAPL")))
        client.send(*quote(4, (option.con_id, *("", "", "", 0.0, "", "", "SMART", "", "", "", ""))))
        for req_id in ("3", "4"):
            client.read_until(lambda fields, wanted=req_id: fields[0] == "58" and fields[2] == wanted)
        began = time.monotonic()
        sizes: dict[str, list[str]] = {"3": [], "4": []}
        while min(map(len, sizes.values())) < 5:
            fields = client.read_message(2)
            if fields[3] == "3":
                sizes[fields[2]].append(fields[4])
        took = time.monotonic() - began
    assert took < 6  # 5 updates at 4 a second, on a busy machine
    assert not tws.counters.internal_errors
    assert len(set(sizes["3"])) > 2


def test_quotes_together_are_the_quotes_one_by_one() -> None:
    market = GeneratedMarket(seed=7)
    expiries = market.option_parameters("MSFT", "STK", 0, OPEN)[0].expirations[:2]
    contracts = market.contracts(ContractQuery(symbol="MSFT"), OPEN)
    for expiry in expiries:
        contracts += market.contracts(ContractQuery(symbol="MSFT", sec_type="OPT", last_trade=expiry), OPEN)[::9]
    contracts += market.contracts(ContractQuery(symbol="SPX", sec_type="IND"), OPEN)
    for now in (OPEN, OPEN + timedelta(seconds=31.25), OPEN + timedelta(hours=12)):
        alone = GeneratedMarket(seed=7)
        assert market.quotes(contracts, now) == [alone.quote(contract, now) for contract in contracts]


def test_the_tick_of_dividends() -> None:
    market = GeneratedMarket(seed=42)
    paid = [(day, amount) for day, amount in market.dividends("AAPL") if day <= OPEN.date()]
    with Simulator(market, now=OPEN) as tws, RawClient(tws.port) as client:
        client.send(*quote(3, stock("AAPL"), "456"))
        text = client.read_until(lambda fields: fields[:4] == ["46", "6", "3", "59"])[4]
    past, following, day, amount = text.split(",")
    assert float(past) == pytest.approx(sum(amount for _, amount in paid[-4:]))
    assert float(following) == pytest.approx(4 * float(amount))
    first = expected_dividends("AAPL", OPEN.date(), text, {}).dividends[0]
    assert (first.ex_date, first.amount) == next(
        (day, amount) for day, amount in market.dividends("AAPL") if day > OPEN.date()
    )
    assert f"{first.ex_date:%Y%m%d}" == day
    assert ticks.dividend_text(Dividends()) == ",,,"


def test_a_load_is_numbered_and_counted(simulate: Callable[..., Simulator]) -> None:
    tws = simulate()
    with RawClient(tws.port) as client:
        for req_id, symbol in ((3, "AAA"), (4, "BBB")):
            client.send(*quote(req_id, stock(symbol)))
            client.read_until(lambda fields, wanted=str(req_id): fields[:4] == ["45", "6", wanted, "49"])
        tws.set_message_rate(4000)
        numbers: dict[str, list[int]] = {"3": [], "4": []}
        while min(map(len, numbers.values())) < 500:
            fields = client.read()
            numbers[fields[2]].append(int(fields[5] if fields[0] == "1" else fields[4]))
        tws.set_message_rate(0)
        client.send(49, 1)
        while (fields := client.read())[0] != "49":
            numbers[fields[2]].append(int(fields[5] if fields[0] == "1" else fields[4]))
        sent = tws.counters.load_messages
        tws.clock.advance(5)  # the market's own sizes come back
        assert client.read_until(lambda fields: fields[:4] == ["1", "6", "3", "1"])[5] == "300"
    assert numbers["4"] == list(range(FIRST_SIZE, FIRST_SIZE + sent[2]))
    assert numbers["3"] == list(range(FIRST_SIZE, FIRST_SIZE + sent[1]))
    assert abs(sent[1] - sent[2]) <= 1
    with pytest.raises(ValueError, match="messages a second"):
        tws.set_message_rate(-1)


class Dearer(GeneratedMarket):
    """A market that changes the quote of the generated one."""

    def quote(self, contract: ListedContract, now: datetime) -> MarketQuote:
        return replace(super().quote(contract, now), bid=7777.0)


def test_a_subclass_that_changes_quote_changes_streams_too() -> None:
    with Simulator(Dearer(seed=42), now=OPEN) as tws, RawClient(tws.port) as client:
        client.send(*quote(3, stock("AAPL")))
        assert client.read_message(1)[3:5] == ["1", "7777"]
