"""Corporate actions on the generated market: what was traded, what is restated and when, quotes, symbols."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from trading_assets.simulator.corporate_actions import (
    ActionKind,
    ActionsError,
    CorporateAction,
    MarketWithActions,
    read_actions,
)
from trading_assets.simulator.generated import GeneratedMarket
from trading_assets.simulator.market import Bar, ContractQuery
from trading_assets_tests.simulator.generated.questions import new_york

FIRST, LAST = date(2024, 5, 28), date(2024, 6, 12)
ACTION = date(2024, 6, 6)
PLAIN = GeneratedMarket(42)


def days(market: GeneratedMarket, today: date, symbol: str = "ABC", what: str = "TRADES") -> dict[date, Bar]:
    now = new_york(today, 16, 30)
    [contract] = market.contracts(ContractQuery(symbol=symbol, sec_type="STK"), now)
    start, end = new_york(FIRST, 0, 0), new_york(LAST, 20, 0)
    return {bar.session: bar for bar in market.bars(contract, "1 day", what, start, end, True, now)}


def action(kind: ActionKind, ratio: float, **more: object) -> CorporateAction:
    return CorporateAction("ABC", ACTION, kind, ratio, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "ratio", "shares"),
    [
        (ActionKind.SPLIT, 0.25, 4),
        (ActionKind.REVERSE_SPLIT, 20.0, 0.05),
        (ActionKind.STOCK_DIVIDEND, 1 / 1.05, 1.05),
        (ActionKind.SPIN_OFF, 0.9137, 1),
    ],
)
def test_history_is_restated_from_the_first_session_on(kind: ActionKind, ratio: float, shares: float) -> None:
    plain, market = days(PLAIN, LAST), MarketWithActions([action(kind, ratio)])
    before = days(market, date(2024, 6, 5))
    assert before == {day: bar for day, bar in plain.items() if day < ACTION}, "nothing is known of it the day before"
    for day, bar in days(market, ACTION).items():
        assert bar.close == pytest.approx(round(plain[day].close * ratio, 2), abs=0.011)
        assert bar.volume == pytest.approx(plain[day].volume * shares, abs=1)
        assert bar.low <= min(bar.open, bar.close, bar.wap) <= max(bar.open, bar.close, bar.wap) <= bar.high


def test_a_restatement_may_come_late_and_in_parts_and_leave_sessions_out() -> None:
    late = action(ActionKind.SPLIT, 0.25, lag=1, parts=3, part_sessions=2, left_out=1)
    market, plain = MarketWithActions([late]), days(PLAIN, LAST)

    def old(today: date) -> list[int]:
        return [day.day for day, bar in days(market, today).items() if day < ACTION and bar.close == plain[day].close]

    everything = [28, 29, 30, 31, 3, 4, 5]
    assert old(ACTION) == everything, "one session late"
    assert [old(date(2024, 6, day)) for day in (7, 10, 11, 12)] == [everything[2:], [3, 4, 5], [5], [5]]
    assert days(market, LAST)[ACTION].close == pytest.approx(plain[ACTION].close / 4, abs=0.006)


def test_a_special_dividend_is_a_gap_that_only_adjusted_prices_close() -> None:
    market, plain = MarketWithActions([action(ActionKind.SPECIAL_DIVIDEND, 0.9)]), days(PLAIN, LAST)
    before, after = date(2024, 6, 5), ACTION
    trades, adjusted = days(market, LAST), days(market, LAST, what="ADJUSTED_LAST")
    assert trades[before] == plain[before]
    assert trades[after].close == adjusted[after].close == pytest.approx(plain[after].close * 0.9, abs=0.006)
    assert adjusted[before].close == pytest.approx(plain[before].close * 0.9, abs=0.006)
    assert trades[after].volume == plain[after].volume


def test_actions_follow_each_other_and_quotes_are_at_the_prices_of_the_day() -> None:
    second = CorporateAction("ABC", date(2024, 6, 10), ActionKind.REVERSE_SPLIT, 10.0, digits=4)
    market = MarketWithActions([second, action(ActionKind.SPLIT, 0.5)])
    plain, now = days(PLAIN, LAST), new_york(LAST, 16, 30)
    for day, bar in days(market, LAST).items():
        assert bar.close == pytest.approx(plain[day].close * 5, abs=0.051)
    [contract] = market.contracts(ContractQuery(symbol="ABC", sec_type="STK"), now)
    quote, own = market.quote(contract, now), PLAIN.quote(contract, now)
    assert quote.bid == pytest.approx(own.bid * 5)  # type: ignore[operator]
    assert quote.volume == pytest.approx(own.volume / 5, abs=1)  # type: ignore[operator]


def test_a_renamed_stock_keeps_its_contract_and_history() -> None:
    rename = CorporateAction("ABC", ACTION, ActionKind.RENAME, new_symbol="XYZQ")
    market = MarketWithActions([rename, action(ActionKind.SPLIT, 0.5)])
    [old] = market.contracts(ContractQuery(symbol="ABC", sec_type="STK"), new_york(date(2024, 6, 5), 12, 0))
    now = new_york(ACTION, 16, 30)
    [new] = market.contracts(ContractQuery(symbol="XYZQ", sec_type="STK"), now)
    assert market.contracts(ContractQuery(symbol="ABC", sec_type="STK"), now) == []
    assert (new.con_id, new.symbol, new.local_symbol) == (old.con_id, "XYZQ", "XYZQ")
    assert days(market, ACTION, "XYZQ") == days(MarketWithActions([action(ActionKind.SPLIT, 0.5)]), ACTION)
    assert market.option_parameters("XYZQ", "STK", new.con_id, now)
    assert {option.symbol for option in market.contracts(ContractQuery(symbol="XYZQ", sec_type="OPT"), now)} == {"XYZQ"}


def test_actions_are_read_from_a_file(tmp_path: Path) -> None:
    record = {"symbol": "ABC", "session": "2024-06-06", "kind": "split", "price_ratio": 0.25, "lag": 1}
    path = tmp_path / "actions.json"
    path.write_text(json.dumps([record]))
    assert read_actions(path) == [action(ActionKind.SPLIT, 0.25, lag=1)]
    wrong = (
        {"kind": "merger"},
        {"shares": 0.3},
        {"cash": 5},
        {"kind": "delisting"},
        {"ratio": 2},
        {"price_ratio": 0},
        {"price_ratio": "x"},
        {"session": "6 June"},
    )
    for change in (*wrong, {"new_symbol": "XYZ"}):
        path.write_text(json.dumps([{**record, **change}]))
        with pytest.raises(ActionsError, match="Action 1 of"):
            read_actions(path)
    path.write_text("{}")
    with pytest.raises(ActionsError, match="not a JSON list"):
        read_actions(path)
    with pytest.raises(ActionsError, match="cannot be read"):
        read_actions(tmp_path / "nowhere.json")
    with pytest.raises(ValueError, match="no session"):
        MarketWithActions([CorporateAction("ABC", date(2024, 6, 8), ActionKind.SPLIT, 0.5)])
