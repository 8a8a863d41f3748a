"""What lies between two answers is known only where both say the same."""

from __future__ import annotations

from datetime import datetime

from trading_assets.repositories.conditions import symbol_conditions
from trading_assets.sessions import calendar
from trading_assets_tests.collecting.days import Days

NOBODY = None


def ask(days: Days, *asked: int, held: bool = True, refresh: bool = False) -> None:
    """Collect the contract details of GONE on these days of June 2026; with `held` a company has the symbol."""
    for day in asked:
        days.market.held = {} if held else {"GONE": NOBODY}
        days.move(datetime.fromisoformat(f"2026-06-{day:02}T16:30-04:00"))
        days.collect("GONE", steps="c", refresh=refresh)


def told(days: Days, dataset: str = "contracts") -> dict[int, str]:
    """The condition of each session by its day: once as it is computed, once as it is recorded; both must agree."""
    now = days.settings.clock()
    found = symbol_conditions(days.settings.data_dir, calendar(), now, ["GONE"], datasets=[dataset])
    conditions = {row["session"].day: row["condition"] for row in found.to_pylist()}
    recorded = days.rows(f"select session, condition from coverage where dataset = '{dataset}' and symbol = 'GONE'")
    assert {row["session"].day: row["condition"] for row in recorded}.items() <= conditions.items()
    return conditions


def test_sessions_between_a_confirmation_and_a_refusal_are_unknown(days: Days) -> None:
    ask(days, 5, 8, 9)
    assert told(days) == {5: "complete", 8: "complete", 9: "complete"}, "believed"
    ask(days, 12, held=False)
    between = dict.fromkeys((8, 9, 10, 11), "pending")
    assert told(days) == {5: "complete", **between, 12: "no_contract"}
    reasons = days.rows("select distinct reason from coverage where condition = 'pending'")
    assert all("the answers before and after it differ" in row["reason"] for row in reasons)
    ask(days, 16)
    assert days.asked() == {"contract_details": 1}, "an older row is not carried on after a refusal"
    assert told(days) == {5: "complete", **between, 12: "no_contract", 15: "pending", 16: "complete"}
    ask(days, 18)
    assert told(days)[17] == told(days)[18] == "complete", "both sides say the same"


def test_sessions_between_a_refusal_and_a_confirmation_are_unknown(days: Days) -> None:
    ask(days, 5, 8, held=False)
    ask(days, 10, held=False)
    assert told(days) == dict.fromkeys((5, 8, 9, 10), "no_contract"), "refused twice and believed; 9 lies between"
    ask(days, 12, refresh=True)
    assert told(days) == {
        5: "no_contract",
        8: "no_contract",
        9: "pending",
        10: "pending",
        11: "pending",
        12: "complete",
    }


def test_sessions_before_another_company_is_met_under_the_symbol_are_unknown(days: Days) -> None:
    ask(days, 5, 8)
    days.market.held = {"GONE": "IBM"}
    for day in (12, 15):
        days.move(datetime.fromisoformat(f"2026-06-{day}T16:30-04:00"))
        days.collect("GONE", steps="c")
    assert told(days) == {5: "complete", **dict.fromkeys((8, 9, 10, 11), "pending"), 12: "error", 15: "error"}
