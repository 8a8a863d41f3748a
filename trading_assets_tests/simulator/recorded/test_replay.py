"""Recorded minutes replayed to running streams: what was shown is what was recorded."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from trading_assets.simulator import Simulator
from trading_assets.simulator.market import ContractQuery, ListedContract, MarketQuote
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets_tests.simulator.recorded.conftest import Read, at, underlying
from trading_assets_tests.simulator.wire import RawClient

OPEN, CLOSE = at("2015-12-24T09:30-05:00"), at("2015-12-24T13:00-05:00")
HALF_DAY = timedelta(hours=3, minutes=30)
OPTIONS = ("GOOG  160115C00750000", "GOOG  151224P00750000", "GOOG  160318C00600000")
PRICES = ["open", "high", "low", "close"]

Shown = dict[str, list[tuple[datetime, MarketQuote]]]
FiveSeconds = tuple[datetime, float, float, float, float, float]


def goog(read: Read, osi: str = "") -> pd.DataFrame:
    """The recorded minutes of the half day, by start."""
    rows = read("option_bars_minute").query("osi == @osi") if osi else read("equity_bars_minute")
    rows = rows if osi else rows[rows["symbol"] == "GOOG"]
    return rows[(rows["ts_utc"] >= OPEN) & (rows["ts_utc"] < CLOSE)].set_index("ts_utc")


def option(market: RecordedMarket, osi: str) -> ListedContract:
    (found,) = market.contracts(ContractQuery(sec_type="OPT", local_symbol=osi), OPEN)
    return found


def candle(prices: list[float]) -> tuple[float, float, float, float]:
    return prices[0], max(prices), min(prices), prices[-1]


def minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


@pytest.fixture(scope="module")
def shown(market: RecordedMarket) -> Shown:
    """Every state that streams of the stock and some options show in the session."""
    contracts = [underlying(market, "GOOG", OPEN), *(option(market, osi) for osi in OPTIONS)]
    found: Shown = defaultdict(list)
    for instant in market.quote_changes(OPEN, CLOSE - timedelta(seconds=1)):
        for contract, quote in zip(contracts, market.quotes(contracts, instant), strict=True):
            found[contract.local_symbol].append((instant, quote))
    return found


@pytest.mark.parametrize("osi", ["", *OPTIONS])
def test_the_quotes_of_each_minute_are_the_recorded_ones(shown: Shown, read: Read, osi: str) -> None:
    states: dict[datetime, list[MarketQuote]] = defaultdict(list)
    for instant, quote in shown[osi or "GOOG"]:
        states[minute(instant)].append(quote)
    checked = 0
    for start, row in goog(read, osi).iterrows():
        quotes = states[start.to_pydatetime()]
        for side in ("bid", "ask"):
            if pd.isna(row[f"{side}_close"]):
                continue
            prices = [getattr(quote, side) for quote in quotes]
            assert candle(prices) == tuple(row[f"{side}_{name}"] for name in PRICES)
            assert getattr(quotes[-1], f"{side}_size") == row[f"{side}_size"]
            checked += 1
        if row["volume"] > 0:
            assert candle([quote.last or 0 for quote in quotes]) == tuple(row[PRICES])
            assert quotes[-1].last_time is not None
            assert minute(quotes[-1].last_time) == start
    assert checked > 100


def test_the_volume_is_the_sum_of_the_minutes(shown: Shown, read: Read) -> None:
    for osi in ("", *OPTIONS):
        volumes = [quote.volume or 0 for _, quote in shown[osi or "GOOG"]]
        assert volumes[-1] == goog(read, osi)["volume"].sum()
        assert volumes == sorted(volumes)


def test_greeks_follow_the_shown_prices(shown: Shown) -> None:
    stock = dict(shown["GOOG"])
    for instant, quote in shown[OPTIONS[0]][40::50]:
        model = quote.greeks["model"]
        assert model.underlying_price == stock[instant].last
        assert quote.bid is not None
        assert quote.ask is not None
        assert model.price == pytest.approx((quote.bid + quote.ask) / 2)
        assert model.implied_volatility == quote.implied_volatility
        assert 0.1 < (model.implied_volatility or 0) < 0.4


def test_bars_and_ticks_over_the_wire_at_speed(market: RecordedMarket, read: Read) -> None:
    contract = (0, "GOOG", "STK", "", 0.0, "", "", "SMART", "", "USD", "", "")
    with Simulator(market, now=OPEN - timedelta(seconds=30)) as tws, RawClient(tws.port) as client:
        client.send(50, 3, 6, *contract, 5, "TRADES", 1, "")
        client.send(1, 11, 7, *contract, 0, "", 0, 0, "")
        client.read_until(lambda fields: fields[0] == "58")
        tws.clock.run(700)  # a busy machine keeps up with it
        bars: list[FiveSeconds] = []
        lasts: list[float] = []
        while not bars or bars[-1][0] < CLOSE - timedelta(seconds=5):
            fields = client.read()
            if fields[0] == "50":
                opened, high, low, close, volume = map(float, fields[4:9])
                bars.append((datetime.fromtimestamp(int(fields[3]), UTC), opened, high, low, close, volume))
            elif fields[:4] == ["1", "6", "7", "4"]:
                lasts.append(float(fields[4]))
        assert not tws.counters.internal_errors
    assert [bar[0] for bar in bars] == [OPEN + timedelta(seconds=5 * i) for i in range(2520)]  # up to 13:00
    by_minute: dict[datetime, list[FiveSeconds]] = defaultdict(list)
    for bar in bars:
        if bar[5] > 0:
            by_minute[minute(bar[0])].append(bar)
    traded = goog(read)
    traded = traded[traded["volume"] > 0]
    assert sorted(by_minute) == [start.to_pydatetime() for start in traded.index]
    for start, row in traded.iterrows():
        _, opened, high, low, close, volume = zip(*by_minute[start.to_pydatetime()], strict=True)
        assert (opened[0], max(high), min(low), close[-1], sum(volume)) == tuple(row[[*PRICES, "volume"]])
    assert set(traded["high"]) | set(traded["low"]) | set(traded["close"]) <= set(lasts)
