from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trading_assets.broker.payloads import ParameterRecord
from trading_assets.planning.selection import select_contracts, wanted_expiries
from trading_assets.selection_rules import SelectionRules

SESSION = date(2015, 12, 24)
EXPIRIES = [date(2015, 12, 24), date(2015, 12, 31), date(2016, 1, 15), date(2016, 2, 19), date(2016, 6, 17)]


def listing(rows: list[dict[str, Any]]) -> pa.Table:
    columns = ("con_id", "expiry", "last_trade", "strike", "right", "trading_class", "open_interest")
    schema = pa.schema(
        list(
            zip(
                columns,
                (pa.int64(), pa.date32(), pa.string(), pa.float64(), pa.string(), pa.string(), pa.float64()),
                strict=True,
            )
        )
    )
    return pa.Table.from_pylist(rows, schema)


def grid(
    strikes: list[float], expiries: list[date] = EXPIRIES, classes: tuple[str, ...] = ("GOOG",)
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for expiry in expiries:
        for trading_class in classes:
            for strike in strikes:
                for right in "CP":
                    rows.append(
                        {
                            "con_id": len(rows) + 1,
                            "expiry": expiry,
                            "last_trade": f"{expiry:%Y%m%d}",
                            "strike": strike,
                            "right": right,
                            "trading_class": trading_class,
                            "open_interest": None,
                        }
                    )
    return rows


def parameters(expiries: list[str], trading_class: str = "GOOG", exchange: str = "SMART") -> ParameterRecord:
    return ParameterRecord(
        exchange=exchange,
        trading_class=trading_class,
        multiplier="100",
        underlying_con_id=1,
        expirations=expiries,
        strikes=[100.0],
    )


STRIKES = [float(strike) for strike in range(50, 151, 5)]


@given(
    st.lists(
        st.sampled_from(grid(STRIKES, classes=("GOOG", "GOOG7"))), unique_by=lambda row: row["con_id"], max_size=120
    ),
    st.floats(40, 160),
    st.integers(0, 60),
    st.integers(0, 120),
    st.none() | st.integers(1, 12),
    st.none() | st.integers(1, 30),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_selection_keeps_the_rules_and_depends_on_nothing_else(rows, spot, soonest, more, around, cap, random) -> None:  # type: ignore[no-untyped-def]
    rules = SelectionRules(
        min_days_to_expiry=soonest, max_days_to_expiry=soonest + more, strikes_around_spot=around, max_contracts=cap
    )
    chosen = select_contracts(listing(rows), spot, SESSION, rules)
    assert chosen == select_contracts(listing(random.sample(rows, len(rows))), spot, SESSION, rules)
    by_id = {row["con_id"]: row for row in rows}
    assert chosen <= set(by_id)
    assert cap is None or len(chosen) <= cap
    for con_id in chosen:
        assert soonest <= (by_id[con_id]["expiry"] - SESSION).days <= soonest + more
    if around is not None:
        for expiry in EXPIRIES:
            for trading_class in ("GOOG", "GOOG7"):
                strikes = {
                    by_id[c]["strike"]
                    for c in chosen
                    if (by_id[c]["expiry"], by_id[c]["trading_class"]) == (expiry, trading_class)
                }
                assert len({s for s in strikes if s < spot}) <= around
                assert len({s for s in strikes if s >= spot}) <= around
    whole = select_contracts(listing(rows), spot, SESSION, rules.model_copy(update={"max_contracts": None}))
    assert chosen <= whole
    assert len(chosen) == min(len(whole), cap or len(whole))
    if chosen and whole - chosen:
        assert max(by_id[c]["expiry"] for c in chosen) <= min(by_id[c]["expiry"] for c in whole - chosen)


def test_strikes_are_counted_below_and_at_or_above_the_price() -> None:
    rows = grid(STRIKES, [EXPIRIES[1]])
    chosen = select_contracts(listing(rows), 100.0, SESSION, SelectionRules(strikes_around_spot=2))
    assert sorted({row["strike"] for row in rows if row["con_id"] in chosen}) == [90.0, 95.0, 100.0, 105.0]
    assert len(chosen) == 8


def test_rights_classes_moneyness_and_open_interest() -> None:
    rows = grid(STRIKES, [EXPIRIES[1]], ("SPX", "SPXW"))
    for row in rows:
        row["open_interest"] = None if row["strike"] == 100.0 else float(row["strike"])
    rules = SelectionRules(
        strikes_around_spot=None,
        rights=("P",),
        trading_classes=("SPXW",),
        min_moneyness=0.9,
        max_moneyness=1.1,
        min_open_interest=101,
    )
    chosen = [row for row in rows if row["con_id"] in select_contracts(listing(rows), 100.0, SESSION, rules)]
    assert {(row["strike"], row["right"], row["trading_class"]) for row in chosen} == {
        (s, "P", "SPXW") for s in (100.0, 105.0, 110.0)
    }


def test_a_price_is_needed_only_by_rules_that_use_one() -> None:
    rows = listing(grid(STRIKES))
    everything = SelectionRules(strikes_around_spot=None, max_days_to_expiry=400)
    assert len(select_contracts(rows, None, SESSION, everything)) == rows.num_rows
    for unknown in (None, float("nan"), 0.0):
        with pytest.raises(ValueError, match="price of the underlying"):
            select_contracts(rows, unknown, SESSION, SelectionRules())
    assert select_contracts(rows.slice(0, 0), None, SESSION, SelectionRules()) == set()


def test_a_contract_past_its_last_trading_day_is_not_selected() -> None:
    [row] = grid([100.0], [SESSION])[:1]
    row["last_trade"] = "20151223"
    assert select_contracts(listing([row]), 100.0, SESSION, SelectionRules()) == set()


def test_ten_thousand_contracts_are_selected_from() -> None:
    rows = listing(grid([float(s) for s in range(1, 251)], [SESSION + timedelta(days=7 * i) for i in range(20)]))
    assert rows.num_rows == 10_000
    assert len(select_contracts(rows, 125.5, SESSION, SelectionRules())) == 7 * 20 * 2


def test_wanted_expiries_are_those_of_the_rules_over_all_classes() -> None:
    records = [
        parameters(["20151218", "20151224", "20160115"]),
        parameters(["20151231", "20160115", "20160617"], "GOOG7", "CBOE"),
    ]
    assert wanted_expiries(records, SelectionRules(), SESSION) == ["20151224", "20151231", "20160115"]
    assert wanted_expiries(records, SelectionRules(trading_classes=("GOOG7",)), SESSION) == ["20151231", "20160115"]
    assert wanted_expiries(records, SelectionRules(min_days_to_expiry=20), SESSION) == ["20160115"]


def test_the_last_trading_day_of_an_am_settled_expiry_inside_the_rules_is_listed() -> None:
    records = [parameters(["20160114"], "SPX")]
    assert wanted_expiries(records, SelectionRules(min_days_to_expiry=22), SESSION) == ["20160114"]
    assert wanted_expiries([parameters(["20160114"], "SPXW")], SelectionRules(min_days_to_expiry=22), SESSION) == []


@pytest.mark.parametrize(
    "rules",
    [
        {"min_days_to_expiry": 50},
        {"min_moneyness": 1.2, "max_moneyness": 0.8},
        {"rights": ("X",)},
        {"strikes_around_spot": 0},
        {"spot": 1},
    ],
)
def test_rules_that_select_nothing_are_refused(rules: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SelectionRules(**rules)


def test_a_class_is_meant_whichever_way_it_is_named() -> None:
    rules = SelectionRules(trading_classes=("BRKB", "SPXW"), strikes_around_spot=None)
    listing = pa.table(
        {
            "con_id": [1, 2, 3],
            "expiry": [date(2024, 6, 21)] * 3,
            "last_trade": ["20240621"] * 3,
            "strike": [400.0] * 3,
            "right": ["C"] * 3,
            "trading_class": ["BRK B", "SPX", "SPX"],
            "listed_class": pa.array([None, "SPXW", None], pa.string()),
        }
    )
    assert select_contracts(listing, None, date(2024, 6, 18), rules) == {1, 2}
