"""Which classes are adjusted, what their contracts deliver is worth, and which contracts stay selected."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest

from trading_assets.instrument import is_adjusted_class
from trading_assets.planning.chains import ladders_off, new_classes, strikes_adjusted
from trading_assets.planning.option_classes import adjusted_classes, class_prices, followed_contracts
from trading_assets.planning.selection import select_contracts, wanted_expiries
from trading_assets.selection_rules import SelectionRules
from trading_assets_tests.planning.test_selection import parameters

DAY = date(2024, 6, 6)
EXPIRY = DAY + timedelta(days=15)
SCHEMA = pa.schema(
    [
        *(("con_id", pa.int64()), ("trading_class", pa.string()), ("multiplier", pa.float64())),
        *(("expiry", pa.date32()), ("last_trade", pa.string()), ("strike", pa.float64()), ("right", pa.string())),
        *((name, pa.float64()) for name in ("bid", "ask", "underlying_price")),
        ("selected", pa.bool_()),
    ]
)
STRIKES = [90.0, 95.0, 100.0, 105.0, 110.0]


def chain(
    trading_class: str, strikes: list[float], *, price: float | None = None, spot: float | None = None,
    multiplier: float = 100.0, first: int = 1, selected: bool = True,
) -> pa.Table:  # fmt: skip
    """Calls and puts at the strikes; quoted around `price`, the value of what they deliver, where one is given."""
    rows: list[dict[str, Any]] = []
    for strike in strikes:
        for right, sign in (("C", 1), ("P", -1)):
            value = None if price is None else max(sign * (price - strike), 0.0) + 2.0
            rows.append(
                {
                    "con_id": first + len(rows), "trading_class": trading_class, "multiplier": multiplier,
                    "expiry": EXPIRY, "last_trade": f"{EXPIRY:%Y%m%d}", "strike": strike, "right": right,
                    "bid": value and value - 0.1, "ask": value and value + 0.1, "underlying_price": spot,
                    "selected": selected,
                }
            )  # fmt: skip
    return pa.Table.from_pylist(rows, SCHEMA)


@pytest.mark.parametrize(
    ("symbol", "trading_class", "multiplier", "adjusted"),
    [
        *((symbol, name, 100.0, False) for symbol, name in (("SPX", "SPXW"), ("NDX", "NDXP"), ("RUT", "RUTW"))),
        *(("VIX", name, 100.0, False) for name in ("VIX", "VIXW")),
        ("BRK B", "BRKB", 100.0, False),
        ("AAPL", "AAPL7", 10.0, False),
        ("AAPL", "AAPL7", 100.0, True),
        *(("ABC", name, 100.0, True) for name in ("ABC1", "2ABC", "ABC12")),
        ("META", "FB1", 100.0, True),
        ("ABC@8314", "ABC1", 100.0, True),
        ("X2", "X2", 100.0, False),
    ],
)
def test_the_name_tells(symbol: str, trading_class: str, multiplier: float, adjusted: bool) -> None:
    assert is_adjusted_class(symbol, trading_class, multiplier) is adjusted


def test_so_do_an_odd_multiplier_and_a_ladder_off_the_price() -> None:
    both = pa.concat_tables([chain("ABC", STRIKES), chain("ABC", STRIKES, multiplier=150.0, first=101)])
    assert adjusted_classes("ABC", both, 100.0) == {("ABC", 150.0)}
    assert adjusted_classes("ABC", chain("ABC", STRIKES, multiplier=150.0), 100.0) == set(), "there is no other"
    assert adjusted_classes("ABC", chain("ABC", STRIKES), 1000.0) == {("ABC", 100.0)}


@pytest.mark.parametrize("name", ["ABC1", "2ABC"])
def test_a_basket_with_cash_is_selected_around_its_own_price(name: str) -> None:
    """Half a share of another company and 4.20 in cash: 92 a share of ABC, 101 a contract unit."""
    last = pa.concat_tables([chain(name, STRIKES, price=101.0, spot=92.0), chain("ABC", [90.0, 95.0], first=101)])
    prices = class_prices("ABC", last, last, 92.0)
    assert prices == {(name, 100.0): pytest.approx(101.0)}
    rules = SelectionRules(strikes_around_spot=1)
    chosen = last.filter(pa.array([i in select_contracts(last, 92.0, DAY, rules, prices=prices)
                                   for i in last["con_id"].to_pylist()]))  # fmt: skip
    assert sorted(set(zip(*(chosen[n].to_pylist() for n in ("trading_class", "strike")), strict=True))) == sorted(
        [(name, 100.0), (name, 105.0), ("ABC", 90.0), ("ABC", 95.0)]
    )


def test_on_the_day_of_the_action_the_price_of_before_counts_and_strikes_take_it_along() -> None:
    before = chain("ABC", STRIKES, spot=100.0)
    assert class_prices("ABC", chain("ABC1", STRIKES), before, 1005.0) == {("ABC1", 100.0): pytest.approx(100.0)}
    adjusted = chain("ABC1", [strike * 2 / 3 for strike in STRIKES], multiplier=150.0)
    assert class_prices("ABC", adjusted, before, 66.0) == {("ABC1", 150.0): pytest.approx(200 / 3)}


def test_without_a_price_only_followed_contracts_are_selected_until_they_expire() -> None:
    today = pa.concat_tables([chain("ABC1", STRIKES), chain("ABC", [900.0, 1000.0], first=101)])
    prices = class_prices("ABC", today, today.slice(0, 0), 1000.0)
    assert prices == {("ABC1", 100.0): None}
    rules = SelectionRules(max_days_to_expiry=10, strikes_around_spot=1, rights=("P",))
    assert select_contracts(today, 1000.0, DAY, rules, prices=prices, followed={1, 2, 999}) == {1, 2}
    assert select_contracts(today, 1000.0, EXPIRY + timedelta(days=1), rules, prices=prices, followed={1, 2}) == set()


def test_what_an_action_changed_is_followed_and_what_the_price_left_behind_is_not() -> None:
    def history(trading_class: str = "ABC", strike: float = 90.0, multiplier: float = 100.0, spot: float = 92.0) -> Any:
        return [{"con_id": 1, "session": DAY - timedelta(days=1), "trading_class": trading_class, "strike": strike,
                 "multiplier": multiplier, "spot": spot}]  # fmt: skip

    today = chain("ABC", STRIKES)
    assert followed_contracts(today, history(), set(), 108.0) == set(), "left behind"
    assert followed_contracts(today, history(strike=360.0), set(), 92.0) == {1}, "4:1"
    assert followed_contracts(today, history(trading_class="XYZ"), set(), 92.0) == {1}, "renamed"
    assert followed_contracts(today, history(multiplier=150.0), set(), 92.0) == {1}
    assert followed_contracts(today, history(spot=9.2), set(), 92.0) == {1}, "the price is of another basis"
    assert followed_contracts(today, history(), {("ABC", 100.0)}, 92.0) == {1}


def test_a_new_class_and_a_ladder_off_the_price_have_everything_listed_again() -> None:
    day = f"{EXPIRY:%Y%m%d}"
    offered = [parameters([day], "ABC") | {"strikes": STRIKES}]
    last = chain("ABC", STRIKES, spot=100.0)
    assert not strikes_adjusted(last, offered, DAY) and not new_classes(last, offered, DAY)
    assert new_classes(last, [*offered, parameters([day], "ABC1")], DAY) == {day}
    assert ladders_off(last) == set() and ladders_off(chain("ABC", STRIKES, spot=1000.0)) == {day}


def test_expiries_of_an_adjusted_class_are_wanted_with_its_class_of_before() -> None:
    day, rules = f"{EXPIRY:%Y%m%d}", SelectionRules(trading_classes=("ABC",))
    assert wanted_expiries([parameters([day], "ABC1")], rules, DAY) == [day]
    assert wanted_expiries([parameters([day], "XYZ1")], rules, DAY) == []
