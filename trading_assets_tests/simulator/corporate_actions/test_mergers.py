"""Renames, mergers and delistings on the generated market: symbols, contract ids, classes, and prices of what adjusted
contracts deliver."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from trading_assets.simulator.corporate_actions import ActionKind, CorporateAction, MarketWithMergers
from trading_assets.simulator.market import ContractQuery, ListedContract
from trading_assets_tests.simulator.generated.questions import new_york

ACTION = date(2024, 6, 6)
BEFORE, AFTER = new_york(date(2024, 6, 5), 15, 50), new_york(date(2024, 6, 7), 15, 50)
EXPIRY = "20240621"


def options(market: MarketWithMergers, symbol: str, now: datetime, **words: Any) -> list[ListedContract]:
    return market.contracts(ContractQuery(symbol=symbol, sec_type="OPT", last_trade=EXPIRY, **words), now)


def stock(market: MarketWithMergers, symbol: str, now: datetime) -> list[ListedContract]:
    return market.contracts(ContractQuery(symbol=symbol, sec_type="STK"), now)


def implied(market: MarketWithMergers, chain: list[ListedContract], now: datetime, near: float) -> float:
    """What quotes of calls and puts near the money say of the price of what they deliver."""
    [strike] = sorted({c.strike for c in chain}, key=lambda strike: abs(strike - near))[:1]
    of = {c.right: c for c in chain if c.strike == strike}
    call, put = market.quotes([of["C"], of["P"]], now)
    assert call.bid and call.ask and put.bid and put.ask
    return strike + (call.bid + call.ask - put.bid - put.ask) / 2


def test_a_rename_gives_options_the_new_root_under_the_same_ids() -> None:
    spin_off = CorporateAction("ABC", ACTION, ActionKind.SPIN_OFF, 0.93)
    rename = CorporateAction("ABC", ACTION, ActionKind.RENAME, new_symbol="XYZQ")
    market = MarketWithMergers([spin_off, rename])
    before, after = options(market, "ABC", BEFORE), options(market, "XYZQ", AFTER)
    assert {c.trading_class for c in after} == {"XYZQ", "XYZQ1"}
    followed = {c.con_id: c for c in after if c.trading_class == "XYZQ1"}
    assert followed.keys() == {c.con_id for c in before}
    one = before[0]
    assert followed[one.con_id].local_symbol == f"XYZQ1 {one.local_symbol[6:]}"
    assert market.contracts(ContractQuery(con_id=one.con_id), AFTER) == [followed[one.con_id]]
    assert options(market, "XYZQ", AFTER, trading_class="XYZQ1") == list(followed.values())
    assert options(market, "ABC", AFTER) == [] == stock(market, "ABC", AFTER)
    [under] = stock(market, "XYZQ", AFTER)
    parameters = market.option_parameters("XYZQ", "STK", under.con_id, AFTER)
    assert {one.trading_class for one in parameters} == {"XYZQ", "XYZQ1"}


def test_an_old_symbol_may_be_answered_with_the_contract_under_its_new_one() -> None:
    rename = CorporateAction("ABC", ACTION, ActionKind.RENAME, new_symbol="XYZQ", old_symbol_answers=True)
    market = MarketWithMergers([rename])
    [old], [new] = stock(market, "ABC", AFTER), stock(market, "XYZQ", AFTER)
    assert old == new and new.symbol == "XYZQ"
    assert market.option_parameters("ABC", "STK", new.con_id, AFTER) == market.option_parameters(
        "XYZQ", "STK", new.con_id, AFTER
    )


def test_after_a_merger_contracts_deliver_shares_and_cash_of_the_acquirer() -> None:
    merger = CorporateAction("PQR", ACTION, ActionKind.MERGER, new_symbol="STU", shares=0.3, cash=12.4)
    market = MarketWithMergers([merger])
    before = options(market, "PQR", BEFORE)
    [target], [acquirer] = stock(market, "PQR", BEFORE), stock(market, "STU", AFTER)
    assert stock(market, "PQR", AFTER) == [] == market.contracts(ContractQuery(con_id=target.con_id), AFTER)
    assert market.option_parameters("PQR", "STK", target.con_id, AFTER) == [] == market.search("PQR", AFTER)
    chain = options(market, "STU", AFTER)
    taken = [c for c in chain if c.trading_class == "STU1"]
    assert {c.con_id for c in taken} == {c.con_id for c in before if c.strike > 12.4}
    assert {(c.symbol, c.under_con_id, c.multiplier) for c in taken} == {("STU", acquirer.con_id, "100")}
    price = market.quote(acquirer, AFTER)
    assert price.bid and price.ask
    worth = 0.3 * (price.bid + price.ask) / 2 + 12.4
    assert implied(market, taken, AFTER, worth) == pytest.approx(worth, abs=0.15)
    usual = [c for c in chain if c.trading_class == "STU"]
    assert implied(market, usual, AFTER, price.bid) == pytest.approx(price.bid, abs=0.3)
    assert "STU1" in {one.trading_class for one in market.option_parameters("STU", "STK", acquirer.con_id, AFTER)}


def test_bars_of_a_target_option_go_on_over_the_merger() -> None:
    merger = CorporateAction("PQR", ACTION, ActionKind.MERGER, new_symbol="STU", shares=0.3, cash=12.4)
    market, plain = MarketWithMergers([merger]), MarketWithMergers([])
    [call] = options(plain, "PQR", BEFORE, strike=105.0, right="C")
    [now] = market.contracts(ContractQuery(con_id=call.con_id), AFTER)
    question = "8 hours", "TRADES", new_york(date(2024, 6, 3), 0, 0), new_york(date(2024, 6, 8), 0, 0), True, AFTER
    bars, before = market.bars(now, *question), plain.bars(call, *question)
    assert [bar for bar in bars if bar.session < ACTION] == [bar for bar in before if bar.session < ACTION] != []
    [stu] = stock(market, "STU", AFTER)
    closes = {bar.session: bar.close for bar in market.bars(stu, "1 day", *question[1:])}
    later = [bar for bar in bars if bar.session >= ACTION]
    assert later
    for bar in later:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.close >= 0.3 * closes[bar.session] + 12.4 - 105 - 2


def test_a_stock_bought_for_cash_leaves_nothing_and_a_delisted_one_its_options() -> None:
    bought = CorporateAction("JKL", ACTION, ActionKind.MERGER, cash=108.0)
    market = MarketWithMergers([bought, CorporateAction("KLM", ACTION, ActionKind.DELISTING)])
    for symbol, left in (("JKL", False), ("KLM", True)):
        before = options(market, symbol, BEFORE)[0]
        assert stock(market, symbol, BEFORE) and stock(market, symbol, AFTER) == []
        assert bool(market.contracts(ContractQuery(con_id=before.con_id), AFTER)) is left
        assert market.option_parameters(symbol, "STK", before.under_con_id, AFTER) == []


def test_a_party_to_a_merger_has_no_other_action() -> None:
    merger = CorporateAction("PQR", ACTION, ActionKind.MERGER, new_symbol="STU", shares=0.3)
    with pytest.raises(ValueError, match="STU is a party to a merger"):
        MarketWithMergers([merger, CorporateAction("STU", ACTION, ActionKind.SPLIT, 0.5)])
