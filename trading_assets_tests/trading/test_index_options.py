"""Positions in options on an index: European, marked by the recorder's quotes, repriced on their forward; everything
over the wire."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from trading_assets.pricing import black_scholes
from trading_assets.pricing.exercise import ExerciseStyle
from trading_assets.repositories import query
from trading_assets.settings import Settings
from trading_assets.simulator import Simulator
from trading_assets.streaming import LiveDataManager
from trading_assets.streaming.process import RecorderProcess
from trading_assets.trading import PositionManager
from trading_assets.trading.valuing import MarkSource, PositionGreeks
from trading_assets_tests.observing import eventually
from trading_assets_tests.rewriting import collect
from trading_assets_tests.trading.desk import FIRST, MARKET, held

NOW = datetime.fromisoformat("2024-01-02T11:00-05:00")
CHOSEN = """select con_id, strike, "right", local_symbol, underlying_price, market_data_type from option_chains
            where symbol = 'SPX' and selected and bid > 0
            order by abs(strike - underlying_price), expiry, strike, "right" """


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Simulator, list[dict[str, object]]]]:
    """A lake with a chain of SPX of which a recorder streams the options nearest the money, and an account that holds
    a straddle of the nearest."""
    folder: Path = tmp_path_factory.mktemp("index") / "lake"
    with Simulator(MARKET, now=NOW, limits=False) as tws:
        settings = Settings(  # type: ignore[call-arg]
            data_dir=folder, ib_port=tws.port, now=NOW, enforce_pacing=False, live_lines=20, quote_quiet_time=0.1
        )
        collect(settings, ["SPX"], steps="ch", rules={"max_days_to_expiry": 2, "strikes_around_spot": 3})
        nearest = query(folder, CHOSEN).to_pylist()
        straddle = [row for row in nearest if row["strike"] == nearest[0]["strike"]][:2]
        assert {row["right"] for row in straddle} == {"C", "P"}
        (account,) = held(
            {FIRST: [(row["con_id"], quantity, 2_000.0) for row, quantity in zip(straddle, (2, -1), strict=True)]}
        )
        running = RecorderProcess(settings)
        thread = threading.Thread(target=running.run, daemon=True)
        with Simulator(MARKET, now=NOW, accounts=[account], limits=False) as desk, LiveDataManager(settings) as manager:
            manager._keeper.add({"SPX": 8})  # it is wanted: the recorder here is the one that records
            thread.start()
            assert manager.start_streaming("SPX", options=8).states.get("live", 0) >= 9
            yield settings.model_copy(update={"ib_port": desk.port}), tws, straddle
        running.end()
        thread.join(30)
        assert not thread.is_alive() and not tws.counters.internal_errors


def valued(settings: Settings) -> list[PositionGreeks]:
    with PositionManager(settings) as manager:
        return manager.greeks(manager.get_active_positions())


def test_the_marks_are_the_recorders_quotes_and_the_model_is_european(
    streamed: tuple[Settings, Simulator, list[dict[str, object]]],
) -> None:
    settings, _, straddle = streamed
    found = eventually(lambda: [one for one in valued(settings) if one.source is MarkSource.LIVE])
    assert {one.position.con_id for one in found} == {row["con_id"] for row in straddle}
    for one in found:
        assert (one.model, one.null_reason) == ("black_76", None) and one.pricing is not None
        assert one.pricing.style is ExerciseStyle.EUROPEAN and one.pricing.schedule == ()
        assert 0.02 < one.implied_volatility < 1 and one.gamma > 0 > one.theta
        assert one.underlying_price == pytest.approx(straddle[0]["underlying_price"], rel=0.01)
    call, put = (next(one for one in found if one.position.right == right) for right in "CP")
    assert call.delta - put.delta == pytest.approx(1, abs=0.01), "parity: the forward is theirs"


def test_a_scenario_prices_them_on_the_forward(
    streamed: tuple[Settings, Simulator, list[dict[str, object]]],
) -> None:
    settings, _, _ = streamed
    with PositionManager(settings) as manager:
        positions = manager.greeks(manager.get_active_positions())
        frame = manager.scenario(spot=[-0.05, 0.0, 0.05], volatility=[0.0, 0.1]).set_index(["spot", "volatility"])
    assert set(frame["lacking"]) == {0} and set(frame["positions"]) == {2}
    assert frame.loc[(0.0, 0.0), "value"] == pytest.approx(sum(one.units * one.mark for one in positions), abs=1.0)
    for move, shift in ((-0.05, 0.1), (0.05, 0.0)):
        worth = 0.0
        for one in positions:
            assert one.pricing is not None
            worth += one.units * black_scholes.price(
                one.underlying_price * (1 + move), one.position.strike, one.pricing.years,
                one.implied_volatility + shift, one.position.right, one.pricing.rate, one.pricing.dividend_yield,
            )  # fmt: skip
        assert frame.loc[(move, shift), "value"] == pytest.approx(worth)
    up, down = frame.loc[(0.05, 0.0), "pnl"], frame.loc[(-0.05, 0.0), "pnl"]
    assert up > 0 and down != up, "two calls against one put"
