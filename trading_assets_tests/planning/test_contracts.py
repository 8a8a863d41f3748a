from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from trading_assets.instrument import Instrument
from trading_assets.planning.contracts import plan_contracts

SESSION = date(2015, 12, 24)
NOW = datetime(2015, 12, 24, 18, 30, tzinfo=UTC)
WORDS = [Instrument("GOOG"), Instrument("AAPL"), Instrument("SPX", "IND", "CBOE")]


def test_a_new_symbol_costs_one_request_and_a_verified_one_none() -> None:
    verified = {"AAPL": NOW - timedelta(days=6), "SPX": NOW - timedelta(days=7)}
    plan = plan_contracts(WORDS, verified, NOW, SESSION)
    assert [request.symbol for request in plan.requests] == ["GOOG", "SPX"]
    assert plan.carried == ["AAPL"]


def test_age_counts_new_york_dates_so_that_the_same_weekday_verifies_again() -> None:
    verified = {"GOOG": datetime(2015, 12, 17, 21, 0, tzinfo=UTC)}
    assert plan_contracts(WORDS[:1], verified, NOW, SESSION).requests
    assert not plan_contracts(
        WORDS[:1], verified, datetime(2015, 12, 24, 4, 0, tzinfo=UTC), date(2015, 12, 23)
    ).requests


def test_settled_symbols_are_left_alone_unless_refreshed() -> None:
    plan = plan_contracts(WORDS, {}, NOW, SESSION, settled={"AAPL", "SPX"})
    assert [request.symbol for request in plan.requests] == ["GOOG"]
    assert plan.carried == []
    again = plan_contracts(WORDS, {"AAPL": NOW}, NOW, SESSION, settled={"AAPL"}, refresh=True)
    assert [request.symbol for request in again.requests] == ["AAPL", "GOOG", "SPX"]


def test_a_symbol_named_twice_is_asked_for_once() -> None:
    assert len(plan_contracts([*WORDS, *WORDS], {}, NOW, SESSION).requests) == 3
