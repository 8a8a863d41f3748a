"""Which options are streamed when the price moves: those nearest the money, without going to and fro."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.simulator import Simulator
from trading_assets.simulator.market import ListedContract, MarketQuote
from trading_assets.streaming.health import StreamState, Subscription
from trading_assets.streaming.nearest import Nearest
from trading_assets.streaming.updates import GapReason
from trading_assets_tests.streaming.recording import QUICK, Recording, recording, run
from trading_assets_tests.streaming.test_known_values import Altered


def listed(strike: float, right: str = "C", *, selected: bool = True) -> dict[str, Any]:
    con_id = round(strike * 100) + (right == "P")
    terms = {"trading_class": "AAA", "expiry": date(2024, 6, 21), "last_trade": "20240621", "multiplier": 100.0}
    return {"con_id": con_id, "strike": strike, "right": right, "selected": selected, **terms}


CHAIN = [listed(strike, right, selected=90 <= strike <= 110) for strike in range(50, 155, 5) for right in "CP"]


def strikes(nearest: Nearest, count: int) -> list[float]:
    rows = nearest.choose("AAA", CHAIN, 100.0, count)
    assert len(rows) == count
    return sorted({row["strike"] for row in rows})


@pytest.mark.parametrize("count", [2, 6, 10])
def test_a_price_that_goes_to_and_fro_changes_nothing(count: int) -> None:
    nearest = Nearest()
    assert not nearest.follow({"AAA": 130.0}), "nothing is chosen yet"
    strikes(nearest, count)
    for price in (102.6, 97.4, 104.9, 95.1, 100.0):
        assert not nearest.follow({"AAA": price})


def test_far_away_the_strikes_of_there_are_chosen_and_again_not_before_the_price_has_moved_as_far() -> None:
    nearest = Nearest()
    assert strikes(nearest, 10) == [90, 95, 100, 105, 110]
    assert nearest.follow({"AAA": 131.0, "BBB": 5.0})
    assert strikes(nearest, 10) == [120, 125, 130, 135, 140], "also those that the chain did not select"
    for price in (136.0, 126.0, 131.0):
        assert not nearest.follow({"AAA": price})
    assert nearest.follow({"AAA": 100.0})
    assert strikes(nearest, 10) == [90, 95, 100, 105, 110]


def test_a_chain_of_one_strike_is_never_chosen_anew() -> None:
    nearest = Nearest()
    assert nearest.choose("AAA", [listed(100.0)], 100.0, 2) == [listed(100.0)]
    assert not nearest.follow({"AAA": 500.0})
    assert nearest.choose("BBB", [], 100.0, 2) == [] and not nearest.follow({"BBB": 500.0})


class Moving(Altered):
    """The tiny market with another price of AAA."""

    def __init__(self, price: float) -> None:
        super().__init__()
        self.price = price
        self.alter = self._moved

    def _moved(self, contract: ListedContract, quote: MarketQuote) -> MarketQuote:
        moved = contract.symbol == "AAA" and contract.sec_type == "STK"
        return replace(quote, bid=self.price - 0.01, ask=self.price + 0.01) if moved else quote


def options(one: Recording) -> set[str]:
    return {health.contract for health in one.health if health.state is StreamState.LIVE and " " in health.contract}


def of(strike: int) -> set[str]:
    return {f"AAA 2024-06-21 {strike} {right}" for right in "CP"}


def test_the_recorder_follows_the_price_and_gives_lines_back(lake: Path, simulate: Callable[..., Simulator]) -> None:
    """A gap says from when on the farther options are not looked at; wanted again, their streams go on."""
    market = Moving(100.0)
    tws = simulate(market)
    quick = replace(QUICK, follow_seconds=0.1)

    def move(price: float) -> datetime:
        market.price = price
        tws.clock.advance(5)
        return tws.clock.now()

    async def work() -> None:
        async with recording(lake, tws, Subscription("AAA", 2), timing=quick, live_lines=4) as one:
            await one.until(lambda: options(one) == of(100))
            asked = one.asked()
            for price in (104.0, 97.0, 104.5):
                at = move(price)
                await one.until(lambda at=at: any(row.received_at == at for row in one.writer.quotes))
            assert one.asked() == asked
            moved = move(106.0)
            await one.until(lambda: options(one) == of(105))
            (gap,) = one.writer.gaps_of(108)
            assert (gap.reason, gap.began, gap.ended) == (GapReason.RECORDER_STOPPED, moved, None)
            assert "nearer the money" in gap.text
            await one.until(lambda: tws.counters.open_now["lines"] == 4)
            assert one.asked() == asked + 2 and one.of("AAA").resubscriptions == 0
            back = move(99.0)
            await one.until(lambda: options(one) == of(100))
            assert one.writer.gaps_of(108)[0].ended == back
        assert tws.counters.open_max["lines"] == 4

    run(work())
