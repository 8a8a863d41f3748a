"""Which options delivered the shares that moved."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading_assets.trading.assignments import GoneOption, ShareMove, delivered

SHORT_PUT = GoneOption(1, "P", 50.0, 100.0, -2.0, 1.5, True, True)
SHORT_CALL = GoneOption(2, "C", 55.0, 100.0, -1.0, 0.8, True, True)


def bought(shares: float, price: float, before: float = 0.0, cost: float | None = None) -> ShareMove:
    total = shares * price + before * (cost or 0.0)
    return ShareMove(before, before + shares, cost, total / (before + shares))


@pytest.mark.parametrize(
    ("right", "contracts", "shares"), [("P", -2, 200), ("P", 2, -200), ("C", -2, -200), ("C", 2, 200)]
)
def test_calls_bring_shares_to_their_holder_and_puts_take_them(right: str, contracts: float, shares: float) -> None:
    option = replace(SHORT_PUT, right=right, contracts=contracts)
    assert option.delivery == shares
    assert delivered([option], ShareMove(0, shares, None, 50.0)) == [(option, 2)]


def test_the_price_must_be_the_strike_with_or_without_the_premium() -> None:
    assert delivered([SHORT_PUT], bought(200, 50.0)) == [(SHORT_PUT, 2)]
    assert delivered([SHORT_PUT], bought(200, 48.5)) == [(SHORT_PUT, 2)], "strike less premium"
    assert delivered([SHORT_PUT], bought(200, 50.0, before=300, cost=41.0)) == [(SHORT_PUT, 2)]
    assert delivered([SHORT_PUT], bought(200, 50.015)) == [(SHORT_PUT, 2)], "with a commission"
    for traded in (46.0, 49.9, 50.1):
        assert delivered([SHORT_PUT], bought(200, traded)) == [], "bought in the market"
    assert delivered([SHORT_PUT], bought(150, 50.0)) == [], "another number of shares"


def test_shares_that_are_called_away_leave_no_price() -> None:
    assert delivered([SHORT_CALL], ShareMove(100, 0, 40.0, None)) == [(SHORT_CALL, 1)]
    assert delivered([SHORT_CALL], ShareMove(300, 200, 40.0, 40.0)) == [(SHORT_CALL, 1)]
    early = replace(SHORT_CALL, expired=False)
    assert delivered([early], ShareMove(100, 0, 40.0, None)) == [(early, 1)], "it paid to exercise"
    for moneyness in (False, None):
        traded = replace(early, in_the_money=moneyness)
        assert delivered([traded], ShareMove(100, 0, 40.0, None)) == [], "two trades"


def test_of_several_the_ones_in_the_money_were_exercised() -> None:
    worthless = replace(SHORT_PUT, con_id=3, strike=45.0, in_the_money=False)
    assert delivered([worthless, SHORT_PUT], ShareMove(0, 200, None, 50.0)) == [(SHORT_PUT, 2)]
    both = delivered([SHORT_PUT, SHORT_CALL], ShareMove(0, 100, None, 47.0))
    assert both == [], "neither price nor parts fit"
    assert delivered([SHORT_PUT, SHORT_CALL], bought(100, 45.0)) == [(SHORT_PUT, 2), (SHORT_CALL, 1)]


def test_some_of_the_contracts_may_be_assigned() -> None:
    pinned = replace(SHORT_PUT, contracts=-5.0, in_the_money=None)
    assert delivered([pinned], bought(300, 50.0)) == [(pinned, 3)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("CP"), st.integers(-400, 400).filter(bool)), min_size=1, max_size=30))
def test_whatever_is_delivered_adds_up(legs: list[tuple[str, int]]) -> None:
    options = [
        GoneOption(number, right, 50.0 + number, 100.0, float(contracts), None, True, True)
        for number, (right, contracts) in enumerate(legs)
    ]
    moved = sum(option.delivery for option in options)
    found = delivered(options, ShareMove(0.0, moved, None, None))
    added = sum(option.delivery * count / abs(option.contracts) for option, count in found)
    assert added == pytest.approx(moved) and (found or not moved)
