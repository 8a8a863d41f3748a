"""A cold start on recorded data: the lake holds what the source files say, row for row, for the fewest requests
possible."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd
import pytest

from trading_assets.jobs.orchestrator import Operation
from trading_assets_tests.scenarios.conftest import OpenDesk
from trading_assets_tests.scenarios.desk import Desk, at, planned, sent
from trading_assets_tests.scenarios.sources import PRICES, Sources

LOOKBACK = 365


@dataclass(frozen=True)
class Start:
    """A symbol, a moment and the session before it. Prices up to `adjusted_until` are multiplied with `factor`, volumes
    divided by it."""

    symbol: str
    now: str
    previous: date
    adjusted_until: date
    factor: float
    publishes_open_interest: bool = True

    @property
    def session(self) -> date:
        return at(self.now).date()


GOOG = Start("GOOG", "2015-12-24T13:30-05:00", date(2015, 12, 23), date(2015, 4, 24), 0.997307)
"""A half day. The dividend in shares of class C of 2015-04-27 restates what lies before it."""

AAPL = Start("AAPL", "2014-06-09T16:30-04:00", date(2014, 6, 6), date(2014, 6, 6), 1 / 7, publishes_open_interest=False)
"""The day of the 7:1 split: the open interest of that morning is still that of the contracts it has ended."""


@dataclass(frozen=True)
class Collected:
    """A finished cold start. `asked` are the questions that reached the simulator."""

    start: Start
    desk: Desk
    operation: Operation
    asked: dict[str, int]
    partial: int
    again: Operation
    asked_again: dict[str, int]
    third: Operation
    connections_of_third: int

    @property
    def first(self) -> date:
        return self.start.session - timedelta(days=LOOKBACK)


pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cold_start")]  # what they look at is collected once


@pytest.fixture(scope="module", params=[GOOG, AAPL], ids=["GOOG half day", "AAPL split day"])
def collected(request: pytest.FixtureRequest, open_desk: OpenDesk) -> Collected:
    start: Start = request.param
    desk = open_desk(start.now)
    operation = desk.setup(start.symbol, lookback_days=LOOKBACK)
    asked = desk.asked()
    desk.forget()
    partial = int(desk.rows("select count(*) as n from option_chains where quote_outcome = 'partial'")["n"][0])
    again = desk.setup(start.symbol, lookback_days=LOOKBACK)
    asked_again = desk.asked()
    desk.forget()
    third = desk.setup(start.symbol, lookback_days=LOOKBACK)
    return Collected(start, desk, operation, asked, partial, again, asked_again, third, desk.connections())


def test_it_is_complete(collected: Collected) -> None:
    assert collected.operation.success, (
        collected.operation.as_dict()["problems"] or collected.operation.as_dict()["errors"]
    )
    assert [report.dataset for run in collected.operation.runs for report in run.reports] == [
        "contracts",
        "option_chains",
        "equity_bars",
        "option_bars",
    ]


def test_daily_bars_are_those_of_the_source_adjusted_as_the_broker_does(collected: Collected, sources: Sources) -> None:
    start = collected.start
    expected = sources.equity_days(start.symbol, collected.first, start.session).astype(float)
    before = expected.index <= start.adjusted_until
    assert before.any(), "the factor must touch some of the sessions"
    assert not before.all(), "and leave others alone"
    expected.loc[before, PRICES] = (expected.loc[before, PRICES] * start.factor).round(6)
    expected.loc[before, "volume"] = (expected.loc[before, "volume"] / start.factor).round()
    stored = collected.desk.rows(f"select * from equity_bars where symbol = '{start.symbol}' and bar_size = '1 day'")
    found = stored.set_index(stored["session"])[[*PRICES, "volume"]].sort_index()
    assert list(found.index) == list(expected.index)
    pd.testing.assert_frame_equal(found, expected, check_names=False, check_index_type=False, rtol=1e-9, atol=1.1e-6)
    assert len(stored) == len(expected)


def test_the_listing_is_the_recorded_chain(collected: Collected, sources: Sources) -> None:
    start = collected.start
    expected = sources.chain(start.symbol, start.session, 45).set_index("osi").sort_index()
    stored = collected.desk.rows("select * from option_chains").set_index("local_symbol")
    assert set(stored["session"]) == {start.session}
    stored = stored.sort_index()[list(expected.columns)]
    pd.testing.assert_frame_equal(stored, expected, check_names=False, check_dtype=False)


def test_quotes_and_open_interest_are_the_recorded_ones(collected: Collected, sources: Sources) -> None:
    start = collected.start
    chosen = sources.selection(start.symbol, start.session, at(start.now))
    stored = collected.desk.rows("select * from option_chains where selected").set_index("local_symbol").sort_index()
    assert set(stored.index) == chosen
    lacking = stored[["delta", "open_interest"]].isna().any(axis=1) | stored[["bid", "ask"]].isna().all(axis=1)
    assert (stored["quote_outcome"] == lacking.map({True: "partial", False: "complete"})).all()
    assert 0 < lacking.sum() == collected.partial
    expected = sources.quotes(start.symbol, start.session, at(start.now), chosen).reindex(stored.index)
    pd.testing.assert_frame_equal(stored[["bid", "ask"]], expected, check_names=False)
    interest = sources.open_interest(start.symbol, start.session, start.previous).reindex(stored.index)
    assert interest.notna().any() == start.publishes_open_interest
    pd.testing.assert_series_equal(stored["open_interest"], interest, check_names=False)
    quoted = collected.desk.rows(
        "select count(*) as n from option_chains where not selected and quote_outcome is not null"
    )
    assert quoted["n"][0] == 0, "only selected contracts are quoted"


def test_option_days_are_the_sum_of_the_recorded_hours(collected: Collected, sources: Sources) -> None:
    start = collected.start
    chosen = sources.selection(start.symbol, start.session, at(start.now))
    expected = sources.option_days(start.symbol, chosen, collected.first, start.session)
    assert len(expected) > 100
    for bar_size in ("1 day", "8 hours"):
        stored = collected.desk.rows(f"select * from option_bars where bar_size = '{bar_size}'")
        found = (
            stored.assign(osi=stored["local_symbol"], date=stored["session"]).set_index(["osi", "date"]).sort_index()
        )
        pd.testing.assert_frame_equal(found[[*PRICES, "volume"]], expected, check_dtype=False, check_index_type=False)
    pd.testing.assert_frame_equal(
        expected,
        sources.recorded_option_days(start.symbol, chosen, collected.first, start.session),
        check_dtype=False,
        check_index_type=False,
    )


def test_contracts_without_a_trade_are_recorded_as_such(collected: Collected, sources: Sources) -> None:
    start = collected.start
    chosen = sources.selection(start.symbol, start.session, at(start.now))
    traded = len(sources.option_days(start.symbol, chosen, collected.first, start.session))
    conditions = collected.desk.conditions("dataset = 'option_bars'")
    assert conditions["complete"] == traded
    sessions = len(sources.equity_days(start.symbol, collected.first, start.session))
    assert conditions == {"complete": traded, "no_trades": len(chosen) * sessions - traded}


def test_requests_sent_are_the_plan_and_the_minimum(collected: Collected, sources: Sources) -> None:
    start = collected.start
    chosen = sources.selection(start.symbol, start.session, at(start.now))
    expiries = sources.chain(start.symbol, start.session, 45)["expiry"].nunique()
    minimum = {
        "contract": 1,
        "parameters": 1,
        "listing": expiries,
        "spot": 1,
        "quote": len(chosen),
        "equity bars": 1,
        "option bars": len(chosen),
    }
    assert collected.asked == minimum
    assert sent(collected.operation) == planned(collected.operation) == sum(minimum.values())


def test_the_same_again_asks_for_the_quotes_that_lack_a_value(collected: Collected) -> None:
    assert collected.again.success
    assert collected.asked_again == {"quote": collected.partial}
    assert planned(collected.again) == sent(collected.again) == collected.partial


def test_the_same_once_more_asks_nothing_and_does_not_even_connect(collected: Collected) -> None:
    assert collected.third.success
    assert planned(collected.third) == sent(collected.third) == 0
    assert collected.connections_of_third == 0
    saved = sum(report.saved for run in collected.third.runs for report in run.reports)
    assert saved == sum(collected.asked.values()), "what the first time cost"


def test_a_plan_after_it_holds_no_request(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    code, document = collected.desk.command(
        monkeypatch, "plan", collected.start.symbol, "--lookback-days", str(LOOKBACK)
    )
    assert code == 0
    assert (document["requests"], document["exact"]) == (0, True)
