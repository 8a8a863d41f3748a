"""What a chain's coverage knows: nothing selected, expiries without contracts, the cause of what it lacks. Requests are
counted at the broker."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from trading_assets.collecting.archive import Archive
from trading_assets.collecting.preview import preview
from trading_assets.collecting.steps.chain_selection import unselected_meanwhile
from trading_assets.collecting.steps.option_greeks import compute_option_greeks
from trading_assets.monitoring.agenda import daily_bars, daily_snapshot
from trading_assets.monitoring.gaps import find_gaps, stale_chains
from trading_assets.monitoring.skips import Skip
from trading_assets.monitoring.status import platform_status
from trading_assets.monitoring.watch import current_issues
from trading_assets.repositories.conditions import symbol_conditions
from trading_assets.selection_rules import SelectionRules
from trading_assets.sessions import calendar
from trading_assets.simulator import Simulator
from trading_assets.validation import RULES, blocked, validate
from trading_assets_tests.collecting.days import FIRST, Days
from trading_assets_tests.collecting.doubled import DoubledTerms
from trading_assets_tests.rewriting import collect, rows, settings_for

NO_EXPIRY = {"min_days_to_expiry": 1, "max_days_to_expiry": 2}
"""FIRST is a Friday: no option expires on Saturday or Sunday."""

NO_CONTRACT = {"trading_classes": ("OTHER",)}

NOT_ONE = {"min_moneyness": 50.0, "strikes_around_spot": None}


def chain_coverage(days: Days, symbol: str = "AAPL") -> list[dict[str, Any]]:
    columns = "session, condition, reason, broker_code"
    return days.rows(
        f"select {columns} from coverage where dataset = 'option_chains' and symbol = '{symbol}' order by session"
    )


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        (NO_EXPIRY, {"option_parameters": 1}),
        (NO_CONTRACT, {"option_parameters": 1}),
        (NOT_ONE, {"option_parameters": 1, "contract_details": 2, "market_data": 1}),
    ],
    ids=["no expiry", "no class", "no contract"],
)
def test_nothing_selected_is_settled_for_the_session(days: Days, rules: dict[str, Any], asked: dict[str, int]) -> None:
    days.collect("AAPL", steps="c")
    days.simulator.reset_counters()
    reports = days.collect("AAPL", steps="heo", rules=rules)
    assert {**days.asked(), "historical_data": 0} == {**asked, "historical_data": 0}
    assert all(report.complete for report in reports.values()), "no violation"
    (row,) = chain_coverage(days)
    assert (row["condition"], row["broker_code"]) == ("nothing_selected", None)
    assert row["reason"] in reports["h"].notes
    assert row["reason"] in reports["o"].notes
    days.simulator.reset_counters()
    again = days.collect("AAPL", steps="heo", rules=rules)
    assert days.asked() == {}, "not requested again in the session"
    assert all(report.complete for report in again.values())
    assert row["reason"] in again["h"].notes


def test_nothing_selected_is_no_trouble_and_leaves_nothing_to_do(days: Days) -> None:
    days.collect("AAPL", rules=NO_EXPIRY)
    settings = days.settings
    conditions = {
        row["dataset"]: row["condition"]
        for row in symbol_conditions(
            settings.data_dir, calendar(), settings.clock(), ["AAPL"], first=FIRST.date()
        ).to_pylist()
    }
    assert conditions == {
        "contracts": "complete",
        "option_chains": "nothing_selected",
        "equity_bars": "complete",
        "option_bars": "nothing_selected",
    }
    days.simulator.clock.set(datetime.fromisoformat("2026-06-05T19:00-04:00"))
    assert current_issues(days.settings) == []
    assert platform_status(days.settings, probe=False).wrong == []
    assert isinstance(daily_snapshot(days.settings, days.settings.clock()), Skip)
    assert isinstance(daily_bars(days.settings, days.settings.clock()), Skip)


MONTHLY = {"max_days_to_expiry": 29, "strikes_around_spot": 1}
"""ZETA has options that expire on the third Friday alone: on 2026-05-15, then on 2026-06-18 (Friday is a holiday)."""

SENTENCE = "ZETA: no expiry within 29 days, next 2026-06-18. "


def test_monthly_options_are_waited_for_until_the_next_ones_come_within_the_selection(days: Days) -> None:
    def ask(day: str, time: str = "16:30", steps: str = "cheo", **rules: int) -> dict[str, Any]:
        days.move(datetime.fromisoformat(f"2026-05-{day}T{time}-04:00"))
        return days.collect("ZETA", steps=steps, rules={**MONTHLY, **rules}, lookback_days=3)

    def conditions(dataset: str) -> dict[str, str]:
        found = symbol_conditions(days.settings.data_dir, calendar(), days.settings.clock(), ["ZETA"])
        return {f"{r['session']:%d}": r["condition"] for r in found.to_pylist() if r["dataset"] == dataset}

    for day in ("14", "15"):
        assert all(report.complete for report in ask(day).values())
    for day in ("18", "19"):
        reports = ask(day)
        assert all(report.complete for report in reports.values())
        assert {**days.asked(), "historical_data": 0} == {"option_parameters": 1, "historical_data": 0}
        assert any(note.startswith(SENTENCE) for note in reports["h"].notes), reports["h"].notes
        for dataset in ("option_chains", "option_bars"):
            assert conditions(dataset)[day] == "nothing_selected"
        with Archive(days.settings) as archive:
            entries, rules = archive.universe.resolve(["ZETA"]), SelectionRules(**MONTHLY)
            assert preview(archive, entries, [], rules).requests == 0, "asked in this session"
            made = compute_option_greeks(archive, ["ZETA"], [archive.calendar.current(archive.now)])
            assert made.report.problems == []
        days.simulator.clock.set(datetime.fromisoformat(f"2026-05-{day}T19:00-04:00"))
        status = platform_status(days.settings, probe=False)
        assert (status.wrong, [row["behind"] for row in status.freshness if row["behind"]]) == ([], [])
        assert current_issues(days.settings) == [] and stale_chains(days.settings) == [] == find_gaps(days.settings)
        assert [one for one in validate(days.settings, record=False).failing() if one.rule.severity == "error"] == []
    days.simulator.clock.set(datetime.fromisoformat("2026-05-20T10:00-04:00"))
    with Archive(days.settings) as archive:
        assert preview(archive, entries, [], SelectionRules(**MONTHLY)).requests > 1, "the expiry is within reach today"
        narrow = SelectionRules(**{**MONTHLY, "max_days_to_expiry": 20})
        assert preview(archive, entries, [], narrow).requests > 1, "other rules: not known yet"
    assert all(report.complete for report in ask("20").values())
    assert conditions("option_chains") == {
        "14": "complete",
        "15": "complete",
        "18": "nothing_selected",
        "19": "nothing_selected",
        "20": "complete",
    }
    found = conditions("option_bars")
    assert (found["18"], found["19"], found["20"]) == ("nothing_selected", "nothing_selected", "complete")


def test_a_missed_session_without_an_expiry_in_the_selection_is_not_lost(days: Days) -> None:
    """Of the 18th nothing is selected, the 19th and 20th are missed: an expiry lies within the selection on the 20th
    alone."""

    def conditions(dataset: str = "option_chains") -> dict[str, tuple[str, str]]:
        found = symbol_conditions(days.settings.data_dir, calendar(), days.settings.clock(), ["ZETA"])
        mine = (row for row in found.to_pylist() if row["dataset"] == dataset)
        return {f"{row['session']:%d}": (row["condition"], row["reason"]) for row in mine}

    days.move(datetime.fromisoformat("2026-05-18T16:30-04:00"))
    days.collect("ZETA", steps="che", rules=MONTHLY, lookback_days=0)
    expected = {"18": "nothing_selected", "19": "nothing_selected", "20": "expired_lost"}
    days.move(datetime.fromisoformat("2026-05-21T09:45-04:00"))
    before = conditions()
    assert {day: condition for day, (condition, _) in before.items()} == expected
    assert before["19"][1].startswith(
        f"Not asked for in session 2026-05-19; nothing would have been selected: {SENTENCE}"
    )
    days.collect("ZETA", steps="ch", rules=MONTHLY)
    after = conditions()
    assert {day: condition for day, (condition, _) in after.items()} == {**expected, "21": "complete"}
    assert after["19"] == before["19"]
    assert [conditions("option_bars")[day][0] for day in ("18", "19")] == ["nothing_selected"] * 2
    missed = [rule for rule in RULES if rule.name == "chain_each_session"]
    assert validate(days.settings, rules=missed, record=False).result("chain_each_session").passed


def test_a_missed_session_is_lost_where_an_expiry_may_have_been_listed_in_it() -> None:
    rules, day = SelectionRules(**MONTHLY), date(2026, 5, 19)
    reason = f"{SENTENCE}Nothing of it is wanted until one lies inside the selection ({rules.words()})."
    meanwhile: Any = [{"trading_class": "ZETA", "expirations": ["20260612", "20260618"]}]
    assert unselected_meanwhile(reason, rules, day) is not None
    assert unselected_meanwhile(reason, rules, day, meanwhile) is None
    assert unselected_meanwhile(reason, rules, day, meanwhile, still=True) is not None, "nothing lies behind it"
    assert unselected_meanwhile(reason, rules, date(2026, 5, 20)) is None
    assert unselected_meanwhile(reason, SelectionRules(), day) is None, "other rules"


def test_a_wider_selection_is_another_question(days: Days) -> None:
    days.collect("AAPL", rules=NO_EXPIRY)
    reports = days.collect("AAPL")
    assert all(report.complete for report in reports.values())
    assert reports["o"].rows > 0
    assert [row["condition"] for row in chain_coverage(days)] == ["complete"]


def test_the_next_session_asks_again(days: Days) -> None:
    days.collect("AAPL", rules=NO_EXPIRY)
    days.move(datetime.fromisoformat("2026-06-08T16:30-04:00"))
    reports = days.collect("AAPL", steps="h", rules=NO_CONTRACT)
    assert reports["h"].complete
    assert days.asked() == {"option_parameters": 1}
    assert [row["condition"] for row in chain_coverage(days)] == ["nothing_selected", "nothing_selected"]


def test_an_expiry_without_contracts_is_asked_once_a_week(days: Days) -> None:
    days.market.unlisted = ("20260610",)
    first = days.collect("AAPL", steps="ch")
    assert first["h"].complete
    assert [row["condition"] for row in chain_coverage(days)] == ["complete"]
    assert any("20260610" in note and "nothing behind it" in note for note in first["h"].notes)
    listings = []
    for day in ("2026-06-08", "2026-06-09", "2026-06-10"):
        days.move(datetime.fromisoformat(f"{day}T16:30-04:00"))
        assert days.collect("AAPL", steps="ch")["h"].complete
        listings.append(
            [
                entry.subject
                for entry in days.simulator.counters.log
                if entry.kind == "contract_details" and "20260610" in entry.subject
            ]
        )
    assert listings == [[], [], []]


def test_it_is_asked_again_with_the_weekly_listing(days: Days) -> None:
    days.market.unlisted = ("20260617",)
    days.collect("AAPL", steps="ch", rules={"max_days_to_expiry": 14})
    days.move(datetime.fromisoformat("2026-06-11T16:30-04:00"))
    days.collect("AAPL", steps="ch", rules={"max_days_to_expiry": 14})
    assert asked_of(days, "20260617") == 0
    days.move(datetime.fromisoformat("2026-06-12T16:30-04:00"))
    days.collect("AAPL", steps="ch", rules={"max_days_to_expiry": 14})
    assert asked_of(days, "20260617") == 1


def test_a_selection_of_an_expiry_without_contracts_is_nothing_selected(days: Days) -> None:
    days.market.unlisted = ("20260607",)
    days.collect("AAPL", rules=NO_EXPIRY)
    days.simulator.reset_counters()
    reports = days.collect("AAPL", rules=NO_EXPIRY)
    assert days.asked() == {}
    assert all(report.complete for report in reports.values())
    (row,) = chain_coverage(days)
    assert row["condition"] == "nothing_selected"
    assert row["reason"].startswith("The broker lists no contract behind the 1 expiries of AAPL")


def asked_of(days: Days, expiry: str) -> int:
    return sum(entry.kind == "contract_details" and expiry in entry.subject for entry in days.simulator.counters.log)


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        (
            {"do": "error", "code": 10225, "text": "Bust event occurred, current subscription is deactivated."},
            10225,
            "Bust event occurred",
        ),
        ({"do": "error", "code": 321, "text": "Error validating request."}, 321, "Error validating request"),
        ({"do": "not_subscribed"}, 354, "Requested market data is not subscribed"),
    ],
)
def test_the_coverage_of_a_chain_names_the_cause(days: Days, fault: dict[str, Any], code: int, text: str) -> None:
    days.simulator.faults.add(**fault, on="market_data", times=1000)
    days.collect("AAPL", steps="ch")
    (row,) = chain_coverage(days)
    assert row["broker_code"] == code
    assert text in row["reason"]


def test_a_competing_session_is_named_as_the_cause(days: Days) -> None:
    days.simulator.faults.add(do="competing_session", on="market_data", times=1000)
    days.collect("AAPL", "IBM", steps="ch")
    for symbol in ("AAPL", "IBM"):
        (row,) = chain_coverage(days, symbol)
        assert row["broker_code"] == 10197
        assert "competing live session" in row["reason"]


def test_a_listing_that_fails_is_named_with_its_cause(days: Days) -> None:
    days.collect("AAPL", steps="c")
    days.simulator.faults.add(do="error", on="contract_details", code=321, text="Error validating request.", times=1000)
    days.collect("AAPL", steps="h")
    (row,) = chain_coverage(days)
    assert (row["condition"], row["broker_code"]) == ("partial", 321)
    assert "Error validating request" in row["reason"]


@pytest.mark.parametrize("expiry", ["20250108", "20250110"])
def test_contracts_with_equal_terms_are_collected_by_their_ids(tmp_path: Path, expiry: str) -> None:
    """On the day they expire: held back, their bars would be lost."""
    now = datetime.fromisoformat("2025-01-08T16:30-05:00")
    market = DoubledTerms(expiry)
    with Simulator(market, now=now, limits=False) as simulator:
        settings = settings_for(tmp_path, simulator.port, now, enforce_pacing=False)
        reports = collect(settings, ["SPY"], rules={"max_days_to_expiry": 2})
        assert [problem for report in reports.values() for problem in report.problems] == []
        assert any("have the terms of another one" in note for note in reports["h"].notes)
        selected = rows(settings, f"select con_id from option_chains where selected and last_trade = '{expiry}'")
        bars = rows(settings, f"select distinct con_id from option_bars where strftime(expiry, '%Y%m%d') = '{expiry}'")
        assert {row["con_id"] for row in bars} == {row["con_id"] for row in selected}
        assert sum(row["con_id"] in market.moved for row in selected) * 2 == len(selected) > 0
        found = validate(settings)
        assert found.passed
        assert "no_doubled_contract" in {result.rule.name for result in found.failing()}
        assert blocked(settings, ("contracts", "option_chains", "equity_bars"), ["SPY"]) == {}
