"""A recorded half day, 2015-12-24, replayed to a recorder: what it keeps is what was recorded, and ends at 13:00."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from trading_assets.repositories import ContractRepository, LakeIdentity
from trading_assets.simulator import Simulator
from trading_assets.simulator.market import ContractQuery
from trading_assets.simulator.recorded import RecordedMarket
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.updates import BarUpdate, GapReason, QuoteUpdate
from trading_assets_tests.streaming.recording import recording, run
from trading_assets_tests.streaming.tiny_lake import contract_rows

OPEN = datetime.fromisoformat("2015-12-24T09:30-05:00")
CLOSE = datetime.fromisoformat("2015-12-24T13:00-05:00")
LAST_MINUTES = timedelta(minutes=15)
PRICES = ["open", "high", "low", "close"]


@pytest.fixture(scope="module")
def market(recorded_market: Path) -> RecordedMarket:
    return RecordedMarket(recorded_market)


@pytest.fixture(scope="module")
def minutes(recorded_market: Path) -> pd.DataFrame:
    """The recorded minutes of GOOG, by start."""
    rows = pd.read_parquet(recorded_market / "equity_bars_minute.parquet").query("symbol == 'GOOG'")
    return rows[(rows["ts_utc"] >= OPEN) & (rows["ts_utc"] < CLOSE)].set_index("ts_utc")


@pytest.fixture
def goog_lake(market: RecordedMarket, tmp_path: Path) -> Path:
    """A lake that knows GOOG."""
    LakeIdentity(tmp_path).pin(f"simulated/{market.name}/{market.identity}")
    stock = market.contracts(ContractQuery(symbol="GOOG"), OPEN)
    ContractRepository(data_dir=tmp_path).save(contract_rows(stock, date(2015, 12, 24), OPEN))
    return tmp_path


def minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def candle(prices: list[float]) -> list[float]:
    return [prices[0], max(prices), min(prices), prices[-1]]


def test_the_bars_of_a_day_at_speed(goog_lake: Path, market: RecordedMarket, minutes: pd.DataFrame) -> None:
    stored: dict[datetime, list[BarUpdate]] = defaultdict(list)

    async def work() -> None:
        with Simulator(market, now=OPEN - timedelta(minutes=1)) as tws:
            async with recording(goog_lake, tws, Subscription("GOOG"), now=OPEN) as one:
                await one.until_state("GOOG", StreamState.FROZEN)  # before the open
                await one.until(lambda: tws.counters.requests.get("realtime_bars"))
                tws.clock.run(1000)
                await one.until(lambda: one.of("GOOG").state is StreamState.LIVE)
                await one.until(lambda: one.writer.bars and one.writer.bars[-1].start >= CLOSE - timedelta(seconds=5))
                await one.until(lambda: tws.clock.now() > CLOSE + timedelta(minutes=5))
                tws.clock.pin()
            assert not tws.counters.internal_errors
            gaps = one.writer.gaps_of(one.writer.bars[0].con_id, "b")
            assert [gap.reason for gap in gaps] == [GapReason.RECORDER_STOPPED]
            for bar in one.writer.bars:
                stored[minute(bar.start)].append(bar)

    run(work())
    assert min(stored) == OPEN
    assert max(bar.start for bars in stored.values() for bar in bars) == CLOSE - timedelta(seconds=5)
    traded = minutes[minutes["volume"] > 0]
    for start, row in traded.iterrows():
        bars = [bar for bar in stored.pop(start.to_pydatetime()) if bar.volume]
        found = [bars[0].open, max(bar.high for bar in bars), min(bar.low for bar in bars), bars[-1].close]
        assert found == row[PRICES].tolist()
        assert sum(bar.volume or 0 for bar in bars) == row["volume"]
    assert not [bar for bars in stored.values() for bar in bars if bar.volume]


def test_the_quotes_of_the_last_minutes(goog_lake: Path, market: RecordedMarket, minutes: pd.DataFrame) -> None:
    begin = CLOSE - LAST_MINUTES
    stock = market.contracts(ContractQuery(symbol="GOOG"), begin)
    moments = market.quote_changes(begin, CLOSE - timedelta(seconds=1))
    shown = [market.quotes(stock, moment)[0] for moment in moments]
    stored: list[QuoteUpdate] = []

    async def work() -> None:
        with Simulator(market, now=begin) as tws:
            async with recording(goog_lake, tws, Subscription("GOOG"), now=begin) as one:
                await one.until_state("GOOG", StreamState.LIVE)
                for moment, quote in zip(moments, shown, strict=True):
                    tws.clock.set(moment)
                    state = (quote.bid, quote.ask, quote.last, quote.bid_size, quote.ask_size)
                    await one.until(lambda state=state: one.writer.quotes[-1][5:10] == state)
            stored.extend(one.writer.quotes)

    run(work())
    seen: dict[datetime, list[QuoteUpdate]] = defaultdict(list)
    for moment in moments:  # the quote in force then
        seen[minute(moment)].append([update for update in stored if update.received_at <= moment][-1])
    quoted = minutes[minutes.index >= pd.Timestamp(begin)]
    assert sorted(seen) == [start.to_pydatetime() for start in quoted.index]
    for start, row in quoted.iterrows():
        updates = seen[start.to_pydatetime()]
        for side in ("bid", "ask"):
            assert (
                candle([getattr(update, side) for update in updates]) == row[[f"{side}_{n}" for n in PRICES]].tolist()
            )
            assert getattr(updates[-1], f"{side}_size") == row[f"{side}_size"]
        if row["volume"] > 0:
            assert candle([update.last or 0 for update in updates]) == row[PRICES].tolist()
            assert updates[-1].last_trade_at is not None
            assert minute(updates[-1].last_trade_at) == start
