"""A bar that was rejected is requested again of the broker; the rejected value, when it comes back, is held anew."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from trading_assets.repositories import ParquetStore
from trading_assets.repositories.schemas import EQUITY_BARS
from trading_assets.simulator import Simulator
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.validation import Reviews, validate
from trading_assets_tests.scenarios.desk import SMALL, Desk, at

BEFORE, AFTER = at("2025-11-17T16:40-05:00"), date(2025, 11, 17)


@pytest.mark.slow
def test_the_same_value_after_a_rejection_is_held_again(tmp_path: Path) -> None:
    with Simulator(GeneratedMarket(seed=42), now=BEFORE, limits=False) as simulator:
        desk = Desk(tmp_path, simulator, options=SMALL)
        assert desk.setup("AAPL", lookback_days=60).success
        assert validate(desk.settings).failing() == (), "a freshly collected market is accused of nothing"
        store = ParquetStore(tmp_path)
        newest = desk.rows("select * from equity_bars where symbol = 'AAPL' and session = date '2025-11-17'").iloc[0]
        true_close = float(newest["close"])
        bad = store.read(EQUITY_BARS, first=AFTER, last=AFTER).to_pylist()
        for row in bad:
            row.update(close=row["low"] * 0.5, low=row["low"] * 0.5)
        store.upsert(EQUITY_BARS, pa.Table.from_pylist(bad, schema=EQUITY_BARS.schema))
        validate(desk.settings)
        assert [held.symbol for held in Reviews(desk.settings).held()] == ["AAPL"]
        Reviews(desk.settings).reject("AAPL", AFTER)
        assert desk.rows("select * from equity_bars where symbol = 'AAPL' and session = date '2025-11-17'").empty
        desk.forget()
        assert desk.update("AAPL").success
        assert desk.asked().get("equity bars") == 1, "the broker is asked for it, the journal is not believed"
        assert (
            float(
                desk.rows("select close from equity_bars where symbol = 'AAPL' and session = date '2025-11-17'")[
                    "close"
                ][0]
            )
            == true_close
        )
        assert validate(desk.settings).result("spike").passed and Reviews(desk.settings).held() == []

        store.upsert(EQUITY_BARS, pa.Table.from_pylist(bad, schema=EQUITY_BARS.schema))
        validate(desk.settings)
        assert [held.close for held in Reviews(desk.settings).held()] == [bad[0]["close"]], (
            "the verdict was about the bar that was there"
        )
