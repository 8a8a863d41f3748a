"""What changed between two looks, row by row."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from trading_assets.sessions import calendar
from trading_assets.trading.changes import changes_between

FRIDAY = date(2024, 1, 5)
BEFORE = datetime(2024, 1, 5, 20, 45, tzinfo=UTC)
AFTER = datetime(2024, 1, 8, 20, 45, tzinfo=UTC)


def shares(quantity: float, cost: float | None = 60.0, **changes: Any) -> dict[str, Any]:
    return {
        **{"at": BEFORE, "account": "U1234567", "con_id": 1, "symbol": "AAPL", "sec_type": "STK"},
        **{"local_symbol": "AAPL", "trading_class": "NMS", "expiry": None, "strike": None, "right": None},
        **{
            "multiplier": 1.0,
            "currency": "USD",
            "quantity": quantity,
            "average_cost": cost,
            "underlying_price": 68.0,
            "mark_age": 0.0,
        },
        **changes,
    }


def option(quantity: float, right: str = "C", strike: float = 65.0, **changes: Any) -> dict[str, Any]:
    terms = {"sec_type": "OPT", "expiry": FRIDAY, "strike": strike, "right": right, "multiplier": 100.0}
    return shares(quantity, 150.0, con_id=2, trading_class="AAPL", **terms) | changes


def changes(
    before: list[dict[str, Any]], after: list[dict[str, Any]], *, at: datetime = AFTER, close: float | None = 68.0
) -> dict[int, tuple[str, str]]:
    found = changes_between(
        before or [shares(0, con_id=0)],
        after or [shares(0, con_id=0)],
        at=at,
        session=at.date(),
        calendar=calendar(),
        close=lambda symbol, session: close if (symbol, session) == ("AAPL", FRIDAY) else None,
    )
    assert all(row["since"] == BEFORE and row["at"] == at and row["reason"].endswith(".") for row in found)
    return {row["con_id"]: (row["change"], row["reason"]) for row in found}


def kinds(*given: Any, **more: Any) -> dict[int, str]:
    return {con_id: change for con_id, (change, _) in changes(*given, **more).items()}


def test_trades() -> None:
    assert kinds([], [shares(100)]) == {1: "opened"}
    assert kinds([shares(100)], [shares(150, 61.0)]) == {1: "changed"}
    assert kinds([shares(100)], [shares(-50, 70.0)]) == {1: "changed"}
    assert kinds([shares(100)], []) == {1: "closed"}
    assert kinds([shares(100), option(1)], [shares(100), option(1)]) == {}
    assert kinds([option(2, expiry=date(2024, 2, 16))], [option(1, expiry=date(2024, 2, 16))]) == {2: "changed"}
    assert kinds([option(2, expiry=date(2024, 2, 16))], []) == {2: "closed"}


def test_out_of_the_money_options_expire() -> None:
    assert kinds([option(-3, strike=70.0)], []) == {2: "expired"}
    assert kinds([option(-3, strike=68.0)], []) == {2: "expired"}, "at the money to the cent: not exercised"
    assert kinds([option(-3, strike=70.0)], [], at=datetime(2024, 1, 5, 20, 50, tzinfo=UTC)) == {2: "closed"}


def test_without_the_close_the_last_price_of_the_session_decides_unless_it_was_near_the_strike() -> None:
    assert kinds([option(-3, strike=65.0)], [], close=None) == {2: "unexplained"}
    assert kinds([option(-3, strike=67.8)], [], close=None) == {2: "expired"}, "it may have fallen below"
    for of_an_earlier_session in ({"mark_age": 86_400.0}, {"mark_age": None}, {"underlying_price": None}):
        assert kinds([option(-3, strike=65.0, **of_an_earlier_session)], [], close=None) == {2: "expired"}


@pytest.mark.parametrize(
    ("gone", "before", "after"),
    [
        (option(-1), 100, []),
        (option(-1), 300, [shares(200)]),
        (option(-1), 0, [shares(-100, 65.0)]),
        (option(1), 0, [shares(100, 65.0)]),
        (option(1), 0, [shares(100, 66.5)]),
        (option(-2, "P", 72.0), 0, [shares(200, 72.0)]),
        (option(2, "P", 72.0), 200, []),
    ],
)
def test_options_that_delivered_shares(gone: dict[str, Any], before: float, after: list[dict[str, Any]]) -> None:
    found = changes([shares(before)] * bool(before) + [gone], after)
    assert found[2][0] == "assigned_or_exercised" and "delivered" in found[2][1]
    assert found[1][0] in ("opened", "changed", "closed") and found[1][1].startswith("Delivered by")


def test_an_early_assignment_is_told_from_trades_by_the_strike() -> None:
    wednesday = {"at": datetime(2024, 1, 3, 20, 45, tzinfo=UTC)}
    assigned = changes([option(-1, "P", 72.0)], [shares(100, 72.0)], **wednesday)
    assert assigned[2][0] == "assigned_or_exercised"
    assert kinds([option(-1, "P", 72.0)], [shares(100, 68.1)], **wednesday) == {1: "opened", 2: "closed"}
    part = kinds([option(-5, "P", 72.0)], [shares(200, 72.0), option(-3, "P", 72.0)], **wednesday)
    assert part == {1: "opened", 2: "assigned_or_exercised"}


def test_what_nothing_explains() -> None:
    found = changes([option(-2, "P", 72.0)], [])
    assert found[2][0] == "unexplained" and "+200 at 72" in found[2][1]
    assert kinds([option(-2, "P", 72.0)], [shares(150, 70.0)]) == {1: "opened", 2: "unexplained"}
    assert kinds([shares(100, 60.0)], [shares(400, 15.0)]) == {1: "unexplained"}, "a split"


def test_index_options_are_settled_in_cash() -> None:
    index = {"symbol": "SPX", "trading_class": "SPXW", "strike": 4600.0, "underlying_price": 4700.0}
    assert kinds([option(1, **index)], []) == {2: "expired"}
    found = changes([option(1, **index | {"strike": 4800.0})], [])
    assert found == {2: ("expired", "Settled in cash since the look before.")}, "not: out of the money"
    valued = index | {"symbol": "SOX", "trading_class": "SOX", "model": "black_76"}
    assert kinds([option(1, **valued)], []) == {2: "expired"}, "an index by its model"


def test_shares_of_another_underlying_are_no_delivery() -> None:
    other = shares(100, 65.0, con_id=9, symbol="IBM")
    assert kinds([option(1)], [other]) == {2: "unexplained", 9: "opened"}
    assert kinds([option(1)], [shares(100, 65.0, currency="MXN")]) == {1: "opened", 2: "unexplained"}


def test_what_has_no_known_terms_is_compared_all_the_same() -> None:
    bare = option(1, multiplier=None, average_cost=None, underlying_price=None)
    assert kinds([bare], []) == {2: "closed"}
    assert kinds([shares(1, None, con_id=5, sec_type="FUT")], []) == {5: "closed"}


def test_what_an_adjusted_class_delivers_is_not_guessed() -> None:
    found = changes([option(-2, "P", 6.8, trading_class="AAPL1")], [])
    assert found[2][0] == "unexplained" and "adjusted class AAPL1" in found[2][1]
    of_150 = {"trading_class": "AAPL1", "multiplier": 150.0}
    assert kinds([option(1, **of_150)], [shares(150, 65.0)])[2] == "assigned_or_exercised", "the shares that came tell"
