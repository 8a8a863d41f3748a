from __future__ import annotations

import json
from datetime import UTC, date, datetime

from trading_assets.broker.requests import OptionListingRequest, QuoteRequest
from trading_assets.instrument import Instrument
from trading_assets.planning.bars import LostOption, plan_equity_bars
from trading_assets.planning.estimate import Estimate, Pacing, assumed_expiries, estimate_cold, estimate_stage
from trading_assets.selection_rules import SelectionRules
from trading_assets.sessions import calendar

XNYS = calendar()
SESSION = date(2015, 12, 24)
NOW = datetime(2015, 12, 24, 21, 0, tzinfo=UTC)
AAPL = Instrument("AAPL", con_id=265598)


def test_a_planned_stage_is_exact_and_counts_by_kind() -> None:
    listing = OptionListingRequest(Instrument("AAPL", "OPT", last_trade="20151231"), SESSION)
    stage = estimate_stage(
        "option_chains", [listing, QuoteRequest(AAPL, SESSION), QuoteRequest(Instrument("SPY"), SESSION)], XNYS
    )
    assert stage.exact
    assert stage.requests == {"option_listing": 1, "quote": 2}
    assert stage.messages == 5


def test_small_bars_wait_for_their_window() -> None:
    sessions = XNYS.lookback(NOW, 170)
    requests = plan_equity_bars({"AAPL": (AAPL, sessions)}, {}, {}, "5 secs", NOW, XNYS)
    stage = estimate_stage("equity_bars", requests, XNYS)
    assert stage.total == len(sessions) > 57
    assert stage.seconds >= (len(sessions) - 57) / 57 * 600


def test_two_thousand_option_histories_take_what_the_limits_allow() -> None:
    requests = [
        r
        for i in range(2_000)
        for r in plan_equity_bars({"A": (Instrument("A", con_id=i), [SESSION])}, {}, {}, "8 hours", NOW, XNYS)
    ]
    stage = estimate_stage(
        "option_bars", requests, XNYS, pacing=Pacing(messages_per_second=50, open_history_requests=50)
    )
    assert 40 <= stage.seconds <= 44


def test_lost_sessions_are_told() -> None:
    lost = [LostOption(AAPL, SESSION, (SESSION, SESSION)), LostOption(AAPL, SESSION, (SESSION,))]
    estimate = Estimate((estimate_stage("option_bars", [], XNYS, lost=lost),))
    assert (estimate.requests, estimate.lost_sessions, estimate.stages[0].lost_contracts, estimate.minutes) == (
        0,
        3,
        2,
        0,
    )


def test_a_cold_start_is_estimated_and_says_so() -> None:
    estimate = estimate_cold("AAPL", NOW, 365, SelectionRules(), XNYS, bar_sizes=("1 day", "1 min"))
    contracts, chains, equity, options = estimate.stages
    assert contracts.total == 1
    assert contracts.exact
    assert equity.requests == {"bars": 1 + 12}
    assert equity.exact
    assert chains.requests == {"option_parameters": 1, "option_listing": 7, "quote": 7 * 40 + 1}
    assert not chains.exact
    assert options.total == 7 * 40
    assert not estimate.exact
    capped = estimate_cold("AAPL", NOW, 365, SelectionRules(max_contracts=25), XNYS)
    assert capped.stages[3].total == 25


def test_estimates_of_several_symbols_add_up_and_are_json() -> None:
    one = estimate_cold("AAPL", NOW, 30, SelectionRules(), XNYS)
    both = one + estimate_cold("SPY", NOW, 30, SelectionRules(), XNYS)
    assert [stage.dataset for stage in both.stages] == ["contracts", "option_chains", "equity_bars", "option_bars"]
    assert both.stages[0].total == 2
    assert both.minutes > one.minutes
    record = json.loads(json.dumps(both.as_dict()))
    assert record["requests"] == both.requests == sum(stage["requests"] for stage in record["stages"])


def test_usual_expiries_are_the_ends_of_weeks_or_every_session() -> None:
    weekly = assumed_expiries("AAPL", SESSION, SelectionRules(max_days_to_expiry=14), XNYS)
    assert weekly == [date(2015, 12, 24), date(2015, 12, 31)]
    assert len(assumed_expiries("SPY", SESSION, SelectionRules(max_days_to_expiry=14), XNYS)) == 9
